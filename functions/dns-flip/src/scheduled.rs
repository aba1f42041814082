//! The keeper: every minute it publishes where traffic belongs.

use lifeboat_rules::StepError;
use serde::{Deserialize, Serialize};

use crate::switch::{Kept, keep};
use crate::traffic::Mover;

/// What the schedule sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// Always `keep`.
    pub action: KeeperAction,
}

/// The one action of a scheduled call.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeeperAction {
    /// Publish what the newest flip says.
    Keep,
}

/// Publishes what the newest flip says of the plan that is stored at `plan_key`, `plan/<name>.json`. The plan itself is not
/// read: one that was uploaded with a mistake must not stop the keeper.
///
/// # Errors
/// `Defect` where the key names no plan; as [`keep`].
pub async fn keep_on_schedule(mover: Mover<'_>, plan_key: &str) -> Result<Kept, StepError> {
    let Mover { store, control_bucket, gate, .. } = mover;
    let kept = keep(store, control_bucket, gate, plan_of(plan_key)?).await?;
    tracing::info!(epoch = kept.epoch, side = ?kept.side, at = %kept.published.at, "published where traffic belongs");
    Ok(kept)
}

fn plan_of(plan_key: &str) -> Result<&str, StepError> {
    let name = plan_key.strip_prefix("plan/").and_then(|rest| rest.strip_suffix(".json"));
    name.filter(|name| !name.is_empty() && !name.contains('/')).ok_or_else(|| {
        StepError::defect(format!("PLAN_KEY is {plan_key:?}, and has to be plan/<name of the plan>.json"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_named_by_its_key() {
        assert_eq!(plan_of("plan/aex-eu.json").unwrap(), "aex-eu");
        for wrong in ["", "aex", "plan/aex", "plan/.json", "plan/a/b.json", "aex.json"] {
            assert!(plan_of(wrong).unwrap_err().to_string().contains("plan/<name"), "{wrong}");
        }
    }

    #[test]
    fn the_schedule_says_keep_and_nothing_else() {
        serde_json::from_str::<Scheduled>(r#"{"action":"keep"}"#).unwrap();
        for wrong in [r#"{"action":"probe"}"#, r#"{"action":"keep","plan":"aex"}"#, "{}"] {
            serde_json::from_str::<Scheduled>(wrong).unwrap_err();
        }
    }
}
