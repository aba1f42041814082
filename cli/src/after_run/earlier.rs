//! The plan that a run went by, held against the plan as it is uploaded now: a move by another plan may leave names behind.

use std::collections::BTreeSet;

use lifeboat_rules::admission::Holder;
use lifeboat_rules::dns::left_behind;
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::plan::Strategy;
use lifeboat_rules::{ErrorName, Outcome, PlanRef, StepError, evidence};
use lifeboat_runtime::Context;
use serde_json::Value;

use super::{AfterRun, is_a_runs};
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;

/// Records of a run that are looked through for its plan: the second step's has it.
const RECORDS_READ_MAX: usize = 10;

/// What came of comparing.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// A run went by a plan of which this one would leave something behind.
    differs: Option<Differs>,
    /// Of which runs that is not known.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug)]
struct Differs {
    run: String,
    epoch: u64,
    plan: PlanRef,
    left: Vec<String>,
}

impl Compared {
    /// Refuses where something would be left behind; nothing was done.
    pub(crate) fn refuse(&self, after: &AfterRun<'_>) -> Result<(), Failure> {
        let Some(Differs { run, epoch, plan, left }) = &self.differs else { return Ok(()) };
        let (name, bucket) = (&after.plan.name, &after.args.plan.control.bucket);
        let what = format!(
            "run {run} (epoch {epoch}) went by another version of the plan {name}, and by this one not all of its traffic \
             would move; nothing was done"
        );
        let PlanRef { key, version, .. } = plan;
        let next = format!(
            "bring that version back, run the same command again, and upload yours afterwards: `aws s3api copy-object \
             --bucket {bucket} --key {key} --copy-source '{bucket}/{key}?versionId={version}'`"
        );
        Err(Failure { cause: Some(left.join("; ")), ..Failure::new(Exit::Halted, what, next) })
    }

    /// The same where the traffic is kept: it is for the person then, and is said.
    pub(crate) fn into_warnings(self) -> Vec<String> {
        let Compared { differs, mut warnings } = self;
        warnings.extend(differs.map(|Differs { run, epoch, left, .. }| {
            format!(
                "run {run} (epoch {epoch}) went by another version of the plan: {}. What it moved there, or may still move, \
                 this hand-back does not hold",
                left.join("; ")
            )
        }));
        warnings
    }
}

