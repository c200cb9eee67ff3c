//! The models a brain serves, and who of them decides.
//!
//! A *seat* is one model, or several that vote. The active seat decides; a canary seat decides for a stable share of
//! sources; shadows score the same rows and never act. What decided before the last change stays loaded: going back
//! takes one step. [`Desk`] takes orders and loads models, away from the judging thread; the judging thread's
//! [`Panel`] changes between two batches, so that no record is lost; the observer thread runs shadows, histograms and
//! drift on copies, and may leave rows out when there is no time for them.

mod bins;
mod card;
mod desk;
mod drift;
mod layout;
mod loader;
mod observer;
mod panel;
mod report;
mod series;
mod share;
mod state;
mod vote;

pub use card::Card;
pub use desk::{Desk, DeskError, Opening};
pub use drift::{Drift, Stability};
pub use layout::{Deciders, Layout, Refusal, Seat};
pub use loader::{Loader, Served};
pub use observer::{Observation, Observer, Watch};
pub use panel::{Change, Changed, Outcome, Panel, Ruling, Said};
pub use report::{Report, reports};
pub use series::Series;
pub use state::StateError;

/// Models that vote in one seat, at most.
pub const VOTERS: usize = 5;
/// Shadows at once, at most.
pub const SHADOWS: usize = 4;
