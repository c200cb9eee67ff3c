//! What a model says of rows.

/// Scores of a batch.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    probabilities: Vec<f32>,
    anomaly: Vec<f32>,
    classes: usize,
}

impl Scores {
    /// Scores as a model would give them: `probabilities` row by row, `classes` each.
    pub fn of(probabilities: Vec<f32>, anomaly: Vec<f32>, classes: usize) -> Self {
        Self { probabilities, anomaly, classes }
    }

    /// Rows scored.
    pub fn rows(&self) -> usize {
        self.anomaly.len()
    }

    /// Probabilities of a row, in the order of the model's classes.
    pub fn probabilities(&self, row: usize) -> &[f32] {
        self.probabilities.get(row * self.classes..(row + 1) * self.classes).unwrap_or_default()
    }

    /// Anomaly score of a row.
    pub fn anomaly(&self, row: usize) -> f32 {
        self.anomaly.get(row).copied().unwrap_or(f32::NAN)
    }

    /// The column with the highest probability of a row.
    pub fn likeliest(&self, row: usize) -> Option<usize> {
        let probabilities = self.probabilities(row).iter().enumerate();
        // Of equals the first, as everywhere in the trainer.
        probabilities.rev().max_by(|a, b| a.1.total_cmp(b.1)).map(|(column, _)| column)
    }

    /// Whether all of a row's scores are numbers.
    pub fn is_finite(&self, row: usize) -> bool {
        self.anomaly(row).is_finite() && self.probabilities(row).iter().all(|p| p.is_finite())
    }

    /// No rows; the memory stays.
    pub fn clear(&mut self) {
        self.probabilities.clear();
        self.anomaly.clear();
    }

    pub(super) fn extend(&mut self, probabilities: &[f32], anomaly: &[f32], classes: usize) {
        self.probabilities.extend_from_slice(probabilities);
        self.anomaly.extend_from_slice(anomaly);
        self.classes = classes;
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.extend(&other.probabilities, &other.anomaly, other.classes);
    }
}
