//! Everything put together.

use crate::bundle::{Admission, BundleError};
use crate::config::BrainConfig;
use crate::error::BrainError;
use crate::events::Hub;
use crate::listen::{self, Listener};
use crate::metrics::{self, Metrics};
use crate::models::{Desk, DeskError, Loader, Observer, Opening, Panel, Served, Watch};
use crate::pipeline::{Judge, JudgeSettings, Queue};
use crate::playbook::Playbook;
use crate::policy::{Basis, Head};
use crate::server::{ModelServer, Server, Shared, ended};
use ganglion_features::ContextLimits;
use ganglion_proto::MAX_MESSAGE_BYTES;
use ganglion_proto::v1::brain_server::BrainServer;
use ganglion_proto::v1::models_server::ModelsServer;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::Server as Transport;

/// Streams that do not end by then are cut.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until `shutdown` resolves.
///
/// # Errors
/// When bundle, playbook, ONNX Runtime, socket or metrics address can't be used: one clear line each.
pub async fn run(config: BrainConfig, shutdown: impl Future<Output = ()>) -> Result<(), BrainError> {
    let playbook = match &config.playbook {
        Some(path) => Playbook::load(path)?,
        None => Playbook::shipped()?,
    };
    tracing::info!(playbook = playbook.name, rules = playbook.rules.len(), "playbook loaded");
    let metrics = Arc::new(Metrics::new()?);
    let hub = Arc::new(Hub::new(config.event_backlog, config.event_queue));
    let (opening, panel, shadows) = open(&config, &metrics, &hub)?;
    let metrics_task = serve_metrics(&config, &metrics).await?;
    let listener = listen::bind(&config.listen).await?;
    let (queue, works) = Queue::new(config.queue_batches, Arc::clone(&metrics));
    let (end, ending) = watch::channel(false);
    let watch = observe(&config, shadows, &metrics)?;
    let desk = Desk::new(opening, queue.clone(), watch.clone(), Arc::clone(&metrics), Arc::clone(&hub));
    let desk = Arc::new(desk);
    let judge = judge(&config, (panel, watch), playbook, &metrics, &hub);
    let judged = start(judge, works)?;
    let server = Server(Arc::new(Shared::new(queue, hub, metrics, Arc::clone(&desk), ending)));
    tracing::info!(listen = config.listen, "brain ready");
    let result = serve(listener, (server, ModelServer(desk)), &end, shutdown, judged).await;
    if let Some(task) = metrics_task {
        task.abort();
    }
    result
}

/// Loads the models: those of the settings, or those that were in use last.
fn open(
    config: &BrainConfig,
    metrics: &Arc<Metrics>,
    hub: &Arc<Hub>,
) -> Result<(Opening, Panel, Vec<Served>), BrainError> {
    let admission = Admission::with_keys(config.keys.as_deref(), config.allow_unsigned).map_err(BundleError::from)?;
    let admission = (admission, config.vetting.clone());
    let loader = Loader::new(admission, config.model, Arc::clone(metrics), Arc::clone(hub));
    let seat: Vec<_> = std::iter::once(&config.bundle).chain(&config.vote).cloned().collect();
    Opening::load(loader, &seat, &config.shadow, config.state_dir.as_deref()).map_err(|error| match error {
        DeskError::Bundle(error) => error.into(),
        other => other.into(),
    })
}

/// Starts the observing thread, which ends when nobody sends to it any more.
fn observe(config: &BrainConfig, shadows: Vec<Served>, metrics: &Arc<Metrics>) -> Result<Watch, BrainError> {
    let window = Duration::from_secs(config.drift_window_s.max(1));
    let (mut observer, watch) = Observer::new(window, Arc::clone(metrics));
    shadows.into_iter().for_each(|shadow| observer.add(shadow));
    std::thread::Builder::new().name("observer".into()).spawn(|| observer.run()).map_err(BrainError::Thread)?;
    Ok(watch)
}

async fn serve_metrics(config: &BrainConfig, metrics: &Arc<Metrics>) -> Result<Option<JoinHandle<()>>, BrainError> {
    let Some(address) = config.metrics else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|source| BrainError::Metrics { address, source })?;
    Ok(Some(tokio::spawn(metrics::serve(listener, Arc::clone(metrics)))))
}

fn judge(
    config: &BrainConfig,
    (panel, watch): (Panel, Watch),
    playbook: Playbook,
    metrics: &Arc<Metrics>,
    hub: &Arc<Hub>,
) -> Judge {
    let settings = JudgeSettings {
        batch_rows: config.batch_rows.max(1),
        deadline: Duration::from_micros(config.batch_deadline_us),
        context: ContextLimits {
            actors: config.context_actors,
            targets: config.context_targets,
            // An initiator that matters turns to few services.
            pairs: config.context_actors,
        },
    };
    let Head { classes, anomaly, bundle } = panel.head().clone();
    let basis = Basis { playbook: Arc::new(playbook), classes, anomaly, bundle, subjects: config.subjects };
    Judge::new(settings, (panel, watch), basis, Arc::clone(metrics), Arc::clone(hub))
}

/// Starts the judging thread; the receiver resolves when it ends.
fn start(
    judge: Judge,
    works: tokio::sync::mpsc::Receiver<crate::pipeline::Work>,
) -> Result<oneshot::Receiver<()>, BrainError> {
    let (done, judged) = oneshot::channel();
    let body = move || {
        judge.run(works);
        // Nobody waiting any more is fine.
        let _ = done.send(());
    };
    std::thread::Builder::new().name("judge".into()).spawn(body).map_err(BrainError::Thread)?;
    Ok(judged)
}

async fn serve(
    listener: Listener,
    (server, models): (Server, ModelServer),
    end: &watch::Sender<bool>,
    shutdown: impl Future<Output = ()>,
    judged: oneshot::Receiver<()>,
) -> Result<(), BrainError> {
    let ending = server.0.ending.clone();
    let service = BrainServer::new(server)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let router = Transport::builder().add_service(service).add_service(ModelsServer::new(models));
    let serving = async {
        match listener {
            Listener::Unix(listener, _file) => {
                router.serve_with_incoming_shutdown(UnixListenerStream::new(listener), ended(ending)).await
            }
            Listener::Tcp(listener) => {
                router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), ended(ending)).await
            }
        }
    };
    tokio::pin!(serving);
    let early = tokio::select! {
        result = &mut serving => return Ok(result?),
        () = shutdown => false,
        _ = judged => true,
    };
    tracing::info!("brain ending");
    end.send_replace(true);
    match tokio::time::timeout(GRACE, serving).await {
        Ok(result) => result?,
        Err(_) => tracing::warn!("some streams did not end in time and were cut"),
    }
    if early { Err(BrainError::ThreadEnded) } else { Ok(()) }
}
