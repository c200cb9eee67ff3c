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

/// Packets of a piece.
pub(super) struct Share {
    /// By shard.
    pub(super) packets: Vec<Packets>,
    /// Those whose ports, and so shard, only fragments before them tell.
    fragments: Vec<Fragment>,
}

/// A packet that is a part of a datagram.
struct Fragment {
    passing: Passing,
    part: Part,
    domain: u16,
    time_ns: i64,
    moment: Moment,
    /// Of each shard, how many packets come before it.
    before: Vec<usize>,
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
    pub(super) fn deal(&self, span: Span, mut room: Vec<Packets>) -> Dealt {
        let Span { block, mut clock, cuts } = span;
        let (mut counts, mut shares, mut passing) = (Counts::default(), Vec::new(), Passing::ZERO);
        let (mut frames, mut from) = (block.frames(), 0);
        for until in cuts.iter().map(|cut| cut.at).chain([block.len()]) {
            let packets = (0..self.shards).map(|_| room.pop().unwrap_or_default()).collect();
            let mut share = Share { packets, fragments: Vec::new() };
            for frame in frames.by_ref().take(until - from) {
                let moment = clock.frame(frame.time_ns);
                match self.parsing.read(&frame, passing.packet_mut()) {
                    Ok((domain, part)) if part.is_whole() => {
                        passing.read(domain, &self.secret, &moment);
                        share.packets[passing.shard(self.shards)].push(&passing);
                    }
                    Ok((domain, part)) => {
                        let before = share.packets.iter().map(Packets::len).collect();
                        let time_ns = frame.time_ns;
                        share.fragments.push(Fragment { passing, part, domain, time_ns, moment, before });
                    }
                    Err(why) => counts.not_a_flow(why),
                }
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
        for Share { packets, fragments } in shares {
            let mut more: Vec<Vec<(usize, Passing)>> = vec![Vec::new(); self.shards];
            for Fragment { mut passing, part, domain, time_ns, moment, before } in fragments.drain(..) {
                match datagrams.fragment(passing.packet_mut(), part, domain, time_ns) {
                    Ok(()) => {
                        passing.read(domain, &self.secret, &moment);
                        let shard = passing.shard(self.shards);
                        more[shard].push((before[shard], passing));
                    }
                    Err(why) => counts.not_a_flow(why),
                }
            }
            for (packets, more) in packets.iter_mut().zip(more).filter(|(_, more)| !more.is_empty()) {
                merge(packets, &more);
            }
        }
    }
}

/// Puts in each of `more` behind so many of `packets`.
fn merge(packets: &mut Packets, more: &[(usize, Passing)]) {
    let mut all = Packets::with_room(packets.len() + more.len());
    let mut more = more.iter().peekable();
    for (at, passing) in packets.as_slice().iter().enumerate() {
        while let Some((_, fragment)) = more.next_if(|(before, _)| *before <= at) {
            all.push(fragment);
        }
        all.push(passing);
    }
    more.for_each(|(_, fragment)| all.push(fragment));
    *packets = all;
}
