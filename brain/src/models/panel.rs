//! The judging thread's models: those that decide, and those one step back.

use super::card::{Card, seat_name};
use super::layout::{Layout, Seat};
use super::loader::Served;
use super::share::Share;
use super::vote::Vote;
use crate::model::{ModelError, Scores};
use crate::policy::{Decision, Head};
use ganglion_features::Row;
use std::sync::Arc;

/// Who decides from now on, and the models that it takes beside those that are loaded.
pub struct Change {
    /// Everybody.
    pub layout: Layout,
    /// Models that are not on the panel yet.
    pub fresh: Vec<Served>,
}

/// What came of a change.
pub struct Changed {
    /// It is in force.
    pub done: bool,
    /// Models that are needed no more; to be dropped elsewhere.
    pub retired: Vec<Served>,
}

/// A seat with its models' places on the panel.
struct Placed {
    members: Vec<usize>,
    vote: Option<Vote>,
    head: Head,
}

/// Who decides.
pub struct Panel {
    models: Vec<Served>,
    active: Placed,
    canary: Option<(Placed, Share)>,
}

/// One model's scores, and the rows they are of; all rows for `None`.
pub struct Said {
    /// Whose.
    pub card: Arc<Card>,
    /// The scores.
    pub scores: Scores,
    /// Numbers of the rows.
    pub rows: Option<Vec<usize>>,
}

/// The scores that decide about a row.
#[derive(Clone, Copy)]
pub struct Ruling<'a> {
    /// How they are read.
    pub head: &'a Head,
    /// The scores.
    pub scores: &'a Scores,
    /// The row's place in them.
    pub at: usize,
    /// The canary's.
    pub by_canary: bool,
}

/// Scores of a batch.
pub struct Outcome {
    active: (Head, Scores),
    /// By row, where in the canary's scores it stands.
    canary: Option<(Head, Scores, Vec<Option<usize>>)>,
    /// Model by model.
    pub said: Vec<Said>,
}

impl Outcome {
    /// The active seat's scores of all rows, and how they are read.
    pub fn active(&self) -> (&Head, &Scores) {
        (&self.active.0, &self.active.1)
    }

    /// What decides about a row. `None` when nobody gave numbers.
    pub fn of(&self, row: usize) -> Option<Ruling<'_>> {
        let by_canary = self.canary.as_ref().and_then(|(head, scores, places)| {
            let at = (*places.get(row)?)?;
            scores.is_finite(at).then_some(Ruling { head, scores, at, by_canary: true })
        });
        let (head, scores) = self.active();
        by_canary.or_else(|| scores.is_finite(row).then_some(Ruling { head, scores, at: row, by_canary: false }))
    }
}

impl Panel {
    /// The models of `layout`, all of which have to be among `models`; `None` when one is missing.
    pub fn new(layout: &Layout, models: Vec<Served>) -> Option<Self> {
        let place = |seat: &Seat| place(&models, seat);
        let active = place(&layout.now.active)?;
        let canary = match &layout.now.canary {
            Some((seat, share)) => Some((place(seat)?, Share::new(*share, &seat.first()?.digest))),
            None => None,
        };
        Some(Self { models, active, canary })
    }

    /// How the active seat's scores are read.
    pub fn head(&self) -> &Head {
        &self.active.head
    }

    /// Has it explained why `row` led to `decision`, by the seat that decided; of voters by the first that can.
    pub fn explain(&self, by_canary: bool, sensor_id: &str, decision: &Decision, row: &Row) {
        let canary = self.canary.as_ref().map(|(seat, _)| seat).filter(|_| by_canary);
        let members = &canary.unwrap_or(&self.active).members;
        let _ = members.iter().any(|member| self.models[*member].explain(sensor_id, decision, row));
    }

