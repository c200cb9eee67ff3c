//! The protocol's messages as JSON: stable names, enums by label, zero meaning "none" left out as `null`.

use ganglion_proto::v1::{
    ActionTaken, Alert, Allow, Block, BrainStatus, Equation, Event, Explanation, FlowTuple, Health, LiveFlow,
    SensorStatus, Target, allow, event, target,
};
use serde_json::{Value, json};

use crate::labels;
use crate::target::{protocol_name, show_allow, show_target};
use crate::units::wall_time;

/// One flow's endpoints.
pub(crate) fn tuple(flow: &FlowTuple) -> Value {
    json!({
        "source_address": flow.source_address,
        "source_port": flow.source_port,
        "destination_address": flow.destination_address,
        "destination_port": flow.destination_port,
        "protocol": protocol_name(flow.protocol),
        "domain": flow.domain,
    })
}

fn target_kind(target: Option<&Target>) -> &'static str {
    match target.and_then(|target| target.of.as_ref()) {
        Some(target::Of::Address(_)) => "address",
        Some(target::Of::Network(_)) => "network",
        Some(target::Of::Flow(_)) => "flow",
        None => "none",
    }
}

/// A block with its hits.
pub(crate) fn block(block: &Block) -> Value {
    json!({
        "target": show_target(block.target.as_ref()),
        "kind": target_kind(block.target.as_ref()),
        "action": labels::action(block.action),
        "class": labels::class(block.class),
        "reason": block.reason,
        "remaining_ms": (block.remaining_ms > 0).then_some(block.remaining_ms),
        "packets": block.packets,
        "bytes": block.bytes,
        "dropped": block.dropped,
        "limit_per_second": (block.limit_per_second > 0).then_some(block.limit_per_second),
        "verdict_id": (!block.verdict_id.is_empty()).then_some(&block.verdict_id),
        "first_drop_boot_ns": (block.first_drop_boot_ns > 0).then_some(block.first_drop_boot_ns),
        "origin": block.origin,
    })
}

/// An exemption.
pub(crate) fn exemption(entry: &Allow) -> Value {
    let kind = match entry.of {
        Some(allow::Of::Network(_)) => "network",
        Some(allow::Of::Service(_)) => "service",
        Some(allow::Of::Flow(_)) => "flow",
        None => "none",
    };
    json!({ "target": show_allow(entry), "kind": kind, "origin": entry.origin, "comment": entry.comment })
}

/// A live flow.
pub(crate) fn flow(flow: &LiveFlow) -> Value {
    let mut value = flow.tuple.as_ref().map_or_else(|| json!({}), tuple);
    let rest = json!({
        "age_ms": flow.age_ms,
        "idle_ms": flow.idle_ms,
        "forward_packets": flow.forward_packets,
        "backward_packets": flow.backward_packets,
        "forward_bytes": flow.forward_bytes,
        "backward_bytes": flow.backward_bytes,
        "state": flow.state,
        "community_id": flow.community_id,
    });
    merge(&mut value, rest);
    value
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn equation(equation: Option<&Equation>) -> Value {
    equation.map_or(Value::Null, |e| {
        let terms: std::collections::BTreeMap<_, _> = e.terms.iter().collect();
        json!({ "left": e.left, "terms": terms, "difference": e.difference })
    })
}

/// All that a sensor says of itself.
pub(crate) fn sensor_status(status: &SensorStatus) -> Value {
    let counters: std::collections::BTreeMap<_, _> = status.counters.iter().collect();
    let shed: std::collections::BTreeMap<_, _> = status.shed.iter().collect();
    json!({
        "sensor_id": status.sensor_id,
        "software_version": status.software_version,
        "mode": labels::mode(status.mode),
        "uptime_s": status.uptime_s,
        "interfaces": status.interfaces.iter().map(|i| json!({
            "name": i.name, "ingress": i.ingress, "egress": i.egress, "role": i.role,
        })).collect::<Vec<_>>(),
        "counters": counters,
        "equations": { "packets": equation(status.packets.as_ref()), "records": equation(status.records.as_ref()) },
        "brain_connected": status.brain_connected,
        "live_flows": status.live_flows,
        "live_half_open": status.live_half_open,
        "blocks": status.blocks,
        "programs": status.programs.iter().map(|p| json!({
            "name": p.name, "run_count": p.run_count, "run_time_ns": p.run_time_ns,
            "verified_instructions": p.verified_instructions,
        })).collect::<Vec<_>>(),
        "memory_bytes": status.memory_bytes,
        "shed": shed,
    })
}

/// All that a brain says of itself.
pub(crate) fn brain_status(status: &BrainStatus) -> Value {
    json!({
        "software_version": status.software_version,
        "bundle_id": status.bundle_id,
        "provider": status.provider,
        "records": status.records,
        "records_refused": status.records_refused,
        "verdicts": status.verdicts,
        "sources_tracked": status.sources_tracked,
        "sensors": status.sensors,
        "uptime_s": status.uptime_s,
    })
}

/// Name of an event's kind, as in `--kind`.
pub(crate) fn event_kind(event: &Event) -> &'static str {
    match event.of {
        Some(event::Of::Alert(_)) => "alert",
        Some(event::Of::Action(_)) => "action",
        Some(event::Of::Health(_)) => "health",
        Some(event::Of::Explanation(_)) => "explanation",
        Some(event::Of::Missed(_)) => "missed",
        None => "unknown",
    }
}

