//! A brain on a unix socket of its own, and a sensor to drive it.
#![allow(dead_code, reason = "each test file uses its part")]

use ganglion_brain::{BrainConfig, BrainError};
use ganglion_flow::record::{FlowRecord, SourceRecord};
use ganglion_flow::{
    Addr, FlowKey, FlowState, Hook, Reason, RecordHeader, RecordKind, Role, SourceState, Stage, Wire, record,
};
use ganglion_proto::v1::brain_client::BrainClient;
use ganglion_proto::v1::models_client::ModelsClient;
use ganglion_proto::v1::{BrainMessage, Hello, Mode, RecordBatch, SensorMessage, brain_message, sensor_message};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// The sensor's own address.
pub(crate) const OWN: &str = "198.18.1.1";

/// The test bundle.
pub(crate) fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundle")
}

/// A copy of the test bundle as another version, which is another bundle.
pub(crate) fn version(version: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["model.onnx", "manifest.json"] {
        std::fs::copy(bundle().join(file), folder.path().join(file)).unwrap();
    }
    let path = folder.path().join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["version"] = version.into();
    std::fs::write(&path, manifest.to_string()).unwrap();
    folder
}

/// The folder's name, as orders take it.
pub(crate) fn name(folder: &Path) -> String {
    folder.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// A running brain.
pub(crate) struct Brain {
    folder: TempDir,
    end: oneshot::Sender<()>,
    task: JoinHandle<Result<(), BrainError>>,
}

impl Brain {
    pub(crate) async fn start(change: impl FnOnce(&mut BrainConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = folder.path().join("brain.sock").display().to_string();
        let mut config = BrainConfig { listen, bundle: bundle(), allow_unsigned: true, ..BrainConfig::default() };
        change(&mut config);
        let (end, ended) = oneshot::channel();
        let mut task = tokio::spawn(ganglion_brain::run(config, async {
            let _ = ended.await;
        }));
        let socket = folder.path().join("brain.sock");
        while !socket.exists() {
            // A brain that can't start says why, ONNX Runtime missing included.
            if task.is_finished() {
                panic!("{}", (&mut task).await.unwrap().unwrap_err());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { folder, end, task }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("brain.sock")
    }

    pub(crate) async fn client(&self) -> BrainClient<Channel> {
        BrainClient::new(self.channel().await)
    }

    pub(crate) async fn models(&self) -> ModelsClient<Channel> {
        ModelsClient::new(self.channel().await)
    }

    async fn channel(&self) -> Channel {
        let path = self.socket();
        let connect = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        });
        Endpoint::from_static("http://brain").connect_with_connector(connect).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.end.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("ends in time").unwrap().unwrap();
        assert!(!self.folder.path().join("brain.sock").exists(), "the socket goes with the brain");
    }
}

/// A connected sensor.
pub(crate) struct Sensor {
    pub(crate) up: mpsc::Sender<SensorMessage>,
    pub(crate) down: Streaming<BrainMessage>,
    sequence: u64,
}

impl Sensor {
    pub(crate) async fn connect(brain: &Brain) -> Self {
        Self::with_version(brain, record::VERSION.into()).await.unwrap()
    }

    pub(crate) async fn with_version(brain: &Brain, record_version: u32) -> Result<Self, Status> {
        let (up, receiver) = mpsc::channel(16);
        let hello = Hello {
            sensor_id: "test eth0".into(),
            record_version,
            software_version: "test".into(),
            mode: Mode::Enforce.into(),
            own_addresses: vec![OWN.into()],
            boot_to_wall_offset_us: 0,
        };
        up.send(SensorMessage { of: Some(sensor_message::Of::Hello(hello)) }).await.unwrap();
        let down = brain.client().await.link(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(Self { up, down, sequence: 0 })
    }

    pub(crate) async fn next(&mut self) -> brain_message::Of {
        let message = tokio::time::timeout(Duration::from_secs(10), self.down.message());
        message.await.expect("an answer in time").unwrap().expect("the stream is open").of.unwrap()
    }

    pub(crate) async fn records(&mut self, count: u32, records: Vec<u8>) {
        self.sequence += 1;
        let batch = RecordBatch { sequence: self.sequence, count, records: records.into(), drained_boot_ns: 0 };
        self.up.send(SensorMessage { of: Some(sensor_message::Of::Records(batch)) }).await.unwrap();
    }
}

/// A SOURCE record about `addr` with `new` new flows to so many ports.
pub(crate) fn source(addr: &str, role: Role, new: u32, time_us: u64) -> Vec<u8> {
    let mut state = SourceState::ZERO;
    state.addr = Addr::from(addr.parse::<std::net::IpAddr>().unwrap());
    state.role = role as u8;
    state.first_us = 1;
    state.new_total = new;
    state.new_window = new;
    for i in 0..new.min(200) {
        state.ports[i as usize % 4] |= 1 << (i / 4 % 64);
    }
    let header = RecordHeader::new(RecordKind::Source, Stage::Source, Reason::Level, Hook::Xdp, time_us);
    let mut bytes = vec![0; SourceRecord::LEN];
    assert!(SourceRecord { header, state }.put(&mut bytes));
    bytes
}

/// A FLOW record of an ended TCP flow.
pub(crate) fn flow(from: &str, port: u16, packets: u64, time_us: u64) -> Vec<u8> {
    let addr = |text: &str| Addr::from(text.parse::<std::net::IpAddr>().unwrap());
    let (key, is_a) = FlowKey::new(addr(from), addr(OWN), 40_000, port, 6, 0);
    let mut state = FlowState::ZERO;
    state.status = u8::from(is_a);
    state.fwd.packets = packets;
    state.first_us = time_us;
    state.last_us = time_us;
    let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Fin, Hook::Xdp, time_us);
    let mut bytes = vec![0; FlowRecord::LEN];
    assert!(FlowRecord { header, key, state }.put(&mut bytes));
    bytes
}
