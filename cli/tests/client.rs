//! The commands that ask, against a sensor and a brain that answer by heart: what is sent, what is shown, and
//! with which exit code it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use ganglion_proto::v1::brain_server::{Brain, BrainServer};
use ganglion_proto::v1::sensor_server::{Sensor, SensorServer};
use ganglion_proto::v1::*;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;
type Portions = Pin<Box<dyn Stream<Item = Result<ListBlocksResponse, Status>> + Send>>;
type Events = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

/// Keeps blocks; refuses 198.18.0.1.
#[derive(Default)]
struct ByHeart {
    blocks: Mutex<Vec<Block>>,
}

fn name(target: Option<&Target>) -> String {
    match target.and_then(|target| target.of.as_ref()) {
        Some(target::Of::Address(text) | target::Of::Network(text)) => text.clone(),
        _ => "flow".into(),
    }
}

#[tonic::async_trait]
impl Sensor for ByHeart {
    type ListBlocksStream = Portions;

    async fn status(&self, _: Request<SensorStatusRequest>) -> Answer<SensorStatus> {
        let packets = Equation { left: 10, terms: [("live".to_owned(), 10)].into(), difference: 0 };
        Ok(Response::new(SensorStatus {
            sensor_id: "host:eth0".into(),
            mode: Mode::Observe.into(),
            packets: Some(packets.clone()),
            records: Some(packets),
            ..SensorStatus::default()
        }))
    }

    async fn add_block(&self, request: Request<AddBlockRequest>) -> Answer<AddBlockResponse> {
        let request = request.into_inner();
        if name(request.target.as_ref()) == "198.18.0.1" {
            return Err(Status::failed_precondition("198.18.0.1 is an address of this machine"));
        }
        let block = Block {
            target: request.target,
            action: request.action,
            remaining_ms: request.ttl_ms,
            reason: request.reason,
            origin: "operator".into(),
            ..Block::default()
        };
        self.blocks.lock().unwrap().push(block.clone());
        Ok(Response::new(AddBlockResponse { block: Some(block) }))
    }

    async fn remove_block(&self, request: Request<RemoveBlockRequest>) -> Answer<RemoveBlockResponse> {
        let target = request.into_inner().target;
        let mut blocks = self.blocks.lock().unwrap();
        let before = blocks.len();
        blocks.retain(|block| block.target != target);
        Ok(Response::new(RemoveBlockResponse { removed: blocks.len() < before }))
    }

    async fn list_blocks(&self, _: Request<ListBlocksRequest>) -> Answer<Portions> {
        let blocks = self.blocks.lock().unwrap();
        let portions = blocks.chunks(2).map(|some| Ok(ListBlocksResponse { blocks: some.to_vec() }));
        Ok(Response::new(Box::pin(tokio_stream::iter(portions.collect::<Vec<_>>()))))
    }

    async fn add_allow(&self, request: Request<AddAllowRequest>) -> Answer<AddAllowResponse> {
        Ok(Response::new(AddAllowResponse { allow: request.into_inner().allow }))
    }

    async fn remove_allow(&self, _: Request<RemoveAllowRequest>) -> Answer<RemoveAllowResponse> {
        Ok(Response::new(RemoveAllowResponse { removed: false }))
    }

    async fn list_allow(&self, _: Request<ListAllowRequest>) -> Answer<ListAllowResponse> {
        Ok(Response::new(ListAllowResponse::default()))
    }

    async fn list_flows(&self, request: Request<ListFlowsRequest>) -> Answer<ListFlowsResponse> {
        let flow = LiveFlow { tuple: Some(FlowTuple::default()), forward_packets: 7, ..LiveFlow::default() };
        let flows = vec![flow; request.into_inner().limit.min(3) as usize];
        Ok(Response::new(ListFlowsResponse { flows, total: 12_345 }))
    }

    async fn set_mode(&self, request: Request<SetModeRequest>) -> Answer<SetModeResponse> {
        Ok(Response::new(SetModeResponse { mode: request.into_inner().mode }))
    }
}

#[tonic::async_trait]
impl Brain for ByHeart {
    type LinkStream = Pin<Box<dyn Stream<Item = Result<BrainMessage, Status>> + Send>>;
    type EventsStream = Events;

    async fn link(&self, _: Request<Streaming<SensorMessage>>) -> Answer<Self::LinkStream> {
        Err(Status::unimplemented("no sensor here"))
    }

    async fn events(&self, request: Request<EventsRequest>) -> Answer<Events> {
        let kinds = request.into_inner().kinds;
        let alert = Alert { class: TrafficClass::PortScan.into(), confidence: 0.97, ..Alert::default() };
        let all = [
            ("alert", event::Of::Alert(alert)),
            ("health", event::Of::Health(Health { what: "sensor".into(), healthy: true, detail: String::new() })),
        ];
        let wanted = all.into_iter().filter(|(kind, _)| kinds.is_empty() || kinds.contains(&(*kind).to_owned()));
        let events: Vec<_> = wanted.map(|(_, of)| Ok(Event { of: Some(of), ..Event::default() })).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(events))))
    }

    async fn status(&self, _: Request<BrainStatusRequest>) -> Answer<BrainStatus> {
        Ok(Response::new(BrainStatus { bundle_id: "first".into(), provider: "CPU".into(), ..BrainStatus::default() }))
    }
}

