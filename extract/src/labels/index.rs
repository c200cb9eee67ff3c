//! Which rule is the first that a row matches.

use std::ops::RangeInclusive;

/// What a row is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) time_us: i64,
    pub(super) src: u128,
    pub(super) dst: u128,
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) protocol: u8,
}

/// Values that a condition takes; all where there is none.
pub(super) type Ranges<T> = Option<Vec<RangeInclusive<T>>>;

/// A rule of one direction. A rule for either end has several, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    /// Number of the rule.
    pub(super) rule: usize,
    pub(super) time_us: Ranges<i64>,
    pub(super) src: Ranges<u128>,
    pub(super) dst: Ranges<u128>,
    pub(super) src_port: Ranges<u16>,
    pub(super) dst_port: Ranges<u16>,
    pub(super) protocol: Ranges<u8>,
}

/// The forms by what they ask.
#[derive(Debug)]
pub(super) struct Index {
    /// Rule of each form.
    rules: Vec<usize>,
    time_us: Dimension<i64>,
    src: Dimension<u128>,
    dst: Dimension<u128>,
    src_port: Dimension<u16>,
    dst_port: Dimension<u16>,
    protocol: Dimension<u8>,
}

impl Index {
    pub(super) fn new(forms: &[Form]) -> Self {
        Self {
            rules: forms.iter().map(|form| form.rule).collect(),
            time_us: Dimension::new(forms, |form| &form.time_us, i64::MIN, |at| at.checked_add(1)),
            src: Dimension::new(forms, |form| &form.src, 0, |at| at.checked_add(1)),
            dst: Dimension::new(forms, |form| &form.dst, 0, |at| at.checked_add(1)),
            src_port: Dimension::new(forms, |form| &form.src_port, 0, |at| at.checked_add(1)),
            dst_port: Dimension::new(forms, |form| &form.dst_port, 0, |at| at.checked_add(1)),
            protocol: Dimension::new(forms, |form| &form.protocol, 0, |at| at.checked_add(1)),
        }
    }

    /// The first rule that a row matches.
    pub(super) fn first(&self, key: &Key) -> Option<usize> {
        let sets = [
            self.time_us.set(key.time_us)?,
            self.src.set(key.src)?,
            self.dst.set(key.dst)?,
            self.dst_port.set(key.dst_port)?,
            self.src_port.set(key.src_port)?,
            self.protocol.set(key.protocol)?,
        ];
        for word in 0..sets[0].len() {
            let all = sets.iter().fold(u64::MAX, |all, set| all & set.get(word).copied().unwrap_or(0));
            if all != 0 {
                return self.rules.get(word * 64 + all.trailing_zeros() as usize).copied();
            }
        }
        None
    }
}

/// One thing that rules ask for: its values, cut wherever a rule begins or ends, and a set of forms for each piece.
#[derive(Debug)]
struct Dimension<T> {
    /// First value of each piece.
    starts: Vec<T>,
    /// Sets of the pieces, one bit a form.
    sets: Vec<u64>,
    words: usize,
}

impl<T: Copy + Ord> Dimension<T> {
    fn new(forms: &[Form], of: impl Fn(&Form) -> &Ranges<T>, least: T, next: impl Fn(T) -> Option<T>) -> Self {
        let words = forms.len().div_ceil(64);
        // Where forms begin to hold, and where they stop.
        let mut turns = Vec::new();
        // The set of the piece under way; first that of the forms which ask nothing.
        let mut set = vec![0_u64; words];
        for (number, form) in forms.iter().enumerate() {
            match of(form) {
                None => toggle(&mut set, number),
                Some(ranges) => joined(ranges, &next).into_iter().for_each(|(start, end)| {
                    turns.push((start, number));
                    turns.extend(end.map(|end| (end, number)));
                }),
            }
        }
        turns.sort_unstable();
        let (mut starts, mut sets) = (Vec::new(), Vec::new());
        if turns.first().is_none_or(|(start, _)| *start > least) {
            starts.push(least);
            sets.extend_from_slice(&set);
        }
        for turns in turns.chunk_by(|a, b| a.0 == b.0) {
            turns.iter().for_each(|(_, number)| toggle(&mut set, *number));
            starts.extend(turns.first().map(|(start, _)| *start));
            sets.extend_from_slice(&set);
        }
        Self { starts, sets, words }
    }

    fn set(&self, value: T) -> Option<&[u64]> {
        let piece = self.starts.partition_point(|start| *start <= value).checked_sub(1)?;
        self.sets.get(piece * self.words..(piece + 1) * self.words)
    }
}

fn toggle(set: &mut [u64], number: usize) {
    set[number / 64] ^= 1 << (number % 64);
}

/// Ranges without overlap, each from its first value to the first one behind it, if there is one.
fn joined<T: Copy + Ord>(ranges: &[RangeInclusive<T>], next: impl Fn(T) -> Option<T>) -> Vec<(T, Option<T>)> {
    let mut sorted: Vec<_> = ranges.iter().map(|range| (*range.start(), next(*range.end()))).collect();
    sorted.sort_unstable_by_key(|(start, _)| *start);
    let mut all: Vec<(T, Option<T>)> = Vec::with_capacity(sorted.len());
    for (start, end) in sorted {
        match all.last_mut() {
            // The one before goes on to the end of values, or up to here at least.
            Some((_, None)) => {}
            Some((_, Some(last))) if *last >= start => {
                if end.is_none_or(|end| end > *last) {
                    all.last_mut().into_iter().for_each(|(_, last)| *last = end);
                }
            }
            _ => all.push((start, end)),
        }
    }
    all
}
