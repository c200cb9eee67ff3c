//! Where a model runs: a GPU where one can be used, else the CPU, and why not the GPU.

use super::ModelError;
use crate::runtime;
use ort::ep::{self, ExecutionProvider};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use serde::{Deserialize, Serialize};

/// An execution provider of ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The CPU; always there.
    Cpu,
    /// An NVIDIA GPU. Operators that it has no kernel for run on the CPU.
    Cuda,
    /// An NVIDIA GPU by TensorRT; what that can't do goes to CUDA.
    TensorRt,
}

impl Provider {
    /// As in status and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Cuda => "CUDA",
            Self::TensorRt => "TensorRT",
        }
    }

    /// Whether this ONNX Runtime was built with it.
    fn is_built_in(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => ep::CUDA::is_available().unwrap_or(false),
            Self::TensorRt => ep::TensorRT::is_available().unwrap_or(false),
        }
    }
}

/// Which providers are tried, in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// TensorRT and CUDA where this ONNX Runtime has them, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, else the CPU.
    Cuda,
    /// TensorRT, else CUDA, else the CPU.
    TensorRt,
}

impl Preference {
    /// Before the CPU.
    fn candidates(self) -> Vec<Provider> {
        match self {
            Self::Auto => [Provider::TensorRt, Provider::Cuda].into_iter().filter(|one| one.is_built_in()).collect(),
            Self::Cpu => Vec::new(),
            Self::Cuda => vec![Provider::Cuda],
            Self::TensorRt => vec![Provider::TensorRt, Provider::Cuda],
        }
    }
}

/// A session, and where it runs.
pub(super) struct Placed {
    pub(super) session: Session,
    pub(super) provider: Provider,
    /// Why it does not run where it was meant to.
    pub(super) fallback: Option<String>,
}

/// Opens a session on the first provider that takes it.
pub(super) fn place(onnx: &[u8], intra_threads: usize, preference: Preference) -> Result<Placed, ModelError> {
    // The library must be there before it is asked what it has.
    runtime::environment()?;
    let mut refusals = Vec::new();
    for provider in preference.candidates() {
        match open(onnx, intra_threads, provider) {
            Ok(session) => return Ok(Placed { session, provider, fallback: joined(&refusals) }),
            Err(error) => refusals.push(format!("{} can't be used: {error}", provider.name())),
        }
    }
    let session = open(onnx, intra_threads, Provider::Cpu)?;
    Ok(Placed { session, provider: Provider::Cpu, fallback: joined(&refusals) })
}

fn joined(refusals: &[String]) -> Option<String> {
    (!refusals.is_empty()).then(|| refusals.join("; "))
}

fn open(onnx: &[u8], intra_threads: usize, provider: Provider) -> Result<Session, ModelError> {
    if !provider.is_built_in() {
        return Err(ModelError::Onnx("this ONNX Runtime was built without it".into()));
    }
    let cuda = || ep::CUDA::default().build().error_on_failure();
    let providers = match provider {
        Provider::Cpu => Vec::new(),
        Provider::Cuda => vec![cuda()],
        Provider::TensorRt => vec![ep::TensorRT::default().build().error_on_failure(), cuda()],
    };
    let session = Session::builder(&runtime::environment()?)?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(intra_threads.max(1))?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        // A thread that waits for its next batch must not eat the core that the sensor needs.
        .with_intra_op_spinning(false)?
        .with_execution_providers(providers)?
        .commit_from_memory(onnx)?;
    Ok(session)
}
