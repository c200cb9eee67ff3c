//! A brain that judges as the test wants: what the sensor makes of verdicts does not depend on a model.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ganglion_flow::record::{self, Record, RecordKind};
use ganglion_flow::{Role, SourceState};
use ganglion_proto::v1::brain_message::Of as Down;
use ganglion_proto::v1::brain_server::{Brain, BrainServer};
use ganglion_proto::v1::sensor_message::Of as Up;
use ganglion_proto::v1::{
    Action, BrainMessage, BrainStatus, BrainStatusRequest, Event, EventsRequest, Hello, Judged, Outcome, RecordBatch,
    SensorMessage, Target, TrafficClass, Verdict, VerdictOutcome, Welcome, target,
};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::eventually;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Says which records are worth keeping.
type Keep = Box<dyn FnMut(&Record) -> bool + Send>;

struct Seen {
    keep: Keep,
    hellos: Vec<Hello>,
    records: Vec<Record>,
    outcomes: Vec<VerdictOutcome>,
    down: Option<mpsc::Sender<Result<BrainMessage, Status>>>,
}

impl Seen {
    fn take_in(&mut self, records: Vec<Record>) {
        self.records.extend(records.into_iter().filter(&mut self.keep));
    }
}

/// The brain's server, in the test's process; gone when dropped.
pub(crate) struct FakeBrain {
    seen: Arc<Mutex<Seen>>,
    socket: PathBuf,
    verdicts: u32,
    runtime: Option<Runtime>,
}

struct Service {
    seen: Arc<Mutex<Seen>>,
    record_version: u32,
}

impl FakeBrain {
    /// Listens at `socket`.
    pub(crate) fn listen(socket: &Path) -> Self {
        Self::of_version(socket, record::VERSION.into())
    }

    /// Listens, and takes records of this version alone.
    pub(crate) fn of_version(socket: &Path, record_version: u32) -> Self {
        Self::serve(socket, record_version, Box::new(|_| true))
    }

    /// Listens, and keeps the records that `keep` says: of a flood nobody keeps them all.
    pub(crate) fn keeping(socket: &Path, keep: impl FnMut(&Record) -> bool + Send + 'static) -> Self {
        Self::serve(socket, record::VERSION.into(), Box::new(keep))
    }

    fn serve(socket: &Path, record_version: u32, keep: Keep) -> Self {
        let seen = Seen { keep, hellos: Vec::new(), records: Vec::new(), outcomes: Vec::new(), down: None };
        let seen = Arc::new(Mutex::new(seen));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _left_by_one_before = std::fs::remove_file(socket);
        let listener = runtime.block_on(async { UnixListener::bind(socket) }).unwrap();
        let service = BrainServer::new(Service { seen: Arc::clone(&seen), record_version });
        let server = tonic::transport::Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        Self { seen, socket: socket.to_owned(), verdicts: 0, runtime: Some(runtime) }
    }

    /// Waits for a sensor.
    pub(crate) fn connected(&self) -> Hello {
        eventually("a sensor says hello", Duration::from_secs(15), || !self.seen.lock().unwrap().hellos.is_empty());
        self.seen.lock().unwrap().hellos.last().unwrap().clone()
    }

    /// Waits for a SOURCE record on an address in the role of a source.
    pub(crate) fn source(&self, address: &str) -> SourceState {
        let address: std::net::IpAddr = address.parse().unwrap();
        let find = || {
            let seen = self.seen.lock().unwrap();
            seen.records.iter().find_map(|record| match record {
                Record::Source(r) if r.state.addr == address.into() && r.state.role == Role::Source as u8 => {
                    Some(r.state)
                }
                _ => None,
            })
        };
        eventually("a SOURCE record arrives", Duration::from_secs(5), || find().is_some());
        find().unwrap()
    }

    /// Takes the records kept so far.
    pub(crate) fn take_records(&self) -> Vec<Record> {
        std::mem::take(&mut self.seen.lock().unwrap().records)
    }

    /// Records so far.
    pub(crate) fn records(&self) -> usize {
        self.seen.lock().unwrap().records.len()
    }

