//! The brain's settings.

use crate::bundle::vet::Vetting;
use crate::model::Settings;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings of [`crate::run`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrainConfig {
    /// Where sensors and readers connect: a path (unix socket, mode 0660) or a loopback address and port.
    pub listen: String,
    /// Folder with `model.onnx` and `manifest.json`.
    pub bundle: PathBuf,
    /// How the model is run: `sessions`, `intra_threads`, `provider` (auto, cpu, cuda, tensorrt).
    pub model: Settings,
    /// Folders of more bundles that decide together with `bundle`, by soft vote.
    pub vote: Vec<PathBuf>,
    /// Folders of bundles that score and never act.
    pub shadow: Vec<PathBuf>,
    /// Lets bundles in that neither ship with this program nor are signed by a trusted key.
    pub allow_unsigned: bool,
    /// Folder of the public keys (`*.pub`) whose signatures count; the usual one when absent.
    pub keys: Option<PathBuf>,
    /// Folder for what outlives the brain: which models are in use. Without it the settings hold after a restart.
    pub state_dir: Option<PathBuf>,
    /// Length of the sliding window that drift is watched over, s.
    pub drift_window_s: u64,
    /// Tries each bundle in a process of its own first; the command line sets it.
    #[serde(skip)]
    pub vetting: Option<Vetting>,
    /// The playbook; the compiled-in default when absent.
    pub playbook: Option<PathBuf>,
    /// Serve Prometheus metrics here.
    pub metrics: Option<SocketAddr>,
    /// Record batches waiting to be judged; past it the sensor's stream is held up, then batches are shed.
    pub queue_batches: usize,
    /// Rows scored at once, at most.
    pub batch_rows: usize,
    /// How long a batch may gather rows while more are waiting, µs.
    pub batch_deadline_us: u64,
    /// Addresses followed as initiators, per sensor.
    pub context_actors: usize,
    /// Addresses followed as responders, per sensor.
    pub context_targets: usize,
    /// Addresses and flows with evidence, per sensor.
    pub subjects: usize,
    /// Events kept for readers that come later.
    pub event_backlog: usize,
    /// Events a slow reader may fall behind before it misses some.
    pub event_queue: usize,
}

impl Default for BrainConfig {
    fn default() -> Self {
        Self {
            listen: "/run/ganglion/brain.sock".into(),
            bundle: "/usr/local/lib/ganglion/models/live".into(),
            model: Settings::default(),
            vote: Vec::new(),
            shadow: Vec::new(),
            allow_unsigned: false,
            keys: None,
            state_dir: None,
            drift_window_s: 600,
            vetting: None,
            playbook: None,
            metrics: None,
            queue_batches: 256,
            batch_rows: 256,
            batch_deadline_us: 200,
            context_actors: 32_768,
            context_targets: 8_192,
            subjects: 16_384,
            event_backlog: 1_000,
            event_queue: 4_096,
        }
    }
}