/// An event: the common fields, then those of its kind.
pub(crate) fn event(event: &Event) -> Value {
    let mut value = json!({
        "sequence": event.sequence,
        "time": wall_time(event.time_us),
        "time_us": event.time_us,
        "sensor_id": event.sensor_id,
        "kind": event_kind(event),
    });
    let rest = match &event.of {
        Some(event::Of::Alert(of)) => alert(of),
        Some(event::Of::Action(of)) => action(of),
        Some(event::Of::Health(Health { what, healthy, detail })) => {
            json!({ "what": what, "healthy": healthy, "detail": detail })
        }
        Some(event::Of::Explanation(of)) => explanation(of),
        Some(event::Of::Missed(count)) => json!({ "missed": count }),
        None => json!({}),
    };
    merge(&mut value, rest);
    value
}

/// An alert, without when and where.
pub(crate) fn alert(alert: &Alert) -> Value {
    json!({
        "verdict_id": alert.verdict_id,
        "target": show_target(alert.target.as_ref()),
        "class": labels::class(alert.class),
        "confidence": alert.confidence,
        "reason": alert.reason,
        "anomaly": alert.anomaly,
        "evidence": alert.evidence,
        "flow": alert.flow.as_ref().map(tuple),
        "community_id": alert.community_id,
        "bundle_id": alert.bundle_id,
    })
}

/// Shares of a row's features, largest first.
pub(crate) fn explanation(of: &Explanation) -> Value {
    let top = of
        .top
        .iter()
        .map(|one| json!({ "feature": one.feature, "value": one.value, "contribution": one.contribution }));
    json!({
        "verdict_id": of.verdict_id,
        "target": show_target(of.target.as_ref()),
        "class": labels::class(of.class),
        "value": of.value,
        "base": of.base,
        "top": top.collect::<Vec<_>>(),
        "rest": of.rest,
        "background": of.background,
        "walks": of.walks,
        "duration_us": of.duration_us,
        "bundle_id": of.bundle_id,
    })
}

fn action(action: &ActionTaken) -> Value {
    json!({
        "verdict_id": action.verdict_id,
        "target": show_target(action.target.as_ref()),
        "action": labels::action(action.action),
        "class": labels::class(action.class),
        "ttl_ms": (action.ttl_ms > 0).then_some(action.ttl_ms),
        "outcome": labels::outcome(action.outcome),
        "detail": action.detail,
        "applied_boot_ns": action.applied_boot_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_fields_of_its_kind() {
        let taken = ActionTaken { action: 2, outcome: 1, class: 4, ttl_ms: 60_000, ..ActionTaken::default() };
        let value = event(&Event { sequence: 7, of: Some(event::Of::Action(taken)), ..Event::default() });
        assert_eq!(value["kind"], "action");
        assert_eq!(value["action"], "drop");
        assert_eq!(value["outcome"], "enforced");
        assert_eq!(value["class"], "PortScan");
        assert_eq!(value["ttl_ms"], 60_000);
    }

    #[test]
    fn a_block_for_ever_has_no_remaining_time() {
        let value = block(&Block { remaining_ms: 0, ..Block::default() });
        assert!(value["remaining_ms"].is_null());
    }
}
