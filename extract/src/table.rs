//! Rows on their way out, column by column: what a profile makes and a format writes.

use std::borrow::Cow;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Int,
    /// Floating point.
    Float,
    /// Points in time, µs since 1970 in UTC.
    Time,
    /// Text.
    Text,
}

/// What is known of a column beside its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, in every format.
    pub name: Cow<'static, str>,
    /// Unit; empty for plain numbers and names.
    pub unit: &'static str,
    /// What its cells hold.
    pub kind: Kind,
}

/// The cells of one column of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Of [`Kind::Int`].
    Int(Vec<i64>),
    /// Of [`Kind::Float`].
    Float(Vec<f64>),
    /// Of [`Kind::Float`], where some cells are written as whole numbers in formats of text: the reference of the
    /// `cicflowmeter` profile does so where nothing can be computed.
    FloatOrWhole {
        /// All cells.
        values: Vec<f64>,
        /// Which of them have no point.
        whole: Vec<bool>,
    },
    /// Of [`Kind::Time`], µs since 1970 in UTC.
    Time(Vec<i64>),
    /// Of [`Kind::Text`].
    Text(Texts),
}

/// Texts, one after the other in one string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    bytes: String,
    ends: Vec<u32>,
}

impl Texts {
    /// Adds a text that `write` appends to the string it is given.
    pub fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        self.push_with(|bytes| bytes.push_str(text));
    }

    /// Takes all away; their room stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of a row; empty beyond the last one.
    pub fn get(&self, row: usize) -> &str {
        let end = |row: usize| self.ends.get(row).map(|end| *end as usize);
        let start = row.checked_sub(1).and_then(end).unwrap_or(0);
        end(row).and_then(|end| self.bytes.get(start..end)).unwrap_or("")
    }

    /// All of them, one after the other without anything between.
    pub fn joined(&self) -> &str {
        &self.bytes
    }

    /// As [`Self::joined`], without a copy.
    pub fn into_joined(self) -> String {
        self.bytes
    }

    /// Where each begins and ends in [`Self::joined`].
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> {
        let mut start = 0;
        self.ends.iter().map(move |end| std::mem::replace(&mut start, *end as usize)..*end as usize)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.ranges().map(|range| self.bytes.get(range).unwrap_or(""))
    }
}

impl Cells {
    /// No cells of a kind.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Int => Self::Int(Vec::new()),
            Kind::Float => Self::Float(Vec::new()),
            Kind::Time => Self::Time(Vec::new()),
            Kind::Text => Self::Text(Texts::default()),
        }
    }

    /// Takes all away and makes them of this kind; their room stays where it is of use.
    pub fn reset(&mut self, kind: Kind) {
        match (self, kind) {
            (Self::Int(cells), Kind::Int) | (Self::Time(cells), Kind::Time) => cells.clear(),
            (Self::Float(cells), Kind::Float) => cells.clear(),
            (Self::Text(cells), Kind::Text) => cells.clear(),
            (other, kind) => *other = Self::of(kind),
        }
    }

    /// What they are.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Int(_) => Kind::Int,
            Self::Float(_) | Self::FloatOrWhole { .. } => Kind::Float,
            Self::Time(_) => Kind::Time,
            Self::Text(_) => Kind::Text,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Int(cells) | Self::Time(cells) => cells.len(),
            Self::Float(cells) => cells.len(),
            Self::FloatOrWhole { values, .. } => values.len(),
            Self::Text(cells) => cells.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Some rows: for every field of the table a column, all of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Cells by column, in the order of the fields.
    pub columns: Vec<Cells>,
    /// Number of rows.
    pub rows: usize,
}

/// A choice of a table's columns, under other names.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    picks: Vec<(usize, Kind)>,
}

impl Selection {
    /// Adds the column at this place; numbers become whole ones where `kind` says so.
    pub fn add(&mut self, place: usize, kind: Kind) {
        self.picks.push((place, kind));
    }

    /// The chosen columns of a batch.
    pub fn of(&self, batch: &Batch) -> Batch {
        let pick = |(place, kind): &(usize, Kind)| match (batch.columns.get(*place), kind) {
            (Some(Cells::Float(cells)), Kind::Int) => Cells::Int(cells.iter().map(|cell| *cell as i64).collect()),
            (Some(Cells::Int(cells)), Kind::Float) => Cells::Float(cells.iter().map(|cell| *cell as f64).collect()),
            (Some(cells), _) => cells.clone(),
            (None, kind) => Cells::of(*kind),
        };
        Batch { columns: self.picks.iter().map(pick).collect(), rows: batch.rows }
    }
}