impl AfterRun<'_> {
    /// Compares the plan with those of all runs since the traffic was last brought to the primary.
    pub(crate) async fn compare_since_the_primary(&self) -> Result<Compared, Failure> {
        let runs = self.runs_since_the_primary().await.map_err(|error| self.not_compared(&error))?;
        self.compare(&runs).await
    }

    /// Compares the plan with those of `runs`, as far as they came to open the recovery side, before which no run moves
    /// traffic.
    pub(crate) async fn compare(&self, runs: &[Holder]) -> Result<Compared, Failure> {
        let mut compared = Compared::default();
        let mut known = BTreeSet::from([self.plan.digest()]);
        for Holder { run, epoch, outcome, .. } in runs.iter().filter(|holder| is_a_runs(holder)) {
            let went_by =
                self.went_by(run, *epoch, *outcome).await.map_err(|error| self.not_compared(&error))?;
            let plan = match went_by {
                WentBy::Nothing => continue,
                WentBy::Plan(plan) if !known.insert(plan.sha256.clone()) => continue,
                WentBy::Plan(plan) => Some(plan),
                WentBy::Unknown => None,
            };
            let left = match &plan {
                Some(plan) => self.left_behind(plan).await.map_err(|error| self.not_compared(&error))?,
                None => None,
            };
            match (plan, left) {
                (Some(plan), Some(left)) => {
                    if compared.differs.is_none() && !left.is_empty() {
                        compared.differs = Some(Differs { run: run.clone(), epoch: *epoch, plan, left });
                    }
                }
                _ => compared.warnings.push(format!(
                    "which version of the plan run {run} (epoch {epoch}) went by is not known: whether this one moves all \
                     that it moved was not compared"
                )),
            }
        }
        Ok(compared)
    }

    async fn runs_since_the_primary(&self) -> Result<Vec<Holder>, StepError> {
        let (control, evidence) = (&self.args.plan.control.bucket, &self.args.evidence.evidence_bucket);
        let mut below = u64::MAX;
        loop {
            let brought = |holder: &Holder| {
                holder.epoch < below
                    && holder.cause == Cause::HandBack
                    && holder.outcome == Some(Outcome::HandedBack)
            };
            let holders =
                run_control::holders(&self.store, control, evidence, &self.plan.name, brought).await?;
            match holders.last().filter(|last| brought(last)) {
                // It gave the pen back and kept the traffic: what moved that is older still.
                Some(last) if self.manifest(&last.run).await?["facts"]["traffic"]["kept"] == true => {
                    below = last.epoch;
                }
                _ => return Ok(holders),
            }
        }
    }

    async fn went_by(&self, run: &str, epoch: u64, outcome: Option<Outcome>) -> Result<WentBy, StepError> {
        let mut manifest = self.manifest(run).await?;
        if manifest["admitted"]["admitted_epoch"].as_u64().map(|admitted| admitted + 1) != Some(epoch) {
            // Of another run of that name, or there is none.
            manifest = Value::Null;
        }
        let closed = !manifest.is_null() && outcome != Some(Outcome::Recovered);
        if closed && manifest["facts"]["open"].is_null() {
            return Ok(WentBy::Nothing);
        }
        if let Some(plan) = plan_ref(&manifest["admitted"]) {
            return Ok(WentBy::Plan(plan));
        }
        // It was stopped: its records name the plan, each with the run that it was asked about.
        let prefix = evidence::prefix(&self.plan.name, run);
        let bucket = &self.args.evidence.evidence_bucket;
        let page = self.store.page(bucket, &prefix, None, None).await?;
        let intents = page.objects.iter().filter(|object| object.key.ends_with("-intent.json"));
        for object in intents.take(RECORDS_READ_MAX) {
            if let Some(plan) = plan_ref(&self.json(&object.key).await?["body"]["run"]) {
                return Ok(WentBy::Plan(plan));
            }
        }
        Ok(WentBy::Unknown)
    }

    async fn manifest(&self, run: &str) -> Result<Value, StepError> {
        self.json(&evidence::manifest_key(&self.plan.name, run)).await
    }

    /// An object of the evidence as plain JSON: what another version of Lifeboat has left can be read as well.
    async fn json(&self, key: &str) -> Result<Value, StepError> {
        let bytes = self.store.get(&self.args.evidence.evidence_bucket, key, None).await?;
        Ok(serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default())
    }

    /// What a move by the plan as it is now leaves behind of what this version of it has moved; `None` where that version is
    /// not there any more, or cannot be read.
    async fn left_behind(&self, version: &PlanRef) -> Result<Option<Vec<String>>, StepError> {
        let control = &self.args.plan.control.bucket;
        let PlanRef { key, version, sha256 } = version;
        let Some(bytes) = self.store.get(control, key, Some(version)).await? else { return Ok(None) };
        if evidence::sha256(&bytes) != *sha256 {
            return Ok(None);
        }
        let before = async {
            let before = Context::read_plan(&bytes)?;
            let records = match before.dns.strategy {
                Strategy::Switch => vec![],
                Strategy::Records => lifeboat_runtime::records(&self.store, control, &before).await?,
            };
            Ok::<_, StepError>((before, records))
        };
        match before.await {
            Ok((before, records)) => Ok(Some(left_behind((&before, &records), (&self.plan, &self.records)))),
            // Another version of Lifeboat's, or its lists are gone: what is in it cannot be told.
            Err(error) if error.name == ErrorName::PlanInvalid => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn not_compared(&self, error: &StepError) -> Failure {
        let what = format!(
            "could not read by which version of the plan {} earlier runs went; nothing was done",
            self.plan.name
        );
        aws::step_failure(what, error)
    }
}

/// The plan that a run went by.
enum WentBy {
    /// It never came to move any traffic.
    Nothing,
    Plan(PlanRef),
    Unknown,
}

fn plan_ref(run: &Value) -> Option<PlanRef> {
    serde_json::from_value(run["plan"].clone()).ok()
}
