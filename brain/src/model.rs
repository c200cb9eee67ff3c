//! One ONNX model, by the contract: in `features` (f32, N × F); out `probabilities` (f32, N × C), `anomaly`
//! (f32, N), optionally `embedding` (f32, N × D).

mod bound;
mod contract;
mod lane;
mod provider;
mod scores;
mod workers;

pub use provider::{Preference, Provider};
pub use scores::Scores;

use crate::runtime::RuntimeError;
use ganglion_features::Row;
use ganglion_proto::v1::TrafficClass;
use lane::Lane;
use serde::{Deserialize, Serialize};
use workers::Worker;

/// A piece of a batch with fewer rows is not worth handing to another thread.
const PIECE_ROWS: usize = 32;

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
    /// The model reads columns of tables, which no row of the feature table has.
    #[error("the model reads CICFlowMeter's columns: it is for capture files and tables, not for live flows")]
    NotLive,
    /// The system gave no thread.
    #[error("can't start a scoring thread: {0}")]
    Thread(std::io::Error),
}

impl<T> From<ort::Error<T>> for ModelError {
    fn from(error: ort::Error<T>) -> Self {
        // A single line, whatever the library says.
        Self::Onnx(error.message().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// How a model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Sessions that score pieces of one batch at once, a thread each.
    pub sessions: usize,
    /// Threads within a session.
    pub intra_threads: usize,
    /// Where it runs.
    pub provider: Preference,
}

/// Two sessions on two cores did 1.1 to 1.4 times what one does, batches of 256 and more; two threads within one
/// session less, and less than one thread with large batches. More cores are the sensor's.
const SESSIONS: usize = 2;

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { sessions: cores.min(SESSIONS), ..Self::single() }
    }
}

impl Settings {
    /// One session on one thread.
    pub fn single() -> Self {
        Self { sessions: 1, intra_threads: 1, provider: Preference::Auto }
    }
}

/// What a model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// These places of the feature table.
    Features(Vec<usize>),
    /// So many columns of CICFlowMeter's.
    Columns(usize),
}

impl Inputs {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Features(places) => places.len(),
            Self::Columns(count) => *count,
        }
    }

    /// Whether it reads nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A loaded model. Scoring needs it mutably: one thread owns it.
#[derive(Debug)]
pub struct Model {
    lane: Lane,
    workers: Vec<Worker>,
    inputs: Inputs,
    classes: Vec<TrafficClass>,
    values: Vec<f32>,
}

impl Model {
    /// Loads a model that reads `inputs` and answers with `classes`.
    ///
    /// # Errors
    /// When ONNX Runtime is missing, refuses the file, or the file breaks the contract.
    pub fn load(
        onnx: &[u8],
        inputs: Inputs,
        classes: Vec<TrafficClass>,
        settings: &Settings,
    ) -> Result<Self, ModelError> {
        let open = || Lane::open(onnx, inputs.len(), classes.len(), settings.intra_threads, settings.provider);
        let lane = open()?;
        if let Some(why) = &lane.fallback {
            tracing::warn!(provider = lane.provider.name(), why, "the model does not run where it was meant to");
        }
        // A GPU is not shared out: it takes the whole batch.
        let sessions = if lane.provider == Provider::Cpu { settings.sessions } else { 1 };
        let others = (1..sessions).map(|_| Worker::start(open()?).map_err(ModelError::Thread));
        let workers = others.collect::<Result<_, _>>()?;
        Ok(Self { lane, workers, inputs, classes, values: Vec::new() })
    }

    /// Class of each column of `probabilities`.
    pub fn classes(&self) -> &[TrafficClass] {
        &self.classes
    }

    /// What it reads.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Whether the model gives embeddings.
    pub fn has_embedding(&self) -> bool {
        self.lane.embedding
    }

    /// Where it runs.
    pub fn provider(&self) -> Provider {
        self.lane.provider
    }

    /// Why it does not run where it was meant to.
    pub fn fallback(&self) -> Option<&str> {
        self.lane.fallback.as_deref()
    }

    /// A row's values, as the model reads them, at the end of `values`.
    ///
    /// # Errors
    /// When the model reads columns of tables.
    pub fn pick(&self, row: &Row, values: &mut Vec<f32>) -> Result<(), ModelError> {
        let Inputs::Features(places) = &self.inputs else { return Err(ModelError::NotLive) };
        values.extend(places.iter().map(|place| row.values[*place]));
        Ok(())
    }

    /// Scores rows of the feature table.
    ///
    /// # Errors
    /// When ONNX Runtime fails or the answer has another shape than promised.
    pub fn score(&mut self, rows: &[Row]) -> Result<Scores, ModelError> {
        let mut values = std::mem::take(&mut self.values);
        values.clear();
        let picked = rows.iter().try_for_each(|row| self.pick(row, &mut values));
        let scores = picked.and_then(|()| self.score_raw(&values, rows.len()));
        self.values = values;
        scores
    }

    /// Scores `rows` rows of the model's own columns.
    ///
    /// # Errors
    /// As [`Model::score`].
    pub fn score_raw(&mut self, values: &[f32], rows: usize) -> Result<Scores, ModelError> {
        let mut scores = Scores::default();
        self.score_into(values, rows, &mut scores)?;
        Ok(scores)
    }

    /// As [`Model::score_raw`], into memory that was used before.
    ///
    /// # Errors
    /// As [`Model::score`]; `scores` then holds a part.
    pub fn score_into(&mut self, values: &[f32], rows: usize, scores: &mut Scores) -> Result<(), ModelError> {
        scores.clear();
        if rows == 0 {
            return Ok(());
        }
        let pieces = (rows / PIECE_ROWS).clamp(1, self.workers.len() + 1);
        let piece_rows = rows.div_ceil(pieces);
        let mut rest = values.chunks(piece_rows * self.inputs.len().max(1));
        let own = rest.next().unwrap_or_default();
        let (mut begun, mut result) = (0, Ok(()));
        for (worker, piece) in self.workers.iter_mut().zip(rest) {
            result = worker.begin(piece, piece.len() / self.inputs.len().max(1));
            if result.is_err() {
                break;
            }
            begun += 1;
        }
        result = result.and_then(|()| self.lane.run(own, rows.min(piece_rows), scores));
        // All of them, whatever became of the first: a piece that is left behind would answer the next batch.
        for worker in &mut self.workers[..begun] {
            let finished = worker.finish(scores);
            result = result.and(finished);
        }
        result
    }
}
