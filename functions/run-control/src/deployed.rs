//! What the orchestrator was deployed for, as its template has put it into the environment.

use lifeboat_rules::decided::Deployed;
use lifeboat_rules::evidence::Deployment;
use lifeboat_rules::plan::Strategy;
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::required_env;

use crate::notify::Topic;

/// The orchestrator's stack.
#[derive(Clone, Debug)]
pub struct Orchestrator {
    /// What it has given its functions their rights for: the plan has to agree.
    pub deployed: Deployed,
    /// What it runs, for the manifest.
    pub deployment: Deployment,
    /// Whom to tell of a run; nobody where it names no topic.
    pub topic: Option<Topic>,
}

impl Orchestrator {
    /// Reads what the template has put into the environment.
    ///
    /// # Errors
    /// `Defect` where something is missing or is none of what the template allows.
    pub fn from_env(config: &aws_config::SdkConfig) -> Result<Orchestrator, StepError> {
        let strategy = strategy(&required_env("DNS_STRATEGY")?)?;
        Ok(Orchestrator {
            deployed: Deployed { strategy, zone_id: required_env("HOSTED_ZONE_ID")? },
            deployment: Deployment {
                packages: required_env("ARTIFACT_PREFIX")?,
                definition: required_env("DEFINITION_KEY")?,
                signing_key: required_env("SIGNING_KEY_ARN")?,
                templates: vec![],
            },
            topic: Topic::from_env(config),
        })
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
