//! THE table: everything there is to know of every feature, in array order.
//!
//! To add a feature, add a line to the group it belongs to. Names are for ever: bundles select columns by
//! name, so lines may be added anywhere, but a changed formula needs a new name.

mod context;
mod direction;
mod first;
mod flow;
mod pair;
mod source;
mod state;

use crate::feature::Feature;
use crate::view::View;
use sha2::{Digest, Sha256};

/// The last groups tell of what went on around a record.
const CONTEXT_GROUPS: usize = 7;

const GROUPS: [&[Feature]; 15] = [
    flow::TABLE,
    direction::FORWARD,
    direction::BACKWARD,
    state::TABLE,
    first::SIZES,
    first::GAPS,
    state::RECORD,
    source::TABLE,
    context::ACTOR_1S,
    context::ACTOR_10S,
    context::ACTOR_60S,
    context::TARGET_1S,
    context::TARGET_10S,
    context::TARGET_60S,
    pair::TABLE,
];

/// Number of features: the width of a row.
pub const COUNT: usize = count(GROUPS.len());

/// Where the features of what went on around a record begin.
pub(crate) const CONTEXT_AT: usize = count(GROUPS.len() - CONTEXT_GROUPS);

/// Features of the first groups.
const fn count(groups: usize) -> usize {
    let (mut count, mut group) = (0, 0);
    while group < groups {
        count += GROUPS[group].len();
        group += 1;
    }
    count
}

/// Every feature, in the order of a row.
pub static TABLE: [Feature; COUNT] = {
    let mut table = [GROUPS[0][0]; COUNT];
    let (mut at, mut group) = (0, 0);
    while group < GROUPS.len() {
        let mut line = 0;
        while line < GROUPS[group].len() {
            table[at] = GROUPS[group][line];
            at += 1;
            line += 1;
        }
        group += 1;
    }
    table
};

/// The names, in the order of a row.
pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
    TABLE.iter().map(|feature| feature.name)
}

/// Where in a row the feature of this name stands.
pub fn index_of(name: &str) -> Option<usize> {
    TABLE.iter().position(|feature| feature.name == name)
}

/// SHA-256 over names, units and formulas in order, in hex: equal tables, equal digest.
pub fn digest() -> String {
    let mut hash = Sha256::new();
    for feature in &TABLE {
        for text in [feature.name, "\t", feature.unit, "\t", feature.formula, "\n"] {
            hash.update(text);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All features of one record.
pub(crate) fn derive(view: &View<'_>, is_flow: bool, values: &mut [f32; COUNT]) {
    use crate::feature::Applies;
    for (value, feature) in values.iter_mut().zip(&TABLE) {
        let applies = match feature.applies {
            Applies::Every => true,
            Applies::Flow => is_flow,
            Applies::Source => !is_flow,
        };
        *value = if applies { finite(feature.compute.one(view)) } else { 0.0 };
    }
}

/// The value as f32; 0 for NaN, the largest finite number for what is beyond it.
fn finite(value: f64) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_found() {
        assert_eq!(names().collect::<HashSet<_>>().len(), COUNT);
        for (at, name) in names().enumerate() {
            assert_eq!(index_of(name), Some(at));
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
        }
        assert_eq!(digest().len(), 64);
    }

    #[test]
    fn no_feature_reads_an_address_a_port_or_the_clock() {
        for feature in &TABLE {
            for raw in ["addr_a", "addr_b", "port_a", "port_b", "time_us", ".addr"] {
                assert!(!feature.source.contains(raw) || feature.source.contains('−'), "{}", feature.name);
            }
        }
    }

    #[test]
    fn values_out_of_range_become_finite() {
        assert_eq!(finite(f64::NAN), 0.0);
        assert!(finite(f64::INFINITY).is_finite() && finite(f64::NEG_INFINITY).is_finite());
        assert!(finite(1e300).is_finite());
    }
}
