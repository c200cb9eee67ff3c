//! Why a row was scored as it was: shares of its features, beside the verdict's path.
//!
//! [`Source`] explains one row; the [`Explainer`] does so on a thread of its own, with a bounded queue, and publishes
//! what it found as an event. What it can't keep up with is shed and counted.

mod shapley;
mod worker;

pub use shapley::{Budget, Shapley, shapley};
pub use worker::{Explainer, Question};

use crate::bundle::{Bundle, BundleError};
use crate::model::{Model, ModelError, Preference, Settings};
use ganglion_flow::key::mix;
use ganglion_proto::v1::{Contribution, Explanation, TrafficClass};
use std::time::Instant;

/// Features that an explanation names; the shares of all others are one sum.
const NAMED: usize = 8;

/// A model and the rows that it is explained against.
pub struct Source {
    model: Model,
    features: Vec<String>,
    background: Vec<Vec<f32>>,
    bundle: String,
    budget: Budget,
}

impl Source {
    /// Of a bundle, with a session of its own on the CPU. `None` when the bundle has no background rows.
    ///
    /// # Errors
    /// When ONNX Runtime refuses the model a second time.
    pub fn of(bundle: &Bundle, budget: Budget) -> Result<Option<Self>, BundleError> {
        if bundle.manifest.background.is_empty() {
            return Ok(None);
        }
        // Small batches, and the verdict's path has the first claim on a GPU.
        let model = bundle.another_model(&Settings { provider: Preference::Cpu, ..Settings::single() })?;
        Ok(Some(Self {
            model,
            features: bundle.manifest.features.clone(),
            background: bundle.manifest.background.clone(),
            bundle: bundle.name(),
            budget,
        }))
    }

    /// What the model reads of a row.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Shares in the probability of `class`, or in the anomaly score where the model has no such class.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn shares(&mut self, values: &[f32], class: TrafficClass) -> Result<Option<Shapley>, ModelError> {
        let column = self.model.classes().iter().position(|known| *known == class);
        let seed = values.iter().fold(0, |seed, value| mix(seed, u64::from(value.to_bits())));
        let model = &mut self.model;
        let mut score = |values: &[f32], rows: usize| -> Result<Vec<f64>, ModelError> {
            let scores = model.score_raw(values, rows)?;
            let one = |row: usize| match column {
                Some(column) => scores.probabilities(row).get(column).copied().unwrap_or(f32::NAN),
                None => scores.anomaly(row),
            };
            Ok((0..rows).map(|row| f64::from(one(row))).collect())
        };
        shapley(values, &self.background, seed, &self.budget, &mut score)
    }

    /// The same in the form of events, without what it is about.
    ///
    /// # Errors
    /// As [`Source::shares`].
    pub fn explain(&mut self, values: &[f32], class: TrafficClass) -> Result<Option<Explanation>, ModelError> {
        let began = Instant::now();
        let Some(found) = self.shares(values, class)? else { return Ok(None) };
        let mut order: Vec<usize> = (0..found.shares.len()).collect();
        order.sort_by(|a, b| found.shares[*b].abs().total_cmp(&found.shares[*a].abs()));
        let named = order.iter().take(NAMED).filter(|at| found.shares[**at] != 0.0);
        let top: Vec<_> = named
            .map(|at| Contribution {
                feature: self.features.get(*at).cloned().unwrap_or_default(),
                value: values.get(*at).copied().unwrap_or_default(),
                contribution: found.shares[*at] as f32,
            })
            .collect();
        let rest = order.iter().skip(top.len()).map(|at| found.shares[*at]).sum::<f64>();
        Ok(Some(Explanation {
            class: class.into(),
            value: found.value as f32,
            base: found.base as f32,
            top,
            rest: rest as f32,
            background: found.background as u32,
            walks: found.walks as u32,
            duration_us: u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX),
            bundle_id: self.bundle.clone(),
            ..Explanation::default()
        }))
    }
}
