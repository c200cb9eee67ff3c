//! One ONNX model, by the contract: in `features` (f32, N × F); out `probabilities` (f32, N × C), `anomaly`
//! (f32, N), optionally `embedding` (f32, N × D).

use crate::runtime::{self, RuntimeError};
use ganglion_features::Row;
use ganglion_proto::v1::TrafficClass;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, Shape, TensorElementType, TensorRef, ValueType};

/// Why a model can't be used, or gave no scores.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// ONNX Runtime can't be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// ONNX Runtime refused or failed.
    #[error("ONNX Runtime: {0}")]
    Onnx(String),
    /// An input or output is not as the contract says.
    #[error("the model breaks the ONNX contract: {0}")]
    Contract(String),
}

impl<T> From<ort::Error<T>> for ModelError {
    fn from(error: ort::Error<T>) -> Self {
        // A single line, whatever the library says.
        Self::Onnx(error.message().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// A loaded model. Scoring needs it mutably: one thread owns it.
#[derive(Debug)]
pub struct Model {
    session: Session,
    columns: Vec<usize>,
    classes: Vec<TrafficClass>,
    embedding: bool,
    input: Vec<f32>,
}

/// Scores of a batch.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    probabilities: Vec<f32>,
    anomaly: Vec<f32>,
    classes: usize,
}

impl Scores {
    /// Scores as a model would give them: `probabilities` row by row, `classes` each.
    pub fn of(probabilities: Vec<f32>, anomaly: Vec<f32>, classes: usize) -> Self {
        Self { probabilities, anomaly, classes }
    }

    /// Rows scored.
    pub fn rows(&self) -> usize {
        self.anomaly.len()
    }

    /// Probabilities of a row, in the order of the model's classes.
    pub fn probabilities(&self, row: usize) -> &[f32] {
        self.probabilities.get(row * self.classes..(row + 1) * self.classes).unwrap_or_default()
    }

    /// Anomaly score of a row.
    pub fn anomaly(&self, row: usize) -> f32 {
        self.anomaly.get(row).copied().unwrap_or(f32::NAN)
    }
}

impl Model {
    /// Loads a model that reads `columns` of the feature table and answers with `classes`.
    ///
    /// # Errors
    /// When ONNX Runtime is missing, refuses the file, or the file breaks the contract.
    pub fn load(onnx: &[u8], columns: Vec<usize>, classes: Vec<TrafficClass>) -> Result<Self, ModelError> {
        let environment = runtime::environment()?;
        // One thread: on two cores a pool costs more in hand-overs than it wins on a small batch.
        let session = Session::builder(&environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_parallel_execution(false)?
            .commit_from_memory(onnx)?;
        let embedding = contract(session.inputs(), session.outputs(), columns.len(), classes.len())?;
        Ok(Self { session, columns, classes, embedding, input: Vec::new() })
    }

    /// Class of each column of `probabilities`.
    pub fn classes(&self) -> &[TrafficClass] {
        &self.classes
    }

    /// Whether the model gives embeddings.
    pub fn has_embedding(&self) -> bool {
        self.embedding
    }

    /// Scores rows of the feature table.
    ///
    /// # Errors
    /// When ONNX Runtime fails or the answer has another shape than promised.
    pub fn score(&mut self, rows: &[Row]) -> Result<Scores, ModelError> {
        let mut input = std::mem::take(&mut self.input);
        input.clear();
        for row in rows {
            input.extend(self.columns.iter().map(|column| row.values[*column]));
        }
        let scores = self.score_raw(&input, rows.len());
        self.input = input;
        scores
    }

    /// Scores `rows` rows of the model's own columns.
    ///
    /// # Errors
    /// As [`Model::score`].
    pub fn score_raw(&mut self, values: &[f32], rows: usize) -> Result<Scores, ModelError> {
        if rows == 0 {
            return Ok(Scores::default());
        }
        let input = TensorRef::from_array_view(([rows, self.columns.len()], values))?;
        let outputs = self.session.run(ort::inputs!["features" => input])?;
        let (shape, probabilities) = outputs["probabilities"].try_extract_tensor::<f32>()?;
        expect("probabilities", shape, &[rows, self.classes.len()])?;
        let (shape, anomaly) = outputs["anomaly"].try_extract_tensor::<f32>()?;
        expect("anomaly", shape, &[rows])?;
        Ok(Scores::of(probabilities.to_vec(), anomaly.to_vec(), self.classes.len()))
    }
}

fn expect(name: &str, shape: &Shape, expected: &[usize]) -> Result<(), ModelError> {
    let same = shape.len() == expected.len() && shape.iter().zip(expected).all(|(a, b)| *a == *b as i64);
    if same { Ok(()) } else { Err(ModelError::Contract(format!("{name} came as {shape:?}, {expected:?} is due"))) }
}

/// Checks names, types and ranks; whether there is an embedding.
fn contract(inputs: &[Outlet], outputs: &[Outlet], features: usize, classes: usize) -> Result<bool, ModelError> {
    if inputs.len() != 1 {
        return Err(ModelError::Contract(format!("{} inputs, one (\"features\") is due", inputs.len())));
    }
    tensor(inputs, "features", &[None, Some(features)])?;
    tensor(outputs, "probabilities", &[None, Some(classes)])?;
    tensor(outputs, "anomaly", &[None])?;
    let embedding = outputs.iter().any(|outlet| outlet.name() == "embedding");
    if embedding {
        tensor(outputs, "embedding", &[None, None])?;
    }
    Ok(embedding)
}

/// The tensor of this name must be f32 with these dimensions; `None`, and −1 in the model, fit any.
fn tensor(outlets: &[Outlet], name: &str, dimensions: &[Option<usize>]) -> Result<(), ModelError> {
    let broken = |why: String| Err(ModelError::Contract(why));
    let Some(outlet) = outlets.iter().find(|outlet| outlet.name() == name) else {
        let names: Vec<_> = outlets.iter().map(Outlet::name).collect();
        return broken(format!("no \"{name}\" among {names:?}"));
    };
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = outlet.dtype() else {
        return broken(format!("\"{name}\" is no f32 tensor but {}", outlet.dtype()));
    };
    let fits = |found: i64, due: &Option<usize>| found < 0 || due.is_none_or(|due| found == due as i64);
    if shape.len() != dimensions.len() || !shape.iter().zip(dimensions).all(|(found, due)| fits(*found, due)) {
        let due: Vec<_> = dimensions.iter().map(|d| d.map_or("N".into(), |d| d.to_string())).collect();
        return broken(format!("\"{name}\" is {shape:?}, [{}] is due", due.join(", ")));
    }
    Ok(())
}
