//! What is known of a loaded model without touching it: shared by threads and readers.

use super::drift::Drift;
use super::series::Series;
use crate::bundle::{Bundle, Manifest, Trust};
use crate::policy::Head;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A loaded model's card.
pub struct Card {
    /// "id version".
    pub name: String,
    /// SHA-256 of the manifest, in hex: two models with one digest are one.
    pub digest: String,
    /// Where it was loaded from.
    pub folder: PathBuf,
    /// Who vouches for it.
    pub trust: Trust,
    /// How its scores are read.
    pub head: Head,
    /// Where it runs.
    pub provider: &'static str,
    /// It does not run where it was meant to.
    pub is_fallback: bool,
    /// Its inputs, by name.
    pub features: Vec<String>,
    /// Reference quantiles, by input or score.
    pub quantiles: std::collections::BTreeMap<String, Vec<f64>>,
    /// What is counted of it.
    pub series: Series,
    drift: Mutex<Drift>,
}

impl Card {
    pub(super) fn new(bundle: &Bundle, folder: &Path, series: Series) -> Self {
        let Manifest { features, quantiles, thresholds, .. } = &bundle.manifest;
        let name = bundle.name();
        Self {
            digest: bundle.manifest_digest.clone(),
            folder: folder.into(),
            trust: bundle.trust.clone(),
            head: Head {
                classes: bundle.model.classes().into(),
                anomaly: thresholds.anomaly,
                bundle: name.as_str().into(),
            },
            provider: bundle.model.provider().name(),
            is_fallback: bundle.model.fallback().is_some(),
            features: features.clone(),
            quantiles: quantiles.clone(),
            name,
            series,
            drift: Mutex::new(Drift::default()),
        }
    }

    /// How far what it sees and says is from what it was made with, as last computed.
    pub fn drift(&self) -> Drift {
        self.drift.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_drift(&self, drift: Drift) {
        self.series.set_drift(&drift);
        *self.drift.lock().unwrap_or_else(PoisonError::into_inner) = drift;
    }
}

/// "a 1", or "vote(a 1, b 2)".
pub(super) fn seat_name(cards: &[Arc<Card>]) -> String {
    match cards {
        [one] => one.name.clone(),
        many => format!("vote({})", many.iter().map(|card| card.name.as_str()).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::models::series::Registrar;
    use crate::models::vote::tests::head;
    use ganglion_proto::v1::TrafficClass::{Benign, Dos};

    /// A card of a model that nobody loaded, of the classes Benign and DoS.
    pub(in crate::models) fn named(name: &str, quantiles: &[(&str, Vec<f64>)]) -> Card {
        let metrics = Arc::new(Metrics::new().unwrap());
        let head = Head { bundle: name.into(), ..head(&[Benign, Dos], 1.0) };
        let quantiles = quantiles.iter().map(|(of, values)| ((*of).to_owned(), values.clone())).collect();
        Card {
            name: name.into(),
            digest: format!("digest of {name}"),
            folder: format!("/models/{name}").into(),
            trust: Trust::Unsigned,
            series: Series::new(&metrics, &Registrar::default(), (name, name), &head.classes, Vec::new()),
            head,
            provider: "CPU",
            is_fallback: false,
            features: vec!["flow_packets".into()],
            quantiles,
            drift: Mutex::default(),
        }
    }

    pub(in crate::models) fn card(quantiles: &[(&str, Vec<f64>)]) -> Card {
        named("test 1", quantiles)
    }
}
