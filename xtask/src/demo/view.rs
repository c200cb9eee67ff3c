//! The live view: who attacks, what Ganglion says, what the kernel drops. Redrawn in place on a terminal; in
//! a log each phase and each result is a line.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::HumanCount;
use serde_json::Value;

use super::judge::Verdict;
use super::watch::{Seen, dropped};

const EVENTS: usize = 8;
const WIDTH: usize = 100;

/// The view's state between two frames.
pub(super) struct View {
    begun: Instant,
    seed: u64,
    planned: usize,
    phase: String,
    results: Vec<String>,
    frame: Vec<String>,
    drawn: usize,
    live: bool,
}

impl View {
    pub(super) fn new(seed: u64, planned: usize) -> Self {
        let live = std::io::stderr().is_terminal();
        let begun = Instant::now();
        Self { begun, seed, planned, phase: String::new(), results: Vec::new(), frame: Vec::new(), drawn: 0, live }
    }

    /// Says what happens now.
    pub(super) fn phase(&mut self, text: &str) {
        text.clone_into(&mut self.phase);
        if !self.live {
            eprintln!("[{:>4} s] {text}", self.begun.elapsed().as_secs());
        }
    }

    /// Adds an attack's outcome.
    pub(super) fn result(&mut self, verdict: &Verdict) {
        let class = verdict.class.as_deref().unwrap_or("nothing");
        let mark = if verdict.detected { "ok" } else { "--" };
        let text = format!(
            "{mark} {:<14} seen as {class:<12} {:>10} dropped",
            verdict.run.name,
            HumanCount(verdict.kernel_drops).to_string()
        );
        if !self.live {
            eprintln!("[{:>4} s]   {text}", self.begun.elapsed().as_secs());
        }
        self.results.push(text);
    }

    /// Draws a frame.
    pub(super) fn draw(&mut self, seen: &Seen) {
        self.frame = self.compose(seen);
        if !self.live {
            return;
        }
        let mut out = String::new();
        if self.drawn > 0 {
            out.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for line in &self.frame {
            out.push_str("\x1b[2K");
            out.push_str(line);
            out.push('\n');
        }
        for _ in self.frame.len()..self.drawn {
            out.push_str("\x1b[2K\n");
        }
        self.drawn = self.drawn.max(self.frame.len());
        eprint!("{out}");
    }

    /// Leaves the last frame standing.
    pub(super) fn close(&mut self) {
        if self.live {
            eprintln!();
        }
    }

    /// The frame drawn last.
    pub(super) fn last_frame(&self) -> Vec<String> {
        self.frame.clone()
    }

    fn compose(&self, seen: &Seen) -> Vec<String> {
        let sensor = &seen.status["sensor"];
        let counters = &sensor["counters"];
        let number = |value: &Value| HumanCount(value.as_u64().unwrap_or(0)).to_string();
        let mut lines = vec![
            format!(
                "ganglion demo   seed {}   {:>3} s   attack {} of {}",
                self.seed,
                self.begun.elapsed().as_secs(),
                self.results.len().min(self.planned),
                self.planned
            ),
            format!("  now       {}", self.phase),
            format!(
                "  kernel    {:>9.0} packets/s   {:>9.0} dropped/s   {} seen   {} dropped",
                seen.rates.0,
                seen.rates.1,
                number(&counters["seen"]),
                HumanCount(dropped(counters))
            ),
            format!(
                "  sensor    {} live flows   {} half open   {} blocks   {} records   {} lost",
                number(&sensor["live_flows"]),
                number(&sensor["live_half_open"]),
                number(&sensor["blocks"]),
                number(&counters["records"]),
                number(&counters["records_lost"])
            ),
            String::new(),
        ];
        let said: Vec<String> =
            seen.events.iter().rev().filter_map(|heard| describe(&heard.event)).take(EVENTS).collect();
        lines.extend(said.into_iter().rev());
        lines.push(String::new());
        lines.extend(self.results.iter().map(|result| format!("  {result}")));
        lines.into_iter().map(|line| line.chars().take(WIDTH).collect()).collect()
    }
}

fn describe(event: &Value) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let time = text("time").get(11..23).unwrap_or_default();
    match text("kind") {
        "alert" => Some(format!("  {time}  {:<22} {:<11} {}", text("target"), text("class"), text("reason"))),
        "action" => Some(format!(
            "  {time}  {:<22} {:<11} {} {}",
            text("target"),
            text("class"),
            text("action"),
            text("outcome")
        )),
        _ => None,
    }
}
