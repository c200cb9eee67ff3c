//! Who decides, who only watches, and what was before: pure bookkeeping, no model is touched.

use super::card::{Card, seat_name};
use super::{SHADOWS, VOTERS};
use std::sync::Arc;

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing named.
    #[error("no bundle named")]
    Nobody,
    /// Too many in one seat.
    #[error("{0} bundles for one vote, at most {VOTERS} may vote")]
    Voters(usize),
    /// A vote with a model twice.
    #[error("{0} stands twice in one vote")]
    Twice(String),
    /// A vote needs comparable anomaly scores.
    #[error("{0} can't vote: its anomaly threshold is not above zero, so its scores can't be weighed with others'")]
    Threshold(String),
    /// What is asked for is so.
    #[error("{0} decides already")]
    Decides(String),
    /// A shadow that is one already.
    #[error("{0} is a shadow already")]
    IsShadow(String),
    /// Too many shadows.
    #[error("{SHADOWS} shadows are the most; take one away first (`ganglion model shadow --off BUNDLE`)")]
    Shadows,
    /// Nothing to take away.
    #[error("{0} is no shadow")]
    NoShadow(String),
    /// No canary to take away.
    #[error("there is no canary")]
    NoCanary,
    /// A share off limits.
    #[error("a canary's share lies above 0 % and below 100 %; to decide for all there is `ganglion model use`")]
    Share,
    /// No change to undo.
    #[error("nothing to go back to: no change of who decides since the start, or the last one was undone already")]
    NoPrevious,
}

/// One model, or several that vote.
pub type Seat = Vec<Arc<Card>>;

/// Who decides.
#[derive(Clone)]
pub struct Deciders {
    /// For all sources but the canary's.
    pub active: Seat,
    /// Instead of the active seat, for a share of the sources.
    pub canary: Option<(Seat, f64)>,
}

/// Everybody.
#[derive(Clone)]
pub struct Layout {
    /// Who decides now.
    pub now: Deciders,
    /// Who decided before the last change.
    pub previous: Option<Deciders>,
    /// Who scores and never acts.
    pub shadows: Seat,
}

impl Deciders {
    /// All models among them, each once.
    pub fn models(&self) -> Seat {
        let canary = self.canary.iter().flat_map(|(seat, _)| seat);
        distinct(self.active.iter().chain(canary))
    }

    /// "id version" of who is active.
    pub fn name(&self) -> String {
        seat_name(&self.active)
    }

    /// Where who is active runs.
    pub fn provider(&self) -> &'static str {
        self.active.first().map_or("", |card| card.provider)
    }
}

impl Layout {
    /// One seat, nobody else.
    ///
    /// # Errors
    /// When the seat can't vote.
    pub fn new(active: Seat) -> Result<Self, Refusal> {
        check(&active)?;
        Ok(Self { now: Deciders { active, canary: None }, previous: None, shadows: Seat::new() })
    }

    /// `seat` decides for all from now on; a canary ends with what it was held against.
    ///
    /// # Errors
    /// When it decides already, or can't vote.
    pub fn using(&self, seat: Seat) -> Result<Self, Refusal> {
        check(&seat)?;
        if same(&seat, &self.now.active) && self.now.canary.is_none() {
            return Err(Refusal::Decides(seat_name(&seat)));
        }
        Ok(self.deciding(Deciders { active: seat, canary: None }))
    }

    /// `seat` decides for a share of the sources from now on.
    ///
    /// # Errors
    /// When the seat is the active one, can't vote, or the share is none.
    pub fn with_canary(&self, seat: Seat, share: f64) -> Result<Self, Refusal> {
        check(&seat)?;
        if !(share > 0.0 && share < 1.0) {
            return Err(Refusal::Share);
        }
        if same(&seat, &self.now.active) {
            return Err(Refusal::Decides(seat_name(&seat)));
        }
        Ok(self.deciding(Deciders { active: self.now.active.clone(), canary: Some((seat, share)) }))
    }

