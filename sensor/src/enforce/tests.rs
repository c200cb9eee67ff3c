use super::*;
use crate::target::parse_addr;
use ganglion_flow::Wire;
use ganglion_flow::rules::Action;
use proptest::prelude::*;

/// Maps of this process; checks the rules that hold between settings and entries.
#[derive(Default)]
struct Fake {
    rules: HashMap<Target, Rule>,
    exempt: HashMap<Exemption, u32>,
    notes: HashMap<Target, [u8; note::VALUE]>,
    settings: Option<Settings>,
    full: bool,
}

fn full() -> MapError {
    MapError::IoError(std::io::Error::from_raw_os_error(libc::E2BIG))
}

impl RuleMaps for Fake {
    fn put(&mut self, target: &Target, rule: &Rule) -> Result<(), MapError> {
        if self.full {
            return Err(full());
        }
        self.rules.insert(*target, *rule);
        Ok(())
    }

    fn delete(&mut self, target: &Target) -> Result<bool, MapError> {
        Ok(self.rules.remove(target).is_some())
    }

    fn rules(&self) -> Result<Vec<(Target, Rule)>, MapError> {
        Ok(self.rules.iter().map(|(t, r)| (*t, *r)).collect())
    }

    fn exempt(&mut self, exemption: &Exemption, origin: u32) -> Result<(), MapError> {
        self.exempt.insert(*exemption, origin);
        Ok(())
    }

    fn unexempt(&mut self, exemption: &Exemption) -> Result<bool, MapError> {
        Ok(self.exempt.remove(exemption).is_some())
    }

    fn exemptions(&self) -> Result<Vec<(Exemption, u32)>, MapError> {
        Ok(self.exempt.iter().map(|(e, o)| (*e, *o)).collect())
    }

    fn clear_slot(&mut self, _: u32) -> Result<(), MapError> {
        Ok(())
    }

    fn note(&mut self, target: &Target, note: &Note) -> Result<(), MapError> {
        if self.full {
            return Err(full());
        }
        self.notes.insert(*target, note.encode());
        Ok(())
    }

    fn forget(&mut self, target: &Target) -> Result<(), MapError> {
        self.notes.remove(target).map(drop).ok_or(MapError::KeyNotFound)
    }

    fn notes(&self) -> Result<HashMap<Target, Note>, MapError> {
        Ok(self.notes.iter().filter_map(|(t, n)| Some((*t, Note::decode(n)?))).collect())
    }

    fn hits(&self, _: u32) -> Result<RuleHits, MapError> {
        Ok(RuleHits::ZERO)
    }

    fn write_settings(&mut self, settings: &Settings) -> Result<(), MapError> {
        self.settings = Some(*settings);
        Ok(())
    }
}

fn enforcer(slots: u32) -> Enforcer<Fake> {
    Enforcer::restore(Fake::default(), Settings::new(1, 1, 0), slots).unwrap()
}

fn request(addr: &str, ttl_ms: u64, author: Author) -> Request {
    Request {
        target: Target::Address(parse_addr(addr).unwrap()),
        action: Action::Drop,
        ttl_ms,
        limit: 0,
        class: u8::from(author == Author::Verdict) * 4,
        reason: "test".into(),
        verdict_id: "v".into(),
        author,
    }
}

fn flags(enforcer: &Enforcer<Fake>) -> u64 {
    enforcer.settings.flags
}

#[test]
fn what_is_configured_stays_whatever_rules_come_and_go() {
    let settings = Settings { flags: flag::CONFIGURED, ..Settings::new(1, 1, 0) };
    let mut e = Enforcer::restore(Fake::default(), settings, 8).unwrap();
    assert_eq!(flags(&e), flag::CONFIGURED);
    let block = request("198.18.0.5", 60_000, Author::Verdict);
    e.apply(block.clone()).unwrap();
    assert_eq!(flags(&e), flag::CONFIGURED | flag::BLOCKS);
    e.remove(&block.target).unwrap();
    assert_eq!(flags(&e), flag::CONFIGURED);
}

#[test]
fn the_flag_follows_the_entries() {
    let mut e = enforcer(8);
    assert_eq!(flags(&e) & flag::BLOCKS, 0);
    let block = request("198.18.0.5", 60_000, Author::Verdict);
    e.apply(block.clone()).unwrap();
    assert_ne!(flags(&e) & flag::BLOCKS, 0);
    assert!(e.remove(&block.target).unwrap());
    assert_eq!(flags(&e) & flag::BLOCKS, 0);
    assert!(!e.remove(&block.target).unwrap());
}

