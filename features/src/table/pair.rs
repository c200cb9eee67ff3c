//! What the initiator did towards the row's own service, by its last flows there, whenever they were.

use crate::feature::{Applies, Feature};
use crate::view::View;

const fn pair<F: Fn(&View<'_>) -> f64 + Sync>(
    name: &'static str,
    unit: &'static str,
    formula: &'static str,
    compute: &'static F,
) -> Feature {
    Feature { name, unit, source: "context", formula, reference: None, applies: Applies::Flow, compute }
}

pub(super) const TABLE: &[Feature] = &[
    pair("pair_flows", "flows", "flows of the initiator to this service, this one included: 8 at most", &|v| {
        v.pair.flows
    }),
    pair("pair_gap_mean_us", "µs", "mean gap between their first packets", &|v| v.pair.gap_mean_us),
    pair("pair_gap_median_us", "µs", "median of the gaps", &|v| v.pair.gap_median_us),
    pair("pair_gap_even_share", "", "gaps within 5 % of their median / all; 0 for fewer than two", &|v| {
        v.pair.gap_even_share
    }),
    pair("pair_gap_near_share", "", "gaps within 50 % of their median / all; 0 for fewer than two", &|v| {
        v.pair.gap_near_share
    }),
    pair("pair_fwd_payload_median_bytes", "bytes", "median payload of the initiator, last 8 that ended", &|v| {
        v.pair.fwd_median_bytes
    }),
    pair("pair_bwd_payload_min_bytes", "bytes", "least payload of the responder, last 8 that ended", &|v| {
        v.pair.bwd_min_bytes
    }),
    pair("pair_bwd_payload_median_bytes", "bytes", "median payload of the responder, last 8 that ended", &|v| {
        v.pair.bwd_median_bytes
    }),
    pair("pair_bwd_payload_max_bytes", "bytes", "most payload of the responder, last 8 that ended", &|v| {
        v.pair.bwd_max_bytes
    }),
];
