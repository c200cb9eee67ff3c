//! Does the manifest fit this program and itself?

use super::{BundleError, MODEL, Manifest, SIGNATURE};
use crate::class;
use crate::model::Inputs;
use ganglion_features::cicflowmeter;
use ganglion_features::index_of;
use ganglion_proto::v1::TrafficClass;
use std::collections::HashSet;

const FORMAT: u32 = 1;
const KIND: &str = "classifier";
/// Of live flows, and of captures by the same rules.
pub(super) const LIVE: &str = "ganglion";
/// Of captures and tables alone.
const TABLES: &str = "cicflowmeter";
/// More are never listed in an error.
const NAMED: usize = 5;

/// Checks all but the model; what that reads.
pub(super) fn manifest(manifest: &Manifest) -> Result<Inputs, BundleError> {
    let unfit = |why: String| BundleError::Unfit { id: manifest.id.clone(), why };
    if manifest.format != FORMAT {
        return Err(unfit(format!("manifest of format {}, this program reads format {FORMAT}", manifest.format)));
    }
    if manifest.id.is_empty() || !manifest.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(unfit("the id may hold letters, digits, '-', '_' and '.' only, and may not be empty".into()));
    }
    if manifest.kind != KIND {
        return Err(unfit(format!("kind \"{}\", this program serves \"{KIND}\"", manifest.kind)));
    }
    if !manifest.thresholds.anomaly.is_finite() {
        return Err(unfit("the anomaly threshold is no finite number".into()));
    }
    if manifest.signature.is_some() {
        return Err(unfit(format!("a signature inside the manifest; it belongs beside it, in {SIGNATURE}")));
    }
    if !manifest.digests.contains_key(MODEL) {
        return Err(unfit(format!("no digest of {MODEL} in the manifest")));
    }
    features(manifest).map_err(unfit)
}

/// A bundle that reads CICFlowMeter's columns knows nothing of live flows.
pub(super) fn is_live(manifest: &Manifest) -> Result<(), BundleError> {
    if manifest.profile == LIVE {
        return Ok(());
    }
    let why = format!(
        "made for profile \"{}\": it is for capture files and tables, not for live flows, which are \"{LIVE}\"; \
         `ganglion model eval` and `ganglion pcap score` take it",
        manifest.profile
    );
    Err(BundleError::Unfit { id: manifest.id.clone(), why })
}

fn features(manifest: &Manifest) -> Result<Inputs, String> {
    if manifest.features.is_empty() {
        return Err("no features named".into());
    }
    let mut seen = HashSet::new();
    let twice = list(manifest.features.iter().filter(|name| !seen.insert(name.as_str())));
    if !twice.is_empty() {
        return Err(format!("features named twice: {twice}"));
    }
    let is_known = match manifest.profile.as_str() {
        LIVE => |name: &str| index_of(name).is_some(),
        TABLES => |name: &str| cicflowmeter::find(name).is_some_and(|column| column.input),
        other => return Err(format!("made for profile \"{other}\", this program knows \"{LIVE}\" and \"{TABLES}\"")),
    };
    let unknown = list(manifest.features.iter().filter(|name| !is_known(name)));
    if !unknown.is_empty() {
        return Err(format!("made for other features, unknown here or no inputs: {unknown}"));
    }
    Ok(match manifest.profile.as_str() {
        LIVE => Inputs::Features(manifest.features.iter().filter_map(|name| index_of(name)).collect()),
        _ => Inputs::Columns(manifest.features.len()),
    })
}

/// The class of each column of `probabilities`.
pub(super) fn classes(manifest: &Manifest) -> Result<Vec<TrafficClass>, BundleError> {
    let unfit = |why: String| BundleError::Unfit { id: manifest.id.clone(), why };
    if manifest.classes.len() < 2 {
        return Err(unfit("fewer than two classes".into()));
    }
    let mut seen = HashSet::new();
    let known = |number: &u32| {
        if !seen.insert(*number) {
            return Err(unfit(format!("class {number} stands twice")));
        }
        class::from_number(*number).ok_or_else(|| unfit(format!("unknown class {number}; classes are 0 to 9")))
    };
    manifest.classes.iter().map(known).collect()
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<_> = names.map(String::as_str).collect();
    let more = names.len().saturating_sub(NAMED);
    let named = names[..names.len().min(NAMED)].join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}