    /// The canary decides no more.
    ///
    /// # Errors
    /// When there is none.
    pub fn without_canary(&self) -> Result<Self, Refusal> {
        match self.now.canary {
            Some(_) => Ok(self.deciding(Deciders { active: self.now.active.clone(), canary: None })),
            None => Err(Refusal::NoCanary),
        }
    }

    /// As before the last change of who decides.
    ///
    /// # Errors
    /// When there was none, or it was undone.
    pub fn rolled_back(&self) -> Result<Self, Refusal> {
        let now = self.previous.clone().ok_or(Refusal::NoPrevious)?;
        Ok(Self { now, previous: None, shadows: self.shadows.clone() }.tidy())
    }

    /// `card` scores and never acts.
    ///
    /// # Errors
    /// When it decides, is one already, or there are too many.
    pub fn with_shadow(&self, card: Arc<Card>) -> Result<Self, Refusal> {
        if holds(&self.now.models(), &card) {
            return Err(Refusal::Decides(card.name.clone()));
        }
        if holds(&self.shadows, &card) {
            return Err(Refusal::IsShadow(card.name.clone()));
        }
        if self.shadows.len() >= SHADOWS {
            return Err(Refusal::Shadows);
        }
        let mut next = self.clone();
        next.shadows.push(card);
        Ok(next)
    }

    /// Without this shadow, named by id, "id version" or folder; without all for `None`.
    ///
    /// # Errors
    /// When there is no such shadow.
    pub fn without_shadow(&self, name: Option<&str>) -> Result<Self, Refusal> {
        let mut next = self.clone();
        let is_it = |card: &Card| {
            name.is_none_or(|name| {
                card.name == name || card.name.split(' ').next() == Some(name) || card.folder.as_os_str() == name
            })
        };
        next.shadows.retain(|card| !is_it(card));
        if next.shadows.len() == self.shadows.len() {
            return Err(Refusal::NoShadow(name.unwrap_or("anybody").into()));
        }
        Ok(next)
    }

    /// All models that decide or decided before: what the judging thread keeps.
    pub fn on_the_panel(&self) -> Seat {
        let previous = self.previous.as_ref().map(Deciders::models).unwrap_or_default();
        distinct(self.now.models().iter().chain(&previous))
    }

    /// A loaded model with this digest.
    pub fn find(&self, digest: &str) -> Option<Arc<Card>> {
        self.on_the_panel().iter().chain(&self.shadows).find(|card| card.digest == digest).cloned()
    }

    fn deciding(&self, now: Deciders) -> Self {
        Self { now, previous: Some(self.now.clone()), shadows: self.shadows.clone() }.tidy()
    }

    /// Who decides is no shadow.
    fn tidy(mut self) -> Self {
        let models = self.now.models();
        self.shadows.retain(|card| !holds(&models, card));
        self
    }
}

fn check(seat: &Seat) -> Result<(), Refusal> {
    match seat.as_slice() {
        [] => Err(Refusal::Nobody),
        [_] => Ok(()),
        many if many.len() > VOTERS => Err(Refusal::Voters(many.len())),
        many => {
            if let Some(weak) = many.iter().find(|card| card.head.anomaly <= 0.0) {
                return Err(Refusal::Threshold(weak.name.clone()));
            }
            let twice = many.iter().enumerate().find(|(at, card)| holds(&many[..*at], card));
            twice.map_or(Ok(()), |(_, card)| Err(Refusal::Twice(card.name.clone())))
        }
    }
}

fn holds(seat: &[Arc<Card>], card: &Card) -> bool {
    seat.iter().any(|other| other.digest == card.digest)
}

fn same(a: &Seat, b: &Seat) -> bool {
    a.len() == b.len() && a.iter().all(|card| holds(b, card))
}

