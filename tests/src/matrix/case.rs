//! What is tried: one fault at one call, or two.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};

use lifeboat_rules::plan::Strategy;
use serde::{Deserialize, Serialize};

use super::call::CallId;

/// What becomes of a call.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Its connection is dropped before it reaches anything, once.
    Refused,
    /// It is done, and its answer is lost, once.
    AnswerLost,
    /// The service answers that it is too much, once.
    Throttled,
    /// It arrives after its caller has given it up, once.
    Slow,
    /// It and all like it are dropped, until the run has ended.
    Failing,
    /// Its caller is killed, and it is done all the same.
    Killed,
}

impl Fault {
    /// All of them, in the order of the page.
    pub const ALL: [Fault; 6] =
        [Fault::Refused, Fault::AnswerLost, Fault::Throttled, Fault::Slow, Fault::Failing, Fault::Killed];

    /// Whether it is tried at the call. Who dies at a read dies between two effects, as behind the one before it.
    fn is_for(self, call: &CallId) -> bool {
        self != Fault::Killed || call.effect
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Refused => "refused",
            Fault::AnswerLost => "answer lost",
            Fault::Throttled => "throttled",
            Fault::Slow => "slow",
            Fault::Failing => "failing",
            Fault::Killed => "killed",
        })
    }
}

/// One fault at one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The call.
    pub call: CallId,
    /// What becomes of it.
    pub fault: Fault,
}

impl Trouble {
    /// Whether no run comes of the alarm.
    pub(super) fn stops_the_trigger(&self) -> bool {
        self.call.function == "alarm-trigger" && self.fault == Fault::Failing
    }
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How traffic moves.
    pub strategy: Strategy,
    /// Whether the primary is back before the run has fenced it: nothing should come of the run.
    #[serde(default)]
    pub false_alarm: bool,
    /// What goes wrong: one trouble, or a pair in the order of the run.
    pub troubles: Vec<Trouble>,
}

impl Case {
    /// Its name, the same each time.
    pub fn id(&self) -> String {
        let troubles = self.troubles.iter().map(|Trouble { call, fault }| {
            format!("{}: {} {}", call.state, call.told(), fault.to_string().to_uppercase())
        });
        let kind = if self.false_alarm { ", false alarm" } else { "" };
        format!("{}{kind} | {}", self.strategy, troubles.collect::<Vec<_>>().join(" + "))
    }

    /// Which of two ways out a person takes where there are two: half of the cases go on, half go back.
    pub(super) fn goes_on(&self) -> bool {
        hash(&self.id()).is_multiple_of(2)
    }
}

/// Every call with every fault.
pub fn all(strategy: Strategy, false_alarm: bool, calls: &[CallId], faults: &[Fault]) -> Vec<Case> {
    let of_call = |call: &CallId| {
        let faults = faults.iter().filter(|fault| fault.is_for(call));
        let troubles = faults.map(|fault| Trouble { call: call.clone(), fault: *fault });
        troubles.map(|trouble| Case { strategy, false_alarm, troubles: vec![trouble] }).collect::<Vec<_>>()
    };
    calls.iter().flat_map(of_call).collect()
}

/// `count` pairs of faults at two calls, spread over all of them; the same ones each time.
pub fn pairs(strategy: Strategy, calls: &[CallId], count: usize) -> Vec<Case> {
    // By name, since which of the calls side by side comes first is chance.
    let mut singles = all(strategy, false, calls, &Fault::ALL);
    singles.sort_by_key(Case::id);
    let mut pairs: Vec<Case> = Vec::new();
    // Each number is taken once, so there are as many numbers as tries.
    for number in 0..count as u64 * 20 {
        if pairs.len() == count || singles.is_empty() {
            break;
        }
        let pick = |which: u64| (hash(&(number, which)) % singles.len() as u64) as usize;
        let mut troubles = [pick(0), pick(1)].map(|which| singles[which].troubles[0].clone());
        troubles.sort_by_key(|trouble| trouble.call.order);
        // What fails until the run's end ends the run there: a fault behind it would meet nothing.
        if troubles[0].fault == Fault::Failing || troubles[0].call == troubles[1].call {
            continue;
        }
        let pair = Case { strategy, false_alarm: false, troubles: troubles.to_vec() };
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

fn hash(of: &impl std::hash::Hash) -> u64 {
    // Its keys are fixed, unlike those of a map's hasher.
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> Vec<CallId> {
        let call = |number: u32, effect: bool| {
            let place = r#"{"service":"s3","operation":null,"method":"PUT","path":"/"}"#;
            let json = format!(
                r#"{{"state":"Seal the ledger","what":"s3 PUT {number}","nth":1,"order":{number},"effect":{effect},
                "function":"ledger-verify","at":{place},"begins":null}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        vec![call(1, false), call(2, true)]
    }

    #[test]
    fn every_call_meets_every_fault_and_only_effects_a_killer() {
        let cases = all(Strategy::Switch, false, &calls(), &Fault::ALL);
        assert_eq!(cases.len(), 11);
        assert_eq!(cases[10].id(), "switch | Seal the ledger: s3 PUT 2 KILLED");
        let false_alarms = all(Strategy::Switch, true, &calls(), &[Fault::Killed]);
        assert_eq!(false_alarms[0].id(), "switch, false alarm | Seal the ledger: s3 PUT 2 KILLED");
    }

    #[test]
    fn pairs_are_two_calls_in_the_order_of_the_run_and_the_same_each_time() {
        let pairs_of = |count| pairs(Strategy::Switch, &calls(), count);
        let made = pairs_of(12);
        assert_eq!(made.len(), 12);
        assert_eq!(made, pairs_of(12));
        for pair in made {
            let [first, second] = &pair.troubles[..] else { panic!("{pair:?}") };
            assert!(first.call.order < second.call.order && first.fault != Fault::Failing, "{pair:?}");
        }
    }
}