/// Both services on sockets of their own.
struct Served {
    folder: tempfile::TempDir,
    _runtime: Runtime,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let heart = Arc::new(ByHeart::default());
        let bind = |socket: &str| {
            let path = folder.path().join(socket);
            UnixListenerStream::new(runtime.block_on(async { UnixListener::bind(path) }).unwrap())
        };
        let sensor = tonic::transport::Server::builder().add_service(SensorServer::from_arc(Arc::clone(&heart)));
        runtime.spawn(sensor.serve_with_incoming(bind("sensor.sock")));
        let brain = tonic::transport::Server::builder().add_service(BrainServer::from_arc(heart));
        runtime.spawn(brain.serve_with_incoming(bind("brain.sock")));
        Self { folder, _runtime: runtime }
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sensor(&self, words: &[&str]) -> Output {
        ganglion(words, "--control", &self.socket("sensor.sock"))
    }

    fn brain(&self, words: &[&str]) -> Output {
        ganglion(words, "--brain", &self.socket("brain.sock"))
    }
}

fn ganglion(words: &[&str], option: &str, socket: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ganglion")).args(words).arg(option).arg(socket).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn blocks_are_added_listed_and_removed() {
    let served = Served::start();
    let added = served.sensor(&["block", "add", "198.18.3.4", "--ttl", "10m", "--reason", "scan"]);
    assert_eq!(added.status.code(), Some(0), "{}", err(&added));
    assert!(out(&added).starts_with("198.18.3.4: drop for 10m 0s (mode observe"), "{}", out(&added));
    let listed = out(&served.sensor(&["block", "list"]));
    assert!(listed.lines().next().unwrap().starts_with("TARGET"), "{listed}");
    assert!(listed.contains("198.18.3.4") && listed.contains("10m 0s") && listed.contains("scan"), "{listed}");
    let json: serde_json::Value = serde_json::from_str(&out(&served.sensor(&["block", "list", "--json"]))).unwrap();
    assert_eq!(json[0]["remaining_ms"], 600_000);
    assert_eq!(served.sensor(&["block", "remove", "198.18.3.4"]).status.code(), Some(0));
    assert_eq!(out(&served.sensor(&["block", "list"])), "no blocks\n");
    assert_eq!(served.sensor(&["block", "remove", "198.18.3.4"]).status.code(), Some(1));
}

#[test]
fn a_list_in_portions_is_shown_whole() {
    let served = Served::start();
    let targets: Vec<String> = (1..=5).map(|host| format!("198.18.3.{host}")).collect();
    let words: Vec<&str> = ["block", "add"].into_iter().chain(targets.iter().map(String::as_str)).collect();
    assert_eq!(served.sensor(&words).status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_str(&out(&served.sensor(&["block", "list", "--json"]))).unwrap();
    let listed: Vec<&str> = json.as_array().unwrap().iter().map(|block| block["target"].as_str().unwrap()).collect();
    assert_eq!(listed, targets);
}

#[test]
fn exit_codes_tell_refusal_part_and_mistake() {
    let served = Served::start();
    let refused = served.sensor(&["block", "add", "198.18.0.1"]);
    assert_eq!(refused.status.code(), Some(6));
    assert_eq!(err(&refused), "ganglion: refused: 198.18.0.1 is an address of this machine\n");
    let part = served.sensor(&["block", "add", "198.18.0.1", "198.18.3.4"]);
    assert_eq!(part.status.code(), Some(3), "{}", err(&part));
    assert!(out(&part).contains("198.18.3.4: drop") && err(&part).contains("1 of 2 failed"));
    for wrong in [&["block", "add", "here"][..], &["block", "add", "198.18.3.4", "--action", "rate-limit"], &["block"]]
    {
        assert_eq!(served.sensor(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn status_is_whole_or_says_what_is_missing() {
    let served = Served::start();
    let socket = served.socket("brain.sock");
    let both = served.sensor(&["status", "--brain", socket.to_str().unwrap()]);
    assert_eq!(both.status.code(), Some(0), "{}", err(&both));
    assert!(out(&both).contains("seen 10 = live 10 (balanced)") && out(&both).contains("bundle first on CPU"));
    let one = served.sensor(&["status", "--json", "--brain", "/nonexistent/brain.sock"]);
    assert_eq!(one.status.code(), Some(3));
    let json: serde_json::Value = serde_json::from_str(&out(&one)).unwrap();
    assert_eq!(json["sensor"]["mode"], "observe");
    assert!(json["brain"]["error"].as_str().unwrap().contains("is the brain running?"));
}

#[test]
fn flows_and_mode() {
    let served = Served::start();
    let flows = out(&served.sensor(&["flows", "--limit", "2"]));
    assert!(flows.ends_with("2 of 12 345 flows\n"), "{flows}");
    assert_eq!(out(&served.sensor(&["mode"])), "observe\n");
    assert_eq!(out(&served.sensor(&["mode", "enforce"])), "enforce\n");
    assert_eq!(out(&served.sensor(&["allow", "list"])), "no exemptions\n");
    let allowed = out(&served.sensor(&["allow", "add", "198.18.0.53:53/udp"]));
    assert_eq!(allowed, "198.18.0.53:53/udp: exempt from every block\n");
}

#[test]
fn events_are_lines_of_a_table_or_of_json() {
    let served = Served::start();
    let table = served.brain(&["events", "--count", "2"]);
    assert_eq!(table.status.code(), Some(0), "{}", err(&table));
    assert_eq!(out(&table).lines().count(), 3);
    let json = served.brain(&["events", "--count", "1", "--json", "--kind", "alert"]);
    let event: serde_json::Value = serde_json::from_str(out(&json).trim()).unwrap();
    assert_eq!(event["class"], "PortScan");
    let ended = served.brain(&["events"]);
    assert_eq!(ended.status.code(), Some(4), "a brain that ends is told from a wish to end");
    assert!(err(&ended).contains("the brain has ended"));
}
