//! What the orchestrator was deployed for, where the plan says it as well: the two have to agree before a run begins.

use lifeboat_rules::evidence::Deployment;
use lifeboat_rules::plan::Strategy;
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::required_env;

/// What `orchestrator.yaml` has given its functions their rights for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Its parameter `DnsStrategy`.
    pub strategy: Strategy,
    /// Its parameter `HostedZoneId`, without `/hostedzone/`.
    pub zone_id: String,
    /// Its parameters `ArtifactPrefix` and `DefinitionKey`, for the manifest.
    pub deployment: Deployment,
}

impl Deployed {
    /// Reads what the template has put into the environment.
    ///
    /// # Errors
    /// `Defect` where something is missing or is none of what the template allows.
    pub fn from_env() -> Result<Deployed, StepError> {
        let strategy = strategy(&required_env("DNS_STRATEGY")?)?;
        let deployment = Deployment {
            packages: required_env("ARTIFACT_PREFIX")?,
            definition: required_env("DEFINITION_KEY")?,
            signing_key: required_env("SIGNING_KEY_ARN")?,
            templates: vec![],
        };
        Ok(Deployed { strategy, zone_id: required_env("HOSTED_ZONE_ID")?, deployment })
    }

    /// Why a run by `plan` could not move its traffic with the rights that were deployed; `None` where it can. Found behind
    /// the seal it would leave an exchange that nobody reaches.
    ///
    /// The zone counts where records are edited in it; the rights of `switch` are of no zone.
    pub fn refuses(&self, plan: &Plan) -> Option<String> {
        let (planned, deployed) = (plan.dns.strategy, self.strategy);
        if planned != deployed {
            return Some(format!(
                "the plan moves traffic by `dns.strategy: {planned}`, and the orchestrator was deployed with \
                 DnsStrategy={deployed}: update foundation and orchestrator with DnsStrategy={planned}, or upload a plan with \
                 `dns.strategy: {deployed}`"
            ));
        }
        let (planned, deployed) = (&plan.dns.zone_id, &self.zone_id);
        if self.strategy == Strategy::Records && planned != deployed {
            return Some(format!(
                "the plan edits the records of the zone {planned}, and the orchestrator was deployed with \
                 HostedZoneId={deployed}: update it with HostedZoneId={planned}, or upload a plan with `dns.zone_id: {deployed}`"
            ));
        }
        None
    }
}

fn strategy(text: &str) -> Result<Strategy, StepError> {
    [Strategy::Switch, Strategy::Records].into_iter().find(|strategy| strategy.to_string() == text).ok_or_else(
        || {
            StepError::new(
                ErrorName::Defect,
                format!(
                    "DNS_STRATEGY is {text:?}, and has to be switch or records; the function was not deployed by \
                     orchestrator.yaml"
                ),
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(strategy: Strategy, zone_id: &str) -> Plan {
        let json = include_bytes!("../../rules/tests/plan.json");
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
            let deployment = Deployment {
                packages: "packages/1/".into(),
                definition: "packages/1/failover.asl.json".into(),
                signing_key: "arn:aws:kms:eu-central-1:000000000000:key/1".into(),
                templates: vec![],
            };
            let found = Deployed { strategy: deployed.0, zone_id: deployed.1.into(), deployment };
            let why = found.refuses(&plan(of_plan.0, of_plan.1));
            match (&why, named) {
                (None, None) => {}
                (Some(why), Some(ways)) => assert!(ways.iter().all(|way| why.contains(way)), "{why}"),
                _ => panic!("{deployed:?} and {of_plan:?}: {why:?}"),
            }
        }
    }

    #[test]
    fn a_strategy_is_one_of_the_templates() {
        assert_eq!(strategy("switch").unwrap(), Strategy::Switch);
        assert_eq!(strategy("records").unwrap(), Strategy::Records);
        for wrong in ["", "Switch", "arc"] {
            let err = strategy(wrong).unwrap_err();
            assert_eq!(err.name, ErrorName::Defect);
            assert!(err.to_string().contains("switch or records"), "{err}");
        }
    }
}
