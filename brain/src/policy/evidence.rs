//! Pieces of evidence against one subject, within a window of event time.

use super::Seen;
use crate::class;
use ganglion_features::Meta;
use ganglion_flow::key::mix;
use ganglion_proto::v1::TrafficClass;
use std::collections::VecDeque;

/// Pieces kept per subject; the oldest goes first.
const PIECES: usize = 64;

/// One record's evidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    time_us: u64,
    weight: f32,
    confidence: f32,
    class: TrafficClass,
    /// Hash of the flow; 0 for a SOURCE record.
    flow: u64,
    /// Hash of the initiator.
    initiator: u64,
    /// Flows and initiators that a SOURCE record stands for.
    flows: u32,
    sources: u32,
    /// Nobody but the subject or the own machine can have made it.
    firm: bool,
}

impl Piece {
    /// What a row weighs: its confidence, for a SOURCE record times its level.
    pub(super) fn of(seen: &Seen<'_>, firm: bool, now_us: u64) -> Self {
        let meta: &Meta = seen.meta;
        let level = meta.source.map_or(1, |source| source.level.max(1));
        Self {
            time_us: now_us,
            weight: seen.confidence * f32::from(level),
            confidence: seen.confidence,
            class: seen.class,
            flow: meta.flow_hash,
            initiator: mix(mix(0, meta.initiator.hi), meta.initiator.lo),
            flows: meta.source.map_or(0, |source| source.new.max(source.open)),
            sources: meta.source.filter(|source| source.receives).map_or(0, |source| source.peers as u32),
            firm,
        }
    }
}

/// All pieces added up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    /// Sum of weights, each faded by its age.
    pub(super) score: f64,
    /// Pieces.
    pub(super) pieces: u32,
    /// Distinct flows that were judged one by one.
    pub(super) judged: u32,
    /// Flows that one SOURCE record counts, at most.
    pub(super) by_record: u32,
    /// Distinct flows that agree.
    pub(super) flows: u32,
    /// Distinct flows among them that can't be forged.
    pub(super) firm_flows: u32,
    /// Distinct initiators that agree.
    pub(super) sources: u32,
    /// Mean confidence, by weight.
    pub(super) confidence: f32,
    /// The class with the most weight.
    pub(super) class: TrafficClass,
    /// From the oldest piece to now, µs.
    pub(super) span_us: u64,
}

/// Counts distinct numbers, as many as there are pieces, without an allocation.
struct Distinct {
    numbers: [u64; PIECES],
    len: usize,
}

impl Default for Distinct {
    fn default() -> Self {
        Self { numbers: [0; PIECES], len: 0 }
    }
}

impl Distinct {
    fn insert(&mut self, number: u64) {
        if let Some(slot) = self.numbers.get_mut(self.len) {
            *slot = number;
            self.len += 1;
        }
    }

    fn count(&mut self) -> u32 {
        let numbers = &mut self.numbers[..self.len];
        numbers.sort_unstable();
        numbers.chunk_by(|a, b| a == b).count() as u32
    }
}

/// The pieces of one subject, oldest first.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pieces: VecDeque<Piece>,
}

impl Evidence {
    /// Adds a piece; what is older than the window goes.
    pub(super) fn add(&mut self, piece: Piece, window_us: u64) {
        let oldest_us = piece.time_us.saturating_sub(window_us);
        while self.pieces.front().is_some_and(|front| front.time_us < oldest_us || self.pieces.len() >= PIECES) {
            self.pieces.pop_front();
        }
        self.pieces.push_back(piece);
    }

    /// Adds up what lies within the window.
    pub(super) fn tally(&self, now_us: u64, window_us: u64) -> Tally {
        let mut by_class = [0.0; class::ALL.len()];
        let (mut flows, mut firm, mut initiators) = (Distinct::default(), Distinct::default(), Distinct::default());
        let (mut score, mut weights, mut confidence) = (0.0, 0.0, 0.0);
        let (mut pieces, mut by_record, mut sources, mut span_us) = (0, 0, 0, 0);
        for (piece, fade) in self.live(now_us, window_us) {
            let weight = f64::from(piece.weight) * fade;
            pieces += 1;
            score += weight;
            weights += f64::from(piece.weight);
            confidence += f64::from(piece.weight * piece.confidence);
            by_class[piece.class as usize] += weight;
            if piece.flow == 0 {
                by_record = by_record.max(piece.flows);
                sources = sources.max(piece.sources);
            } else {
                flows.insert(piece.flow);
                if piece.firm {
                    firm.insert(piece.flow);
                }
            }
            initiators.insert(piece.initiator);
            span_us = span_us.max(now_us.saturating_sub(piece.time_us));
        }
        let judged = flows.count();
        let strongest = (0..by_class.len()).max_by(|a, b| by_class[*a].total_cmp(&by_class[*b])).unwrap_or(0);
        Tally {
            score,
            pieces,
            judged,
            by_record,
            flows: by_record.max(judged),
            firm_flows: firm.count(),
            sources: sources.max(initiators.count()),
            confidence: if weights > 0.0 { (confidence / weights) as f32 } else { 0.0 },
            class: class::ALL[strongest],
            span_us,
        }
    }

    /// Pieces within the window that come from one flow.
    pub(super) fn snapshots(&self, flow: u64, now_us: u64, window_us: u64) -> usize {
        self.live(now_us, window_us).filter(|(piece, _)| piece.flow == flow).count()
    }

    /// Pieces within the window, each with what its age left of it (1 to 0).
    fn live(&self, now_us: u64, window_us: u64) -> impl Iterator<Item = (&Piece, f64)> {
        self.pieces.iter().filter_map(move |piece| {
            let age_us = now_us.saturating_sub(piece.time_us);
            (age_us < window_us).then(|| (piece, 1.0 - age_us as f64 / window_us as f64))
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }
}
