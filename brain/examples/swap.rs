//! What `cargo xtask bench swap` runs: a brain on a unix socket, a sensor that sends records at a steady rate, and an
//! operator who changes models all the while. At the end every record has to be accounted for.
//!
//!     swap BUNDLE [--other BUNDLE] [--rate RECORDS_PER_S] [--seconds S] [--still] [--json]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ganglion_brain::BrainConfig;
use ganglion_flow::Wire;
use ganglion_flow::record::{self, FlowRecord};
use ganglion_proto::v1::brain_client::BrainClient;
use ganglion_proto::v1::models_client::ModelsClient;
use ganglion_proto::v1::{
    BrainMessage, CanaryModelRequest, Hello, Mode, RecordBatch, RollbackModelRequest, SensorMessage,
    ShadowModelRequest, UseModelRequest, brain_message, sensor_message, shadow_model_request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How often the sensor sends.
const TICK: Duration = Duration::from_millis(5);
/// Between two flows by their own clock, µs.
const EVERY_US: u64 = 50;
/// Between two changes.
const PAUSE: Duration = Duration::from_millis(200);
/// After the last record.
const PATIENCE: Duration = Duration::from_secs(30);

struct Args {
    bundle: PathBuf,
    other: Option<PathBuf>,
    rate: u64,
    seconds: u64,
    /// Changes nothing: what the same load takes without an operator.
    still: bool,
    json: bool,
}

fn args() -> Result<Args> {
    let mut args = Args { bundle: PathBuf::new(), other: None, rate: 20_000, seconds: 20, still: false, json: false };
    let mut words = std::env::args().skip(1);
    let usage = "usage: swap BUNDLE [--other BUNDLE] [--rate RECORDS_PER_S] [--seconds S] [--still] [--json]";
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(usage);
        match word.as_str() {
            "--other" => args.other = Some(value()?.into()),
            "--rate" => args.rate = value()?.parse()?,
            "--seconds" => args.seconds = value()?.parse()?,
            "--still" => args.still = true,
            "--json" => args.json = true,
            word if word.starts_with('-') => return Err(usage.into()),
            bundle => args.bundle = bundle.into(),
        }
    }
    if args.bundle.as_os_str().is_empty() { Err(usage.into()) } else { Ok(args) }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let args = args()?;
    let folder = tempfile::tempdir()?;
    let other = match &args.other {
        Some(other) => other.canonicalize()?,
        None => copy(&args.bundle, &folder.path().join("other"))?,
    };
    let socket = folder.path().join("brain.sock");
    let metrics = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let config = BrainConfig {
        listen: socket.display().to_string(),
        bundle: args.bundle.clone(),
        allow_unsigned: true,
        metrics: Some(metrics),
        ..BrainConfig::default()
    };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let brain = tokio::spawn(ganglion_brain::run(config, async {
        let _ = ended.await;
    }));
    while !socket.exists() {
        if brain.is_finished() {
            brain.await??;
            return Err("the brain ended".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let bundles = [args.bundle.canonicalize()?, other];
    let operator = tokio::spawn(operate(channel(&socket).await?, bundles, Arc::clone(&over), args.still));
    let sent = send(channel(&socket).await?, &args).await?;
    over.store(true, Ordering::Relaxed);
    let changes = operator.await??;
    let text = scrape(metrics).await?;
    let lost = report(&args, &sent, &changes, &text);
    let _ = end.send(());
    brain.await??;
    if lost == 0 { Ok(()) } else { Err(format!("{lost} records lost or shed").into()) }
}

/// The bundle as another version.
fn copy(bundle: &Path, to: &Path) -> Result<PathBuf> {
    std::fs::create_dir(to)?;
    std::fs::copy(bundle.join("model.onnx"), to.join("model.onnx"))?;
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(bundle.join("manifest.json"))?)?;
    manifest["version"] = "other".into();
    std::fs::write(to.join("manifest.json"), manifest.to_string())?;
    Ok(to.canonicalize()?)
}

async fn channel(socket: &Path) -> Result<Channel> {
    let socket = socket.to_owned();
    let connect = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(hyper_util::rt::TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://brain").connect_with_connector(connect).await?)
}

/// Time of each change, by what was asked.
type Changes = BTreeMap<&'static str, Vec<Duration>>;

async fn operate(channel: Channel, bundles: [PathBuf; 2], over: Arc<AtomicBool>, still: bool) -> Result<Changes> {
    let mut models = ModelsClient::new(channel);
    let [first, other] = bundles.map(|bundle| bundle.display().to_string());
    let mut changes = Changes::new();
    let steps = ["canary", "shadow off", "rollback", "shadow", "use", "rollback", "use", "use"];
    for step in steps.iter().cycle() {
        if still || over.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        let using = |bundle: &String| UseModelRequest { bundles: vec![bundle.clone()] };
        let shadow = |of| ShadowModelRequest { of: Some(of) };
        match *step {
            "canary" => {
                let request = CanaryModelRequest { bundles: vec![other.clone()], share: 0.05 };
                models.canary(request).await?;
            }
            "shadow" => {
                models.shadow(shadow(shadow_model_request::Of::Bundle(other.clone()))).await?;
            }
            "shadow off" => {
                // There is none at first, and none after its promotion: asked all the same.
                let _refused = models.shadow(shadow(shadow_model_request::Of::Off(String::new()))).await;
            }
            "rollback" => {
                models.rollback(RollbackModelRequest {}).await?;
            }
            _ => {
                let request = using(if changes.get("use").map_or(0, Vec::len) % 3 == 2 { &first } else { &other });
                models.r#use(request).await?;
            }
        }
        changes.entry(step).or_default().push(began.elapsed());
    }
    Ok(changes)
}

struct Sent {
    records: u64,
    took: Duration,
    /// From sending a batch to the word that it is judged.
    latency: Vec<Duration>,
}

async fn send(channel: Channel, args: &Args) -> Result<Sent> {
    let (up, receiver) = mpsc::channel(64);
    let hello = Hello {
        sensor_id: "swap".into(),
        record_version: record::VERSION.into(),
        mode: Mode::Observe.into(),
        own_addresses: vec!["198.19.0.1".into()],
        ..Hello::default()
    };
    up.send(SensorMessage { of: Some(sensor_message::Of::Hello(hello)) }).await?;
    let down = BrainClient::new(channel).link(ReceiverStream::new(receiver)).await?.into_inner();
    let (times, sent_at) = mpsc::unbounded_channel();
    let reading = tokio::spawn(listen(down, sent_at));
    let (begun, mut records, mut sequence) = (Instant::now(), 0, 0);
    let mut tick = tokio::time::interval(TICK);
    while begun.elapsed() < Duration::from_secs(args.seconds) {
        tick.tick().await;
        let due = (begun.elapsed().as_secs_f64() * args.rate as f64) as u64;
        let count = due.saturating_sub(records).min(4_000);
        if count == 0 {
            continue;
        }
        sequence += 1;
        let bytes: Vec<u8> = (records..records + count).flat_map(flow).collect();
        let batch = RecordBatch { sequence, count: count as u32, records: bytes.into(), drained_boot_ns: 0 };
        times.send((sequence, Instant::now()))?;
        up.send(SensorMessage { of: Some(sensor_message::Of::Records(batch)) }).await?;
        records += count;
    }
    let took = begun.elapsed();
    drop(times);
    let latency = tokio::time::timeout(PATIENCE, reading).await???;
    Ok(Sent { records, took, latency })
}

/// Times from sending to judgement, until no more is sent and all is judged.
async fn listen(
    mut down: Streaming<BrainMessage>,
    mut sent_at: mpsc::UnboundedReceiver<(u64, Instant)>,
) -> std::result::Result<Vec<Duration>, Status> {
    let (mut latency, mut waiting, mut is_over) = (Vec::new(), BTreeMap::new(), false);
    while !is_over || !waiting.is_empty() {
        let message = tokio::select! {
            // What was sent is known before it is judged.
            biased;
            next = sent_at.recv(), if !is_over => {
                is_over = next.is_none();
                waiting.extend(next);
                continue;
            }
            message = down.message() => message?,
        };
        let Some(message) = message else { break };
        if let Some(brain_message::Of::Judged(judged)) = message.of {
            let rest = waiting.split_off(&(judged.sequence + 1));
            let judged = std::mem::replace(&mut waiting, rest);
            latency.extend(judged.into_values().map(|at: Instant| at.elapsed()));
        }
    }
    Ok(latency)
}

/// The `n`th record, as it goes over the wire.
fn flow(n: u64) -> Vec<u8> {
    let mut bytes = vec![0; FlowRecord::LEN];
    ganglion_brain::bench::flow(n, EVERY_US).put(&mut bytes);
    bytes
}

async fn scrape(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// A family's series: what stands in braces, and the value.
fn series<'a>(text: &'a str, family: &str) -> Vec<(&'a str, u64)> {
    let family = format!("ganglion_brain_{family}");
    let of = |line: &'a str| {
        let rest = line.strip_prefix(family.as_str())?;
        let (labels, value) = rest.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{')).then(|| (labels, value.parse::<f64>().unwrap_or(0.0) as u64))
    };
    text.lines().filter_map(of).collect()
}

/// Prints the equation; records that were not judged.
fn report(args: &Args, sent: &Sent, changes: &Changes, text: &str) -> u64 {
    let sum = |family: &str| series(text, family).iter().map(|(_, value)| value).sum::<u64>();
    let (judged, shed) = (sum("rows_total"), series(text, "records_shed_total"));
    let (refused, queued) = (sum("records_refused_total"), sum("records_queued"));
    let shed_sum: u64 = shed.iter().map(|(_, value)| value).sum();
    let difference = sent.records as i64 - (judged + shed_sum + refused + queued) as i64;
    let mut latency = sent.latency.clone();
    latency.sort_unstable();
    let at = |share: f64| latency.get((latency.len() as f64 * share) as usize).map_or(0, Duration::as_micros);
    let max = latency.last().map_or(0, Duration::as_micros);
    let asked: usize = changes.values().map(Vec::len).sum();
    let slowest = changes.values().flatten().max().map_or(0, Duration::as_millis);
    let per_s = sent.records as f64 / sent.took.as_secs_f64();
    if args.json {
        println!(
            r#"{{"produced":{},"judged":{judged},"shed":{shed_sum},"refused":{refused},"queued":{queued},"difference":{difference},"changes":{asked},"records_per_s":{per_s:.0},"p50_us":{},"p99_us":{},"max_us":{max}}}"#,
            sent.records,
            at(0.5),
            at(0.99),
        );
    } else {
        let reasons: Vec<_> = shed.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let reasons = if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") };
        println!("{:.0} records/s for {:.1} s, {asked} changes of models:", per_s, sent.took.as_secs_f64());
        for (what, times) in changes {
            let mean = times.iter().sum::<Duration>() / times.len().max(1) as u32;
            println!("  {:>3} × {what:<11} {:>7.1} ms each", times.len(), 1e3 * mean.as_secs_f64());
        }
        println!(
            "produced {} = judged {judged} + shed {shed_sum} ({reasons}) + refused {refused} + queued {queued}; difference {difference}",
            sent.records
        );
        for (labels, rows) in series(text, "model_rows_total") {
            println!("  {labels}: {rows} rows");
        }
        println!("  rows that histograms, shadows and drift left out: {}", sum("model_rows_unobserved_total"));
        println!(
            "batch sent → judged: p50 {} µs, p99 {} µs, max {max} µs; slowest change {slowest} ms",
            at(0.5),
            at(0.99)
        );
    }
    difference.unsigned_abs() + shed_sum + refused + queued
}
