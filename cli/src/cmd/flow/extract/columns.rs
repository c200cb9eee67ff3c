//! Which columns are written, and from what.

use ganglion_extract::table::{Batch, Field, Kind, Selection};
use ganglion_extract::write::Spelling;
use ganglion_extract::{cicflowmeter, ganglion};
use serde_json::json;

use super::{ColumnSet, Extract, Profile};

/// The reference's column that others fill; `--labels` does.
const LABEL: &str = "Label";

/// Columns of the rows.
pub(super) struct Columns {
    pub(super) fields: Vec<Field>,
    /// How numbers and times are written as text.
    pub(super) spelling: Spelling,
    /// Of the profile's columns, where it is not all of them.
    selection: Option<Selection>,
    /// Columns of the set that the profile has no answer to.
    pub(super) left_out: Vec<&'static str>,
}

impl Columns {
    pub(super) fn of(
        profile: Profile,
        set: Option<ColumnSet>,
        options: &ganglion::Options,
    ) -> Result<Self, &'static str> {
        let whole = |fields, spelling| Self { fields, spelling, selection: None, left_out: Vec::new() };
        match (profile, set) {
            (Profile::Ganglion, None | Some(ColumnSet::Ganglion)) => {
                Ok(whole(ganglion::fields(options), Spelling::Shortest))
            }
            (Profile::Cicflowmeter, None | Some(ColumnSet::Cicflowmeter)) => {
                Ok(whole(cicflowmeter::fields(), Spelling::Java))
            }
            (Profile::Ganglion, Some(ColumnSet::Cicflowmeter)) => Ok(Self::by_reference(options)),
            (Profile::Cicflowmeter, Some(ColumnSet::Ganglion)) => Err(
                "--columns ganglion needs --profile ganglion: the cicflowmeter profile counts only what its reference \
                 counts; leave --profile out, or write --columns cicflowmeter",
            ),
        }
    }

    /// The reference's columns, as far as features answer to them.
    fn by_reference(options: &ganglion::Options) -> Self {
        let answers = ganglion::references(options);
        let (mut fields, mut selection, mut left_out) = (Vec::new(), Selection::default(), Vec::new());
        for (field, column) in cicflowmeter::fields().into_iter().zip(cicflowmeter::COLUMNS) {
            match answers.iter().position(|names| names.contains(&column.name)) {
                Some(place) => {
                    selection.add(place, field.kind);
                    fields.push(field);
                }
                None => left_out.push(column.name),
            }
        }
        Self { fields, spelling: Spelling::Java, selection: Some(selection), left_out }
    }

    /// The chosen columns of the profile's, where it is not all of them.
    pub(super) fn select(&self, batch: &Batch) -> Option<Batch> {
        self.selection.as_ref().map(|selection| selection.of(batch))
    }

    /// Columns that are not there, apart from the label, which is for `--labels` to fill.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        self.left_out.iter().copied().filter(|name| *name != LABEL).collect()
    }

    /// What a Parquet file says of itself.
    pub(super) fn about(&self, args: &Extract) -> [(&'static str, String); 2] {
        let profile = match args.profile {
            Profile::Ganglion => "ganglion",
            Profile::Cicflowmeter => "cicflowmeter",
        };
        let units = self.fields.iter().filter(|field| field.kind != Kind::Time && !field.unit.is_empty());
        let units: serde_json::Map<_, _> = units.map(|field| (field.name.to_string(), json!(field.unit))).collect();
        [("ganglion.profile", profile.to_owned()), ("ganglion.units", serde_json::Value::from(units).to_string())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_references_columns_of_the_ganglion_profile_stand_in_its_order() {
        let options = ganglion::Options::default();
        let columns = Columns::of(Profile::Ganglion, Some(ColumnSet::Cicflowmeter), &options).ok().unwrap();
        let all: Vec<_> = cicflowmeter::fields();
        let mut places = columns.fields.iter().map(|field| all.iter().position(|other| other == field));
        assert!(places.clone().all(|place| place.is_some()) && places.clone().is_sorted());
        assert_eq!(places.next(), Some(Some(0)));
        assert_eq!(columns.fields.len() + columns.left_out.len(), all.len());
        assert_eq!(columns.missing().len(), 4, "{:?}", columns.missing());
        assert!(Columns::of(Profile::Cicflowmeter, Some(ColumnSet::Ganglion), &options).is_err());
    }
}
