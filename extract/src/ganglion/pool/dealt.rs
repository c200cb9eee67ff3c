//! From frames to packets by shard.

use ganglion_flow::packet::Part;

use crate::capture::{Block, Datagrams, Parsing};
use crate::ganglion::Counts;
use crate::ganglion::clock::{Clock, Moment};
use crate::ganglion::passing::{Packets, Passing};
use crate::ganglion::secret::Secret;

/// Frames in a row, and the pieces that end among them.
pub(in crate::ganglion) struct Span {
    pub(in crate::ganglion) block: Block,
    /// As it was before them.
    pub(in crate::ganglion) clock: Clock,
    pub(in crate::ganglion) cuts: Vec<Cut>,
}

/// The end of a piece.
#[derive(Clone, Copy)]
pub(in crate::ganglion) struct Cut {
    /// Before which frame of the block.
    pub(in crate::ganglion) at: usize,
    pub(in crate::ganglion) clock_us: u64,
    pub(in crate::ganglion) flush: bool,
}

/// What became of a [`Span`].
pub(super) struct Dealt {
    /// One for each piece that it touches.
    pub(super) shares: Vec<Share>,
    pub(super) counts: Counts,
    /// To be filled again.
    pub(super) block: Block,
}

impl Dealt {
    /// Whether [`Dealer::join`] has nothing to do.
    pub(super) fn is_whole(&self) -> bool {
        self.shares.iter().all(|share| share.fragments.is_empty())
    }
}

/// Packets of a piece, in the order of their frames.
#[derive(Default)]
pub(super) struct Share {
    packets: Packets,
    /// The shard of each; [`NONE`] for a fragment of which nothing is known.
    shards: Vec<u16>,
    /// Places of the packets, shard by shard.
    order: Vec<u16>,
    /// Where each shard's begin in `order`, and where the last one's end.
    begins: Vec<u16>,
    /// Those whose ports, and so shard, only fragments before them tell.
    fragments: Vec<Fragment>,
}

/// No shard.
const NONE: u16 = u16::MAX;
/// A share that had room for more packets is not kept.
const KEPT_PACKETS: usize = 1_024;

/// A packet that is a part of a datagram.
struct Fragment {
    /// Its place.
    at: usize,
    part: Part,
    domain: u16,
    time_ns: i64,
    moment: Moment,
}

impl Share {
    /// The shard's packets, in their order.
    pub(super) fn packets(&self, shard: usize) -> impl Iterator<Item = &Passing> {
        let range = match self.begins.get(shard..shard + 2) {
            Some([from, to]) => usize::from(*from)..usize::from(*to),
            _ => 0..0,
        };
        let packets = self.packets.as_slice();
        self.order.get(range).unwrap_or_default().iter().map(|at| &packets[usize::from(*at)])
    }

    /// An empty one with the room of this one, unless that is much.
    pub(super) fn emptied(mut self) -> Option<Self> {
        self.packets.clear();
        self.shards.clear();
        self.fragments.clear();
        (self.packets.room() <= KEPT_PACKETS).then_some(self)
    }

    /// Puts the packets of a shard side by side: a counting sort.
    fn sort(&mut self, shards: usize) {
        self.begins.clear();
        self.begins.resize(shards + 1, 0);
        for shard in self.shards.iter().filter(|shard| **shard != NONE) {
            self.begins[usize::from(*shard) + 1] += 1;
        }
        let mut sum = 0;
        for begin in &mut self.begins {
            sum += *begin;
            *begin = sum;
        }
        self.order.clear();
        self.order.resize(sum.into(), 0);
        let mut next = self.begins.clone();
        for (shard, at) in self.shards.iter().zip(0..).filter(|(shard, _)| **shard != NONE) {
            let next = &mut next[usize::from(*shard)];
            self.order[usize::from(*next)] = at;
            *next += 1;
        }
    }
}

/// Deals packets to shards.
pub(super) struct Dealer {
    parsing: Parsing,
    secret: Secret,
    shards: usize,
}

impl Dealer {
    pub(super) fn new(parsing: Parsing, secret: Secret, shards: usize) -> Self {
        Self { parsing, secret, shards }
    }

    /// Parses the frames. `room` is used as far as it goes.
    pub(super) fn deal(&self, span: Span, mut room: Vec<Share>) -> Dealt {
        let Span { block, mut clock, cuts } = span;
        let (mut counts, mut shares) = (Counts::default(), Vec::with_capacity(cuts.len() + 1));
        let (mut frames, mut from) = (block.frames(), 0);
        for until in cuts.iter().map(|cut| cut.at).chain([block.len()]) {
            let mut share = room.pop().unwrap_or_default();
            for frame in frames.by_ref().take(until - from) {
                let moment = clock.frame(frame.time_ns);
                let passing = share.packets.next();
                match self.parsing.read(&frame, passing.packet_mut()) {
                    Ok((domain, part)) if part.is_whole() => {
                        passing.read(domain, &self.secret, &moment);
                        share.shards.push(passing.shard(self.shards) as u16);
                        share.packets.taken();
                    }
                    Ok((domain, part)) => {
                        let (at, time_ns) = (share.packets.len(), frame.time_ns);
                        share.fragments.push(Fragment { at, part, domain, time_ns, moment });
                        share.shards.push(NONE);
                        share.packets.taken();
                    }
                    Err(why) => counts.not_a_flow(why),
                }
            }
            if share.fragments.is_empty() {
                share.sort(self.shards);
            }
            from = until;
            shares.push(share);
        }
        drop(frames);
        Dealt { shares, counts, block }
    }

    /// Deals the fragments too. Spans come here in their order.
    pub(super) fn join(&self, dealt: &mut Dealt, datagrams: &mut Datagrams) {
        let Dealt { shares, counts, .. } = dealt;
        for share in shares.iter_mut().filter(|share| !share.fragments.is_empty()) {
            for Fragment { at, part, domain, time_ns, moment } in share.fragments.drain(..) {
                let passing = share.packets.at_mut(at);
                match datagrams.fragment(passing.packet_mut(), part, domain, time_ns) {
                    Ok(()) => {
                        passing.read(domain, &self.secret, &moment);
                        share.shards[at] = passing.shard(self.shards) as u16;
                    }
                    Err(why) => counts.not_a_flow(why),
                }
            }
            share.sort(self.shards);
        }
    }
}
