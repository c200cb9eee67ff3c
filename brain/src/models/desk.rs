//! Takes orders: loads models away from the judging thread, changes who decides, keeps it over restarts.

mod opening;

use super::card::Card;
use super::layout::{Layout, Refusal, Seat};
use super::loader::{Loader, Served};
use super::observer::Watch;
use super::panel::{Change, Changed};
use super::state::{Kept, Named, Store};
use crate::bundle::BundleError;
use crate::events::Hub;
use crate::metrics::Metrics;
use crate::pipeline::{Queue, Work};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

pub use opening::Opening;

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// A bundle can't be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The change makes no sense now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is nobody left to carry it out.
    #[error("the brain is stopping")]
    Stopping,
    /// A model that should be loaded is not: a mistake of this program, and nothing was changed.
    #[error("a model of this change is not loaded; nothing was changed")]
    Missing,
    /// Loading a model broke down.
    #[error("loading broke down: {0}")]
    Loading(String),
}

/// Where orders go.
pub struct Desk {
    loader: Arc<Loader>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
    layout: Mutex<Layout>,
    configured: Vec<Named>,
    store: Option<Store>,
    queue: Queue,
    watch: Watch,
    metrics: Arc<Metrics>,
    hub: Arc<Hub>,
}

impl Desk {
    /// A desk for what was opened.
    pub fn new(opening: Opening, queue: Queue, watch: Watch, metrics: Arc<Metrics>, hub: Arc<Hub>) -> Self {
        let Opening { loader, layout, configured, store } = opening;
        let this = Self {
            loader,
            changing: tokio::sync::Mutex::default(),
            layout: Mutex::new(layout),
            configured,
            store,
            queue,
            watch,
            metrics,
            hub,
        };
        let layout = this.layout();
        this.export(&layout);
        // Settings that hold again hold from now on, and a folder that can't be written is told at once.
        this.keep(&layout);
        this
    }