fn distinct<'a>(cards: impl Iterator<Item = &'a Arc<Card>>) -> Seat {
    let mut seat = Seat::new();
    for card in cards {
        if !holds(&seat, card) {
            seat.push(Arc::clone(card));
        }
    }
    seat
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::card::tests::named;

    fn card(name: &str) -> Arc<Card> {
        Arc::new(named(name, &[]))
    }

    fn shown(layout: &Layout) -> String {
        let canary = layout.now.canary.as_ref().map(|(seat, share)| format!(" canary {} {share}", seat_name(seat)));
        let previous = layout.previous.as_ref().map(|before| format!(" before {}", before.name()));
        let shadows: Vec<_> = layout.shadows.iter().map(|card| card.name.as_str()).collect();
        format!("{}{}{} {shadows:?}", layout.now.name(), canary.unwrap_or_default(), previous.unwrap_or_default())
    }

    #[test]
    fn one_step_back_undoes_whatever_decided_last() {
        let (a, b, c) = (card("a"), card("b"), card("c"));
        let first = Layout::new(vec![a]).unwrap();
        assert_eq!(first.rolled_back().err(), Some(Refusal::NoPrevious));
        let used = first.using(vec![b.clone()]).unwrap();
        assert_eq!(shown(&used), "b before a []");
        let canary = used.with_canary(vec![c.clone()], 0.05).unwrap();
        assert_eq!(shown(&canary), "b canary c 0.05 before b []");
        assert_eq!(shown(&canary.rolled_back().unwrap()), "b []");
        assert_eq!(shown(&canary.without_canary().unwrap()), "b before b []");
        // What the canary was held against comes back with it.
        let promoted = canary.using(vec![c]).unwrap();
        assert_eq!(shown(&promoted), "c before b []");
        let back = promoted.rolled_back().unwrap();
        assert_eq!(shown(&back), "b canary c 0.05 []");
        assert_eq!(back.rolled_back().err(), Some(Refusal::NoPrevious));
        assert_eq!(promoted.on_the_panel().len(), 2, "the first model is let go");
        assert_eq!(used.using(vec![b]).err(), Some(Refusal::Decides("b".into())));
    }

    #[test]
    fn shadows_are_few_and_decide_nothing() {
        let (a, b) = (card("a"), card("b"));
        let layout = Layout::new(vec![a.clone()]).unwrap();
        assert_eq!(layout.with_shadow(a).err(), Some(Refusal::Decides("a".into())));
        let shadowed = layout.with_shadow(b.clone()).unwrap();
        assert_eq!(shadowed.with_shadow(b.clone()).err(), Some(Refusal::IsShadow("b".into())));
        assert_eq!(shown(&shadowed.using(vec![b]).unwrap()), "b before a []", "promoted, so no shadow any more");
        assert_eq!(shown(&shadowed.without_shadow(Some("b")).unwrap()), "a []");
        assert_eq!(shadowed.without_shadow(Some("x")).err(), Some(Refusal::NoShadow("x".into())));
        let mut full = layout;
        for n in 0..SHADOWS {
            full = full.with_shadow(card(&format!("s{n}"))).unwrap();
        }
        assert_eq!(full.with_shadow(card("more")).err(), Some(Refusal::Shadows));
        assert!(full.without_shadow(None).unwrap().shadows.is_empty());
    }

    #[test]
    fn votes_and_shares_are_checked() {
        let (a, b) = (card("a"), card("b"));
        let layout = Layout::new(vec![a.clone(), b.clone()]).unwrap();
        assert_eq!(shown(&layout), "vote(a, b) []");
        assert_eq!(layout.using(vec![b.clone(), a.clone()]).err(), Some(Refusal::Decides("vote(b, a)".into())));
        assert_eq!(Layout::new(vec![a.clone(), a.clone()]).err(), Some(Refusal::Twice("a".into())));
        assert_eq!(Layout::new(vec![]).err(), Some(Refusal::Nobody));
        assert_eq!(Layout::new((0..6).map(|n| card(&n.to_string())).collect()).err(), Some(Refusal::Voters(6)));
        let mut weak = named("w", &[]);
        weak.head.anomaly = 0.0;
        assert_eq!(Layout::new(vec![a, Arc::new(weak)]).err(), Some(Refusal::Threshold("w".into())));
        for share in [0.0, 1.0, -1.0, f64::NAN] {
            assert_eq!(layout.with_canary(vec![b.clone()], share).err(), Some(Refusal::Share));
        }
        assert_eq!(layout.without_canary().err(), Some(Refusal::NoCanary));
    }
}
