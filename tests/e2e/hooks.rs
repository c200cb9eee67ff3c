//! One transfer, seen at three hooks: what each of them makes of it, feature by feature.
//!
//! Native XDP and TC ingress meet the data where it arrives, TC egress where it leaves; all three count the same
//! connection at the same time. `docs/hooks.md` is written by
//! `GANGLION_WRITE=docs/hooks.md cargo test -p ganglion-e2e hooks`, as root.

mod page;
mod transfer;

use std::collections::BTreeSet;

use ganglion_features::TABLE;

use crate::harness::Net;
use page::{Difference, differing, shipped};
use transfer::{Hooks, View, Way};

/// Transfers whose median counts.
const TRANSFERS: usize = 5;

/// Switches merging and splitting in the kernel at both ends.
fn offloads(net: &Net, state: &str) {
    let features = ["tso", "gso", "gro"].into_iter().flat_map(|feature| [feature, state]);
    for (mut end, interface) in [
        (net.on_server("ethtool"), crate::harness::net::WATCHED),
        (net.in_world("ethtool"), crate::harness::net::WORLD_END),
    ] {
        let output = end.args(["-K", interface]).args(features.clone()).output().unwrap();
        assert!(output.status.success(), "{}", crate::harness::said(&output));
    }
}

/// Features whose value is a count, not a matter of time.
fn is_timeless(index: usize) -> bool {
    let feature = TABLE[index];
    !feature.unit.contains("µs") && !feature.unit.contains("/s") && !feature.source.contains("_us")
}

/// The transfers with the fewest packets, those without a segment sent twice, have as many on the way out with
/// offloads on as with offloads off; an acknowledgement more or less is TCP's own business.
fn same_counts_with_offloads_on_and_off(seen: &[(&str, Vec<[View; 3]>)]) {
    let fewest = seen.iter().map(|(_, views)| views.iter().map(|[_, _, egress]| egress.data).min_by_key(|d| d.packets));
    let fewest: Vec<_> = fewest.map(Option::unwrap).collect();
    // Both ways with offloads on, then both with offloads off.
    let (on, off) = fewest.split_at(fewest.len() / 2);
    for (on, off) in on.iter().zip(off) {
        println!("at egress at least: {on} with offloads on, {off} with offloads off");
        assert!(on.packets.abs_diff(off.packets) <= 3 && on.payload_bytes.abs_diff(off.payload_bytes) <= 5000);
    }
}

#[test]
fn one_transfer_at_three_hooks() {
    let net = Net::new();
    let hooks = Hooks::start(&net);
    let mut seen = Vec::new();
    for state in ["on", "off"] {
        offloads(&net, state);
        for way in [Way::Download, Way::Upload] {
            let views: Vec<[View; 3]> = hooks.transfers(&net, way, TRANSFERS);
            for [xdp, tc, egress] in &views {
                let said = format!(
                    "offloads {state}, {way:?}: XDP {}, TC ingress {}, egress {}",
                    xdp.data, tc.data, egress.data
                );
                println!("{said}");
                // Whatever is merged: what the wire carried is what leaves.
                assert_eq!(egress.data, xdp.data, "{said}");
                // Nothing is missing; a segment may have been sent twice.
                assert!(egress.data.payload_bytes >= transfer::BYTES as u64, "{said}");
            }
            seen.push((state, views));
        }
    }
    same_counts_with_offloads_on_and_off(&seen);
    let measured = Difference::of_all(&seen);
    if let Some(path) = std::env::var_os("GANGLION_WRITE") {
        std::fs::write(crate::harness::root().join(path), page::write(&measured)).unwrap();
    }
    let named = differing();
    let unnamed: Vec<&str> = measured
        .iter()
        .filter(|d| d.differs() && is_timeless(d.feature) && !named.contains(TABLE[d.feature].name))
        .map(|d| TABLE[d.feature].name)
        .collect();
    assert!(unnamed.is_empty(), "docs/hooks.md does not name what differs by more than 5 %: {unnamed:?}");
}

#[test]
fn no_model_ships_on_a_feature_that_differs_between_hooks() {
    let named = differing();
    assert!(!named.is_empty(), "docs/hooks.md names what differs");
    for (bundle, features) in shipped() {
        let rests: BTreeSet<_> = features.intersection(&named).collect();
        println!("{bundle}: {} of {} features differ between hooks: {rests:?}", rests.len(), features.len());
        assert!(rests.is_empty(), "{bundle} rests on {rests:?}");
    }
}
