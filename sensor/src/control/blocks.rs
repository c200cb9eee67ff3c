//! The list of rules, in portions: tens of thousands of them fill no message.

use std::sync::Arc;

use ganglion_flow::rules::{Action, RuleHits};
use ganglion_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::in_background;
use crate::clock;
use crate::core::Core;
use crate::enforce::{Author, InForce};
use crate::target::Target;

/// Rules read under one lock and sent in one message; about half a kilobyte each.
const PORTION: usize = 256;
/// Portions that wait for a slow reader.
const AHEAD: usize = 2;

/// What a reader gets.
pub(super) type Portions = ReceiverStream<Result<v1::ListBlocksResponse, Status>>;

/// All rules of this moment, less those that end before their turn.
pub(super) fn stream(core: &Arc<Core>) -> Portions {
    let (sender, portions) = mpsc::channel(AHEAD);
    let core = Arc::clone(core);
    tokio::spawn(async move {
        let targets = core.rules().targets();
        for portion in targets.chunks(PORTION) {
            let portion = portion.to_vec();
            let blocks = in_background(&core, move |core| Ok(read(core, &portion))).await;
            let answer = blocks.map(|blocks| v1::ListBlocksResponse { blocks });
            if sender.send(answer).await.is_err() {
                // The reader left.
                return;
            }
        }
    });
    ReceiverStream::new(portions)
}

fn read(core: &Core, portion: &[Target]) -> Vec<v1::Block> {
    let rules = core.rules();
    let one = |target: &Target| rules.get(target).map(|(in_force, hits)| message(target, &in_force, &hits));
    portion.iter().filter_map(one).collect()
}

/// A rule as a message.
pub(super) fn message(target: &Target, in_force: &InForce, hits: &RuleHits) -> v1::Block {
    let rule = &in_force.rule;
    let remaining_ns = rule.expires_ns.saturating_sub(clock::monotonic_ns());
    let action = match (target, Action::from_u8(rule.action)) {
        (Target::NewFlows(_), _) => v1::Action::LimitNewFlows,
        (_, Some(Action::Drop)) => v1::Action::Drop,
        (_, Some(Action::RateLimit)) => v1::Action::RateLimit,
        (_, Some(Action::Observe)) => v1::Action::Observe,
        (_, None) => v1::Action::Unspecified,
    };
    v1::Block {
        target: Some(target.to_proto()),
        action: action.into(),
        class: i32::from(rule.class),
        reason: in_force.reason.clone(),
        remaining_ms: if rule.expires_ns == u64::MAX { 0 } else { (remaining_ns / 1_000_000).max(1) },
        packets: hits.packets,
        bytes: hits.bytes,
        dropped: hits.dropped,
        limit_per_second: rule.limit,
        verdict_id: in_force.verdict_id.clone(),
        first_drop_boot_ns: hits.first_drop_ns,
        origin: if in_force.author == Author::Verdict { "verdict" } else { "operator" }.to_owned(),
    }
}