#[test]
fn a_verdict_renews_but_never_shortens_and_never_replaces_a_person() {
    let mut e = enforcer(8);
    e.apply(request("198.18.0.5", 60_000, Author::Verdict)).unwrap();
    let long = e.maps.rules.values().next().unwrap().expires_ns;
    e.apply(request("198.18.0.5", 1_000, Author::Verdict)).unwrap();
    assert_eq!(e.maps.rules.values().next().unwrap().expires_ns, long);
    e.apply(request("198.18.0.5", 0, Author::Operator)).unwrap();
    assert!(!e.apply(request("198.18.0.5", 1_000, Author::Verdict)).unwrap());
    assert_eq!(e.maps.rules.values().next().unwrap().expires_ns, FOR_EVER);
    assert_eq!(e.len(), 1);
}

#[test]
fn slots_run_out_with_a_clear_error_and_come_back() {
    let mut e = enforcer(1);
    e.apply(request("198.18.0.5", 1_000, Author::Verdict)).unwrap();
    let error = e.apply(request("198.18.0.6", 1_000, Author::Verdict)).unwrap_err();
    assert!(error.to_string().contains("tables.rules"), "{error}");
    e.remove(&Target::Address(parse_addr("198.18.0.5").unwrap())).unwrap();
    e.maps.full = true;
    assert!(e.apply(request("198.18.0.6", 1_000, Author::Verdict)).is_err());
    e.maps.full = false;
    e.apply(request("198.18.0.6", 1_000, Author::Verdict)).unwrap();
}

#[test]
fn verdicts_leave_slots_to_people() {
    let mut e = enforcer(64);
    for host in 0..63 {
        e.apply(request(&format!("198.18.0.{host}"), 1_000, Author::Verdict)).unwrap();
    }
    assert!(matches!(e.apply(request("198.18.1.1", 1_000, Author::Verdict)), Err(EnforceError::NoSlot(64))));
    e.apply(request("198.18.0.7", 2_000, Author::Verdict)).unwrap();
    e.apply(request("198.18.1.1", 0, Author::Operator)).unwrap();
}

#[test]
fn a_restart_finds_everything_again() {
    let mut e = enforcer(8);
    e.apply(request("198.18.0.5", 60_000, Author::Verdict)).unwrap();
    e.apply(request("198.18.0.6", 0, Author::Operator)).unwrap();
    e.allow(Exemption::Network("198.18.9.0/24".parse().unwrap()), "ours".into()).unwrap();
    let again = Enforcer::restore(e.maps, Settings::new(1, 1, 0), 8).unwrap();
    assert_eq!(again.len(), 2);
    assert_eq!(flags(&again) & (flag::BLOCKS | flag::ALLOW_NETS), flag::BLOCKS | flag::ALLOW_NETS);
    let person = again.get(&Target::Address(parse_addr("198.18.0.6").unwrap())).unwrap().0;
    assert_eq!(person.author, Author::Operator);
}

/// A limit on new flows is one of the rules whose class the kernel's map does not hold.
fn limit(addr: &str) -> Request {
    let target = Target::NewFlows(parse_addr(addr).unwrap());
    let verdict = request(addr, 60_000, Author::Verdict);
    Request { target, action: Action::RateLimit, limit: 100, class: 2, reason: "ddos".into(), ..verdict }
}

/// The maps of limits have no class.
fn as_in_the_kernel(mut maps: Fake) -> Fake {
    let limits = maps.rules.iter_mut().filter(|(target, _)| matches!(target, Target::NewFlows(_)));
    limits.for_each(|(_, rule)| rule.class = 0);
    maps
}

#[test]
fn a_restart_keeps_reasons_ids_classes_and_authors() {
    let mut e = enforcer(8);
    let limit = limit("198.18.0.1");
    let person = Request { reason: "x".repeat(1_000), ..request("198.18.0.6", 0, Author::Operator) };
    let asked = [request("198.18.0.5", 60_000, Author::Verdict), limit.clone(), person];
    asked.clone().into_iter().for_each(|request| assert!(e.apply(request).unwrap()));
    let before = e.rules.clone();
    let person = &before[&asked[2].target];
    assert!(person.reason.len() <= note::REASON_BYTES && person.reason.ends_with('…'));
    let again = Enforcer::restore(as_in_the_kernel(e.maps), Settings::new(1, 1, 0), 8).unwrap();
    assert_eq!(again.rules, before);

    // Tables of another size: the rules come one by one.
    let mut maps = as_in_the_kernel(again.maps);
    let old = maps.rules.drain().collect();
    let mut moved = Enforcer::restore(maps, Settings::new(1, 1, 0), 16).unwrap();
    moved.adopt(old, Vec::new());
    let found = moved.get(&limit.target).unwrap().0;
    assert_eq!((found.rule.class, found.reason.as_str(), found.verdict_id.as_str()), (2, "ddos", "v"));
}

