//! The promises, each held against what truly happened. A promise also notes how often it had something to say.

use lifeboat_rules::{Outcome, TriggerKind};

use crate::alarm::{PERIOD, State};
use crate::history::{Admitting, Claiming, History, Sealing};
use crate::run::NOT_YET_MAX;
use crate::script::{Deed, Delivery, Millis, RunScript, SECOND, Script, Trouble, What};
use crate::simulation::LOOK_EVERY;
use crate::world::Pen;

/// A promise that was broken, and how.
pub type Broken = String;

/// News older than this starts nothing. Said here again: the rule's own number is under test as well.
const NEWS_AGE_MAX: Millis = 300 * SECOND;
/// The functions' clocks differ by less than this.
const CLOCKS_DIFFER_MAX: Millis = SECOND;

/// Holds every promise against `history`.
pub fn hold(script: &Script, history: &mut History) -> Result<(), Broken> {
    old_news_starts_nothing(history)?;
    one_automatic_failover_a_window(script, history)?;
    after_a_seal_it_takes_a_person(history)?;
    a_short_partition_seals_nothing(script, history)?;
    an_advancing_log_is_left_alone(script, history)?;
    blind_time_is_no_evidence(script, history)?;
    a_true_outage_is_acted_upon(script, history)?;
    maintenance_admits_nobody(history)
}

/// Promise 1: by the clocks that the rule is given, no alarm's run is admitted on news older than 300 s; by the true
/// time none on news older than that and what the clocks differ by.
fn old_news_starts_nothing(history: &mut History) -> Result<(), Broken> {
    let mut refused = 0;
    for admitting in history.admissions.iter().filter(|admitting| admitting.kind == TriggerKind::Alarm) {
        let (alarm, function) = admitting.skews;
        let age = admitting.at - admitting.event_at;
        let stated = age + function - alarm;
        let limit = NEWS_AGE_MAX;
        let admitted = admitting.refused.is_none();
        if admitted && (stated.abs() > limit || age > limit + (alarm - function).max(0)) {
            return Err(format!(
                "1: admitted on news {age} ms old, by the clocks {stated} ms: {admitting:?}"
            ));
        }
        refused += u64::from(stated > limit);
    }
    *history.seen.entry("1: news older than 300 s, refused").or_default() += refused;
    Ok(())
}

/// Promise 2: after an automatic failover no alarm's run is admitted within the window that comes to a seal, unless a
/// person has acknowledged the first in between. The window begins with the claim, which is the first effect.
fn one_automatic_failover_a_window(script: &Script, history: &mut History) -> Result<(), Broken> {
    let window = Millis::from(script.numbers.anti_flap_seconds) * SECOND;
    let automatic: Vec<(&Sealing, Millis, Millis)> = history
        .seals
        .iter()
        .filter(|seal| seal.kind == TriggerKind::Alarm)
        .map(|seal| (seal, claim_of(history, seal).at, admitted_at(history, seal.run)))
        .collect();
    let mut seen = Vec::new();
    for (n, (first, claimed_at, _)) in automatic.iter().enumerate() {
        for (second, _, admitted_at) in &automatic[n + 1..] {
            let acknowledged = history
                .acknowledged
                .iter()
                .any(|(at, epoch)| *epoch >= first.epoch && claimed_at <= at && at <= admitted_at);
            if acknowledged {
                seen.push("2: a second failover after a person's word");
            } else if admitted_at - claimed_at < window - CLOCKS_DIFFER_MAX {
                return Err(format!("2: {second:?} within {window} ms of {first:?}"));
            } else if second.at - first.at < window {
                seen.push("2: seals nearer to each other than the window, for the first took long to launch");
            } else {
                seen.push("2: a second failover after the window");
            }
        }
    }
    let held = |admitting: &&Admitting| {
        admitting.refused.as_ref().is_some_and(|reason| reason.contains("lifeboat acknowledge"))
    };
    let refused = history.admissions.iter().filter(held).count() as u64;
    *history.seen.entry("2: an alarm in the window, refused").or_default() += refused;
    seen.into_iter().for_each(|what| history.saw(what));
    Ok(())
}

/// Promise 2: after a seal no alarm's run comes to another until a person has given the pen back.
fn after_a_seal_it_takes_a_person(history: &mut History) -> Result<(), Broken> {
    for (n, first) in history.seals.iter().enumerate() {
        for second in history.seals[n + 1..].iter().filter(|seal| seal.kind == TriggerKind::Alarm) {
            let admitted_at = admitted_at(history, second.run);
            let given_back = history
                .hand_backs
                .iter()
                .any(|back| back.epoch > first.epoch && back.finished_at <= admitted_at);
            if !given_back {
                return Err(format!("2: {second:?} after {first:?}, and nobody had given the pen back"));
            }
        }
    }
    let says = |word: &str| {
        let refused =
            |admitting: &&Admitting| admitting.refused.as_ref().is_some_and(|reason| reason.contains(word));
        history.admissions.iter().filter(refused).count() as u64
    };
    let (taken, recovered) = (says("person's word"), says("nothing to fail over to"));
    *history.seen.entry("2: an alarm after a seal, refused").or_default() += taken;
    *history.seen.entry("2: a start while the recovery side serves, refused").or_default() += recovered;
    Ok(())
}

