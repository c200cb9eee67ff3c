//! One session of ONNX Runtime, run by one thread at a time.

use super::bound::Bound;
use super::provider::{self, Preference, Provider};
use super::{ModelError, Scores, contract};
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::{Shape, TensorRef};

/// A session, and the shapes that it promised.
pub(super) struct Lane {
    session: Session,
    /// For single rows, where the session runs on the CPU.
    bound: Option<Bound>,
    /// Asks for what is read and for nothing else: an embedding costs time.
    options: RunOptions<HasSelectedOutputs>,
    features: usize,
    classes: usize,
    pub(super) embedding: bool,
    pub(super) provider: Provider,
    pub(super) fallback: Option<String>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { features, classes, embedding, provider, fallback, .. } = self;
        f.debug_struct("Lane")
            .field("features", features)
            .field("classes", classes)
            .field("embedding", embedding)
            .field("provider", provider)
            .field("fallback", fallback)
            .finish_non_exhaustive()
    }
}

impl Lane {
    pub(super) fn open(
        onnx: &[u8],
        features: usize,
        classes: usize,
        intra_threads: usize,
        preference: Preference,
    ) -> Result<Self, ModelError> {
        let provider::Placed { session, provider, fallback } = provider::place(onnx, intra_threads, preference)?;
        let embedding = contract::check(session.inputs(), session.outputs(), features, classes)?;
        let wanted = OutputSelector::no_default().with("probabilities").with("anomaly");
        let options = RunOptions::new()?.with_outputs(wanted);
        let bound = (provider == Provider::Cpu).then(|| Bound::new(&session, features, classes)).transpose()?;
        Ok(Self { session, bound, options, features, classes, embedding, provider, fallback })
    }

    /// Scores `values`, row by row, and appends to `scores`.
    pub(super) fn run(&mut self, values: &[f32], rows: usize, scores: &mut Scores) -> Result<(), ModelError> {
        if let (1, Some(bound)) = (rows, &mut self.bound) {
            return bound.run(&mut self.session, values, scores);
        }
        let input = TensorRef::from_array_view(([rows, self.features], values))?;
        let outputs = self.session.run_with_options(ort::inputs!["features" => input], &self.options)?;
        let (shape, probabilities) = outputs["probabilities"].try_extract_tensor::<f32>()?;
        expect("probabilities", shape, &[rows, self.classes])?;
        let (shape, anomaly) = outputs["anomaly"].try_extract_tensor::<f32>()?;
        expect("anomaly", shape, &[rows])?;
        scores.extend(probabilities, anomaly, self.classes);
        Ok(())
    }
}

fn expect(name: &str, shape: &Shape, expected: &[usize]) -> Result<(), ModelError> {
    let same = shape.len() == expected.len() && shape.iter().zip(expected).all(|(a, b)| *a == *b as i64);
    if same { Ok(()) } else { Err(ModelError::Contract(format!("{name} came as {shape:?}, {expected:?} is due"))) }
}
