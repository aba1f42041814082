//! Schedules written by hand: the bounds of the promises, each with the schedule just beyond it, and what is not promised.

use lifeboat_rules::{Outcome, TriggerKind};

use crate::history::History;
use crate::plan;
use crate::promises::{harmless_partition, hold};
use crate::script::{
    Deed, Delivery, Exchange, FOR_GOOD, Millis, Numbers, People, RunScript, SECOND, Script, Trouble, Watch,
    What,
};
use crate::simulation::simulate;

/// What a plan promises to bear: the partition of 43 s that took a large site down for a day.
const PARTITION: Millis = 43 * SECOND;
/// AEX without the network waits for an answer for 4 s, and then 2 s until it tries again.
const AEX_RESUME: Millis = 6 * SECOND;

/// An exchange that is well, people who do nothing, news that comes at once.
fn calm(numbers: Numbers) -> Script {
    Script {
        numbers,
        exchange: Exchange {
            streams: 2,
            heartbeat: SECOND,
            resume: 0,
            health_follows_log: true,
            store_phase: 0,
        },
        troubles: vec![],
        watch: Watch { phase: 0, jitter: vec![0], evaluation_delay: 500, skew: 0, spurious: vec![] },
        deliveries: vec![vec![Delivery { after: 200, replayed: false }]],
        people: People { deeds: vec![], hand_back_after: None, acknowledge_after: None },
        runs: vec![RunScript {
            clock: 0,
            step: 100,
            sleeps: 0,
            launch: 60 * SECOND,
            launch_fails: false,
            seal_gap: 100,
            tail: SECOND,
            half_done: false,
            ends: Outcome::Recovered,
            no_manifest: false,
            take_down: 240 * SECOND,
        }],
    }
}

fn numbers(log_still_seconds: u32) -> Numbers {
    Numbers {
        targets: 1,
        quorum: None,
        attempts: 3,
        consecutive_failures: None,
        interval_seconds: 1,
        timeout_seconds: 1,
        log_still_seconds,
        anti_flap_seconds: 3_600,
        rto_seconds: 7_200,
    }
}

/// The numbers of the plan that the users copy. It is YAML, and these are plain lines of it.
fn example() -> Numbers {
    let yaml = include_str!("../../../../infra/plans/example.yaml");
    let number = |name: &str| {
        let line = yaml.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
        let value =
            line.and_then(|value| value.split_whitespace().next()).and_then(|value| value.parse().ok());
        value.unwrap_or_else(|| panic!("infra/plans/example.yaml: no line `{name}: <number>`"))
    };
    Numbers {
        attempts: number("attempts"),
        interval_seconds: number("interval_seconds"),
        timeout_seconds: number("timeout_seconds"),
        log_still_seconds: number("log_still_seconds"),
        rto_seconds: number("rto_seconds"),
        targets: 2,
        ..numbers(0)
    }
}

fn happens(script: &Script) -> History {
    let mut history = simulate(&plan(), script);
    if let Err(broken) = hold(script, &mut history) {
        panic!("promise {broken}\n{script:#?}");
    }
    history
}

/// A partition of 43 s, alone, begun at every half second of a minute.
fn seals_by_a_partition_alone(numbers: &Numbers, resume: Millis) -> usize {
    let seals = (0..120).map(|n| {
        let mut script = calm(numbers.clone());
        script.exchange.resume = resume;
        script.runs[0].launch = SECOND;
        script.troubles =
            vec![Trouble { what: What::Partition, from: 120 * SECOND + n * 500, lasts: PARTITION }];
        happens(&script).seals.len()
    });
    seals.sum()
}

#[test]
fn the_example_plan_bears_a_partition_of_43_seconds() {
    let example = example();
    // Whatever came before it, and whoever started the run.
    let mut script = calm(example.clone());
    script.exchange.resume = AEX_RESUME;
    assert!(harmless_partition(&script) >= PARTITION, "log_still_seconds is {}", example.log_still_seconds);
    for resume in [0, AEX_RESUME] {
        let seals = seals_by_a_partition_alone(&example, resume);
        assert_eq!(
            seals,
            0,
            "infra/plans/example.yaml: log_still_seconds is {}, and AEX can be away from its log for {} ms",
            example.log_still_seconds,
            SECOND + PARTITION + resume
        );
    }
}

#[test]
fn a_plan_with_a_short_log_still_does_not() {
    assert!(seals_by_a_partition_alone(&numbers(5), 0) > 0);
}

