//! Which of a table's columns a bundle reads.

use crate::bundle::Manifest;
use ganglion_features::cicflowmeter::{self, find};
use ganglion_features::{Applies, TABLE, index_of};

/// Unread columns that are named, at most; missing ones are all named.
const NAMED: usize = 40;

/// A table lacks what a bundle reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} missing: {}; {}", columns(missing.len()), missing.join(", "), beside(unused))]
pub struct ColumnsError {
    /// Columns that the bundle reads and the table lacks.
    pub missing: Vec<String>,
    /// Columns of the table that the bundle does not read: one of them may be a missing one under another name.
    pub unused: Vec<String>,
}

fn columns(count: usize) -> String {
    if count == 1 { "1 column is".into() } else { format!("{count} columns are") }
}

fn beside(unused: &[String]) -> String {
    match unused {
        [] => "the table has no other columns".into(),
        unused => {
            let more = unused.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named = unused[..unused.len().min(NAMED)].join(", ");
            format!("columns of the table that are not read: {named}{more}")
        }
    }
}

/// Where each input of a model stands in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// By input; `None` is 0 in every row.
    pub places: Vec<Option<usize>>,
}

impl Columns {
    /// Finds the inputs of a bundle among the columns of a table: CICFlowMeter's in any of their spellings, features by
    /// name. Features that only SOURCE records have are 0 where the table lacks them, as they are in live flows.
    ///
    /// # Errors
    /// Names all that are missing.
    pub fn of(manifest: &Manifest, table: &[&str]) -> Result<Self, ColumnsError> {
        let (mut places, mut missing) = (Vec::with_capacity(manifest.features.len()), Vec::new());
        for feature in &manifest.features {
            let at = match find(feature) {
                Some(name) => cicflowmeter::place(name, table.iter().copied()),
                None => table.iter().position(|column| column == feature),
            };
            if at.is_none() && !is_of_sources(feature) {
                missing.push(feature.clone());
            }
            places.push(at);
        }
        if missing.is_empty() {
            return Ok(Self { places });
        }
        let is_unused = |at: &usize| !places.contains(&Some(*at));
        let unused = (0..table.len()).filter(is_unused).map(|at| format!("{:?}", table[at])).collect();
        Err(ColumnsError { missing, unused })
    }

    /// Inputs that are 0 in every row.
    pub fn absent(&self) -> usize {
        self.places.iter().filter(|place| place.is_none()).count()
    }
}

fn is_of_sources(feature: &str) -> bool {
    index_of(feature).is_some_and(|at| TABLE[at].applies == Applies::Source)
}