    /// Changes who decides. Takes no time: models come loaded, and go undropped.
    pub fn change(&mut self, change: Change) -> Changed {
        let keep = change.layout.on_the_panel();
        let mut models = std::mem::take(&mut self.models);
        let mut retired = Vec::new();
        for fresh in change.fresh {
            let is_new = !models.iter().any(|model| model.card().digest == fresh.card().digest);
            if is_new { models.push(fresh) } else { retired.push(fresh) }
        }
        let all_there = keep.iter().all(|card| models.iter().any(|model| model.card().digest == card.digest));
        if !all_there {
            self.models = models;
            return Changed { done: false, retired };
        }
        let (kept, gone): (Vec<_>, Vec<_>) =
            models.into_iter().partition(|model| keep.iter().any(|card| card.digest == model.card().digest));
        retired.extend(gone);
        match Self::new(&change.layout, kept) {
            Some(panel) => {
                *self = panel;
                Changed { done: true, retired }
            }
            // All models were found above.
            None => Changed { done: false, retired },
        }
    }

    /// Scores rows: all by the active seat, the canary's share by the canary too.
    ///
    /// # Errors
    /// When the active seat fails. A canary that fails leaves its rows to the active seat.
    pub fn score(&mut self, rows: &[Row]) -> Result<Outcome, ModelError> {
        let mut said = Vec::new();
        let scores = ask(&mut self.models, &self.active, rows, None, &mut said)?;
        let active = (self.active.head.clone(), scores);
        let canary = self.canary.as_ref().and_then(|(seat, share)| {
            let taken: Vec<usize> = (0..rows.len()).filter(|row| share.takes(&rows[*row].meta)).collect();
            if taken.is_empty() {
                return None;
            }
            let its_rows: Vec<Row> = taken.iter().map(|row| rows[*row].clone()).collect();
            match ask(&mut self.models, seat, &its_rows, Some(&taken), &mut said) {
                Ok(scores) => {
                    let mut places = vec![None; rows.len()];
                    taken.iter().enumerate().for_each(|(at, row)| places[*row] = Some(at));
                    Some((seat.head.clone(), scores, places))
                }
                Err(error) => {
                    tracing::error!(%error, canary = %seat.head.bundle, rows = taken.len(), "the canary failed");
                    None
                }
            }
        });
        Ok(Outcome { active, canary, said })
    }
}

fn place(models: &[Served], seat: &Seat) -> Option<Placed> {
    let find = |card: &Arc<Card>| models.iter().position(|model| model.card().digest == card.digest);
    let members = seat.iter().map(find).collect::<Option<Vec<_>>>()?;
    let (vote, head) = match seat.as_slice() {
        [] => return None,
        [one] => (None, one.head.clone()),
        many => {
            let heads: Vec<&Head> = many.iter().map(|card| &card.head).collect();
            let (vote, head) = Vote::of(&heads, &seat_name(many));
            (Some(vote), head)
        }
    };
    Some(Placed { members, vote, head })
}