    /// Everybody, now.
    pub fn layout(&self) -> Layout {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bundles in `folders` decide from now on; several of them vote.
    ///
    /// # Errors
    /// When one can't be used, or they decide already.
    pub async fn seat(&self, folders: Vec<PathBuf>) -> Result<(), DeskError> {
        let order = async {
            let _one = self.changing.lock().await;
            let layout = self.layout();
            let (seat, fresh) = self.load(&layout, folders).await?;
            self.enact(layout.using(seat)?, fresh).await
        };
        self.count("use", order.await)
    }

    /// The bundles in `folders` decide for a share of the sources from now on.
    ///
    /// # Errors
    /// When one can't be used, is active, or the share is none.
    pub async fn canary(&self, folders: Vec<PathBuf>, share: f64) -> Result<(), DeskError> {
        let order = async {
            let _one = self.changing.lock().await;
            let layout = self.layout();
            let (seat, fresh) = self.load(&layout, folders).await?;
            self.enact(layout.with_canary(seat, share)?, fresh).await
        };
        self.count("canary", order.await)
    }

    /// The canary decides no more.
    ///
    /// # Errors
    /// When there is none.
    pub async fn no_canary(&self) -> Result<(), DeskError> {
        let order = async {
            let _one = self.changing.lock().await;
            self.enact(self.layout().without_canary()?, Vec::new()).await
        };
        self.count("canary", order.await)
    }

    /// Who decided before the last change decides again.
    ///
    /// # Errors
    /// When there was no change, or it was undone.
    pub async fn roll_back(&self) -> Result<(), DeskError> {
        let order = async {
            let _one = self.changing.lock().await;
            self.enact(self.layout().rolled_back()?, Vec::new()).await
        };
        self.count("rollback", order.await)
    }

    /// The bundle in `folder` scores from now on, and never acts.
    ///
    /// # Errors
    /// When it can't be used, decides, or there are too many.
    pub async fn shadow(&self, folder: PathBuf) -> Result<(), DeskError> {
        let order = async {
            let _one = self.changing.lock().await;
            let layout = self.layout();
            // A shadow of its own, even of a model that is on the panel one step back: another thread has it.
            let (loader, known) = (Arc::clone(&self.loader), layout.clone());
            let loading = move || loader.load(&folder, |digest| known.find(digest));
            let shadow = tokio::task::spawn_blocking(loading).await.map_err(broken)??;
            let next = layout.with_shadow(Arc::clone(shadow.card()))?;
            let watch = self.watch.clone();
            tokio::task::spawn_blocking(move || watch.shadow(shadow)).await.map_err(broken)?;
            self.settle(next);
            Ok(())
        };
        self.count("shadow", order.await)
    }

    /// The shadow with this id, name or folder scores no more; none does for `None`.
    ///
    /// # Errors
    /// When there is no such shadow.
    pub async fn no_shadow(&self, name: Option<&str>) -> Result<(), DeskError> {
        let order = async {
            let _one = self.changing.lock().await;
            let next = self.layout().without_shadow(name)?;
            self.keep_shadows(&next).await?;
            self.settle(next);
            Ok(())
        };
        self.count("shadow", order.await)
    }

    /// A seat of the bundles in `folders`, and those of its models that are not on the panel yet.
    async fn load(&self, layout: &Layout, folders: Vec<PathBuf>) -> Result<(Seat, Vec<Served>), DeskError> {
        if folders.len() > super::VOTERS {
            return Err(Refusal::Voters(folders.len()).into());
        }
        let on_the_panel = layout.on_the_panel();
        let (mut seat, mut fresh) = (Seat::new(), Vec::new());
        for folder in folders {
            let digest = crate::bundle::manifest_digest(&folder)?;
            if let Some(card) = on_the_panel.iter().find(|card| card.digest == digest) {
                seat.push(Arc::clone(card));
                continue;
            }
            let model = self.fresh(layout, folder).await?;
            seat.push(Arc::clone(model.card()));
            fresh.push(model);
        }
        Ok((seat, fresh))
    }

    async fn fresh(&self, layout: &Layout, folder: PathBuf) -> Result<Served, DeskError> {
        let (loader, layout) = (Arc::clone(&self.loader), layout.clone());
        let loading = move || loader.load_to_decide(&folder, |digest| layout.find(digest));
        Ok(tokio::task::spawn_blocking(loading).await.map_err(broken)??)
    }

    /// Hands the change to the judging thread, which makes it between two batches.
    async fn enact(&self, next: Layout, fresh: Vec<Served>) -> Result<(), DeskError> {
        let (done, changed) = oneshot::channel();
        let change = Change { layout: next.clone(), fresh };
        if !self.queue.tell(Work::Models { change, done }).await {
            return Err(DeskError::Stopping);
        }
        let Changed { done, retired } = changed.await.map_err(|_| DeskError::Stopping)?;
        // Taking a model down takes a while; nobody waits for it.
        drop(tokio::task::spawn_blocking(move || drop(retired)));
        if !done {
            return Err(DeskError::Missing);
        }
        self.keep_shadows(&next).await?;
        self.settle(next);
        Ok(())
    }

    async fn keep_shadows(&self, next: &Layout) -> Result<(), DeskError> {
        let (watch, digests) = (self.watch.clone(), next.shadows.iter().map(|card| card.digest.clone()).collect());
        tokio::task::spawn_blocking(move || watch.keep(digests)).await.map_err(broken)
    }

    /// The change is made: notes it, here and on disk.
    fn settle(&self, next: Layout) {
        self.export(&next);
        let said = describe(&next);
        tracing::info!(models = said, "models changed");
        self.hub.health("", "models", true, said);
        self.keep(&next);
        *self.layout.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn keep(&self, layout: &Layout) {
        if let Some(store) = &self.store
            && let Err(error) = store.save(&Kept::of(layout, self.configured.clone()))
        {
            tracing::error!(%error, "which models are in use will not outlive the brain");
            self.hub.health("", "models", false, format!("not kept: {error}"));
        }
    }

    fn count(&self, change: &str, result: Result<(), DeskError>) -> Result<(), DeskError> {
        let label = match &result {
            Ok(()) => "done",
            Err(DeskError::Refused(_) | DeskError::Bundle(BundleError::Untrusted { .. })) => "refused",
            Err(_) => "failed",
        };
        self.metrics.models.changes.with_label_values(&[change, label]).inc();
        if let Err(error) = &result {
            tracing::warn!(change, %error, "models not changed");
        }
        result
    }

    /// Who has which role, for metrics: new series first, so that no reader finds none.
    fn export(&self, next: &Layout) {
        let roles = &self.metrics.models.role;
        let before = role_series(&self.layout());
        let now = role_series(next);
        for (labels, share) in &now {
            roles.with_label_values(&labels.each_ref().map(String::as_str)).set(*share);
        }
        for (labels, _) in before.iter().filter(|(labels, _)| !now.iter().any(|(other, _)| other == labels)) {
            // One that never was is gone already.
            let _ = roles.remove_label_values(&labels.each_ref().map(String::as_str));
        }
        let active = &next.now.active;
        let weakest = active.iter().find(|card| !card.trust.is_given()).or(active.first());
        let trust = weakest.map_or("", |card| card.trust.label());
        let provider = active.first().map_or("", |card| card.provider);
        self.metrics.set_bundle(&next.now.name(), trust, provider);
        self.metrics.provider_fallback.set(i64::from(active.iter().any(|card| card.is_fallback)));
    }
}

fn broken(error: tokio::task::JoinError) -> DeskError {
    DeskError::Loading(error.to_string())
}

/// Labels (model, digest, role, trust) and share of all who score.
fn role_series(layout: &Layout) -> Vec<([String; 4], f64)> {
    let labels = |card: &Arc<Card>, role: &str| {
        let [name, digest] = card.series.labels();
        [name.into(), digest.into(), role.into(), card.trust.label().into()]
    };
    let canary_share = layout.now.canary.as_ref().map_or(0.0, |(_, share)| *share);
    let active = layout.now.active.iter().map(|card| (labels(card, "active"), 1.0 - canary_share));
    let canary =
        layout.now.canary.iter().flat_map(|(seat, share)| seat.iter().map(|card| (labels(card, "canary"), *share)));
    let shadows = layout.shadows.iter().map(|card| (labels(card, "shadow"), 0.0));
    active.chain(canary).chain(shadows).collect()
}

/// "lab 1 decides, new 2 for 5 % of sources; in the shadow: x 3".
fn describe(layout: &Layout) -> String {
    let canary = layout.now.canary.as_ref();
    let canary =
        canary.map(|(seat, share)| format!(", {} for {} % of sources", super::card::seat_name(seat), 100.0 * share));
    let shadows: Vec<_> = layout.shadows.iter().map(|card| card.name.as_str()).collect();
    let shadows = if shadows.is_empty() { String::new() } else { format!("; in the shadow: {}", shadows.join(", ")) };
    format!("{} decides{}{shadows}", layout.now.name(), canary.unwrap_or_default())
}
