//! The control socket: what a person may ask and order.

mod blocks;
mod flows;
mod socket;

use std::sync::Arc;

use ganglion_proto::v1::{self, sensor_server};
use tonic::{Request, Response, Status};

pub use socket::SocketError;
pub(crate) use socket::bind;

use crate::config::Mode;
use crate::core::{self, Age, Core, VerdictError};
use crate::enforce::{Author, EnforceError};
use crate::report::Snapshot;
use crate::target::{Exemption, Target};
use crate::uplink::Reflex;

/// The service behind the socket.
pub(crate) struct Control {
    core: Arc<Core>,
}

/// Serves until the future ends.
pub(crate) async fn serve(
    core: Arc<Core>,
    listener: std::os::unix::net::UnixListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let service = sensor_server::SensorServer::new(Control { core })
        .max_encoding_message_size(ganglion_proto::MAX_MESSAGE_BYTES)
        .max_decoding_message_size(ganglion_proto::MAX_MESSAGE_BYTES);
    let listener = match listener.set_nonblocking(true).and_then(|()| tokio::net::UnixListener::from_std(listener)) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the control socket can't be served");
            return Ok(());
        }
    };
    let incoming = tokio_stream::wrappers::UnixListenerStream::new(listener);
    tonic::transport::Server::builder().add_service(service).serve_with_incoming_shutdown(incoming, shutdown).await
}

impl From<VerdictError> for Status {
    fn from(error: VerdictError) -> Self {
        match error {
            VerdictError::Enforce(error) => error.into(),
            other => Self::invalid_argument(other.to_string()),
        }
    }
}

impl From<EnforceError> for Status {
    fn from(error: EnforceError) -> Self {
        let text = error.to_string();
        match error {
            EnforceError::Refused(_) => Self::failed_precondition(text),
            EnforceError::Invalid(_) => Self::invalid_argument(text),
            EnforceError::NoSlot(_) => Self::resource_exhausted(text),
            EnforceError::Map { .. } => Self::internal(text),
        }
    }
}

async fn in_background<T: Send + 'static>(
    core: &Arc<Core>,
    work: impl FnOnce(&Core) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let core = Arc::clone(core);
    tokio::task::spawn_blocking(move || work(&core)).await.map_err(|e| Status::internal(e.to_string()))?
}

fn invalid(error: impl std::fmt::Display) -> Status {
    Status::invalid_argument(error.to_string())
}

fn status(snapshot: Snapshot, core: &Core) -> v1::SensorStatus {
    let owned = |map: std::collections::BTreeMap<&'static str, u64>| map.into_iter().map(|(k, v)| (k.to_owned(), v));
    let shed = crate::ledger::Entry::SHED.iter().map(|e| (e.label().to_owned(), core.ledger.get(*e))).collect();
    let interface = |a: crate::attach::Attached| v1::InterfaceStatus {
        name: a.interface,
        ingress: a.ingress.to_owned(),
        egress: a.egress.to_owned(),
        role: snapshot.role.to_owned(),
    };
    let program = |p: crate::report::ProgramCost| v1::ProgramStatus {
        name: p.name.to_owned(),
        run_count: p.run_count,
        run_time_ns: p.run_time_ns,
        verified_instructions: p.verified_instructions,
    };
    v1::SensorStatus {
        sensor_id: snapshot.sensor_id,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        interfaces: snapshot.attached.into_iter().map(interface).collect(),
        mode: core.mode().into(),
        counters: owned(snapshot.counters).collect(),
        packets: Some((&snapshot.packets).into()),
        records: Some((&snapshot.records).into()),
        brain_connected: snapshot.brain_connected,
        live_flows: snapshot.live.flows,
        live_half_open: snapshot.live.half_open,
        blocks: snapshot.blocks,
        programs: snapshot.programs.into_iter().map(program).collect(),
        memory_bytes: snapshot.memory_bytes,
        uptime_s: snapshot.uptime_s,
        shed,
    }
}

#[tonic::async_trait]
impl sensor_server::Sensor for Control {
    type ListBlocksStream = blocks::Portions;

    async fn status(&self, _: Request<v1::SensorStatusRequest>) -> Result<Response<v1::SensorStatus>, Status> {
        let answer = in_background(&self.core, |core| {
            let snapshot = core.snapshot(Age::Fresh).map_err(|e| Status::internal(e.to_string()))?;
            Ok(status(snapshot, core))
        });
        answer.await.map(Response::new)
    }