/// Scores of a seat; each member's own go to `said`.
fn ask(
    models: &mut [Served],
    seat: &Placed,
    rows: &[Row],
    taken: Option<&Vec<usize>>,
    said: &mut Vec<Said>,
) -> Result<Scores, ModelError> {
    let mut each = Vec::new();
    for member in &seat.members {
        let model = &mut models[*member];
        let scores = model.score(rows)?;
        said.push(Said { card: Arc::clone(model.card()), scores: scores.clone(), rows: taken.cloned() });
        each.push(scores);
    }
    Ok(match &seat.vote {
        Some(vote) => vote.count(&each),
        None => each.pop().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::card::tests::named;
    use crate::models::loader::Score;
    use crate::models::vote::tests::flow;

    /// Says the same of every row.
    struct Fixed(Result<f32, ()>);

    impl Score for Fixed {
        fn score(&mut self, rows: &[Row]) -> Result<Scores, ModelError> {
            let dos = self.0.map_err(|()| ModelError::Onnx("sick".into()))?;
            let probabilities = rows.iter().flat_map(|_| [1.0 - dos, dos]).collect();
            Ok(Scores::of(probabilities, vec![0.0; rows.len()], 2))
        }
    }

    fn served(name: &str, says: Result<f32, ()>) -> Served {
        Served::new(Arc::new(named(name, &[])), Box::new(Fixed(says)))
    }

    fn rows(count: u32) -> Vec<Row> {
        (0..count).map(|n| flow(n, 80)).collect()
    }

    /// By row: who decides, and its probability of DoS.
    fn decided(outcome: &Outcome, rows: usize) -> Vec<(String, f32)> {
        let of = |row| {
            let ruling = outcome.of(row).unwrap();
            (ruling.head.bundle.to_string(), ruling.scores.probabilities(ruling.at)[1])
        };
        (0..rows).map(of).collect()
    }

    fn count(outcome: &Outcome, rows: usize, name: &str) -> usize {
        decided(outcome, rows).iter().filter(|(who, _)| who == name).count()
    }

    #[test]
    fn swap_canary_vote_and_back() {
        let (a, b) = (served("a", Ok(0.1)), served("b", Ok(0.9)));
        let (card_a, card_b) = (Arc::clone(a.card()), Arc::clone(b.card()));
        let first = Layout::new(vec![Arc::clone(&card_a)]).unwrap();
        let mut panel = Panel::new(&first, vec![a]).unwrap();
        let rows = rows(1_000);
        assert_eq!(count(&panel.score(&rows).unwrap(), 1_000, "a"), 1_000);

        let canary = first.with_canary(vec![Arc::clone(&card_b)], 0.2).unwrap();
        let changed = panel.change(Change { layout: canary.clone(), fresh: vec![b] });
        assert!(changed.done && changed.retired.is_empty());
        let outcome = panel.score(&rows).unwrap();
        let by_b = count(&outcome, 1_000, "b");
        assert!((150..250).contains(&by_b), "{by_b}");
        assert_eq!(decided(&outcome, 1_000), decided(&panel.score(&rows).unwrap(), 1_000), "the same sources again");
        assert!(decided(&outcome, 1_000).iter().all(|(who, dos)| (who == "b") == (*dos > 0.5)));
        assert_eq!((card_a.series.rows.get(), card_b.series.rows.get()), (3_000, 2 * by_b as u64));

        let used = canary.using(vec![Arc::clone(&card_b)]).unwrap();
        assert!(panel.change(Change { layout: used.clone(), fresh: vec![] }).done);
        assert_eq!(count(&panel.score(&rows).unwrap(), 1_000, "b"), 1_000);
        let back = used.rolled_back().unwrap();
        assert!(panel.change(Change { layout: back.clone(), fresh: vec![] }).done);
        assert_eq!(count(&panel.score(&rows).unwrap(), 1_000, "b"), by_b);

        let vote = back.using(vec![card_a, card_b]).unwrap();
        assert!(panel.change(Change { layout: vote, fresh: vec![] }).done);
        let outcome = panel.score(&rows).unwrap();
        assert_eq!(outcome.said.len(), 2);
        let all = decided(&outcome, 1_000);
        assert!(all.iter().all(|(who, dos)| who == "vote(a, b)" && (dos - 0.5).abs() < 1e-6));
    }

    #[test]
    fn a_sick_canary_costs_no_row() {
        let (a, sick, nan) = (served("a", Ok(0.1)), served("sick", Err(())), served("nan", Ok(f32::NAN)));
        let (sick_card, nan_card) = (Arc::clone(sick.card()), Arc::clone(nan.card()));
        let first = Layout::new(vec![Arc::clone(a.card())]).unwrap();
        let layout = first.with_canary(vec![Arc::clone(&sick_card)], 0.5).unwrap();
        let mut panel = Panel::new(&layout, vec![a, sick]).unwrap();
        let rows = rows(100);
        assert_eq!(count(&panel.score(&rows).unwrap(), 100, "a"), 100);
        assert_eq!(sick_card.series.failures.get(), 1);
        let layout = first.with_canary(vec![nan_card], 0.5).unwrap();
        let changed = panel.change(Change { layout, fresh: vec![nan] });
        assert!(changed.done && changed.retired.len() == 1, "the sick one goes");
        assert_eq!(count(&panel.score(&rows).unwrap(), 100, "a"), 100);
    }

    #[test]
    fn a_change_without_its_model_changes_nothing() {
        let (a, b) = (served("a", Ok(0.1)), served("b", Ok(0.9)));
        let layout = Layout::new(vec![Arc::clone(a.card())]).unwrap();
        let mut panel = Panel::new(&layout, vec![a]).unwrap();
        let other = layout.using(vec![Arc::clone(b.card())]).unwrap();
        assert!(!panel.change(Change { layout: other, fresh: vec![] }).done);
        assert_eq!(count(&panel.score(&rows(10)).unwrap(), 10, "a"), 10);
    }
}
