//! The link against a brain of the test's own, over a real socket.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use ganglion_proto::v1::brain_server::{Brain, BrainServer};
use ganglion_proto::v1::{SensorMessage, sensor_message};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::*;
use crate::ledger::Entry;

struct Machine(Ledger, Mutex<Vec<String>>);

impl Reflex for Machine {
    fn hello(&self) -> Hello {
        Hello { record_version: u32::from(record::VERSION), ..Hello::default() }
    }

    fn mode(&self) -> v1::Mode {
        v1::Mode::Observe
    }

    fn ledger(&self) -> &Ledger {
        &self.0
    }

    fn verdict(&self, verdict: &v1::Verdict) -> v1::VerdictOutcome {
        self.1.lock().unwrap().push(verdict.id.clone());
        v1::VerdictOutcome { verdict_id: verdict.id.clone(), ..v1::VerdictOutcome::default() }
    }
}

/// Judges every batch with one verdict; hangs up after `batches` of them without judging the last.
struct Judge {
    version: u8,
    batches: usize,
    outcomes: Arc<AtomicU32>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Brain for Judge {
    type LinkStream = Answers<BrainMessage>;
    type EventsStream = Answers<v1::Event>;

    async fn link(
        &self,
        request: Request<tonic::Streaming<SensorMessage>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let mut incoming = request.into_inner();
        let (sender, receiver) = mpsc::channel(16);
        let (version, mut left, outcomes) = (u32::from(self.version), self.batches, Arc::clone(&self.outcomes));
        tokio::spawn(async move {
            let say = |of| Ok(BrainMessage { of: Some(of) });
            while let Some(Ok(message)) = incoming.next().await {
                let answers = match message.of {
                    Some(sensor_message::Of::Hello(_)) => {
                        let welcome = v1::Welcome { record_version: version, bundle_id: String::new() };
                        vec![brain_message::Of::Welcome(welcome)]
                    }
                    Some(sensor_message::Of::Records(_)) if left == 0 => return,
                    Some(sensor_message::Of::Records(batch)) => {
                        left -= 1;
                        let verdict = v1::Verdict { id: format!("v{}", batch.sequence), ..v1::Verdict::default() };
                        let judged = v1::Judged { sequence: batch.sequence };
                        vec![brain_message::Of::Verdict(verdict), brain_message::Of::Judged(judged)]
                    }
                    Some(sensor_message::Of::Outcome(_)) => {
                        outcomes.fetch_add(1, Ordering::SeqCst);
                        vec![]
                    }
                    _ => vec![],
                };
                for answer in answers {
                    if sender.send(say(answer)).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn events(&self, _: Request<v1::EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn status(&self, _: Request<v1::BrainStatusRequest>) -> Result<Response<v1::BrainStatus>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

struct Link {
    machine: Arc<Machine>,
    queue: Arc<Queue>,
    closing: watch::Sender<bool>,
    outcomes: Arc<AtomicU32>,
    folder: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Link {
    fn new(limit: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Arc::new(Machine(Ledger::private(), Mutex::default()));
        let (queue, batches) = Queue::new(limit);
        let (closing, closed) = watch::channel(false);
        let endpoint = Endpoint::Unix(folder.path().join("b.sock"));
        let reflex = Arc::clone(&machine) as Arc<dyn Reflex>;
        let uplink = Uplink { reflex, queue: Arc::clone(&queue), batches, endpoint, closing: closed };
        let task = tokio::spawn(uplink.run());
        Self { machine, queue, closing, outcomes: Arc::default(), folder, task }
    }

    fn brain(&self, version: u8, batches: usize) -> tokio::task::JoinHandle<()> {
        let path = self.folder.path().join("b.sock");
        let _before = std::fs::remove_file(&path);
        let incoming = UnixListenerStream::new(UnixListener::bind(path).unwrap());
        let judge = Judge { version, batches, outcomes: Arc::clone(&self.outcomes) };
        let server = tonic::transport::Server::builder().add_service(BrainServer::new(judge));
        tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() })
    }

    fn offer(&self, count: u32) -> Result<(), Entry> {
        self.machine.0.add(Entry::Drained, u64::from(count));
        let batch = Batch { records: vec![0; count as usize].into(), count, drained_boot_ns: 0 };
        let result = self.queue.offer(batch);
        if let Err(reason) = result {
            self.machine.0.add(reason, u64::from(count));
        }
        result
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if condition(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} did not happen");
    }

    async fn end(self) -> Arc<Machine> {
        self.closing.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
        self.machine
    }
}

#[tokio::test]
async fn records_are_judged_verdicts_carried_out_and_outcomes_told() {
    let link = Link::new(1000);
    let _brain = link.brain(record::VERSION, usize::MAX);
    link.until("connection", |l| l.queue.is_connected()).await;
    link.offer(3).unwrap();
    link.until("outcome", |l| l.outcomes.load(Ordering::SeqCst) == 1).await;
    link.offer(4).unwrap();
    let machine = link.end().await;
    assert_eq!(machine.0.get(Entry::Delivered), 7);
    assert_eq!(machine.0.open(), 0);
    assert_eq!(*machine.1.lock().unwrap(), ["v1", "v2"]);
}

#[tokio::test]
async fn without_a_brain_records_wait_then_are_shed_and_counted() {
    let link = Link::new(10);
    link.offer(8).unwrap();
    assert_eq!(link.offer(3), Err(Entry::ShedAway));
    let _brain = link.brain(record::VERSION, usize::MAX);
    link.until("connection", |l| l.queue.is_connected()).await;
    let machine = link.end().await;
    assert_eq!((machine.0.get(Entry::Delivered), machine.0.get(Entry::ShedAway)), (8, 3));
}

#[tokio::test]
async fn a_lost_link_sheds_what_was_not_judged_and_comes_back() {
    let link = Link::new(1000);
    let first = link.brain(record::VERSION, 1);
    link.until("connection", |l| l.queue.is_connected()).await;
    link.offer(5).unwrap();
    link.until("judgement", |l| l.machine.0.get(Entry::Delivered) == 5).await;
    link.offer(6).unwrap();
    link.until("loss", |l| l.machine.0.get(Entry::ShedLink) == 6).await;
    first.abort();
    let _second = link.brain(record::VERSION, usize::MAX);
    link.until("second connection", |l| l.queue.is_connected()).await;
    link.offer(7).unwrap();
    let machine = link.end().await;
    assert_eq!((machine.0.get(Entry::Delivered), machine.0.open()), (12, 0));
}

#[tokio::test]
async fn a_brain_of_another_version_gets_no_records() {
    let link = Link::new(10);
    let _brain = link.brain(record::VERSION + 1, usize::MAX);
    link.offer(8).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!link.queue.is_connected());
    assert_eq!(link.queue.depth(), 8);
    let message = LinkError::Version { found: 9 }.to_string();
    assert!(message.contains("version 9") && message.contains("same release"), "{message}");
}
