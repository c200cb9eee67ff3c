//! A whole sensor on a thread of its own, asked through its control socket.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use ganglion_proto::v1::sensor_client::SensorClient;
use ganglion_proto::v1::{
    AddBlockRequest, Block, ListBlocksRequest, SensorStatus, SensorStatusRequest, Target, target,
};
use ganglion_sensor::SensorConfig;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};

/// A running sensor.
pub(crate) struct Agent {
    client: SensorClient<Channel>,
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Agent {
    /// Starts it and waits until it answers.
    pub(crate) fn start(config: SensorConfig) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = config.control_socket.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let stopped = async {
                let _owner_gone = stopped.await;
            };
            ganglion_sensor::run_blocking(config, stopped).map_err(anyhow::Error::from)
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if thread.is_finished() {
                let ended = thread.join().map_err(|_| anyhow!("the sensor panicked"))?;
                bail!("the sensor ended at once: {:#}", ended.err().context("without an error")?);
            }
            // The socket is there before the programs are: only an answer says that it runs.
            if let Ok(client) = runtime.block_on(answering(socket.clone())) {
                return Ok(Self { client, runtime, stop: Some(stop), thread: Some(thread) });
            }
            if Instant::now() > deadline {
                bail!("the sensor does not answer");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it says of itself.
    pub(crate) fn status(&mut self) -> Result<SensorStatus> {
        Ok(self.runtime.block_on(self.client.status(SensorStatusRequest {}))?.into_inner())
    }

    /// One of its counters.
    pub(crate) fn counter(&mut self, name: &str) -> Result<u64> {
        self.status()?.counters.get(name).copied().with_context(|| format!("no counter {name}"))
    }

    /// Blocks an address.
    pub(crate) fn block(&mut self, address: &str, ttl: Duration) -> Result<()> {
        let request = AddBlockRequest {
            target: Some(Target { of: Some(target::Of::Address(address.into())) }),
            ttl_ms: u64::try_from(ttl.as_millis())?,
            ..AddBlockRequest::default()
        };
        self.runtime.block_on(self.client.add_block(request))?;
        Ok(())
    }

    /// Blocks in force.
    pub(crate) fn blocks(&mut self) -> Result<Vec<Block>> {
        self.runtime.block_on(async {
            let mut portions = self.client.list_blocks(ListBlocksRequest {}).await?.into_inner();
            let mut blocks = Vec::new();
            while let Some(portion) = portions.message().await? {
                blocks.extend(portion.blocks);
            }
            Ok(blocks)
        })
    }

    /// Ends it, and says how it ended.
    pub(crate) fn stop(mut self) -> Result<()> {
        let _ended_already = self.stop.take().map(|stop| stop.send(()));
        let thread = self.thread.take().context("stopped twice")?;
        thread.join().map_err(|_| anyhow!("the sensor panicked"))?
    }
}

async fn answering(socket: PathBuf) -> Result<SensorClient<Channel>> {
    let mut client = connect(socket).await?;
    tokio::time::timeout(Duration::from_secs(5), client.status(SensorStatusRequest {})).await??;
    Ok(client)
}

async fn connect(socket: PathBuf) -> Result<SensorClient<Channel>> {
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://sensor.invalid").connect_with_connector(connector).await?;
    Ok(SensorClient::new(channel))
}
