//! Who decides as the brain starts: by the settings, or as it was kept.

use super::super::card::Card;
use super::super::layout::{Deciders, Layout, Seat};
use super::super::loader::{Loader, Served};
use super::super::panel::Panel;
use super::super::state::{Kept, KeptDeciders, Named, Store};
use super::DeskError;
use crate::bundle::BundleError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a brain starts with.
pub struct Opening {
    pub(super) loader: Arc<Loader>,
    pub(super) layout: Layout,
    pub(super) configured: Vec<Named>,
    pub(super) store: Option<Store>,
}

/// Models loaded so far.
struct Loading<'a> {
    loader: &'a Loader,
    served: Vec<Served>,
}

impl Loading<'_> {
    fn card(&mut self, folder: &Path, digest: Option<&str>) -> Result<Arc<Card>, BundleError> {
        let known = |digest: &str| self.served.iter().map(Served::card).find(|card| card.digest == digest).cloned();
        let found = crate::bundle::manifest_digest(folder)?;
        if digest.is_some_and(|digest| digest != found) {
            let why = "it is not the one that was in use: its manifest has changed".to_owned();
            return Err(BundleError::Vetted { folder: folder.into(), why });
        }
        if let Some(card) = known(&found) {
            return Ok(card);
        }
        let served = self.loader.load_to_decide(folder, known)?;
        let card = Arc::clone(served.card());
        self.served.push(served);
        Ok(card)
    }

    fn seat(&mut self, named: &[Named]) -> Result<Seat, BundleError> {
        named.iter().map(|one| self.card(&one.folder, Some(&one.digest))).collect()
    }

    fn deciders(&mut self, kept: &KeptDeciders) -> Result<Deciders, BundleError> {
        let canary = match &kept.canary {
            Some((named, share)) => Some((self.seat(named)?, *share)),
            None => None,
        };
        Ok(Deciders { active: self.seat(&kept.active)?, canary })
    }

    /// As it was kept, as far as its models are still there.
    fn kept(&mut self, kept: &Kept) -> Result<Layout, DeskError> {
        let mut layout = Layout::new(self.seat(&kept.now.active)?)?;
        if let Some((named, share)) = &kept.now.canary {
            match self.seat(named).map_err(DeskError::from).and_then(|seat| Ok(layout.with_canary(seat, *share)?)) {
                Ok(with) => layout = with,
                Err(error) => tracing::error!(%error, "the canary does not come back"),
            }
        }
        // Not what `with_canary` takes for the last change.
        layout.previous = match kept.previous.as_ref().map(|previous| self.deciders(previous)) {
            Some(Err(error)) => {
                tracing::error!(%error, "what decided before does not come back");
                None
            }
            Some(Ok(previous)) => Some(previous),
            None => None,
        };
        Ok(layout)
    }
}

impl Opening {
    /// Loads the seat of the settings, or what `state_dir` kept; shadows come in a vector of their own.
    ///
    /// # Errors
    /// When a bundle of the settings can't be used. What was kept and can't be used is told and left out.
    pub fn load(
        loader: Loader,
        seat: &[PathBuf],
        shadows: &[PathBuf],
        state_dir: Option<&Path>,
    ) -> Result<(Self, Panel, Vec<Served>), DeskError> {
        let mut loading = Loading { loader: &loader, served: Vec::new() };
        let cards = seat.iter().map(|folder| loading.card(folder, None)).collect::<Result<Seat, _>>()?;
        let configured = Named::all(&cards);
        let by_settings = Layout::new(cards)?;
        let store = state_dir.map(Store::new);
        let kept = store.as_ref().and_then(|store| recall(store, &configured));
        let restored = kept.as_ref().and_then(|kept| match loading.kept(kept) {
            Ok(layout) => Some(layout),
            Err(error) => {
                tracing::error!(%error, "what was in use can't be used; the settings hold");
                None
            }
        });
        let mut watched: Vec<(PathBuf, Option<&str>)> = shadows.iter().map(|folder| (folder.clone(), None)).collect();
        if let (Some(kept), Some(_)) = (&kept, &restored) {
            watched = kept.shadows.iter().map(|named| (named.folder.clone(), Some(named.digest.as_str()))).collect();
        }
        let mut layout = restored.unwrap_or(by_settings);
        let mut served = loading.served;
        let panel = layout.on_the_panel();
        served.retain(|model| panel.iter().any(|card| card.digest == model.card().digest));
        let panel = Panel::new(&layout, served).ok_or(DeskError::Missing)?;
        let mut shadowing = Vec::new();
        for (folder, digest) in watched {
            let shadow = loader.load(&folder, |digest| layout.find(digest));
            let same = |shadow: &Served| digest.is_none_or(|digest| shadow.card().digest == digest);
            match shadow.map(|shadow| (layout.with_shadow(Arc::clone(shadow.card())), shadow)) {
                Ok((Ok(with), shadow)) if same(&shadow) => {
                    layout = with;
                    shadowing.push(shadow);
                }
                Ok((Err(error), _)) => tracing::warn!(%error, folder = %folder.display(), "no shadow"),
                Ok(_) => tracing::warn!(folder = %folder.display(), "no shadow: its manifest has changed"),
                Err(error) => tracing::warn!(%error, "no shadow"),
            }
        }
        Ok((Self { loader: Arc::new(loader), layout, configured, store }, panel, shadowing))
    }

    /// Who decides.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// What was kept, if it was kept under these settings.
fn recall(store: &Store, configured: &[Named]) -> Option<Kept> {
    match store.load() {
        Ok(Some(kept)) if kept.configured == configured => Some(kept),
        Ok(Some(_)) => {
            tracing::info!("the settings name another bundle than when models were last changed: the settings hold");
            None
        }
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%error, "what was in use is forgotten");
            None
        }
    }
}
