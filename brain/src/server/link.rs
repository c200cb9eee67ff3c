//! One sensor's stream: hello, then record batches up and verdicts down.

use super::{Shared, ended};
use crate::pipeline::{LinkId, Work};
use ganglion_flow::{Addr, record};
use ganglion_proto::v1::{
    BrainMessage, Hello, Outcome, SensorHealth, SensorMessage, VerdictOutcome, Welcome, brain_message, sensor_message,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// A sensor that does not say hello by then is none.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// Messages waiting for a sensor that reads slowly.
const DOWN_QUEUE: usize = 1_024;

type Down = ReceiverStream<Result<BrainMessage, Status>>;

pub(super) async fn open(shared: Arc<Shared>, mut up: Streaming<SensorMessage>) -> Result<Down, Status> {
    let hello = tokio::time::timeout(HELLO_PATIENCE, up.message());
    let hello = hello.await.map_err(|_| Status::deadline_exceeded("no hello within 10 s"))??;
    let Some(SensorMessage { of: Some(sensor_message::Of::Hello(hello)) }) = hello else {
        return Err(Status::invalid_argument("the first message of a stream is hello"));
    };
    let own = check(&hello)?;
    let link = shared.next_link.fetch_add(1, Ordering::Relaxed);
    let (down, receiver) = mpsc::channel(DOWN_QUEUE);
    let bundle_id = shared.desk.layout().now.name();
    let welcome = Welcome { record_version: record::VERSION.into(), bundle_id };
    // The channel is new and empty.
    let _ = down.try_send(Ok(BrainMessage { of: Some(brain_message::Of::Welcome(welcome)) }));
    let sensor_id = hello.sensor_id.clone();
    if !shared.queue.tell(Work::Open { link, sensor_id: sensor_id.clone(), own, down }).await {
        return Err(Status::unavailable("the brain is stopping"));
    }
    shared.links(|links| links.insert(link, sensor_id.clone()));
    shared.hub.health(&sensor_id, "sensor", true, format!("connected, version {}", hello.software_version));
    tracing::info!(sensor = sensor_id, version = hello.software_version, mode = ?hello.mode(), "sensor connected");
    tokio::spawn(read(shared, up, link, sensor_id));
    Ok(ReceiverStream::new(receiver))
}

fn check(hello: &Hello) -> Result<Vec<Addr>, Status> {
    let (theirs, ours) = (hello.record_version, u32::from(record::VERSION));
    if theirs != ours {
        return Err(Status::failed_precondition(format!(
            "the sensor writes records of version {theirs}, this brain reads version {ours}: run the same release \
             on both ends"
        )));
    }
    if hello.sensor_id.is_empty() {
        return Err(Status::invalid_argument("hello without sensor_id"));
    }
    let parse = |text: &String| {
        let ip: Result<IpAddr, _> = text.parse();
        ip.map(Addr::from).map_err(|_| Status::invalid_argument(format!("own address \"{text}\" is no address")))
    };
    hello.own_addresses.iter().map(parse).collect()
}

/// Reads until the sensor goes, or the brain ends.
async fn read(shared: Arc<Shared>, mut up: Streaming<SensorMessage>, link: LinkId, sensor_id: String) {
    let why = loop {
        let message = tokio::select! {
            message = up.message() => message,
            () = ended(shared.ending.clone()) => break "the brain ends".to_owned(),
        };
        match message {
            Ok(Some(SensorMessage { of: Some(of) })) => take(&shared, link, &sensor_id, of).await,
            Ok(Some(SensorMessage { of: None })) => {}
            Ok(None) => break "it closed the stream".to_owned(),
            Err(status) => break status.message().to_owned(),
        }
    };
    shared.queue.tell(Work::Close { link }).await;
    shared.links(|links| links.remove(&link));
    shared.hub.health(&sensor_id, "sensor", false, format!("disconnected: {why}"));
    tracing::info!(sensor = sensor_id, why, "sensor disconnected");
}

async fn take(shared: &Shared, link: LinkId, sensor_id: &str, of: sensor_message::Of) {
    match of {
        sensor_message::Of::Records(batch) => shared.queue.batch(link, batch).await,
        sensor_message::Of::Outcome(outcome) => note(shared, sensor_id, outcome),
        sensor_message::Of::Health(health) => loss(shared, sensor_id, &health),
        sensor_message::Of::Hello(_) => tracing::warn!(sensor = sensor_id, "hello twice, ignored"),
    }
}

fn note(shared: &Shared, sensor_id: &str, outcome: VerdictOutcome) {
    let label = match outcome.outcome() {
        Outcome::Enforced => "enforced",
        Outcome::WouldEnforce => "would_enforce",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
        Outcome::Unspecified => "unspecified",
    };
    shared.metrics.outcomes.with_label_values(&[label]).inc();
    shared.hub.outcome(sensor_id, outcome);
}

fn loss(shared: &Shared, sensor_id: &str, health: &SensorHealth) {
    if health.records_shed > 0 {
        let detail = format!("{} records shed, {} queued", health.records_shed, health.queue_depth);
        shared.hub.health(sensor_id, "records", false, detail);
    }
}
