//! What `cargo xtask bench reflex` runs: a brain with the real features and the real model that answers every
//! flow with a verdict, and a load of short connections. Times go from the record's making in the kernel to
//! the written map entry, by the kernel's own clock.
//!
//!     reflex serve SOCKET BUNDLE REPORT
//!     reflex connect ADDRESS FLOWS_PER_SECOND SECONDS

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ganglion_brain::bundle::Bundle;
use ganglion_features::{Context, Row};
use ganglion_flow::record::{FlowRecord, Record};
use ganglion_proto::v1::brain_server::{Brain, BrainServer};
use ganglion_proto::v1::{self, BrainMessage, SensorMessage, brain_message, sensor_message, target};
use tokio::net::UnixListener;
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["serve", socket, bundle, report] => serve(Path::new(socket), Path::new(bundle), report).await,
        ["connect", address, rate, seconds] => connect(address.parse()?, rate.parse()?, seconds.parse()?),
        _ => bail!("usage: reflex serve SOCKET BUNDLE REPORT | connect ADDRESS FLOWS_PER_SECOND SECONDS"),
    }
}

/// Opens connections to closed ports, paced: each is a flow of a SYN and the kernel's RST.
fn connect(address: IpAddr, rate: u64, seconds: u64) -> Result<()> {
    let (begun, mut done) = (Instant::now(), 0u64);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let due = begun + Duration::from_nanos(done * 1_000_000_000 / rate);
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(early);
        }
        let port = 1 + (done % 60_000) as u16;
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), Duration::from_secs(1)) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => done += 1,
            Err(error) => return Err(error).with_context(|| format!("connecting to {address}")),
            Ok(_) => bail!("port {port} of {address} is open"),
        }
    }
    println!("{done}");
    Ok(())
}

async fn serve(socket: &Path, bundle: &Path, report: &str) -> Result<()> {
    let judge = Judge::new(Bundle::load(bundle)?, report.into());
    let reflex = Reflex { judge: Mutex::new(Some(judge)) };
    let incoming = UnixListenerStream::new(UnixListener::bind(socket)?);
    let server = BrainServer::new(reflex).max_decoding_message_size(ganglion_proto::MAX_MESSAGE_BYTES);
    tonic::transport::Server::builder().add_service(server).serve_with_incoming(incoming).await?;
    Ok(())
}

struct Reflex {
    judge: Mutex<Option<Judge>>,
}

/// Features, model, and the times of the verdicts that came back.
struct Judge {
    bundle: Bundle,
    context: Context,
    asked_us: HashMap<String, u64>,
    times_us: Vec<u64>,
    records: u64,
    report: PathBuf,
}

impl Judge {
    fn new(bundle: Bundle, report: PathBuf) -> Self {
        let context = Context::default();
        Self { bundle, context, asked_us: HashMap::new(), times_us: Vec::new(), records: 0, report }
    }

    /// Every message's answers.
    fn answer(&mut self, message: SensorMessage) -> Result<Vec<BrainMessage>, Status> {
        match message.of {
            Some(sensor_message::Of::Hello(hello)) => {
                let bundle_id = self.bundle.manifest.id.clone();
                let welcome = v1::Welcome { record_version: hello.record_version, bundle_id };
                Ok(vec![BrainMessage { of: Some(brain_message::Of::Welcome(welcome)) }])
            }
            Some(sensor_message::Of::Records(batch)) => self.judge(&batch),
            Some(sensor_message::Of::Outcome(outcome)) => {
                if let Some(asked_us) = self.asked_us.remove(&outcome.verdict_id) {
                    self.times_us.push((outcome.applied_boot_ns / 1000).saturating_sub(asked_us));
                }
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Derives and scores the whole batch, then gives a verdict on each flow.
    fn judge(&mut self, batch: &v1::RecordBatch) -> Result<Vec<BrainMessage>, Status> {
        let records = records(&batch.records);
        let rows: Vec<Row> = records.iter().map(|record| self.context.observe(record)).collect();
        self.bundle.model.score(&rows).map_err(|error| Status::internal(error.to_string()))?;
        let mut answers = Vec::new();
        for record in &records {
            if let Record::Flow(flow) = record {
                self.records += 1;
                let id = self.records.to_string();
                answers.push(verdict(&id, flow));
                self.asked_us.insert(id, flow.header.time_us);
            }
        }
        let judged = v1::Judged { sequence: batch.sequence };
        answers.push(BrainMessage { of: Some(brain_message::Of::Judged(judged)) });
        Ok(answers)
    }

    /// Writes the report whole: a file that is there is complete.
    fn report(mut self) -> std::io::Result<()> {
        self.times_us.sort_unstable();
        let count = self.times_us.len();
        let at = |share: f64| self.times_us.get(((count as f64) * share) as usize).copied().unwrap_or(0);
        let text = format!(
            r#"{{"bundle":"{}","records":{},"verdicts":{count},"p50_us":{},"p90_us":{},"p99_us":{},"max_us":{}}}"#,
            self.bundle.manifest.id,
            self.records,
            at(0.5),
            at(0.9),
            at(0.99),
            self.times_us.last().copied().unwrap_or(0)
        );
        let draft = self.report.with_extension("draft");
        std::fs::write(&draft, text)?;
        std::fs::rename(draft, self.report)
    }
}

fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut all = Vec::new();
    while let Some(kind) = bytes.first().and_then(|kind| ganglion_flow::RecordKind::from_u8(*kind))
        && let Some((one, rest)) = bytes.split_at_checked(kind.len())
    {
        all.extend(Record::decode(one));
        bytes = rest;
    }
    all
}

fn verdict(id: &str, flow: &FlowRecord) -> BrainMessage {
    let tuple = ganglion_sensor::Tuple::from_key(&flow.key);
    BrainMessage {
        of: Some(brain_message::Of::Verdict(v1::Verdict {
            id: id.to_owned(),
            target: Some(v1::Target { of: Some(target::Of::Flow((&tuple).into())) }),
            class: v1::TrafficClass::Dos.into(),
            action: v1::Action::Drop.into(),
            ttl_ms: 1000,
            record_time_us: flow.header.time_us,
            ..v1::Verdict::default()
        })),
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Brain for Reflex {
    type LinkStream = Answers<BrainMessage>;
    type EventsStream = Answers<v1::Event>;

    async fn link(
        &self,
        request: Request<tonic::Streaming<SensorMessage>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let mut judge = self.judge.lock().await.take().ok_or_else(|| Status::resource_exhausted("one sensor only"))?;
        let mut incoming = request.into_inner();
        let (sender, receiver) = mpsc::channel(1024);
        tokio::spawn(async move {
            while let Some(Ok(message)) = incoming.next().await {
                let answers = judge
                    .answer(message)
                    .map_or_else(|status| vec![Err(status)], |all| all.into_iter().map(Ok).collect());
                for answer in answers {
                    // A sensor that left takes no more answers; its stream ends too.
                    let _left = sender.send(answer).await;
                }
            }
            if let Err(error) = judge.report() {
                eprintln!("writing the report: {error}");
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn events(&self, _: Request<v1::EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        Err(Status::unimplemented("a brain for measuring has no events"))
    }

    async fn status(&self, _: Request<v1::BrainStatusRequest>) -> Result<Response<v1::BrainStatus>, Status> {
        Err(Status::unimplemented("a brain for measuring has no status"))
    }
}