/// How long the exchange must have been unable to write for a seal to be possible at all: the plan's time, less what
/// the log is still for anyway. A partition no longer than this causes no failover, whatever came before it:
/// `log_still_seconds >= partition + heartbeat + resume + 1`, the 1 for the store's clock, which counts whole
/// seconds.
pub fn harmless_partition(script: &Script) -> Millis {
    let still = Millis::from(script.numbers.log_still_seconds) * SECOND;
    still - SECOND - script.exchange.heartbeat - script.exchange.resume
}

/// Promise 3: no seal but within, or right after, a time in which the exchange could not write that was longer than
/// [`harmless_partition`].
fn a_short_partition_seals_nothing(script: &Script, history: &mut History) -> Result<(), Broken> {
    let silences = silences(script);
    let harmless = harmless_partition(script);
    let mut seen = Vec::new();
    for seal in history.seals.iter().filter(|seal| seal.from == Pen::Primary) {
        let within: Vec<_> = silences
            .iter()
            .filter(|(from, until)| *until > seal.newest_stored && *from <= seal.looked_at)
            .collect();
        match within.as_slice() {
            [] => return Err(format!("3: the exchange could write all the time: {seal:?}")),
            [(from, until)] => {
                let lasted = seal.looked_at.min(*until) - from;
                if lasted <= harmless {
                    return Err(format!(
                        "3: it could not write for {lasted} ms, harmless up to {harmless}: {seal:?}"
                    ));
                }
                seen.push("3: a seal in a silence longer than the plan's");
            }
            _ => seen.push("3: a seal in several silences that the log saw as one"),
        }
    }
    let short = |trouble: &&Trouble| trouble.what == What::Partition && trouble.lasts <= 43 * SECOND;
    let acted = |trouble: &&Trouble| {
        let near = |at: Millis| trouble.from < at && at < trouble.until() + 60 * SECOND;
        history.admissions.iter().any(|admitting| admitting.refused.is_none() && near(admitting.at))
    };
    for trouble in script.troubles.iter().filter(short) {
        seen.push("3: a partition of up to 43 s");
        if trouble.lasts <= harmless {
            seen.push("3: a partition of up to 43 s, which the plan promises to bear");
            if acted(&trouble) {
                seen.push("3: such a partition while a run was admitted");
            }
        }
    }
    seen.into_iter().for_each(|what| history.saw(what));
    Ok(())
}

/// Promises 4 and 8: no claim and no seal while the primary answers, or while the log advances: the newest object was
/// truly older than the plan's time, less the second that the store's clock does not count. And where the exchange
/// could always write, none at all.
fn an_advancing_log_is_left_alone(script: &Script, history: &mut History) -> Result<(), Broken> {
    let still = (Millis::from(script.numbers.log_still_seconds) - 1) * SECOND;
    for claim in &history.claims {
        if claim.answered {
            return Err(format!("4: a claim though the primary answered: {claim:?}"));
        }
        if claim.read_at - claim.newest_stored <= still {
            return Err(format!("4: a claim though the log advanced: {claim:?}"));
        }
    }
    for seal in &history.seals {
        if seal.answered {
            return Err(format!("4: a seal though the primary answered: {seal:?}"));
        }
        if seal.looked_at - seal.newest_stored <= still {
            return Err(format!("8: a seal though the exchange had just acknowledged: {seal:?}"));
        }
    }
    let raced = history.seals.iter().filter(|seal| seal.raced && seal.from == Pen::Primary).count() as u64;
    let always_wrote = silences(script).is_empty() && history.seals.is_empty();
    if always_wrote && !history.claims.is_empty() {
        return Err(format!("4: the exchange could write all the time: {:?}", history.claims));
    }
    let long_cut = |trouble: &Trouble| trouble.what == What::ProbesCut && trouble.lasts > 300 * SECOND;
    if always_wrote && script.troubles.iter().any(long_cut) {
        history.saw("4: a long cut of the network while the exchange traded on");
        if history.admissions.iter().any(|admitting| admitting.refused.is_none()) {
            history.saw("4: such a cut, and a run was admitted");
        }
    }
    *history.seen.entry("8: the exchange wrote between the last look and the seals").or_default() += raced;
    Ok(())
}