#[test]
fn notes_come_and_go_with_their_rules() {
    let mut e = enforcer(8);
    let verdict = request("198.18.0.5", 60_000, Author::Verdict);
    e.apply(verdict.clone()).unwrap();
    e.apply(limit("198.18.0.1")).unwrap();
    e.remove(&verdict.target).unwrap();
    assert_eq!(e.maps.notes.len(), 1);
    e.maps.rules.clear();
    let mut again = Enforcer::restore(e.maps, Settings::new(1, 1, 0), 8).unwrap();
    again.adopt(Vec::new(), Vec::new());
    assert!(again.maps.notes.is_empty(), "no rule, no note");
}

#[test]
fn a_note_of_another_rule_or_of_nobody_explains_nothing() {
    let mut e = enforcer(8);
    let verdict = request("198.18.0.5", 60_000, Author::Verdict);
    e.apply(verdict.clone()).unwrap();
    for wrong in
        [Note { class: 9, ..Note::decode(&e.maps.notes[&verdict.target]).unwrap() }.encode(), [255; note::VALUE]]
    {
        e.maps.notes.insert(verdict.target, wrong);
        let again = Enforcer::restore(e.maps, Settings::new(1, 1, 0), 8).unwrap();
        let found = again.get(&verdict.target).unwrap().0;
        assert_eq!((found.rule.class, found.author, found.verdict_id.as_str()), (4, Author::Verdict, ""));
        e = again;
    }
    assert!(matches!(e.apply(Request { verdict_id: "v".repeat(41), ..verdict }), Err(EnforceError::Invalid(_))));
}

