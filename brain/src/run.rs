//! Everything put together.

use crate::bundle::{Bundle, Trust};
use crate::config::BrainConfig;
use crate::error::BrainError;
use crate::events::Hub;
use crate::explain::{Budget, Explainer, Source};
use crate::listen::{self, Listener};
use crate::metrics::{self, Metrics};
use crate::pipeline::{Judge, JudgeSettings, Queue};
use crate::playbook::Playbook;
use crate::policy::Basis;
use crate::server::{Server, Shared, ended};
use ganglion_features::ContextLimits;
use ganglion_proto::MAX_MESSAGE_BYTES;
use ganglion_proto::v1::brain_server::BrainServer;
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
    let bundle = Bundle::load_with(&config.bundle, &config.model)?;
    announce(&bundle, &playbook);
    let provider = bundle.model.provider().name();
    let metrics = Arc::new(Metrics::new()?);
    let trust = if bundle.trust == Trust::Pinned { "pinned" } else { "unpinned" };
    metrics.set_bundle(&bundle.name(), trust, provider);
    metrics.provider_fallback.set(i64::from(bundle.model.fallback().is_some()));
    let metrics_task = serve_metrics(&config, &metrics).await?;
    let listener = listen::bind(&config.listen).await?;
    let hub = Arc::new(Hub::new(config.event_backlog, config.event_queue));
    let (queue, works) = Queue::new(config.queue_batches, Arc::clone(&metrics));
    let (end, ending) = watch::channel(false);
    let name = bundle.name();
    let explainer = explainer(&bundle, &metrics, &hub)?;
    let judge = judge(&config, bundle, playbook, &metrics, &hub).with_explainer(explainer);
    let judged = start(judge, works)?;
    let server = Server(Arc::new(Shared::new(queue, hub, metrics, name, provider, ending)));
    tracing::info!(listen = config.listen, "brain ready");
    let result = serve(listener, server, &end, shutdown, judged).await;
    if let Some(task) = metrics_task {
        task.abort();
    }
    result
}

fn announce(bundle: &Bundle, playbook: &Playbook) {
    let (name, digest) = (bundle.name(), &bundle.manifest_digest);
    match bundle.trust {
        Trust::Pinned => tracing::info!(bundle = name, digest, "bundle loaded, pinned"),
        Trust::Unpinned => {
            tracing::warn!(bundle = name, digest, "bundle loaded, UNPINNED: it does not ship with this program")
        }
    }
    tracing::info!(playbook = playbook.name, rules = playbook.rules.len(), "playbook loaded");
}

async fn serve_metrics(config: &BrainConfig, metrics: &Arc<Metrics>) -> Result<Option<JoinHandle<()>>, BrainError> {
    let Some(address) = config.metrics else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|source| BrainError::Metrics { address, source })?;
    Ok(Some(tokio::spawn(metrics::serve(listener, Arc::clone(metrics)))))
}

fn judge(config: &BrainConfig, bundle: Bundle, playbook: Playbook, metrics: &Arc<Metrics>, hub: &Arc<Hub>) -> Judge {
    let settings = JudgeSettings {
        batch_rows: config.batch_rows.max(1),
        deadline: Duration::from_micros(config.batch_deadline_us),
        context: ContextLimits { actors: config.context_actors, targets: config.context_targets },
    };
    let basis = Basis {
        playbook: Arc::new(playbook),
        classes: bundle.model.classes().into(),
        anomaly: bundle.manifest.thresholds.anomaly,
        bundle: bundle.name().into(),
        subjects: config.subjects,
    };
    Judge::new(settings, bundle.model, basis, Arc::clone(metrics), Arc::clone(hub))
}

/// Has alerts explained where the bundle brings what that takes.
fn explainer(bundle: &Bundle, metrics: &Arc<Metrics>, hub: &Arc<Hub>) -> Result<Option<Explainer>, BrainError> {
    let Some(source) = Source::of(bundle, Budget::default())? else {
        tracing::info!("the bundle has no background rows: alerts are not explained");
        return Ok(None);
    };
    let explainer = Explainer::start(source, Arc::clone(metrics), Arc::clone(hub)).map_err(BrainError::Thread)?;
    Ok(Some(explainer))
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
    server: Server,
    end: &watch::Sender<bool>,
    shutdown: impl Future<Output = ()>,
    judged: oneshot::Receiver<()>,
) -> Result<(), BrainError> {
    let ending = server.0.ending.clone();
    let service = BrainServer::new(server)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let router = Transport::builder().add_service(service);
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
