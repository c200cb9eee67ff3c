//! Every metric of the sensor: name, meaning, labels.

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up, across restarts too where the kernel keeps it.
    Counter,
    /// Up and down.
    Gauge,
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Names of its labels; each has few values.
    pub labels: &'static [&'static str],
}

macro_rules! metrics {
    ($($(#[$meta:meta])* $constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $($(#[$meta])* #[doc = $help] pub static $constant: Metric =
            Metric { name: concat!("ganglion_sensor_", $name), help: $help, kind: Kind::$kind, labels: &[$($label),*] };)*

        /// All of them, in the order of their rows.
        pub static ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    KERNEL = Counter "kernel_total" ["what"] "What the kernel half counted: packets by fate, bytes, records, flows.";
    LEDGER = Counter "records_ledger_total" ["what"] "What userspace counted: records drained, delivered, shed, recorded; verdicts by outcome.";
    SHED = Counter "records_shed_total" ["reason"] "Records that did not reach their consumer.";
    PACKETS_EQUATION = Gauge "packets_equation" ["term"] "Terms of: packets seen = exported + live + dropped + not a flow + skipped.";
    RECORDS_EQUATION = Gauge "records_equation" ["term"] "Terms of: records produced = delivered + shed + queued.";
    DIFFERENCE = Gauge "equation_difference" ["of"] "Left side less terms; 0 at rest. Not 0 at rest is a bug.";
    LIVE_FLOWS = Gauge "live_flows" [] "Flows with a full entry that have not ended.";
    LIVE_HALF_OPEN = Gauge "live_half_open_flows" [] "Flows of one packet.";
    BRAIN_CONNECTED = Gauge "brain_connected" [] "1 while a brain judges records.";
    QUEUE_DEPTH = Gauge "queue_records" [] "Records waiting for the brain.";
    QUEUE_LIMIT = Gauge "queue_limit_records" [] "Records that may wait for the brain before they are shed.";
    BLOCKS = Gauge "rules" [] "Rules in force.";
    EXEMPTIONS = Gauge "exemptions" [] "Exemptions in force.";
    HIT_PACKETS = Gauge "rule_packets" [] "Packets that rules in force matched.";
    HIT_BYTES = Gauge "rule_bytes" [] "Bytes that rules in force matched.";
    HIT_DROPPED = Gauge "rule_dropped_packets" [] "Packets that rules in force dropped.";
    ENFORCING = Gauge "enforcing" [] "1 when rules drop, 0 when they count what they would have dropped.";
    ATTACHED = Gauge "attached_info" ["interface", "ingress", "egress", "role"] "Hooks in use.";
    PROGRAM_RUNS = Counter "program_runs_total" ["program"] "Runs of a kernel program while statistics were on.";
    PROGRAM_TIME = Counter "program_run_nanoseconds_total" ["program"] "Time in a kernel program while statistics were on.";
    PROGRAM_INSNS = Gauge "program_verified_instructions" ["program"] "Instructions the verifier walked.";
    MEMORY = Gauge "map_memory_bytes" [] "Kernel memory of all maps when full, computed before they were made.";
    UPTIME = Gauge "uptime_seconds" [] "Since this process started.";
    SWEEPS = Counter "sweeps_total" [] "Walks over the flow tables that expire flows.";
    SWEEPS_FAILED = Counter "sweeps_failed_total" [] "Walks that failed.";
    SWEEP_TIME = Gauge "sweep_last_microseconds" [] "Time of the last walk.";
}
