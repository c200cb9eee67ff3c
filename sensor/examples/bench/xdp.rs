//! Nanoseconds per packet, by `BPF_PROG_TEST_RUN`: all subjects in turn, many rounds, beside xdp-filter's
//! deny-by-address program and an empty one.

mod rows;
mod subjects;

use std::os::fd::AsFd;

use anyhow::{Result, ensure};
use aya::Ebpf;
use serde_json::{Value, json};

use crate::report::{number, report, table};
use crate::{bpf, frames, kernel};
use subjects::{Loaded, Subject};

/// The kernel's count and time of each program's runs: off, and on as the sensor keeps it (invariant 6).
const STATISTICS: [&str; 2] = ["off", "on"];

pub(crate) fn run(quick: bool) -> Result<Value> {
    let mut loaded = Loaded::new()?;
    let mut subjects = subjects::all(&mut loaded)?;
    let rounds = if quick { 3 } else { 15 };
    let mut disturbed = 0;
    for round in 0..rounds {
        for on in 0..STATISTICS.len() {
            let statistics = if on == 1 { Some(bpf::statistics()?) } else { None };
            for subject in &mut subjects {
                subject.measure(on, round > 0)?;
            }
            drop(statistics);
            disturbed += u32::from(on == 0 && are_statistics_on(&mut loaded.plain)?);
        }
    }
    let mut notes = vec![format!("{} rounds; rows are medians and 10th to 90th percentile", rounds - 1)];
    if disturbed > 0 {
        notes.push(format!(
            "another process had the kernel count runs in {disturbed} of {rounds} rounds: `off` is none there"
        ));
    }
    let mut tables = rows::tables(&subjects);
    tables.push(programs(&mut loaded.plain)?);
    loaded.check_records()?;
    Ok(report(tables, notes))
}

fn are_statistics_on(ebpf: &mut Ebpf) -> Result<bool> {
    let fd = kernel::program(ebpf, kernel::INGRESS)?;
    let before = kernel::info(ebpf, kernel::INGRESS)?.run_count();
    bpf::test_run(fd.as_fd(), &frames::tcp(frames::FREE), 1)?;
    Ok(kernel::info(ebpf, kernel::INGRESS)?.run_count() > before)
}

impl Subject {
    /// One round.
    fn measure(&mut self, on: usize, counts: bool) -> Result<()> {
        let mut sum_ns = 0.0;
        for _ in 0..self.batches {
            let (value, ns) = bpf::test_run(self.fd.as_fd(), &self.packet, self.repeat)?;
            ensure!(value == self.expected, "{} returned {value}, not {}", self.name, self.expected);
            sum_ns += ns;
            if let Some(clean) = &mut self.clean {
                clean()?;
            }
        }
        if counts {
            self.runs_ns[on].push(sum_ns / f64::from(self.batches));
        }
        Ok(())
    }
}

/// What the verifier and the compiler to machine code made of the programs that ship.
fn programs(ebpf: &mut Ebpf) -> Result<Value> {
    let rows = kernel::shipped(ebpf)?.into_iter().map(|(name, info)| {
        let (verified, bytes) = (info.verified_instruction_count(), info.size_translated());
        vec![json!(name), json!(verified), json!(bytes.map(|bytes| bytes / 8)), number(info.size_jitted().into(), 0)]
    });
    let columns = ["program", "verified instructions", "instructions", "machine code, bytes"];
    Ok(table("programs", &columns, rows.collect()))
}