/// Promise 6: no verdict that led to a claim or a seal rests on a log that could not be read; and where nothing was
/// wrong but the watching, nothing was claimed.
fn blind_time_is_no_evidence(script: &Script, history: &mut History) -> Result<(), Broken> {
    if let Some(claim) = history.claims.iter().find(|claim| claim.blind) {
        return Err(format!("6: a claim without a look at the log: {claim:?}"));
    }
    if let Some(seal) = history.seals.iter().find(|seal| seal.blind) {
        return Err(format!("6: a seal without a look at the log: {seal:?}"));
    }
    let blindness = |what| matches!(what, What::LogDenied | What::LogErrors | What::ScheduleStops);
    let only = script.troubles.iter().all(|trouble| blindness(trouble.what));
    if only && !script.troubles.is_empty() {
        history.saw("6: nothing was wrong but the watching");
        if !(history.claims.is_empty() && history.seals.is_empty()) {
            return Err(format!("6: a claim for want of data: {:?}", history.claims));
        }
    }
    Ok(())
}

/// Promise 7: from a word that begins maintenance to one that ends it nobody is admitted, whoever starts the run.
fn maintenance_admits_nobody(history: &mut History) -> Result<(), Broken> {
    let mut refused = 0;
    for admitting in &history.admissions {
        if in_maintenance(history, admitting.at) {
            if admitting.refused.is_none() {
                return Err(format!("7: admitted in maintenance: {admitting:?}"));
            }
            refused += 1;
        }
    }
    *history.seen.entry("7: a start in maintenance, refused").or_default() += refused;
    Ok(())
}

/// Within this time of a true outage, and of [`NOT_YET_MAX`] where its news found another run under way, the log is
/// sealed, if nothing that [`excuse`] names comes in between. Of it, the plan's own are `log_still_seconds`, twice
/// the confirmation, and the launch; the rest is the watch: six looks at most until two periods of the alarm are bad
/// in full, and the period and the delay of its evaluation.
pub fn sealed_within(script: &Script) -> Millis {
    let numbers = &script.numbers;
    let slow = script.watch.jitter.iter().max().copied().unwrap_or(0);
    let timeout = Millis::from(numbers.timeout_seconds);
    let pace = timeout.max(Millis::from(numbers.interval_seconds));
    let rounds = (Millis::from(numbers.attempts) - 1) * pace + timeout;
    let still = Millis::from(numbers.log_still_seconds);
    let confirmation = (rounds + still + 1) * SECOND;
    let watch = (still + timeout) * SECOND + 6 * (LOOK_EVERY + slow) + PERIOD + script.watch.evaluation_delay;
    let of_runs = |number: fn(&RunScript) -> Millis| script.runs.iter().map(number).max().unwrap_or(0);
    let steps = 6 * of_runs(|run| run.step) + of_runs(|run| run.seal_gap);
    watch + DELIVERED_WITHIN + steps + 2 * confirmation + of_runs(|run| run.launch)
}

/// News that comes in time.
const DELIVERED_WITHIN: Millis = 5 * SECOND;

/// Promise 5: a true outage always comes to a seal, within [`sealed_within`].
fn a_true_outage_is_acted_upon(script: &Script, history: &mut History) -> Result<(), Broken> {
    let bound = sealed_within(script);
    for outage in script.troubles.iter().filter(|trouble| trouble.what == What::Dead) {
        history.saw("5: the exchange was dead");
        let waited = history.waits.iter().any(|at| outage.from <= *at && *at <= outage.from + bound);
        let by = outage.from + bound + if waited { NOT_YET_MAX } else { 0 };
        let sealed = history.seals.iter().any(|seal| outage.from < seal.at && seal.at <= by);
        match excuse(script, history, outage, by) {
            None if sealed && waited => history.saw("5: a true outage, sealed after a wait for another run"),
            None if sealed => history.saw("5: a true outage, sealed within the bound"),
            None => {
                return Err(format!(
                    "5: no seal within {bound} ms of {outage:?} (waited: {waited}): {history:#?}"
                ));
            }
            Some(_) if sealed => history.saw("5: sealed within the bound, though it could have been excused"),
            Some(why) => history.saw(why),
        }
    }
    Ok(())
}

