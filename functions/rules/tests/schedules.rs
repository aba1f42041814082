//! Generated schedules of alarms, probes and people through the pure rules: 10,000 of them, or as many as
//! `LIFEBOAT_CASES` says. The same number is the same schedule, for ever; `LIFEBOAT_SEED` runs one alone.
//!
//! The world around the rules is a model without a clock (`schedules/`), so this shows what the rules promise if the
//! functions call them as the model does; that they do is for the tests on real stores and for the scenarios.

#[path = "schedules/alarm.rs"]
mod alarm;
#[path = "schedules/by_hand.rs"]
mod by_hand;
#[path = "schedules/history.rs"]
mod history;
#[path = "schedules/promises.rs"]
mod promises;
#[path = "schedules/run.rs"]
mod run;
#[path = "schedules/script.rs"]
mod script;
#[path = "schedules/simulation.rs"]
mod simulation;
#[path = "schedules/world.rs"]
mod world;

use std::collections::BTreeMap;

use lifeboat_rules::Plan;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use promises::hold;
use script::Script;
use simulation::simulate;

/// How many schedules are run, unless `LIFEBOAT_CASES` says otherwise.
const ALL: u64 = 10_000;

/// What must have come about in so many schedules, and how often at least: a promise that nothing ever tried proves
/// nothing. About half of what was counted when this was written.
const COVERED: &[(&str, u64)] = &[
    ("1: news older than 300 s, refused", 2_000),
    ("2: a second failover after a person's word", 400),
    ("2: a second failover after the window", 500),
    ("2: a start while the recovery side serves, refused", 400),
    ("2: an alarm after a seal, refused", 400),
    ("2: an alarm in the window, refused", 350),
    ("3: a partition of up to 43 s, which the plan promises to bear", 1_000),
    ("3: a seal in a silence longer than the plan's", 1_500),
    ("3: such a partition while a run was admitted", 50),
    ("4: a long cut of the network while the exchange traded on", 200),
    ("4: such a cut, and a run was admitted", 80),
    ("5: a true outage, sealed within the bound", 400),
    ("5: a true outage, sealed after a wait for another run", 5),
    ("6: nothing was wrong but the watching", 150),
    ("7: a start in maintenance, refused", 500),
    ("a newer epoch while the run acted", 50),
    ("a run found the successor of its epoch taken", 250),
    ("an alarm for nothing", 2_500),
    ("an alarm that fired again", 1_000),
    ("confirmed again: DataMissing", 2),
    ("confirmed again: ObserversDisagree", 40),
    ("confirmed again: PrimaryDown", 1_500),
    ("confirmed again: PrimaryHealthy", 250),
    ("confirmed again: PrimaryUnreachable", 30),
    ("confirmed: DataMissing", 40),
    ("confirmed: ObserversDisagree", 150),
    ("confirmed: PrimaryDown", 2_500),
    ("confirmed: PrimaryHealthy", 3_000),
    ("confirmed: PrimaryUnreachable", 350),
    ("the same news again", 6_000),
    ("the time for recovery had passed before the seal", 20),
];

/// Tries to make a schedule that breaks a promise simpler.
const SHRINKS_MAX: u32 = 5_000;

fn plan() -> Plan {
    Plan::from_json(include_bytes!("plan.json")).expect("the test's plan is valid")
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is `{value}`, which is no number")))
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng)
}

/// Lets the schedule happen and holds the promises against it.
fn run(plan: &Plan, script: &Script) -> Result<BTreeMap<&'static str, u64>, promises::Broken> {
    assert_eq!(script.numbers.plan(plan).validate(), [], "a plan that nobody could upload");
    let mut history = simulate(plan, script);
    hold(script, &mut history)?;
    Ok(history.seen)
}

#[test]
fn ten_thousand_schedules_break_no_promise() {
    let plan = plan();
    let seeds = match number("LIFEBOAT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LIFEBOAT_CASES").unwrap_or(ALL),
    };
    let all = seeds.end - seeds.start;
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let strategy = script::script();
    for seed in seeds {
        let mut tree = strategy.new_tree(&mut runner(seed)).expect("every schedule is allowed");
        match run(&plan, &tree.current()) {
            Ok(of_one) => {
                of_one.into_iter().for_each(|(what, times)| *seen.entry(what).or_default() += times)
            }
            Err(broken) => {
                let (script, simplest) = simplify(&plan, &mut tree, broken);
                panic!("schedule {seed} (LIFEBOAT_SEED={seed}) breaks promise {simplest}\n{script:#?}");
            }
        }
    }
    println!("{all} schedules; {seen:#?}");
    if all >= ALL {
        let rare = COVERED.iter().filter(|(what, least)| seen.get(what).is_none_or(|times| times < least));
        let rare: Vec<_> =
            rare.map(|(what, least)| format!("{what}: {:?}, not {least}", seen.get(what))).collect();
        assert!(rare.is_empty(), "too rare for {all} schedules to prove anything: {rare:#?}");
    }
}

/// The simplest schedule found that breaks a promise, and how it does.
fn simplify(
    plan: &Plan,
    tree: &mut impl ValueTree<Value = Script>,
    broken: promises::Broken,
) -> (Script, promises::Broken) {
    let mut simplest = (tree.current(), broken);
    let mut tries = 0;
    while tries < SHRINKS_MAX && tree.simplify() {
        tries += 1;
        loop {
            match run(plan, &tree.current()) {
                Err(broken) => {
                    simplest = (tree.current(), broken);
                    break;
                }
                Ok(_) if tries < SHRINKS_MAX && tree.complicate() => tries += 1,
                Ok(_) => return simplest,
            }
        }
    }
    simplest
}
