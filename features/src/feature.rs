//! What the table says of one feature.

use crate::view::View;

/// Which rows a feature is computed for; it is 0 in all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// Rows made from FLOW records.
    Flow,
    /// Rows made from SOURCE records.
    Source,
    /// All rows.
    Every,
}

impl Applies {
    /// As in the documentation.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Source => "source",
            Self::Every => "every",
        }
    }
}

/// How a feature is computed.
pub(crate) trait Compute: Sync {
    /// For one record.
    fn one(&self, view: &View<'_>) -> f64;

    /// For many, one after the other: a loop of its own for each feature, not a call for each cell.
    fn append(&self, views: &[View<'_>], column: &mut Vec<f64>);
}

impl<F: Fn(&View<'_>) -> f64 + Sync> Compute for F {
    fn one(&self, view: &View<'_>) -> f64 {
        self(view)
    }

    fn append(&self, views: &[View<'_>], column: &mut Vec<f64>) {
        column.extend(views.iter().map(|view| finite(self(view))));
    }
}

/// 0 for NaN, the largest number for what is beyond it.
#[inline]
fn finite(value: f64) -> f64 {
    if value.is_finite() {
        value
    } else if value.is_nan() {
        0.0
    } else {
        value.clamp(f64::MIN, f64::MAX)
    }
}

/// One line of the table.
#[derive(Clone, Copy)]
pub struct Feature {
    /// Stable name: what manifests and files call it.
    pub name: &'static str,
    /// Unit of the value; empty for a plain number.
    pub unit: &'static str,
    /// The integers it is derived from.
    pub source: &'static str,
    /// How, in text.
    pub formula: &'static str,
    /// The CICFlowMeter column it answers to, where there is one; several are separated by semicolons.
    pub reference: Option<&'static str>,
    /// The rows it is computed for.
    pub applies: Applies,
    /// The computation, in f64.
    pub(crate) compute: &'static dyn Compute,
}

impl Feature {
    /// The CICFlowMeter columns it answers to.
    pub fn references(&self) -> impl Iterator<Item = &'static str> {
        self.reference.unwrap_or("").split("; ").filter(|name| !name.is_empty())
    }
}

/// A feature of FLOW rows.
pub(crate) const fn flow<F: Fn(&View<'_>) -> f64 + Sync>(
    name: &'static str,
    unit: &'static str,
    source: &'static str,
    formula: &'static str,
    reference: Option<&'static str>,
    compute: &'static F,
) -> Feature {
    Feature { name, unit, source, formula, reference, applies: Applies::Flow, compute }
}

/// A feature of SOURCE rows.
pub(crate) const fn source<F: Fn(&View<'_>) -> f64 + Sync>(
    name: &'static str,
    unit: &'static str,
    source: &'static str,
    formula: &'static str,
    compute: &'static F,
) -> Feature {
    Feature { name, unit, source, formula, reference: None, applies: Applies::Source, compute }
}

/// A feature of all rows.
pub(crate) const fn every<F: Fn(&View<'_>) -> f64 + Sync>(
    name: &'static str,
    unit: &'static str,
    source: &'static str,
    formula: &'static str,
    compute: &'static F,
) -> Feature {
    Feature { name, unit, source, formula, reference: None, applies: Applies::Every, compute }
}
