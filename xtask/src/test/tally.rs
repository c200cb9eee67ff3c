//! What came of tests.

use std::fmt;

/// Counts of one or all suites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that held.
    pub(crate) passed: u64,
    /// Tests that did not.
    pub(crate) failed: u64,
    /// Tests that were not run.
    pub(crate) skipped: u64,
    /// Why something failed or was skipped.
    pub(crate) notes: Vec<String>,
}

impl Tally {
    /// One success or failure, by an exit status.
    pub(crate) fn of(success: bool, what: &str) -> Self {
        if success { Self { passed: 1, ..Self::default() } } else { Self::failure(format!("{what} failed")) }
    }

    /// One failure.
    pub(crate) fn failure(note: String) -> Self {
        Self { failed: 1, notes: vec![note], ..Self::default() }
    }

    /// So many tests left out.
    pub(crate) fn skip(count: u64, why: &str) -> Self {
        Self { skipped: count, notes: vec![format!("skipped: {why}")], ..Self::default() }
    }

    /// Adds another's counts.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.notes.extend(other.notes);
    }

    /// Skipped tests become failures: there was no reason to skip.
    pub(crate) fn insist(mut self, why: &str) -> Self {
        if self.skipped > 0 {
            self.notes.push(format!("{} skipped tests count as failed: {why}", self.skipped));
            self.failed += std::mem::take(&mut self.skipped);
        }
        self
    }

    /// Reads a line of a test program: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    pub(crate) fn read(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else { return };
        let counts = rest.split_once(". ").map_or(rest, |(_, counts)| counts);
        for part in counts.split("; ") {
            let Some((number, word)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut tally = Tally::default();
        tally.read("running 3 tests");
        tally.read("test result: ok. 21 passed; 0 failed; 2 ignored; 0 measured; 5 filtered out; finished in 0.01s");
        tally.read("test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(tally.to_string(), "22 passed, 3 failed, 2 skipped");
    }

    #[test]
    fn what_must_not_be_skipped_fails() {
        assert_eq!(Tally::skip(4, "no root").insist("root").to_string(), "0 passed, 4 failed, 0 skipped");
        assert_eq!(Tally::of(true, "x").insist("root").to_string(), "1 passed, 0 failed, 0 skipped");
    }
}