#[test]
fn expired_rules_go_and_their_slots_return() {
    let mut e = enforcer(1);
    e.apply(request("198.18.0.5", 1, Author::Verdict)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(e.expire(10), 1);
    assert_eq!((e.len(), e.maps.rules.len()), (0, 0));
    e.apply(request("198.18.0.6", 1_000, Author::Verdict)).unwrap();
}

#[test]
fn a_rule_that_was_renewed_or_removed_does_not_end_by_its_former_time() {
    let mut e = enforcer(2);
    e.apply(request("198.18.0.5", 1, Author::Verdict)).unwrap();
    e.apply(request("198.18.0.5", 60_000, Author::Verdict)).unwrap();
    e.apply(request("198.18.0.6", 1, Author::Verdict)).unwrap();
    e.remove(&request("198.18.0.6", 1, Author::Verdict).target).unwrap();
    e.apply(request("198.18.0.6", 0, Author::Operator)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!((e.expire(10), e.len()), (0, 2));
}

#[test]
fn a_restart_knows_when_rules_end() {
    let mut e = enforcer(2);
    e.apply(request("198.18.0.5", 50, Author::Verdict)).unwrap();
    let mut again = Enforcer::restore(e.maps, Settings::new(1, 1, 0), 2).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(80));
    assert_eq!((again.expire(10), again.len()), (1, 0));
}

#[test]
fn limits_and_lifetimes_are_required() {
    let mut e = enforcer(8);
    assert!(e.apply(request("198.18.0.5", 0, Author::Verdict)).is_err());
    let limit = Request { action: Action::RateLimit, ..request("198.18.0.5", 1, Author::Verdict) };
    assert!(e.apply(limit).is_err());
}

#[test]
fn syncing_an_origin_leaves_the_others() {
    let mut e = enforcer(8);
    let net = |text: &str| Exemption::Network(text.parse().unwrap());
    e.allow(net("198.18.1.0/24"), String::new()).unwrap();
    let both = [net("198.18.1.0/24"), net("198.18.2.0/24")].map(|n| (n, String::new()));
    e.sync(Origin::Settings, both.into()).unwrap();
    assert_eq!(e.exemptions.len(), 2);
    e.sync(Origin::Settings, HashMap::new()).unwrap();
    assert_eq!(e.allowed().iter().map(|(x, _, _)| *x).collect::<Vec<_>>(), [net("198.18.1.0/24")]);
    assert_eq!(e.maps.exempt.len(), 1);
}

#[test]
fn what_an_earlier_start_exempted_goes_when_nobody_wants_it_any_more() {
    let mut e = enforcer(8);
    let session = Exemption::Network("198.18.9.9/32".parse().unwrap());
    e.sync(Origin::Session, [(session, String::new())].into()).unwrap();
    let mut again = Enforcer::restore(e.maps, Settings::new(1, 1, 0), 8).unwrap();
    assert_eq!(again.allowed().len(), 1);
    again.sync(Origin::Session, HashMap::new()).unwrap();
    assert_eq!((again.allowed().len(), again.maps.exempt.len()), (0, 0));
    assert_eq!(flags(&again) & flag::ALLOW_NETS, 0);
}

fn proved(e: &Enforcer<Fake>) -> usize {
    e.maps.rules.values().filter(|rule| rule.proof == e.settings.allow_generation).count()
}

#[test]
fn rules_are_proved_in_portions_and_anew_after_every_change() {
    let mut e = enforcer(128);
    for host in 0..100 {
        e.apply(request(&format!("198.18.0.{host}"), 0, Author::Operator)).unwrap();
    }
    e.allow(Exemption::Network("198.18.0.96/30".parse().unwrap()), String::new()).unwrap();
    assert_eq!(proved(&e), 0);
    assert!(e.prove(64));
    assert!((60..=64).contains(&proved(&e)), "{} of a portion of 64", proved(&e));
    // A change in between: what was proved is void, and proved again.
    e.allow(Exemption::Network("198.18.0.92/30".parse().unwrap()), String::new()).unwrap();
    assert_eq!(proved(&e), 0);
    e.remove(&request("198.18.0.7", 0, Author::Operator).target).unwrap();
    let portions = (1..9).find(|_| !e.prove(64));
    assert_eq!((portions, proved(&e)), (Some(2), 100 - 8 - 1));
    assert!(!e.prove(64), "nothing is left");
}

#[derive(Clone, Debug)]
enum Step {
    Block(u8, bool),
    Remove(u8),
    Allow(u8),
    Disallow(u8),
    Fail(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<(u8, bool)>().prop_map(|(n, person)| Step::Block(n % 16, person)),
        any::<u8>().prop_map(|n| Step::Remove(n % 16)),
        any::<u8>().prop_map(|n| Step::Allow(n % 16)),
        any::<u8>().prop_map(|n| Step::Disallow(n % 16)),
        any::<bool>().prop_map(Step::Fail),
    ]
}

proptest! {
    /// Desired equals enforced, whatever happens: same entries, distinct slots, flags that fit.
    #[test]
    fn desired_equals_enforced(steps in proptest::collection::vec(step(), 0..120)) {
        let mut e = enforcer(8);
        for step in steps {
            let addr = |n: u8| parse_addr(&format!("198.18.1.{n}")).unwrap();
            let exemption = |n: u8| Exemption::Network(Net::host(addr(n)));
            match step {
                Step::Block(n, person) => {
                    let author = if person { Author::Operator } else { Author::Verdict };
                    let refused = e.exemptions.contains_key(&exemption(n));
                    let result = e.apply(request(&addr(n).to_string(), 60_000, author));
                    prop_assert!(!refused || result.is_err());
                }
                Step::Remove(n) => { let _ = e.remove(&Target::Address(addr(n))); }
                Step::Allow(n) => e.allow(exemption(n), String::new()).unwrap(),
                Step::Disallow(n) => { let _ = e.disallow(&exemption(n)); }
                Step::Fail(full) => e.maps.full = full,
            }
            prop_assert_eq!(e.rules.len(), e.maps.rules.len());
            let slots: HashSet<u32> = e.maps.rules.values().map(|r| r.slot).collect();
            prop_assert_eq!(slots.len(), e.maps.rules.len());
            prop_assert_eq!(flags(&e) & flag::BLOCKS != 0, !e.maps.rules.is_empty());
            prop_assert_eq!(flags(&e) & flag::ALLOW_NETS != 0, !e.maps.exempt.is_empty());
            prop_assert_eq!(e.maps.settings.map_or(flag::SOURCES, |s| s.flags), flags(&e));
        }
    }
}
