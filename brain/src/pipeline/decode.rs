//! A batch's bytes, record by record.

use ganglion_flow::record::{DecodeError, Record, RecordKind};

/// Yields records, or why the next bytes are none. After bytes of unknown length it ends.
pub(super) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = *self.rest.first()?;
        let length = RecordKind::from_u8(kind).map_or(self.rest.len(), RecordKind::len).min(self.rest.len());
        let (record, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(Record::decode(record))
    }
}

/// A label for metrics.
pub(super) fn reason(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::TooShort { .. } | DecodeError::Length { .. } => "length",
        DecodeError::Version { .. } => "version",
        DecodeError::Unknown { .. } => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganglion_flow::record::{FlowRecord, RecordHeader};
    use ganglion_flow::{Hook, Reason, Stage, Wire};

    #[test]
    fn a_bad_record_in_the_middle_costs_only_itself() {
        let mut one = vec![0; FlowRecord::LEN];
        let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Fin, Hook::Xdp, 1);
        assert!(FlowRecord { header, ..FlowRecord::ZERO }.put(&mut one));
        let mut bytes = one.clone();
        let mut bad = one.clone();
        bad[1] = 99;
        bytes.extend(bad);
        bytes.extend(&one);
        bytes.extend(&one[..50]);
        let found: Vec<_> = Records::of(&bytes).map(|record| record.map_err(|error| reason(&error))).collect();
        assert!(found[0].is_ok() && found[2].is_ok());
        assert_eq!((found[1].clone(), found[3].clone(), found.len()), (Err("version"), Err("length"), 4));
        assert_eq!(Records::of(&[77; 100]).count(), 1);
    }
}
