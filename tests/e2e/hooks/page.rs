//! `docs/hooks.md`: written from what was measured, read by the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use ganglion_features::{Applies, COUNT, TABLE};

use super::transfer::View;
use crate::harness::root;

/// More than this is a difference.
const BAR: f64 = 0.05;
/// Says at which end a sensor stands, whatever its hook.
const OF_THE_PLACE: &str = "outbound";

/// How far a feature at another hook is from its value at native XDP, as a share of the larger of the two.
pub(crate) struct Difference {
    /// Place in the table.
    pub(crate) feature: usize,
    /// By "hook, offloads".
    shares: BTreeMap<(&'static str, &'static str), f64>,
}

impl Difference {
    /// Of all features that a transfer gives a value.
    pub(crate) fn of_all(seen: &[(&'static str, Vec<[View; 3]>)]) -> Vec<Self> {
        let of = |feature| Self { feature, shares: shares(feature, seen) };
        let is_measured = |feature: &usize| {
            let values = seen.iter().flat_map(|(_, views)| views).flatten().map(|view| view.values[*feature]);
            let line = &TABLE[*feature];
            line.applies != Applies::Source && line.name != OF_THE_PLACE && values.into_iter().any(|value| value != 0.0)
        };
        (0..COUNT).filter(is_measured).map(of).collect()
    }

    /// At any hook, with offloads on or off.
    pub(crate) fn differs(&self) -> bool {
        self.shares.values().any(|share| *share > BAR)
    }
}

/// Medians over the transfers, the larger of both ways.
fn shares(feature: usize, seen: &[(&'static str, Vec<[View; 3]>)]) -> BTreeMap<(&'static str, &'static str), f64> {
    let mut shares = BTreeMap::new();
    for (offloads, views) in seen {
        for (hook, at) in [("TC ingress", 1), ("egress", 2)] {
            let share = |views: &[View; 3]| apart(views[0].values[feature].into(), views[at].values[feature].into());
            let median = median(views.iter().map(share).collect());
            let largest: &mut f64 = shares.entry((hook, *offloads)).or_default();
            *largest = largest.max(median);
        }
    }
    shares
}

fn apart(a: f64, b: f64) -> f64 {
    let larger = a.abs().max(b.abs());
    if larger == 0.0 { 0.0 } else { (a - b).abs() / larger }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

const COLUMNS: [(&str, &str); 4] = [("TC ingress", "on"), ("egress", "on"), ("TC ingress", "off"), ("egress", "off")];

const HEAD: &str = "\
# Hooks

Written by `GANGLION_WRITE=docs/hooks.md cargo test -p ganglion-e2e hooks`; do not edit.

One TCP connection that carries 20 MB over a veth pair, counted at three hooks at once: native XDP and TC ingress where
the data arrives, TC egress where it leaves. XDP meets every packet of the wire. TC meets trains that GRO has merged, or
GSO has not yet split; their packets and bytes are counted as the wire carries them, and at egress they are exactly
XDP's. Sizes and times inside of a train are not known; the two ends of the wire are two places in time. A train at
egress does not depend on offloads: TCP hands its data over in trains, and the kernel splits them behind the hook.

Each figure is how far the feature's value is from the one at native XDP, as a share of the larger of the two: median of
five transfers, the larger of download and upload, \"offloads\" being TSO, GSO and GRO at both ends.";

/// The whole page.
pub(crate) fn write(measured: &[Difference]) -> String {
    let (differ, same): (Vec<_>, Vec<_>) = measured.iter().partition(|difference| difference.differs());
    let mut page = HEAD.to_owned();
    let heads: Vec<_> = COLUMNS.iter().map(|(hook, offloads)| format!("{hook}, offloads {offloads}")).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(page, " Linux {}.", kernel());
    let _ = writeln!(page, "\n## More than 5 % apart\n\n| feature | {} |\n|---|--:|--:|--:|--:|", heads.join(" | "));
    for difference in &differ {
        let cells: Vec<_> =
            COLUMNS.iter().map(|column| format!("{:.1} %", 100.0 * difference.shares[column])).collect();
        let _ = writeln!(page, "| `{}` | {} |", TABLE[difference.feature].name, cells.join(" | "));
    }
    let names = |of: &[&Difference]| of.iter().map(|d| format!("`{}`", TABLE[d.feature].name)).collect::<Vec<_>>();
    let _ = writeln!(page, "\n## Within 5 %\n\n{}", wrap(&names(&same)));
    let measured: BTreeSet<_> = measured.iter().map(|difference| difference.feature).collect();
    let rest = (0..COUNT).filter(|feature| !measured.contains(feature) && TABLE[*feature].applies != Applies::Source);
    let rest: Vec<_> = rest.map(|feature| format!("`{}`", TABLE[feature].name)).collect();
    let _ = writeln!(page, "\n## Not measured\n\nZero in such a transfer, or (`{OF_THE_PLACE}`) about the place.\n");
    let _ = writeln!(page, "{}", wrap(&rest));
    let _ = writeln!(page, "\n## Models\n\nA test lets no model ship on a feature that differs.\n");
    let named: BTreeSet<String> = differ.iter().map(|d| TABLE[d.feature].name.to_owned()).collect();
    for (bundle, features) in shipped() {
        let rests = features.intersection(&named).count();
        let _ = writeln!(page, "- `{bundle}` rests on {rests} of them, of {} features.", features.len());
    }
    page
}

/// Version of the running kernel, without what its builder adds.
fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    release.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Names in lines of at most 120 characters.
fn wrap(names: &[String]) -> String {
    let mut lines = vec![String::new()];
    for name in names {
        let line = lines.last_mut().unwrap();
        if line.chars().count() + name.chars().count() + 2 > 120 {
            line.push(',');
            lines.push(name.clone());
        } else {
            line.push_str(if line.is_empty() { "" } else { ", " });
            line.push_str(name);
        }
    }
    lines.join("\n")
}

/// The features that the committed page calls differing.
pub(crate) fn differing() -> BTreeSet<String> {
    let page = std::fs::read_to_string(root().join("docs/hooks.md")).unwrap();
    page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name.to_owned()).collect()
}

/// Bundles that ship, and the features they rest on.
pub(crate) fn shipped() -> Vec<(String, BTreeSet<String>)> {
    let bundle = |entry: std::fs::DirEntry| {
        let manifest = std::fs::read(entry.path().join("manifest.json")).ok()?;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let features = manifest["features"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        Some((entry.file_name().into_string().unwrap(), features.collect()))
    };
    std::fs::read_dir(root().join("models")).unwrap().flatten().filter_map(bundle).collect()
}
