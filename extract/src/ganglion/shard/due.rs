//! What becomes of flows as time goes by, without a packet of theirs.

use ganglion_flow::lifecycle::{self, Due};
use ganglion_flow::state::status;
use ganglion_flow::{FlowState, Reason, Stage, Wire};

use super::{FULL, Full, Shard, header, key, record};

impl Shard {
    /// Does what was due up to `clock_us`, each thing at its own time.
    #[inline]
    pub(in crate::ganglion) fn expire(&mut self, clock_us: u64) {
        if clock_us >= self.next_us {
            self.expire_timers(clock_us);
        }
    }

    #[inline(never)]
    fn expire_timers(&mut self, clock_us: u64) {
        let (timeouts, early) = (self.options.timeouts, self.options.snapshots);
        loop {
            let (lone, full) = (&self.lone, &mut self.full);
            let due = self.timers.next(clock_us, |(due_us, number)| {
                if number & FULL == 0 {
                    return (lone.at(number).due_us == due_us).then_some(due_us);
                }
                let flow = full.at_mut(number & !FULL);
                if flow.due_us != due_us {
                    return None;
                }
                // Packets came since. What was due before they made it so is done now.
                let next_us = lifecycle::next_due_us(&flow.state, flow.key.protocol, timeouts, early);
                flow.due_us = next_us.max(due_us);
                Some(flow.due_us)
            });
            match due {
                Some((due_us, number)) if number & FULL != 0 => self.look(number, due_us, clock_us),
                Some((due_us, number)) => self.end_lone(number, Reason::HalfOpen, due_us),
                None => break,
            }
        }
        self.next_us = self.timers.next_us();
    }

    /// Does what is due in a flow with a full entry from `now_us` on, one thing after the other.
    fn look(&mut self, number: u32, mut now_us: u64, clock_us: u64) {
        let (timeouts, early) = (self.options.timeouts, self.options.snapshots);
        loop {
            let Full { key, state, due_us } = self.full.at_mut(number & !FULL);
            now_us = lifecycle::next_due_us(state, key.protocol, timeouts, early).max(now_us);
            if now_us > clock_us {
                *due_us = now_us;
                return self.timer(now_us, number);
            }
            match lifecycle::due(state, key.protocol, timeouts, 0, now_us) {
                Some(Due::Early(stage)) => {
                    state.stages |= stage.bit();
                    let record = record(key, state, stage, Reason::Early, now_us);
                    self.emit(record);
                }
                Some(Due::Cut) => {
                    let record = record(key, state, Stage::End, Reason::Active, now_us);
                    lifecycle::cut(state, |state| *state = FlowState::ZERO);
                    self.emit(record);
                }
                Some(Due::End(reason)) => return self.close(number, reason, now_us),
                Some(Due::Forget) => return self.forget(number),
                // `next_due_us` says otherwise; looking again later does no harm.
                None => now_us = clock_us + 1,
            }
        }
    }

    /// Exports a flow with a full entry, if there is something to, and forgets it.
    fn close(&mut self, number: u32, reason: Reason, now_us: u64) {
        let Full { key, state, .. } = self.full.at_mut(number & !FULL);
        state.status |= status::CLOSING;
        if let Some(sources) = &mut self.sources {
            sources.ended(key, state, false, now_us);
        }
        if state.packets() > 0 {
            let record = record(key, state, Stage::End, reason, now_us);
            self.emit(record);
        }
        self.forget(number);
    }

    /// Exports a flow of one packet and forgets it.
    fn end_lone(&mut self, number: u32, reason: Reason, now_us: u64) {
        let slot = self.lone.at(number).slot;
        self.counts.flow_ended(reason, slot.segments.into());
        self.made.lone.push((header(Stage::End, reason, now_us), slot));
        self.forget(number);
    }

    fn forget(&mut self, number: u32) {
        let hash = self.secret.hash(key(&self.lone, &self.full, number));
        if let Ok(entry) = self.index.find_entry(hash, |entry| entry.number == number) {
            entry.remove();
        }
        if number & FULL != 0 {
            self.full.at_mut(number & !FULL).due_us = 0;
            self.full.give_back(number & !FULL);
        } else {
            self.lone.at_mut(number).due_us = 0;
            self.lone.give_back(number);
        }
    }

    /// Makes sure that the flow is looked at when something is due, which may be sooner than thought before: now, if it
    /// was over before the packet that gave the flow its entry.
    pub(super) fn arm(&mut self, number: u32, clock_us: u64) {
        let Full { key, state, due_us } = self.full.at_mut(number & !FULL);
        let next_us = lifecycle::next_due_us(state, key.protocol, self.options.timeouts, self.options.snapshots);
        let next_us = next_us.max(clock_us);
        if *due_us == 0 || next_us < *due_us {
            *due_us = next_us;
            self.timer(next_us, number);
        }
    }

    #[inline]
    pub(super) fn timer(&mut self, due_us: u64, number: u32) {
        self.timers.add(due_us, number);
        self.next_us = self.next_us.min(due_us);
    }

    /// The end of a piece at this event time. Returns how many flows are held, or were before a `flush`.
    pub(in crate::ganglion) fn piece(&mut self, clock_us: u64, flush: bool) -> u64 {
        self.expire(clock_us);
        let held = self.index.len() as u64;
        if flush {
            self.flush(clock_us);
        }
        held
    }

    /// Ends everything there is.
    fn flush(&mut self, clock_us: u64) {
        let mut numbers: Vec<u32> = self.index.iter().map(|entry| entry.number).collect();
        // In the order in which they lie in memory, which is about that of time.
        numbers.sort_unstable();
        self.made.full.reserve(numbers.iter().filter(|number| **number & FULL != 0).count());
        for number in numbers {
            if number & FULL == 0 {
                self.end_lone(number, Reason::Shutdown, clock_us);
            } else if self.full.at(number & !FULL).state.has(status::ENDED) {
                self.forget(number);
            } else {
                self.close(number, Reason::Shutdown, clock_us);
            }
        }
        self.lone.clear();
        self.full.clear();
        self.timers.clear();
        self.next_us = self.timers.next_us();
        if let Some(sources) = &mut self.sources {
            sources.clear();
        }
    }
}
