use super::*;
use crate::Outcome;

fn plan(regulation: &[Regime]) -> Plan {
    let mut plan =
        Plan::from_json(include_bytes!("../../tests/plan.json")).expect("the test's plan is valid");
    plan.regulation = regulation.to_vec();
    plan
}

/// A run that recovered, as its manifest was written.
fn manifest() -> Manifest {
    let manifest = include_bytes!("../../../../cli/tests/fixtures/evidence/recovers/manifest.json");
    serde_json::from_slice(manifest).expect("a manifest")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_plan_without_regimes_and_a_run_without_an_outage_have_no_clocks() {
    assert_eq!(notices(&plan(&[]), &manifest()), []);
    let mut healthy = manifest();
    for phase in &mut healthy.account.as_mut().unwrap().phases {
        if phase.action == CONFIRMS {
            phase.verdict = Some("PrimaryUnreachable".into());
        }
    }
    assert_eq!(notices(&plan(&[Regime::RegSci, Regime::Dora]), &healthy), []);
    healthy.account = None;
    assert_eq!(notices(&plan(&[Regime::Dora]), &healthy), []);
}

#[test]
fn every_clock_is_counted_from_the_first_confirmation() {
    // The second look, before the seal, was some seconds later.
    assert_eq!(confirmed_at(&manifest()), Some(at("2026-11-27T23:02:30.786542375Z")));
    let due: Vec<(&str, Due)> = notices(&plan(&[Regime::Dora, Regime::RegSci]), &manifest())
        .iter()
        .map(|notice| (notice.what, notice.due))
        .collect();
    let by = |text| Due::By { at: at(text) };
    assert_eq!(
        due,
        [
            ("initial notification to the competent authority", by("2026-11-28T23:02:30.786542375Z")),
            ("intermediate report", by("2026-12-01T23:02:30.786542375Z")),
            ("final report", by("2027-01-01T23:02:30.786542375Z")),
            ("notice to the Commission", Due::AtOnce),
            ("critical SCI systems resume", by("2026-11-28T01:02:30.786542375Z")),
            ("trading resumes, where the systems are not critical", Due::NotKnown),
            ("written notification to the Commission, on Form SCI", by("2026-11-28T23:02:30.786542375Z")),
            ("updates to the Commission", Due::NotKnown),
        ]
    );
}

#[test]
fn what_was_done_is_met_or_missed_and_what_a_person_files_becomes_overdue() {
    let states = |manifest: &Manifest, now: &str| -> Vec<State> {
        notices(&plan(&[Regime::RegSci]), manifest).iter().map(|notice| notice.state(at(now))).collect()
    };
    let recovered = manifest();
    let (soon, later) = ("2026-11-28T00:00:00Z", "2026-11-28T23:02:31Z");
    use State::{AtOnce, Met, Missed, NotKnown, Overdue, Pending};
    assert_eq!(states(&recovered, soon), [AtOnce, Met, NotKnown, Pending, NotKnown]);
    assert_eq!(states(&recovered, later), [AtOnce, Met, NotKnown, Overdue, NotKnown]);

    let mut late = recovered.clone();
    late.account.as_mut().unwrap().rto.as_mut().unwrap().to = at("2026-11-28T01:02:31Z");
    assert_eq!(states(&late, later)[1], Missed);
    let mut halted = recovered;
    halted.account.as_mut().unwrap().rto = None;
    assert_eq!([states(&halted, soon)[1], states(&halted, later)[1]], [Pending, Overdue]);
}

#[test]
fn the_facts_are_those_of_the_evidence_and_say_what_is_not_in_it() {
    let facts = |manifest: &Manifest| {
        let first = notices(&plan(&[Regime::Dora]), manifest).remove(0);
        first.facts.iter().map(|fact| format!("{}: {}\n", fact.what, fact.value)).collect::<String>()
    };
    let recovered = facts(&manifest());
    for says in [
        "first sign: 2026-11-27T23:02:23Z, by scenario\n",
        "outage confirmed: 2026-11-27T23:02:31Z\n",
        "systems affected: aex in eu-west-1, streams ME1, ME2; names in aex.internal\n",
        "2026-11-27T23:02:38Z the ledger was closed to the primary",
        "2026-11-27T23:02:40Z the traffic was moved",
        "outcome: Recovered: the recovery side serves",
        "resolved: 2026-11-27T23:02:40Z\n",
        "was anything lost: 0 acknowledged entries, ",
        "evidence: aex/recovers/manifest.json\n",
        "not known to Lifeboat: when the incident was classified as major",
    ] {
        assert!(recovered.contains(says), "{says:?} is not in\n{recovered}");
    }
    let mut halted = manifest();
    halted.outcome = Outcome::Halted;
    let account = halted.account.as_mut().unwrap();
    (account.rto, account.rpo) = (None, None);
    let halted = facts(&halted);
    for says in ["resolved: not by this run\n", "was anything lost: not established by this run"] {
        assert!(halted.contains(says), "{says:?} is not in\n{halted}");
    }
}

#[test]
fn a_run_under_way_has_the_same_clocks_and_fewer_facts() {
    let plan = plan(&[Regime::RegSci, Regime::Dora]);
    let clocks = |notices: Vec<Notice>| -> Vec<_> {
        notices.into_iter().map(|notice| (notice.what, notice.due)).collect()
    };
    let so_far = notices_so_far(&plan, "recovers", confirmed_at(&manifest()).unwrap());
    assert!(so_far[0].facts.iter().any(|fact| fact.value == "not established yet: the run goes on"));
    assert_eq!(clocks(so_far), clocks(notices(&plan, &manifest())));
}
