//! Rows of a table as a model reads them: streamed, a few thousand at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ganglion_brain::bundle::Manifest;
use ganglion_brain::eval::{Columns, Headers};
use ganglion_extract::read::Reader;
use ganglion_extract::table::{Batch, Cells, Kind, Texts};
use ganglion_features::cicflowmeter::{find, place, plain};

use crate::exit::{Error, Result};

/// Names standard input in place of a file.
const STANDARD: &str = "-";
/// Where labels usually stand.
const LABEL: &str = "Label";
/// Cells shown of a column of the wrong type.
const SHOWN: usize = 2;

/// Rows that can be scored.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Row by row.
    pub(super) values: Vec<f32>,
    /// Of each of these rows; empty without a label column.
    pub(super) labels: Vec<String>,
    /// How many there are.
    pub(super) rows: usize,
    /// Rows of the table that are not among them, by reason.
    pub(super) dropped: BTreeMap<&'static str, u64>,
}

/// A table on its way to a model.
pub(super) struct TableRows {
    path: PathBuf,
    reader: Reader,
    features: Vec<String>,
    /// By input: the place among the columns that are read.
    places: Vec<Option<usize>>,
    label: Option<(usize, String)>,
    headers: Headers,
    checked: bool,
}

impl TableRows {
    /// Opens a table and finds the inputs of a bundle in it. `label` is the label column: `Some(None)` is the usual one.
    pub(super) fn open(path: &Path, manifest: &Manifest, label: Option<Option<&str>>) -> Result<Self> {
        let wrong = |why: &dyn std::fmt::Display| Error::Usage(format!("{}: {why}", path.display()));
        let opened = match path.as_os_str() == STANDARD {
            true => Reader::from_reader(std::io::stdin()),
            false => Reader::open(path),
        };
        let mut reader = opened.map_err(|error| wrong(&error))?;
        let names: Vec<String> = reader.fields().iter().map(|field| field.name.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let label = label.map(|asked| label_column(asked, &names)).transpose().map_err(|error| wrong(&error))?;
        let columns = Columns::of(manifest, &names).map_err(|error| wrong(&error))?;
        let mut chosen: Vec<usize> = columns.places.iter().flatten().copied().collect();
        chosen.extend(label);
        chosen.sort_unstable();
        chosen.dedup();
        let to = |place: usize| chosen.iter().position(|at| *at == place);
        let places = columns.places.iter().map(|place| place.and_then(to)).collect();
        let label = label.and_then(|at| Some((to(at)?, names[at].to_owned())));
        reader.choose(&chosen);
        let (features, headers) = (manifest.features.clone(), Headers::of(&manifest.features));
        Ok(Self { path: path.to_owned(), reader, features, places, label, headers, checked: false })
    }

    /// Inputs that are 0 in every row, because only SOURCE records have them.
    pub(super) fn absent(&self) -> usize {
        self.places.iter().filter(|place| place.is_none()).count()
    }

    /// The number of rows, where it is known.
    pub(super) fn count(&self) -> Option<u64> {
        self.reader.rows()
    }

    /// The next rows; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Chunk>> {
        let failed = |error| Error::Failed(format!("{}: {error}", self.path.display()));
        let Some(batch) = self.reader.batch().map_err(failed)? else { return Ok(None) };
        if !self.checked {
            self.types(&batch)?;
            self.checked = true;
        }
        Ok(Some(self.chunk(&batch)))
    }

    /// Finds columns that hold no numbers, all of them.
    fn types(&self, batch: &Batch) -> Result<()> {
        let wrong = self.features.iter().zip(&self.places).filter_map(|(feature, place)| {
            let what = no_numbers(&batch.columns[(*place)?])?;
            Some(format!("\"{}\" (for {feature}) holds {what}", self.reader.fields()[(*place)?].name))
        });
        let wrong: Vec<_> = wrong.collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let path = self.path.display();
        Err(Error::Usage(format!("{path}: columns of the wrong type, numbers are needed: {}", wrong.join("; "))))
    }

