//! From a folder to a model that is ready to score.

use super::card::Card;
use super::drift;
use super::series::{Registrar, Series};
use crate::bundle::vet::Vetting;
use crate::bundle::{Admission, Bundle, BundleError, Files};
use crate::events::Hub;
use crate::explain::{Budget, Explainer, Source};
use crate::metrics::Metrics;
use crate::model::{Model, ModelError, Scores, Settings};
use crate::policy::Decision;
use ganglion_features::Row;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What scores rows.
pub(super) trait Score: Send {
    /// Scores of `rows`, in order.
    fn score(&mut self, rows: &[Row]) -> Result<Scores, ModelError>;
}

impl Score for Model {
    fn score(&mut self, rows: &[Row]) -> Result<Scores, ModelError> {
        Model::score(self, rows)
    }
}

/// A loaded model with its card. One thread owns it.
pub struct Served {
    card: Arc<Card>,
    scorer: Box<dyn Score>,
    explainer: Option<Explainer>,
}

impl Served {
    pub(super) fn new(card: Arc<Card>, scorer: Box<dyn Score>) -> Self {
        Self { card, scorer, explainer: None }
    }

    /// What is known of it.
    pub fn card(&self) -> &Arc<Card> {
        &self.card
    }

    /// Has it explained why `row` led to `decision`; false when it can't be.
    pub(super) fn explain(&self, sensor_id: &str, decision: &Decision, row: &Row) -> bool {
        self.explainer.as_ref().inspect(|explainer| explainer.ask(sensor_id, decision, row)).is_some()
    }

    /// Scores rows, and counts.
    ///
    /// # Errors
    /// When the model fails; that is counted too.
    pub fn score(&mut self, rows: &[Row]) -> Result<Scores, ModelError> {
        let began = Instant::now();
        let scores = self.scorer.score(rows);
        let series = &self.card.series;
        match &scores {
            Ok(_) => {
                series.inference.observe(began.elapsed().as_secs_f64());
                series.batch_rows.observe(rows.len() as f64);
                series.rows.inc_by(rows.len() as u64);
            }
            Err(_) => series.failures.inc(),
        }
        scores
    }
}

/// Loads bundles for a brain.
pub struct Loader {
    /// Whom the brain lets in.
    pub admission: Admission,
    /// Tries bundles in a process of its own first.
    pub vetting: Option<Vetting>,
    /// How models are run.
    pub settings: Settings,
    metrics: Arc<Metrics>,
    hub: Arc<Hub>,
    registrar: Registrar,
}

impl Loader {
    /// Lets in whom `admission` does.
    pub fn new(
        (admission, vetting): (Admission, Option<Vetting>),
        settings: Settings,
        metrics: Arc<Metrics>,
        hub: Arc<Hub>,
    ) -> Self {
        Self { admission, vetting, settings, metrics, hub, registrar: Registrar::default() }
    }

    /// Loads the bundle in `folder` as [`Loader::load`] does, to decide: its alerts are explained where it brings what
    /// that takes.
    ///
    /// # Errors
    /// As [`Loader::load`], and when there is no thread for explanations.
    pub fn load_to_decide(
        &self,
        folder: &Path,
        known: impl Fn(&str) -> Option<Arc<Card>>,
    ) -> Result<Served, BundleError> {
        let (served, bundle) = self.open(folder, known)?;
        let source = Source::of(&bundle, Budget::default())?;
        let (metrics, hub) = (Arc::clone(&self.metrics), Arc::clone(&self.hub));
        let start = |source| {
            Explainer::start(source, metrics, hub).map_err(|source| BundleError::Model {
                id: bundle.manifest.id.clone(),
                source: ModelError::Thread(source),
            })
        };
        let explainer = source.map(start).transpose()?;
        if explainer.is_none() {
            tracing::info!(bundle = bundle.name(), "the bundle has no background rows: its alerts are not explained");
        }
        Ok(Served { card: served, scorer: Box::new(bundle.model), explainer })
    }

    /// Loads the bundle in `folder` with all checks. `known` finds the card of a model that is loaded already.
    ///
    /// # Errors
    /// In one line, the first thing that is wrong.
    pub fn load(&self, folder: &Path, known: impl Fn(&str) -> Option<Arc<Card>>) -> Result<Served, BundleError> {
        let (card, bundle) = self.open(folder, known)?;
        Ok(Served::new(card, Box::new(bundle.model)))
    }

    fn open(
        &self,
        folder: &Path,
        known: impl Fn(&str) -> Option<Arc<Card>>,
    ) -> Result<(Arc<Card>, Bundle), BundleError> {
        // A link may point elsewhere tomorrow.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.into());
        let began = Instant::now();
        let files = Files::read(&folder, &self.admission.keys)?;
        files.is_live()?;
        self.admission.admit(&files.manifest, &files.trust)?;
        if let Some(vetting) = &self.vetting {
            vetting.check(&folder, &files)?;
        }
        let watched = drift::watched(&files.manifest);
        let bundle = files.load(&self.settings)?;
        let card = known(&bundle.manifest_digest).unwrap_or_else(|| {
            let of = (bundle.name(), bundle.manifest_digest.clone());
            let series = Series::new(&self.metrics, &self.registrar, (&of.0, &of.1), bundle.model.classes(), watched);
            Arc::new(Card::new(&bundle, &folder, series))
        });
        let (name, digest, trust) = (&card.name, &card.digest, card.trust.label());
        let took_ms = began.elapsed().as_millis();
        if card.trust.is_given() {
            tracing::info!(bundle = name, digest, trust, took_ms, "bundle loaded");
        } else {
            tracing::warn!(
                bundle = name,
                digest,
                trust,
                took_ms,
                "bundle loaded, though nobody trusted vouches for it"
            );
        }
        Ok((card, bundle))
    }
}
