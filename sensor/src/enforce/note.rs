//! What people want to know of a rule and the kernel does not: kept in a pinned map of its own, so that it outlives
//! this process as the rule does.

use std::collections::HashMap;
use std::path::Path;

use aya::maps::{HashMap as HashTable, Map, MapData, MapError};
use ganglion_flow::{Addr, FlowKey, Wire};

use super::Author;
use crate::layout;
use crate::target::{Net, Target};

/// Longest identifier of a verdict, bytes.
pub(crate) const ID_BYTES: usize = 40;
/// Longest reason, bytes; longer ones are cut. Map entry and header together fill the kernel's 512 bytes.
pub(crate) const REASON_BYTES: usize = 368;
/// Bytes of a key: kind, prefix, six zero bytes, then an address or a flow key.
pub(crate) const KEY: usize = 8 + FlowKey::LEN;
/// Bytes of a value: author, class, both lengths, four zero bytes, identifier, reason.
pub(crate) const VALUE: usize = 8 + ID_BYTES + REASON_BYTES;
/// `BPF_F_NO_PREALLOC`: memory for the notes there are, not for all there may be.
const NO_PREALLOC: u32 = 1;

/// A rule's author, class and reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) author: Author,
    pub(crate) class: u8,
    pub(crate) verdict_id: String,
    pub(crate) reason: String,
}

impl Note {
    /// As it stands in the map. What is too long is cut.
    pub(super) fn encode(&self) -> [u8; VALUE] {
        let mut out = [0; VALUE];
        let (id, reason) = (cut(&self.verdict_id, ID_BYTES), cut(&self.reason, REASON_BYTES));
        let (header, texts) = out.split_at_mut(8);
        let length = |text: &str| (text.len() as u16).to_le_bytes();
        let [id_low, _] = length(id);
        let [low, high] = length(reason);
        header.copy_from_slice(&[self.author as u8, self.class, id_low, low, high, 0, 0, 0]);
        let (of_id, of_reason) = texts.split_at_mut(ID_BYTES);
        of_id.iter_mut().zip(id.bytes()).for_each(|(to, byte)| *to = byte);
        of_reason.iter_mut().zip(reason.bytes()).for_each(|(to, byte)| *to = byte);
        out
    }

    /// `None` when the bytes are no note.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (header, texts) = bytes.split_at_checked(8)?;
        let &[author, class, id_length, low, high, 0, 0, 0] = header else { return None };
        let author = [Author::Verdict, Author::Operator].into_iter().find(|known| *known as u8 == author)?;
        let (id, reason) = texts.split_at_checked(ID_BYTES)?;
        let text = |bytes: &[u8], length: usize| Some(str::from_utf8(bytes.get(..length)?).ok()?.to_owned());
        let verdict_id = text(id, id_length.into())?;
        let reason = text(reason, u16::from_le_bytes([low, high]).into())?;
        Some(Self { author, class, verdict_id, reason })
    }
}

fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// A reason of at most [`REASON_BYTES`]; a longer one ends in "…".
pub(super) fn clip(reason: String) -> String {
    if reason.len() <= REASON_BYTES {
        return reason;
    }
    format!("{}…", cut(&reason, REASON_BYTES - '…'.len_utf8()))
}

fn key(target: &Target) -> [u8; KEY] {
    let mut out = [0; KEY];
    let (head, body) = out.split_at_mut(8);
    let (kind, prefix, _fits) = match target {
        Target::Address(addr) => (0, 0, addr.put(body)),
        Target::Network(net) => (1, net.prefix, net.addr.put(body)),
        Target::Flow(key) => (2, 0, key.put(body)),
        Target::NewFlows(addr) => (3, 0, addr.put(body)),
    };
    head.copy_from_slice(&[kind, prefix, 0, 0, 0, 0, 0, 0]);
    out
}

fn target(key: &[u8]) -> Option<Target> {
    let (&[kind, prefix, ..], body) = key.split_at_checked(8)? else { return None };
    match kind {
        0 => Addr::get(body).map(Target::Address),
        1 => Addr::get(body).map(|addr| Target::Network(Net { addr, prefix })),
        2 => FlowKey::get(body).map(Target::Flow),
        3 => Addr::get(body).map(Target::NewFlows),
        _ => None,
    }
}

/// The notes of all rules.
pub(crate) struct NoteMap(HashTable<MapData, [u8; KEY], [u8; VALUE]>);

impl NoteMap {
    /// Opens the pinned map of `folder`, or makes one for `entries` notes. One of another size or shape is
    /// replaced; what can be read of it moves.
    pub(crate) fn open(folder: &Path, entries: u32) -> Result<Self, MapError> {
        let path = folder.join(layout::NOTES_PIN);
        let old = match Self::pinned(&path) {
            Ok((map, size)) if size == entries => return Ok(map),
            Ok((map, _)) => map.read().unwrap_or_default(),
            Err(_) => HashMap::new(),
        };
        let fresh = folder.join("notes-new");
        let _left_by_a_crash = std::fs::remove_file(&fresh);
        let made = HashTable::<MapData, [u8; KEY], [u8; VALUE]>::create(entries, NO_PREALLOC)?;
        made.pin(&fresh).map_err(|error| MapError::IoError(std::io::Error::other(error)))?;
        let (mut map, _) = Self::pinned(&fresh)?;
        for (target, note) in old.iter().take(entries as usize) {
            map.insert(target, note)?;
        }
        std::fs::rename(&fresh, &path)?;
        Ok(map)
    }

    /// A pinned map and its size.
    fn pinned(path: &Path) -> Result<(Self, u32), MapError> {
        let map = MapData::from_pin(path)?;
        let size = map.info()?.max_entries();
        Ok((Self(HashTable::try_from(Map::HashMap(map))?), size))
    }

    pub(super) fn insert(&mut self, target: &Target, note: &Note) -> Result<(), MapError> {
        self.0.insert(key(target), note.encode(), 0)
    }

    pub(super) fn remove(&mut self, target: &Target) -> Result<(), MapError> {
        self.0.remove(&key(target))
    }

    /// Every note that can be read.
    pub(super) fn read(&self) -> Result<HashMap<Target, Note>, MapError> {
        let all =
            self.0.iter().filter_map(|entry| entry.map(|(of, note)| target(&of).zip(Note::decode(&note))).transpose());
        all.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::parse_addr;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_target_is_found_again() {
        let addr = parse_addr("198.18.3.4").unwrap();
        let (flow, _) = FlowKey::new(addr, parse_addr("2001:2::1").unwrap(), 7, 9, 6, 3);
        let net = Net { addr, prefix: 120 };
        for known in [Target::Address(addr), Target::Network(net), Target::Flow(flow), Target::NewFlows(addr)] {
            assert_eq!(target(&key(&known)), Some(known));
        }
    }

    proptest! {
        #[test]
        fn a_note_is_read_as_written(
            person in any::<bool>(), class in any::<u8>(), verdict_id in "[0-9a-f-]{0,40}", reason in ".{0,600}"
        ) {
            let author = if person { Author::Operator } else { Author::Verdict };
            let note = Note { author, class, verdict_id, reason: clip(reason.clone()) };
            prop_assert!(note.reason.len() <= REASON_BYTES && (note.reason == reason || note.reason.ends_with('…')));
            prop_assert_eq!(Note::decode(&note.encode()), Some(note));
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..VALUE + 9), head in 0u8..4) {
            let _ = (Note::decode(&bytes), target(&bytes));
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = head;
            }
            let _ = (Note::decode(&bytes), target(&bytes));
        }
    }
}