    fn chunk(&self, batch: &Batch) -> Chunk {
        let width = self.places.len();
        let mut values = vec![0.0_f32; batch.rows * width];
        let mut why: Vec<Option<&'static str>> = vec![None; batch.rows];
        for (input, place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            each_number(&batch.columns[*place], |row, cell| match cell {
                Ok(number) => {
                    values[row * width + input] = number.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
                }
                Err(reason) => {
                    why[row].get_or_insert(reason);
                }
            });
        }
        let labels = self.label.as_ref().map(|(place, name)| (texts(&batch.columns[*place]), name));
        let mut chunk = Chunk { rows: 0, ..Chunk::default() };
        for (row, mut why) in why.into_iter().enumerate() {
            let label = labels.as_ref().map(|(texts, name)| (texts.get(row).trim(), name));
            // Files that were put together have the header line in their middle.
            if label.is_some_and(|(text, name)| text == name.trim()) {
                why = Some("repeated_header");
            } else if label.is_some_and(|(text, _)| text.is_empty()) {
                why = Some("no_label");
            }
            if let Some(reason) = why {
                *chunk.dropped.entry(reason).or_default() += 1;
                continue;
            }
            let from = chunk.values.len();
            chunk.values.extend_from_slice(&values[row * width..(row + 1) * width]);
            self.headers.mend(&mut chunk.values[from..]);
            chunk.labels.extend(label.map(|(text, _)| text.to_owned()));
            chunk.rows += 1;
        }
        chunk
    }
}

fn label_column(asked: Option<&str>, names: &[&str]) -> std::result::Result<usize, String> {
    let found = match (asked, find(LABEL)) {
        (Some(asked), _) => names.iter().position(|name| *name == asked || plain(name) == plain(asked)),
        (None, Some(usual)) => place(usual, names.iter().copied()),
        (None, None) => None,
    };
    found.ok_or_else(|| {
        let known: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
        format!(
            "no label column \"{}\"; name the one that it is with --label-column; the table has {}",
            asked.unwrap_or(LABEL),
            known.join(", ")
        )
    })
}

/// What a column holds instead of numbers.
fn no_numbers(cells: &Cells) -> Option<String> {
    match cells {
        Cells::Time(_) => Some("points in time".into()),
        Cells::Int(_) | Cells::Float(_) | Cells::FloatOrWhole { .. } => None,
        Cells::Text(texts) => {
            let words: Vec<_> = texts.iter().map(str::trim).filter(|text| !text.is_empty()).collect();
            if words.is_empty() || words.iter().any(|text| text.parse::<f64>().is_ok()) {
                return None;
            }
            let shown: Vec<_> = words.iter().take(SHOWN).map(|text| format!("{text:?}")).collect();
            Some(format!("text, as {}", shown.join(", ")))
        }
    }
}

/// Every cell as a number, or why it is none.
fn each_number(cells: &Cells, mut each: impl FnMut(usize, std::result::Result<f64, &'static str>)) {
    let finite = |number: f64| match number {
        number if number.is_nan() => Err("nan"),
        number if number.is_infinite() => Err("infinite"),
        number => Ok(number),
    };
    match cells {
        Cells::Int(cells) | Cells::Time(cells) => {
            cells.iter().enumerate().for_each(|(row, cell)| each(row, Ok(*cell as f64)));
        }
        Cells::Float(values) | Cells::FloatOrWhole { values, .. } => {
            values.iter().enumerate().for_each(|(row, cell)| each(row, finite(*cell)));
        }
        Cells::Text(texts) => texts.iter().enumerate().for_each(|(row, text)| {
            let text = text.trim();
            let cell = match text.parse::<f64>() {
                Ok(number) => finite(number),
                Err(_) if text.is_empty() => Err("missing"),
                Err(_) => Err("no_number"),
            };
            each(row, cell);
        }),
    }
}

/// Labels as text, whatever the column holds.
fn texts(cells: &Cells) -> std::borrow::Cow<'_, Texts> {
    use std::borrow::Cow;
    let mut texts = Texts::default();
    match cells {
        Cells::Text(texts) => return Cow::Borrowed(texts),
        Cells::Int(cells) | Cells::Time(cells) => cells.iter().for_each(|cell| texts.push(&cell.to_string())),
        Cells::Float(cells) | Cells::FloatOrWhole { values: cells, .. } => {
            cells.iter().for_each(|cell| texts.push(&if cell.is_nan() { String::new() } else { cell.to_string() }));
        }
    }
    debug_assert_ne!(cells.kind(), Kind::Text);
    Cow::Owned(texts)
}
