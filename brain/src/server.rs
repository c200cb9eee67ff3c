//! `ganglion.v1.Brain` over gRPC.

mod link;
mod models;
mod readers;

pub use models::ModelServer;

use crate::events::Hub;
use crate::metrics::Metrics;
use crate::models::Desk;
use crate::pipeline::{LinkId, Queue};
use ganglion_proto::v1::brain_server::Brain;
use ganglion_proto::v1::{BrainMessage, BrainStatus, BrainStatusRequest, Event, EventsRequest, SensorMessage};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// What all calls share.
pub struct Shared {
    pub(crate) queue: Queue,
    pub(crate) hub: Arc<Hub>,
    pub(crate) metrics: Arc<Metrics>,
    /// Who decides.
    pub(crate) desk: Arc<Desk>,
    pub(crate) started: Instant,
    /// True once the brain is asked to end.
    pub(crate) ending: watch::Receiver<bool>,
    pub(crate) links: Mutex<BTreeMap<LinkId, String>>,
    pub(crate) next_link: AtomicU64,
}

impl Shared {
    /// State of a brain that just started.
    pub fn new(
        queue: Queue,
        hub: Arc<Hub>,
        metrics: Arc<Metrics>,
        desk: Arc<Desk>,
        ending: watch::Receiver<bool>,
    ) -> Self {
        Self {
            queue,
            hub,
            metrics,
            desk,
            started: Instant::now(),
            ending,
            links: Mutex::new(BTreeMap::new()),
            next_link: AtomicU64::new(1),
        }
    }

    /// Runs `change` on the connected sensors and exports their number.
    pub(crate) fn links<T>(&self, change: impl FnOnce(&mut BTreeMap<LinkId, String>) -> T) -> T {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut links);
        self.metrics.sensors.set(i64::try_from(links.len()).unwrap_or(i64::MAX));
        result
    }
}

/// Resolves when the brain is asked to end.
pub(crate) async fn ended(mut ending: watch::Receiver<bool>) {
    // A vanished sender means the end as well.
    let _ = ending.wait_for(|ending| *ending).await;
}

/// The service.
#[derive(Clone)]
pub struct Server(pub Arc<Shared>);

#[tonic::async_trait]
impl Brain for Server {
    type LinkStream = ReceiverStream<Result<BrainMessage, Status>>;
    type EventsStream = ReceiverStream<Result<Event, Status>>;

    async fn link(&self, request: Request<Streaming<SensorMessage>>) -> Result<Response<Self::LinkStream>, Status> {
        link::open(Arc::clone(&self.0), request.into_inner()).await.map(Response::new)
    }

    async fn events(&self, request: Request<EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        readers::open(&self.0, &request.into_inner()).map(Response::new)
    }

    async fn status(&self, _: Request<BrainStatusRequest>) -> Result<Response<BrainStatus>, Status> {
        let shared = &self.0;
        let deciders = shared.desk.layout().now;
        Ok(Response::new(BrainStatus {
            software_version: env!("CARGO_PKG_VERSION").into(),
            bundle_id: deciders.name(),
            provider: deciders.provider().into(),
            records: shared.metrics.received.get(),
            records_refused: Metrics::total(&shared.metrics.refused),
            verdicts: Metrics::total(&shared.metrics.verdicts),
            sources_tracked: u64::try_from(shared.metrics.subjects.get()).unwrap_or(0),
            sensors: shared.links(|links| links.values().cloned().collect()),
            uptime_s: shared.started.elapsed().as_secs(),
        }))
    }
}
