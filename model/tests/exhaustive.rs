//! Every state within the bounds of [`QUICK`], or of [`LARGE`] where `LIFEBOAT_MODEL=large`: what must always hold does, and
//! what must come about does.

use std::collections::BTreeSet;

use lifeboat_model::{Actor, Bounds, Explored, Moves, explore};

const TWO_RUNS: &[Actor] = &[Actor::Alarm1, Actor::Alarm2, Actor::HandBack];
const ONE_RUN: &[Actor] = &[Actor::Alarm1, Actor::HandBack];

/// Two runs of the alarm and a hand-back between them, one fault: everything that must come about does so here.
const WHOLE: Bounds =
    Bounds { streams: 1, primary_orders: 2, recovery_orders: 1, faults: 1, actors: TWO_RUNS, rescued_of: 1 };
/// The same with a run by hand, and fewer orders.
const BY_HAND: Bounds =
    Bounds { primary_orders: 1, recovery_orders: 0, actors: &Actor::ALL, rescued_of: 16, ..WHOLE };
/// One run and a hand-back, two faults.
const TWO_FAULTS: Bounds =
    Bounds { primary_orders: 1, recovery_orders: 1, faults: 2, actors: ONE_RUN, ..WHOLE };
/// Two streams, which are sealed and opened one after the other.
const TWO_STREAMS: Bounds = Bounds { streams: 2, primary_orders: 1, actors: ONE_RUN, ..WHOLE };

const QUICK: &[(Moves, Bounds)] = &[
    (Moves::Switch, WHOLE),
    (Moves::Records, WHOLE),
    (Moves::Switch, BY_HAND),
    (Moves::Switch, TWO_FAULTS),
    (Moves::Records, TWO_FAULTS),
    (Moves::Switch, TWO_STREAMS),
];

const LARGE: &[(Moves, Bounds)] = &[
    (Moves::Switch, Bounds { faults: 2, ..WHOLE }),
    (Moves::Records, Bounds { faults: 2, ..WHOLE }),
    (Moves::Switch, Bounds { actors: &Actor::ALL, ..WHOLE }),
    (Moves::Records, Bounds { actors: &Actor::ALL, ..WHOLE }),
    (Moves::Switch, Bounds { faults: 3, ..TWO_FAULTS }),
    (Moves::Switch, Bounds { actors: TWO_RUNS, ..TWO_STREAMS }),
];

/// What the page says was explored.
const PAGE: &str = include_str!("../README.md");

#[test]
fn every_state_is_safe_and_what_is_good_comes_about() {
    let all = match std::env::var("LIFEBOAT_MODEL").as_deref() {
        Err(_) | Ok("quick") => QUICK,
        Ok("large") => LARGE,
        Ok(other) => panic!("LIFEBOAT_MODEL is `{other}`, and may be `quick` or `large`"),
    };
    let mut never: Option<BTreeSet<&str>> = None;
    let mut idle: Option<BTreeSet<&str>> = None;
    for (moves, bounds) in all {
        let found = explore(*moves, *bounds);
        print!("{found}");
        assert!(found.broken.is_empty(), "{found}");
        let row = format!("| {} | {} |", grouped(found.unique), found.depth);
        assert!(all != QUICK || PAGE.contains(&row), "README.md has no row with {row}");
        let Explored { never: nowhere, happened, .. } = found;
        let nowhere = nowhere.into_iter().collect();
        let unused = happened.into_iter().filter(|(_, times)| *times == 0).map(|(what, _)| what).collect();
        never = Some(never.map_or_else(|| BTreeSet::clone(&nowhere), |before| &before & &nowhere));
        idle = Some(idle.map_or_else(|| BTreeSet::clone(&unused), |before| &before & &unused));
    }
    assert_eq!(
        never,
        Some(BTreeSet::new()),
        "these never came about: the model is too small to show anything"
    );
    assert_eq!(idle, Some(BTreeSet::new()), "these faults never happened");
}

/// With a comma behind each thousand.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let comma = |at: usize| (at > 0 && (digits.len() - at).is_multiple_of(3)).then_some(',');
    digits.chars().enumerate().flat_map(|(at, digit)| comma(at).into_iter().chain([digit])).collect()
}

#[test]
fn the_page_names_every_property_and_every_mutant_has_a_row() {
    let words = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    for property in lifeboat_model::always() {
        assert!(words.contains(property), "README.md does not name: {property}");
    }
    let rows = PAGE.split("## Each mechanism taken away").nth(1).expect("the section").split("## ").next();
    let rows = rows.expect("its rows").lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows - 1, lifeboat_model::Mutant::ALL.len(), "rows of mutants");
}
