//! The first 16 arrivals one by one: payload size with its direction, and the gap before.

use crate::feature::{Feature, flow};
use crate::view::signed_log;

macro_rules! first {
    ($($n:literal),*) => {
        pub(super) const SIZES: &[Feature] = &[$(flow(
            concat!("first_size_", $n),
            "log₂ bytes",
            concat!("first_sizes[", $n, " − 1]"),
            "sign · log₂(1 + |payload|), negative from the responder, 0 where there is no such packet",
            None,
            &|v| signed_log(v.flow.first_sizes[$n - 1].into()),
        )),*];
        pub(super) const GAPS: &[Feature] = &[$(flow(
            concat!("first_gap_", $n),
            "log₂ µs",
            concat!("first_gaps_us[", $n, " − 1]"),
            "log₂(1 + gap before the packet), 0 where there is no such packet",
            None,
            &|v| signed_log(v.flow.first_gaps_us[$n - 1].into()),
        )),*];
    };
}

first!(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
