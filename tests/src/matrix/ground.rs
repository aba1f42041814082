//! What cases are played on: a world with two light stages, each set back before its case to a plan that no run has touched. While
//! a case is played on one, the other's log grows old enough for its run to find it still.

use std::time::Duration;

use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_route53::types::ChangeAction;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use lifeboat_rules::dns::switch;
use lifeboat_rules::plan::Strategy;
use serde_json::json;
use tokio::time::Instant;

use super::primary::Primary;
use crate::light::{Setting, Stage, runs};
use crate::world::error::{Doing as _, WorldError};
use crate::world::{World, WorldOptions};

/// Between a step's tries Step Functions waits a second and more, and here a fiftieth of it.
const WAIT_SCALE: f64 = 0.02;
/// What `lifeboat plan upload` and the deployment have put into the control bucket; all else is of runs.
const BEFORE_ANY_RUN: [&str; 4] = ["plan/", "templates/", "packages/", "names/"];
/// One call of DeleteObjects takes no more.
const KEYS_A_CALL: usize = 1_000;
const STACKS_GONE_WITHIN: Duration = Duration::from_secs(20);

const PLANS: [&str; 2] = ["matrix-a", "matrix-b"];
const STREAMS: &[&str] = &["ME1", "ME2"];
/// How old the log is when a case begins: the plan's `log_still_seconds`, and one more since S3 counts whole seconds.
const STILL: Duration = Duration::from_secs(3);

/// A world with its stages.
pub(super) struct Ground {
    pub(super) world: World,
    pub(super) stages: [Stage; 2],
}

/// A stage that is set back, and the primary that has traded on it.
pub(super) struct Ready {
    pub(super) primary: Primary,
    still_at: Instant,
}

impl Ready {
    /// Waits until the log is as old as a run wants it. The emulator has looked at this stage's gate again when the other
    /// stage's moved, and found the points of the case before.
    pub(super) async fn begin(self, ground: &Ground, stage: &Stage) -> Result<Primary, WorldError> {
        close_gate(stage).await?;
        tokio::time::sleep_until(self.still_at).await;
        ground.world.dns().settled().await;
        Ok(self.primary)
    }
}

impl Ground {
    /// Brings both up.
    pub(super) async fn set(strategy: Strategy, options: WorldOptions) -> Result<Ground, WorldError> {
        let world = World::start(options).await?;
        let http =
            reqwest::Client::builder().no_proxy().build().doing(|| "make an HTTP client".to_owned())?;
        let url = format!("{}/_ministack/config", world.endpoint());
        let scale = json!({ "stepfunctions._SFN_WAIT_SCALE": WAIT_SCALE });
        let answer = http.post(url).body(scale.to_string()).send().await;
        let answer = answer.doing(|| "shorten the waits of Step Functions".to_owned())?;
        let applied = answer.text().await.doing(|| "shorten the waits of Step Functions".to_owned())?;
        if !applied.contains("_SFN_WAIT_SCALE") {
            return Err(WorldError::failed("shorten the waits of Step Functions", applied));
        }
        let [a, b] = PLANS.map(|plan| Setting { plan, strategy, streams: STREAMS, notify: "" });
        let first = Stage::set(&world, &a).await?;
        let second = first.set_beside(&world, &b).await?;
        Ok(Ground { world, stages: [first, second] })
    }

    /// Takes away all that a run or a person has left, begins the ledger anew, and lets the primary trade. Nothing of this passes
    /// the proxy.
    pub(super) async fn set_back(&self, stage: &Stage) -> Result<Ready, WorldError> {
        stage.primary.set_well(false);
        let (stacks, control, log, evidence, traffic) = tokio::join!(
            self.take_stacks_away(stage, |_| true),
            empty(stage, &stage.control_bucket, &BEFORE_ANY_RUN),
            empty(stage, &stage.log_bucket, &[]),
            // Under Object Lock a version stays; what lists and reads by key does not see it any more.
            empty(stage, &stage.evidence_bucket, &[]),
            traffic_to_primary(stage),
        );
        stacks.and(control).and(log).and(evidence).and(traffic)?;
        stage.succeed(&["init", &stage.plan_file]).await?;
        let mut primary = Primary::begin(stage).await?;
        for _ in 0..2 {
            if primary.put().await?.contains(&false) {
                return Err(WorldError::failed("let the primary trade", "its put was refused"));
            }
        }
        Ok(Ready { primary, still_at: Instant::now() + STILL })
    }

    /// Deletes stacks of runs, by the run.
    pub(super) async fn take_stacks_away(
        &self,
        stage: &Stage,
        of: impl Fn(&str) -> bool,
    ) -> Result<(), WorldError> {
        let deadline = Instant::now() + STACKS_GONE_WITHIN;
        loop {
            let mut left = stage.stacks().await?;
            left.retain(|(_, _, run)| of(run));
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let what = format!("take away {left:?}");
                return Err(WorldError::TooLate { what, within: STACKS_GONE_WITHIN });
            }
            for (name, ..) in left {
                let delete = stage.clients.cloudformation.delete_stack().stack_name(&name);
                delete.send().await.doing(|| format!("delete the stack {name}"))?;
            }
        }
    }
}

async fn empty(stage: &Stage, bucket: &str, but: &[&str]) -> Result<(), WorldError> {
    let what = || format!("empty {bucket}");
    let mut keys = stage.keys(bucket, "").await?;
    keys.retain(|key| !but.iter().any(|prefix| key.starts_with(prefix)));
    for keys in keys.chunks(KEYS_A_CALL) {
        let objects: Result<Vec<_>, _> =
            keys.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
        let delete = Delete::builder().set_objects(Some(objects.doing(what)?)).build().doing(what)?;
        let sent = stage.clients.s3.delete_objects().bucket(bucket).delete(delete).send().await;
        let errors = sent.doing(what)?.errors.unwrap_or_default();
        if let Some(error) = errors.first() {
            return Err(WorldError::failed(what(), format!("{error:?}")));
        }
    }
    Ok(())
}

async fn traffic_to_primary(stage: &Stage) -> Result<(), WorldError> {
    if stage.plan.dns.strategy == Strategy::Switch {
        return close_gate(stage).await;
    }
    let sets = stage.record_sets().await?;
    if !sets.is_empty() {
        let deletes = sets.into_iter().map(|set| (ChangeAction::Delete, set)).collect();
        stage.change_records(deletes).await?;
    }
    stage.put_primary_records().await
}

/// Puts the alarm behind the gate to where it stands while traffic is on the primary.
async fn close_gate(stage: &Stage) -> Result<(), WorldError> {
    match stage.plan.dns.strategy {
        Strategy::Switch => {
            runs::set_alarm(stage, &switch::alarm_name(&stage.plan.name), StateValue::Ok).await
        }
        Strategy::Records => Ok(()),
    }
}