    async fn add_block(&self, request: Request<v1::AddBlockRequest>) -> Result<Response<v1::AddBlockResponse>, Status> {
        let ask = request.into_inner();
        let action = match ask.action() {
            v1::Action::Unspecified => v1::Action::Drop,
            other => other,
        };
        let rule = core::request(ask.target.as_ref(), action, ask.limit_per_second, Author::Operator)?;
        let target = rule.target;
        let rule = crate::enforce::Request { ttl_ms: ask.ttl_ms, reason: ask.reason, ..rule };
        let mut rules = self.core.rules();
        rules.apply(rule)?;
        tracing::info!(%target, "block added by an operator");
        let made = rules.get(&target).map(|(in_force, hits)| blocks::message(&target, &in_force, &hits));
        Ok(Response::new(v1::AddBlockResponse { block: made }))
    }

    async fn remove_block(
        &self,
        request: Request<v1::RemoveBlockRequest>,
    ) -> Result<Response<v1::RemoveBlockResponse>, Status> {
        let ask = request.into_inner();
        let mut removed = false;
        let mut rules = self.core.rules();
        // An address may carry both kinds of rule.
        for action in [v1::Action::Drop, v1::Action::LimitNewFlows] {
            let target = Target::from_proto(ask.target.as_ref(), action).map_err(invalid)?;
            removed |= rules.remove(&target)?;
        }
        Ok(Response::new(v1::RemoveBlockResponse { removed }))
    }

    async fn list_blocks(&self, _: Request<v1::ListBlocksRequest>) -> Result<Response<Self::ListBlocksStream>, Status> {
        Ok(Response::new(blocks::stream(&self.core)))
    }

    async fn add_allow(&self, request: Request<v1::AddAllowRequest>) -> Result<Response<v1::AddAllowResponse>, Status> {
        let allow = request.into_inner().allow;
        let exemption = Exemption::from_proto(allow.as_ref()).map_err(invalid)?;
        let comment = allow.map(|a| a.comment).unwrap_or_default();
        self.core.rules().allow(exemption, comment.clone())?;
        tracing::info!(%exemption, "exemption added by an operator");
        let allow = Some(exemption.to_proto("operator", &comment));
        Ok(Response::new(v1::AddAllowResponse { allow }))
    }

    async fn remove_allow(
        &self,
        request: Request<v1::RemoveAllowRequest>,
    ) -> Result<Response<v1::RemoveAllowResponse>, Status> {
        let exemption = Exemption::from_proto(request.into_inner().allow.as_ref()).map_err(invalid)?;
        let removed = self.core.rules().disallow(&exemption)?;
        Ok(Response::new(v1::RemoveAllowResponse { removed }))
    }

    async fn list_allow(&self, _: Request<v1::ListAllowRequest>) -> Result<Response<v1::ListAllowResponse>, Status> {
        let rules = self.core.rules();
        let mut entries: Vec<v1::Allow> =
            rules.allowed().iter().map(|(e, origin, comment)| e.to_proto(origin.label(), comment)).collect();
        let own = rules.own().iter().map(|addr| Exemption::Network(crate::target::Net::host(*addr)));
        entries.extend(own.map(|e| e.to_proto("own-address", "no rule may name it")));
        drop(rules);
        entries.sort_by(|a, b| a.origin.cmp(&b.origin));
        Ok(Response::new(v1::ListAllowResponse { entries }))
    }

    async fn list_flows(
        &self,
        request: Request<v1::ListFlowsRequest>,
    ) -> Result<Response<v1::ListFlowsResponse>, Status> {
        let limit = request.into_inner().limit;
        let answer = in_background(&self.core, move |core| {
            flows::list(&core.flows, limit).map_err(|e| Status::internal(format!("the flow table can't be read: {e}")))
        });
        answer.await.map(Response::new)
    }

    async fn set_mode(&self, request: Request<v1::SetModeRequest>) -> Result<Response<v1::SetModeResponse>, Status> {
        let mode = match request.into_inner().mode() {
            v1::Mode::Observe => Mode::Observe,
            v1::Mode::Enforce => Mode::Enforce,
            v1::Mode::Unspecified => return Err(Status::invalid_argument("no mode named")),
        };
        self.core.rules().set_mode(mode)?;
        tracing::info!(?mode, "mode set by an operator");
        Ok(Response::new(v1::SetModeResponse { mode: self.core.mode().into() }))
    }
}