/// Why nothing needs to follow by itself from `outage` until `by`; all that is not in here must not keep a run from
/// it.
fn excuse(script: &Script, history: &History, outage: &Trouble, by: Millis) -> Option<&'static str> {
    let from = outage.from;
    let during = |at: Millis| from <= at && at <= by;
    // Once the alarm has fired, that nobody looks any more is no news, and contradicts nothing.
    let fired = |change: &&(Millis, State)| change.1 == State::Alarm && during(change.0);
    let fired_at = history.alarm.iter().find(fired).map_or(by, |(at, _)| *at);
    let blinding = |trouble: &Trouble| {
        let matters_until = match trouble.what {
            What::LogDenied | What::LogErrors => by,
            What::ScheduleStops => fired_at,
            _ => return false,
        };
        trouble.from <= matters_until && trouble.until() >= from
    };
    let script_of = |run: usize| &script.runs[run % script.runs.len()];
    let runs = || {
        history
            .runs
            .iter()
            .enumerate()
            .filter(|(_, run)| run.started_at <= by && run.ended_at.is_none_or(|at| at >= from))
    };
    let state = history.alarm.iter().rev().find(|(at, _)| *at < from).map(|(_, state)| *state);
    let late =
        |deliveries: &Vec<Delivery>| deliveries.iter().all(|delivery| delivery.after > DELIVERED_WITHIN);
    let halted = |claim: &Claiming| {
        let run = &history.runs[claim.run];
        run.outcome == Some(Outcome::Halted) && run.ended_at.is_some_and(during)
    };
    let no_manifest = |admitting: &Admitting| {
        let refused = admitting.refused.as_ref().is_some_and(|reason| reason.contains("without a manifest"));
        refused && during(admitting.at)
    };
    let reasons = [
        ("5, excused: it came back sooner", outage.until() < by),
        ("5, excused: the watch ended", script.horizon() < by),
        ("5, excused: the pen was elsewhere", pen_at(history, from) != Pen::Primary),
        ("5, excused: blind", script.troubles.iter().any(blinding)),
        (
            "5, excused: maintenance",
            in_maintenance(history, from) || history.maintenance.iter().any(|(at, _)| during(*at)),
        ),
        (
            "5, excused: the pen was given back",
            script.people.deeds.iter().any(|(at, deed)| *deed == Deed::HandBack && during(*at)),
        ),
        ("5, excused: a person was called by a run that halted", history.claims.iter().any(halted)),
        (
            "5, excused: a person was called when the wait was over",
            history.gave_up.iter().any(|at| during(*at)),
        ),
        ("5, excused: the last run left no manifest", history.admissions.iter().any(no_manifest)),
        ("5, excused: within the window", in_window(script, history, from)),
        ("5, excused: the alarm was on already", state == Some(State::Alarm)),
        (
            "5, excused: the news came late",
            script.deliveries.iter().any(late) || script.watch.skew.abs() > DELIVERED_WITHIN,
        ),
        ("5, excused: a run slept", runs().any(|(run, _)| script_of(run).sleeps > 0)),
        ("5, excused: the launch failed", runs().any(|(run, _)| script_of(run).launch_fails)),
        (
            "5, excused: longer than the objective",
            Millis::from(script.numbers.rto_seconds) * SECOND < by - from,
        ),
    ];
    reasons.into_iter().find(|(_, holds)| *holds).map(|(why, _)| why)
}

fn in_window(script: &Script, history: &History, at: Millis) -> bool {
    let window = Millis::from(script.numbers.anti_flap_seconds) * SECOND + CLOCKS_DIFFER_MAX;
    history.claims.iter().any(|claim| {
        let acknowledged =
            history.acknowledged.iter().any(|(said, epoch)| *said <= at && *epoch >= claim.epoch);
        claim.kind == TriggerKind::Alarm
            && claim.at <= at
            && at < claim.at + window
            && !acknowledged
            && history.runs[claim.run].outcome != Some(Outcome::StoodDown)
    })
}

fn in_maintenance(history: &History, at: Millis) -> bool {
    history.maintenance.iter().rev().find(|(said, _)| *said < at).is_some_and(|(_, begins)| *begins)
}

fn pen_at(history: &History, at: Millis) -> Pen {
    history.pens.iter().rev().find(|(passed, _)| *passed <= at).map_or(Pen::Primary, |(_, pen)| *pen)
}

fn admitted_at(history: &History, run: usize) -> Millis {
    let admitting = history.admissions.iter().find(|admitting| admitting.run == run);
    admitting.map(|admitting| admitting.at).expect("a run that sealed was admitted")
}

fn claim_of<'a>(history: &'a History, seal: &Sealing) -> &'a Claiming {
    history.claims.iter().find(|claim| claim.epoch == seal.epoch).expect("a run that sealed has claimed")
}

/// The times in which some stream of the exchange could not be written to, those that touch joined.
fn silences(script: &Script) -> Vec<(Millis, Millis)> {
    let silent = |what| matches!(what, What::Dead | What::LogCut | What::Partition | What::StreamHangs(_));
    let mut times: Vec<_> = script
        .troubles
        .iter()
        .filter(|trouble| silent(trouble.what))
        .map(|trouble| (trouble.from, trouble.until()))
        .collect();
    times.sort_unstable();
    let mut joined: Vec<(Millis, Millis)> = Vec::new();
    for (from, until) in times {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => joined.push((from, until)),
        }
    }
    joined
}
