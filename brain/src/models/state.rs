//! Who decides outlives the brain: one small file in the brain's state folder, replaced whole.

use super::card::Card;
use super::layout::{Deciders, Layout, Seat};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "models.json";
const FORMAT: u32 = 1;
/// Larger files are not ours, in bytes.
const LIMIT: u64 = 256 << 10;

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It can't be read or written.
    #[error("models' state {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not one of ours.
    #[error("models' state {path} can't be read, so the settings hold: {why}")]
    Garbage {
        /// The file.
        path: PathBuf,
        /// In which way.
        why: String,
    },
}

/// A model by folder and digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) folder: PathBuf,
    pub(super) digest: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptDeciders {
    pub(super) active: Vec<Named>,
    pub(super) canary: Option<(Vec<Named>, f64)>,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    format: u32,
    /// The settings' own seat when this was written: once they name another, they hold again.
    pub(super) configured: Vec<Named>,
    pub(super) now: KeptDeciders,
    pub(super) previous: Option<KeptDeciders>,
    pub(super) shadows: Vec<Named>,
}

/// The file.
pub(super) struct Store {
    folder: PathBuf,
}

impl Named {
    fn of(card: &Card) -> Self {
        Self { folder: card.folder.clone(), digest: card.digest.clone() }
    }

    pub(super) fn all(seat: &Seat) -> Vec<Self> {
        seat.iter().map(|card| Self::of(card)).collect()
    }
}

impl KeptDeciders {
    fn of(deciders: &Deciders) -> Self {
        let canary = deciders.canary.as_ref().map(|(seat, share)| (Named::all(seat), *share));
        Self { active: Named::all(&deciders.active), canary }
    }
}

impl Kept {
    pub(super) fn of(layout: &Layout, configured: Vec<Named>) -> Self {
        Self {
            format: FORMAT,
            configured,
            now: KeptDeciders::of(&layout.now),
            previous: layout.previous.as_ref().map(KeptDeciders::of),
            shadows: Named::all(&layout.shadows),
        }
    }
}

impl Store {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// What was kept; `None` when nothing was.
    pub(super) fn load(&self) -> Result<Option<Kept>, StateError> {
        let path = self.path();
        let garbage = |why: String| StateError::Garbage { path: path.clone(), why };
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|source| StateError::File { path: path.clone(), source })?,
        };
        let mut bytes = Vec::new();
        let read = file.take(LIMIT + 1).read_to_end(&mut bytes);
        read.map_err(|source| StateError::File { path: path.clone(), source })?;
        if bytes.len() as u64 > LIMIT {
            return Err(garbage(format!("larger than {LIMIT} bytes")));
        }
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|why| garbage(why.to_string()))?;
        if kept.format != FORMAT {
            return Err(garbage(format!("format {}, this program reads {FORMAT}", kept.format)));
        }
        Ok(Some(kept))
    }

    /// Replaces what was kept.
    pub(super) fn save(&self, kept: &Kept) -> Result<(), StateError> {
        let (path, draft) = (self.path(), self.folder.join(".models.json.draft"));
        let write = || {
            let text = serde_json::to_vec_pretty(kept)?;
            let mut file = File::create(&draft)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            // The new name, too, is to outlive a power cut.
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|source| StateError::File { path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::card::tests::named;
    use std::sync::Arc;

    #[test]
    fn what_was_kept_comes_back_and_garbage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert_eq!(store.load().unwrap(), None);
        let (a, b) = (Arc::new(named("a", &[])), Arc::new(named("b", &[])));
        let layout = Layout::new(vec![Arc::clone(&a)]).unwrap().with_canary(vec![b], 0.05).unwrap();
        let kept = Kept::of(&layout, Named::all(&vec![a]));
        store.save(&kept).unwrap();
        assert_eq!(store.load().unwrap(), Some(kept));
        for text in ["", "{", "{\"format\": 1}", "[]"] {
            fs::write(store.path(), text).unwrap();
            let error = store.load().unwrap_err().to_string();
            assert!(error.contains("models.json") && error.lines().count() == 1, "{error}");
        }
        fs::write(store.path(), vec![b' '; LIMIT as usize + 1]).unwrap();
        assert!(store.load().unwrap_err().to_string().contains("larger"));
        let away = Store::new(Path::new("/nonexistent/state"));
        assert!(away.save(&Kept::of(&layout, Vec::new())).unwrap_err().to_string().contains("/nonexistent/state"));
    }
}
