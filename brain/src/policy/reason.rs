//! A verdict's reason in words, with the figures behind it.

use super::case::Balance;
use super::subject::{Standing, Subject};
use super::{Naming, Seen};
use crate::class;
use crate::playbook::{ActionName, Rule, SubjectName};
use ganglion_features::Meta;
use std::fmt::Write;

pub(super) fn words(rule: &Rule, seen: &Seen<'_>, subject: &Subject, balance: &Balance, naming: &Naming<'_>) -> String {
    let (meta, tally) = (seen.meta, &balance.tally);
    let preposition = if rule.subject == SubjectName::Destination { "towards" } else { "from" };
    let mut text = format!("{} {preposition} {}", class::name(tally.class), subject.addr);
    if subject.addr == meta.responder && !subject.receives {
        text = format!("{}: {} reports to {}", class::name(tally.class), meta.initiator, subject.addr);
    }
    // Writing to a String cannot fail.
    let _ = if naming.flow_alone {
        write!(text, ", by one flow alone: {} snapshots agree", tally.pieces)
    } else {
        write!(
            text,
            ": evidence {:.1} where {:.1} is needed, from {} records over {:.1} s",
            tally.score,
            balance.need,
            tally.pieces,
            tally.span_us as f64 / 1e6
        )
    };
    if rule.subject == SubjectName::Destination {
        let _ = write!(text, ", {} sources", tally.sources);
    }
    let _ = write!(text, ", {} flows", tally.flows);
    if balance.benign >= 1.0 {
        let _ = write!(text, " beside {:.0} benign ones", balance.benign);
    }
    text.push_str("; last: ");
    last(&mut text, meta);
    if let Some(flows) = balance.spared.filter(|_| naming.action == ActionName::RateLimit) {
        let _ = write!(
            text,
            "; limited, not dropped: {flows} benign flows prove the address, and all but {} of these could be forged",
            tally.firm_flows
        );
    }
    if subject.standing == Standing::AlertOnly {
        text.push_str("; alert only, the sensor's own machine is involved");
    }
    text
}

fn last(text: &mut String, meta: &Meta) {
    let _ = match meta.source {
        Some(source) => write!(
            text,
            "{} new flows in its window, {} unanswered, {} open, about {:.0} ports and {:.0} peers",
            source.new, source.unanswered, source.open, source.ports, source.peers
        ),
        None => write!(
            text,
            "{} packets, {} payload bytes in {:.3} s to port {}{}",
            meta.packets,
            meta.payload_bytes,
            meta.duration_us as f64 / 1e6,
            meta.responder_port,
            if meta.answered { "" } else { ", unanswered" }
        ),
    };
}
