//! Rows to score, held column by column, as Arrow and Parquet do.

use crate::bundle::Manifest;
use ganglion_flow::key::mix;

/// A table of features.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    columns: Vec<Vec<f32>>,
    rows: usize,
}

impl Rows {
    /// No rows of so many columns.
    pub fn new(columns: usize) -> Self {
        Self { columns: vec![Vec::new(); columns], rows: 0 }
    }

    /// Adds rows that lie one after the other.
    pub fn add(&mut self, values: &[f32]) {
        for row in values.chunks_exact(self.columns.len().max(1)) {
            self.columns.iter_mut().zip(row).for_each(|(column, value)| column.push(*value));
            self.rows += 1;
        }
    }

    /// Made-up rows: each feature from one of the bundle's own rows, drawn by chance.
    pub fn made_up(manifest: &Manifest, rows: usize) -> Self {
        let own: Vec<_> = manifest.background.iter().chain(&manifest.self_test.rows).collect();
        let mut random = 1;
        let mut column = |feature: usize| {
            let mut value = || {
                random = mix(random, 0x9e37_79b9_7f4a_7c15);
                let row = own.get((random % own.len().max(1) as u64) as usize);
                row.and_then(|row| row.get(feature)).copied().unwrap_or_default()
            };
            (0..rows).map(|_| value()).collect()
        };
        Self { columns: (0..manifest.features.len()).map(&mut column).collect(), rows }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Puts `count` rows from `from` on into `values`, one after the other.
    pub fn batch(&self, from: usize, count: usize, values: &mut Vec<f32>) {
        let width = self.columns.len();
        values.clear();
        values.resize(count * width, 0.0);
        for (at, column) in self.columns.iter().enumerate() {
            let cells = column.get(from..from + count).unwrap_or_default();
            for (row, cell) in values.chunks_exact_mut(width).zip(cells) {
                row[at] = *cell;
            }
        }
    }
}