/// The worst case: a run that has claimed its epoch in a true outage confirms it again just when the exchange, which had
/// come back, has been cut off for almost all of the partition. A person started it, so that no alarm stands in its way.
fn seals_by_a_partition_after_an_outage(log_still_seconds: u32, resume: Millis) -> usize {
    let mut script = calm(numbers(log_still_seconds));
    script.numbers.attempts = 1;
    script.exchange.resume = resume;
    script.runs[0].launch = 200 * SECOND;
    script.people.deeds = vec![(190 * SECOND, Deed::StartByHand)];
    let outage = Trouble { what: What::Dead, from: 100 * SECOND, lasts: 120 * SECOND };
    script.troubles = vec![outage.clone()];
    // No scheduled look: what matters is the person's run.
    script.troubles.push(Trouble { what: What::ScheduleStops, from: 0, lasts: FOR_GOOD });
    let claimed_at = simulate(&plan(), &script).claims[0].at;
    let confirmed_at = claimed_at + script.runs[0].launch;
    let mut seals = 0;
    for phase in (0..SECOND).step_by(100) {
        for before in (PARTITION - 4 * SECOND..PARTITION + 4 * SECOND).step_by(100) {
            script.exchange.store_phase = phase;
            script.troubles.truncate(2);
            script.troubles.push(Trouble {
                what: What::Partition,
                from: confirmed_at - before,
                lasts: PARTITION,
            });
            seals += happens(&script).seals.len();
        }
    }
    seals
}

#[test]
fn the_bound_on_a_harmless_partition_holds_and_is_as_low_as_it_can_be() {
    for resume in [0, SECOND] {
        let mut script = calm(numbers(2));
        script.exchange.resume = resume;
        while harmless_partition(&script) < PARTITION {
            script.numbers.log_still_seconds += 1;
        }
        let enough = script.numbers.log_still_seconds;
        assert_eq!(Millis::from(enough), (PARTITION + SECOND + resume) / SECOND + 1);
        assert_eq!(seals_by_a_partition_after_an_outage(enough, resume), 0, "log_still_seconds {enough}");
        assert!(
            seals_by_a_partition_after_an_outage(enough - 1, resume) > 0,
            "one less, {}, would do",
            enough - 1
        );
    }
}

#[test]
fn a_primary_that_returns_around_the_seal_is_left_alone_up_to_the_last_look() {
    let mut script = calm(numbers(20));
    script.troubles = vec![Trouble { what: What::Dead, from: 100 * SECOND, lasts: FOR_GOOD }];
    let seal = happens(&script).seals.remove(0);
    assert_eq!(seal.kind, TriggerKind::Alarm);
    let (mut stood_down, mut raced, mut sealed) = (0, 0, 0);
    for returns_at in (seal.looked_at - 500..seal.at + 100).step_by(10) {
        script.troubles[0].lasts = returns_at - script.troubles[0].from;
        let history = happens(&script);
        match history.seals.first() {
            None => {
                assert!(
                    returns_at <= seal.looked_at,
                    "it returned at {returns_at}, after the look of {seal:?}"
                );
                assert_eq!(history.runs[0].outcome, Some(Outcome::StoodDown));
                stood_down += 1;
            }
            // Not promised: what it stores in these milliseconds comes before the seals, and it loses the pen.
            Some(now) if now.raced => raced += 1,
            Some(_) => sealed += 1,
        }
    }
    assert!(stood_down > 0 && raced > 0 && sealed > 0, "{stood_down} {raced} {sealed}");
}

/// The alarm speaks once. A primary that comes back, so that the run stands down, and fails for good while the run still
/// takes down what it launched: the news waits, and where that takes too long a person is called.
#[test]
fn an_outage_that_begins_while_a_run_stands_down_waits_for_its_end() {
    let mut script = calm(numbers(20));
    script.troubles = vec![
        Trouble { what: What::Dead, from: 100 * SECOND, lasts: 80 * SECOND },
        Trouble { what: What::Dead, from: 300 * SECOND, lasts: FOR_GOOD },
    ];
    for (take_down, outcome) in [(200, Outcome::Recovered), (600, Outcome::Halted)] {
        script.runs[0].take_down = take_down * SECOND;
        let history = happens(&script);
        assert!(history.waits.len() > 10, "{history:#?}");
        let outcomes: Vec<_> = history.runs.iter().map(|run| run.outcome).collect();
        assert_eq!(outcomes, [Some(Outcome::StoodDown), Some(outcome)]);
        assert_eq!(history.seals.len(), usize::from(outcome == Outcome::Recovered));
    }
}

/// Not promised: where the log counts as still sooner than the next look comes, a primary that returns between two looks,
/// and fails again, makes the run stand down and leaves the alarm on, which then has no news. With more it acts.
#[test]
fn a_return_between_two_looks_takes_a_person_only_where_the_log_is_soon_still() {
    for (log_still_seconds, seals) in [(5, 0), (45, 1)] {
        let mut script = calm(numbers(log_still_seconds));
        script.troubles = vec![Trouble { what: What::Dead, from: 100 * SECOND, lasts: FOR_GOOD }];
        let fired_at = happens(&script).admissions[0].event_at;
        script.troubles[0].lasts = fired_at + SECOND - script.troubles[0].from;
        script.troubles.push(Trouble { what: What::Dead, from: fired_at + 3 * SECOND, lasts: FOR_GOOD });
        let history = happens(&script);
        assert_eq!(
            history.runs[0].outcome,
            Some(Outcome::StoodDown),
            "log_still_seconds {log_still_seconds}"
        );
        assert_eq!(history.seals.len(), seals, "log_still_seconds {log_still_seconds}: {history:#?}");
        assert!(history.admissions.iter().all(|admitting| admitting.refused.is_none()));
    }
}