    /// Sends a verdict that drops an address; its identifier.
    pub(crate) fn condemn(&mut self, address: &str, ttl: Duration) -> String {
        self.judge(address, Action::Drop, 0, ttl)
    }

    /// Sends a verdict that limits new flows towards an address; its identifier.
    pub(crate) fn limit_new_flows(&mut self, address: &str, per_second: u32, ttl: Duration) -> String {
        self.judge(address, Action::LimitNewFlows, per_second, ttl)
    }

    fn judge(&mut self, address: &str, action: Action, limit_per_second: u32, ttl: Duration) -> String {
        self.verdicts += 1;
        let id = format!("test-{}", self.verdicts);
        let verdict = Verdict {
            id: id.clone(),
            target: Some(Target { of: Some(target::Of::Address(address.into())) }),
            class: TrafficClass::PortScan.into(),
            confidence: 0.99,
            reason: "the test says so".into(),
            action: action.into(),
            limit_per_second,
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap(),
            ..Verdict::default()
        };
        let down = self.seen.lock().unwrap().down.clone().expect("a sensor is connected");
        down.blocking_send(Ok(BrainMessage { of: Some(Down::Verdict(verdict)) })).unwrap();
        id
    }

    /// Waits for what became of a verdict.
    pub(crate) fn outcome(&self, id: &str) -> (Outcome, String) {
        let find = || self.seen.lock().unwrap().outcomes.iter().find(|o| o.verdict_id == id).cloned();
        eventually(&format!("the outcome of {id}"), Duration::from_secs(5), || find().is_some());
        let outcome = find().unwrap();
        (outcome.outcome(), outcome.detail)
    }
}

impl Drop for FakeBrain {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        let _removed_already = std::fs::remove_file(&self.socket);
    }
}

fn decode(batch: &RecordBatch) -> Vec<Record> {
    let (mut rest, mut records) = (&batch.records[..], Vec::new());
    while let Some(kind) = rest.first() {
        let length = RecordKind::from_u8(*kind).expect("a known kind").len();
        let (one, more) = rest.split_at(length);
        records.push(Record::decode(one).expect("a good record"));
        rest = more;
    }
    assert_eq!(records.len(), batch.count as usize, "the batch says how many records it holds");
    records
}

#[tonic::async_trait]
impl Brain for Service {
    type LinkStream = Answers<BrainMessage>;
    type EventsStream = Answers<Event>;

    async fn link(&self, request: Request<Streaming<SensorMessage>>) -> Result<Response<Self::LinkStream>, Status> {
        let mut up = request.into_inner();
        let (down, answers) = mpsc::channel(64);
        let Some(Up::Hello(hello)) = up.message().await?.and_then(|message| message.of) else {
            return Err(Status::invalid_argument("no hello"));
        };
        if hello.record_version != self.record_version {
            let why = format!("records of version {}, this brain reads {}", hello.record_version, self.record_version);
            return Err(Status::failed_precondition(why));
        }
        let welcome = Welcome { record_version: self.record_version, bundle_id: "test".into() };
        let _sensor_left = down.send(Ok(BrainMessage { of: Some(Down::Welcome(welcome)) })).await;
        let seen = Arc::clone(&self.seen);
        {
            let mut seen = seen.lock().unwrap();
            seen.down = Some(down.clone());
            seen.hellos.push(hello);
        }
        tokio::spawn(async move {
            while let Some(Ok(message)) = up.next().await {
                match message.of {
                    Some(Up::Records(batch)) => {
                        seen.lock().unwrap().take_in(decode(&batch));
                        let judged = Judged { sequence: batch.sequence };
                        let _sensor_left = down.send(Ok(BrainMessage { of: Some(Down::Judged(judged)) })).await;
                    }
                    Some(Up::Outcome(outcome)) => seen.lock().unwrap().outcomes.push(outcome),
                    Some(Up::Hello(_) | Up::Health(_)) | None => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn events(&self, _: Request<EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        Err(Status::unimplemented("not in tests"))
    }

    async fn status(&self, _: Request<BrainStatusRequest>) -> Result<Response<BrainStatus>, Status> {
        Ok(Response::new(BrainStatus { bundle_id: "test".into(), ..BrainStatus::default() }))
    }
}
