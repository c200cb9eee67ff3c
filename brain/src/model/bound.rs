//! A single row by IO binding: memory of ONNX Runtime's own, made and bound once instead of at every call.
//!
//! A binding is of one shape, and batches come in every size. With 32 rows and more it makes no difference
//! (`docs/benchmarks.md`), so it is for single rows alone, where a flow waits for its scores.

use super::{ModelError, Scores};
use ort::memory::Allocator;
use ort::session::{IoBinding, NoSelectedOutputs, RunOptions, Session};
use ort::value::Tensor;

/// Inputs and outputs of a session for one row. In memory of the CPU: for sessions that run there.
pub(super) struct Bound {
    binding: IoBinding,
    options: RunOptions<NoSelectedOutputs>,
    row: Tensor<f32>,
    classes: usize,
}

impl Bound {
    pub(super) fn new(session: &Session, features: usize, classes: usize) -> Result<Self, ModelError> {
        let memory = Allocator::default();
        let row = Tensor::new(&memory, [1, features])?;
        let mut binding = session.create_binding()?;
        binding.bind_input("features", &row)?;
        // What is not bound is not computed: an embedding costs time.
        binding.bind_output("probabilities", Tensor::<f32>::new(&memory, [1, classes])?)?;
        binding.bind_output("anomaly", Tensor::<f32>::new(&memory, [1_usize])?)?;
        Ok(Self { binding, options: RunOptions::new()?, row, classes })
    }

    /// Scores a row of the session that this was made for, and appends to `scores`.
    pub(super) fn run(&mut self, session: &mut Session, row: &[f32], scores: &mut Scores) -> Result<(), ModelError> {
        let (_, values) = self.row.try_extract_tensor_mut::<f32>()?;
        if values.len() != row.len() {
            let (found, due) = (row.len(), values.len());
            return Err(ModelError::Contract(format!("a row of {found} values, {due} are due")));
        }
        values.copy_from_slice(row);
        let outputs = session.run_binding_with_options(&self.binding, &self.options)?;
        let (_, probabilities) = outputs["probabilities"].try_extract_tensor::<f32>()?;
        let (_, anomaly) = outputs["anomaly"].try_extract_tensor::<f32>()?;
        scores.extend(probabilities, anomaly, self.classes);
        Ok(())
    }
}
