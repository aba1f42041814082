//! What an admission is decided by.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Because, Observed, Ruling, same};
use crate::admission::{Admission, Before, admit};
use crate::plan::Strategy;
use crate::{Plan, Trigger, TriggerKind};

fn refused(because: &Option<Because>) -> Ruling {
    match because {
        Some(_) => Ruling::verdict("Refused"),
        None => Ruling::GoesOn,
    }
}

/// The version of the plan that whoever started the run had in mind, and the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The version that was asked for, where one was.
    pub wanted: Option<String>,
    /// The newest one, which the run takes.
    pub newest: String,
}

impl Observed for Wanted {
    const RULE: &'static str = "version_wanted";
    type By = ();
    type Decision = Option<Because>;

    /// Why the run is refused, if it is.
    fn decide(&self, (): &()) -> Option<Because> {
        let Wanted { wanted, newest } = self;
        wanted.as_ref().filter(|wanted| *wanted != newest).map(|wanted| Because {
            reason: format!(
                "the run was started for version {wanted} of the plan, and {newest} is the newest by now: look at what has \
                 changed, then start again"
            ),
        })
    }

    fn ruling(because: &Option<Because>) -> Ruling {
        refused(because)
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/action/admit/input/plan/version", &self.wanted)
    }
}

/// What the orchestrator was deployed for, where the plan says it as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployed {
    /// Its parameter `DnsStrategy`.
    pub strategy: Strategy,
    /// Its parameter `HostedZoneId`, without `/hostedzone/`.
    pub zone_id: String,
}

impl Observed for Deployed {
    const RULE: &'static str = "deployed_for";
    type By = Plan;
    type Decision = Option<Because>;

    /// Why a run by `plan` could not move its traffic with the rights that were deployed; `None` where it can. Found behind
    /// the seal it would leave an exchange that nobody reaches.
    ///
    /// The zone counts where records are edited in it; the rights of `switch` are of no zone.
    fn decide(&self, plan: &Plan) -> Option<Because> {
        let because = |reason| Some(Because { reason });
        let (planned, deployed) = (plan.dns.strategy, self.strategy);
        if planned != deployed {
            return because(format!(
                "the plan moves traffic by `dns.strategy: {planned}`, and the orchestrator was deployed with \
                 DnsStrategy={deployed}: update foundation and orchestrator with DnsStrategy={planned}, or upload a plan with \
                 `dns.strategy: {deployed}`"
            ));
        }
        let (planned, deployed) = (&plan.dns.zone_id, &self.zone_id);
        if self.strategy == Strategy::Records && planned != deployed {
            return because(format!(
                "the plan edits the records of the zone {planned}, and the orchestrator was deployed with \
                 HostedZoneId={deployed}: update it with HostedZoneId={planned}, or upload a plan with `dns.zone_id: {deployed}`"
            ));
        }
        None
    }

    fn ruling(because: &Option<Because>) -> Ruling {
        refused(because)
    }
}

/// Everything that an admission looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Why the run was started, as the execution's input has it.
    pub trigger: Trigger,
    /// When the execution started.
    pub started_at: Timestamp,
    /// What earlier runs and people have left.
    pub before: Before,
    /// The admitting Lambda's clock.
    pub now: Timestamp,
}

impl Asked {
    /// The trigger, with its moment: a person's, who says none, is the start of the execution.
    pub fn trigger(&self) -> Trigger {
        let mut trigger = self.trigger.clone();
        if trigger.at.is_none() && trigger.kind == TriggerKind::Operator {
            trigger.at = Some(self.started_at);
        }
        trigger
    }
}

/// What came of it, and what an admitted run is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// Whether it may begin.
    pub admission: Admission,
    /// The newest epoch: the run may claim its successor and no other.
    pub admitted_epoch: u64,
    /// The epoch that had fenced the primary; 0 for none.
    pub fenced_epoch: u64,
}

impl Observed for Asked {
    const RULE: &'static str = "admission";
    type By = Plan;
    type Decision = Admitted;

    fn decide(&self, plan: &Plan) -> Admitted {
        Admitted {
            admission: admit(plan, &self.trigger(), &self.before, self.now),
            admitted_epoch: self.before.holders.first().map_or(0, |newest| newest.epoch),
            fenced_epoch: self.before.fenced_epoch(),
        }
    }

    fn ruling(admitted: &Admitted) -> Ruling {
        let Admitted { admission, admitted_epoch, fenced_epoch } = admitted;
        match admission {
            Admission::Admitted { deadline } => Ruling::Answers(json!({
                "verdict": "Admitted",
                "run": { "deadline": deadline, "admitted_epoch": admitted_epoch, "fenced_epoch": fenced_epoch },
            })),
            Admission::Refused { .. } => Ruling::verdict("Refused"),
            Admission::NotYet { .. } => Ruling::Fails(crate::ErrorName::NotReady),
        }
    }

    fn is_asked(&self, request: &Value) -> Result<(), &'static str> {
        same(request, "/action/admit/input/trigger", &self.trigger)?;
        same(request, "/action/admit/started_at", &self.started_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(strategy: Strategy, zone_id: &str) -> Plan {
        let json = include_bytes!("../../tests/plan.json");
        let mut plan = Plan::from_json(json).expect("the test's plan is valid");
        plan.dns.strategy = strategy;
        plan.dns.zone_id = zone_id.into();
        plan
    }

    #[test]
    fn a_plan_and_a_deployment_agree_on_the_strategy_and_on_the_zone_that_is_edited() {
        use Strategy::{Records, Switch};
        for (deployed, of_plan, named) in [
            ((Switch, "Z1"), (Switch, "Z1"), None),
            // No right of the switch names a zone.
            ((Switch, "Z1"), (Switch, "Z2"), None),
            ((Records, "Z1"), (Records, "Z1"), None),
            ((Records, "Z1"), (Records, "Z2"), Some(["dns.zone_id: Z1", "HostedZoneId=Z2"])),
            ((Records, "Z1"), (Switch, "Z1"), Some(["dns.strategy: records", "DnsStrategy=switch"])),
            ((Switch, "Z1"), (Records, "Z1"), Some(["dns.strategy: switch", "DnsStrategy=records"])),
        ] {
            let found = Deployed { strategy: deployed.0, zone_id: deployed.1.into() };
            let why = found.decide(&plan(of_plan.0, of_plan.1));
            match (&why, named) {
                (None, None) => {}
                (Some(Because { reason }), Some(ways)) => {
                    assert!(ways.iter().all(|way| reason.contains(way)), "{reason}");
                }
                _ => panic!("{deployed:?} and {of_plan:?}: {why:?}"),
            }
        }
    }
}
