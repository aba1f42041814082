//! What a person needs who takes over from a run, whichever way: the plan, the newest epoch and how its run ended, the
//! proof of the ledger, a look at the traffic, the question, the manifest.

mod earlier;
mod keep;
mod traffic;

use dns_flip::{Gate, Zone};
use jiff::Timestamp;
use ledger_verify::{Answer, Examined};
use lifeboat_rules::admission::Holder;
use lifeboat_rules::epoch::Cause;
use lifeboat_rules::evidence::{Manifest, prefix};
use lifeboat_rules::plan::{Record, Strategy};
use lifeboat_rules::{Outcome, Plan, StepError};
use lifeboat_runtime::Store;
use serde::Serialize;
use serde_json::Value;

use crate::args::AfterRunArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::one_line;
use crate::person;
use crate::progress::Progress;
use crate::uploaded;
pub(crate) use earlier::Compared;
pub(crate) use keep::{Keep, Kept};
pub(crate) use traffic::{Moves, few, moved_in_words};

/// The greatest epoch that a person's act claims: the state machine's numbers are exact up to 2^53, and as many again are left
/// above it.
const EPOCH_MAX: u64 = 1 << 52;

/// A person before what a run has left.
pub(crate) struct AfterRun<'a> {
    pub(crate) args: &'a AfterRunArgs,
    /// Who the person is.
    pub(crate) by: String,
    pub(crate) zone: Zone,
    gate: Gate,
    pub(crate) store: Store,
    pub(crate) plan: Plan,
    /// All records of the plan, those by rules too; under `switch` nobody asks for them, and there are none.
    pub(crate) records: Vec<Record>,
    /// Who holds the newest epoch.
    pub(crate) newest: Holder,
}

impl<'a> AfterRun<'a> {
    /// Reads the plan and the newest epoch; before that, sees to it that there is somebody to ask.
    pub(crate) async fn begin(args: &'a AfterRunArgs) -> Result<Self, Failure> {
        person::must_be_there(args.yes)?;
        let by = person::name(&args.word)?;
        let config = aws::config(&args.plan.aws, None).await?;
        let store = Store::new(&config);
        let control = &args.plan.control.bucket;
        let plan = uploaded::uploaded(&store, control, &args.plan.name).await?;
        let records = match plan.dns.strategy {
            Strategy::Switch => vec![],
            Strategy::Records => uploaded::records(&store, control, &plan).await?,
        };
        let newest = newest(&store, control, &args.evidence.evidence_bucket, &plan).await?;
        let zone = Zone::new(aws::route53(&config));
        // The gate's alarm is where the plan says, whatever Region a person works in.
        let gate = Gate { cloudwatch: aws::cloudwatch(&config, &plan.regions.recovery) };
        Ok(Self { args, by, zone, gate, store, plan, records, newest })
    }

    /// Refuses where the holder of an epoch is a run that may be going on. A hand-back without a manifest was stopped, and
    /// is finished by another one; the genesis has none at all.
    pub(crate) fn refuse_while_open(&self, holder: &Holder) -> Result<(), Failure> {
        let Holder { run, epoch, .. } = holder;
        if holder.outcome.is_some() || !is_a_runs(holder) || self.args.run_is_over {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Halted,
            format!(
                "run {run} (epoch {epoch}) of {} has no manifest: it may be going on; nothing was done",
                self.plan.name
            ),
            format!(
                "look at it: `aws stepfunctions describe-execution --execution-arn arn:aws:states:{}:ACCOUNT:execution:\
                 STATE-MACHINE:{run}`. While it says RUNNING, wait, or stop it with `aws stepfunctions stop-execution`; \
                 then say --run-is-over",
                self.plan.regions.recovery
            ),
        ))
    }

    /// The holders of all epochs from the newest down to `epoch`, or to the one before it where nobody holds that.
    pub(crate) async fn holders_down_to(&self, epoch: u64) -> Result<Vec<Holder>, Failure> {
        let (control, evidence) = (&self.args.plan.control.bucket, &self.args.evidence.evidence_bucket);
        let enough = |holder: &Holder| holder.epoch <= epoch;
        run_control::holders(&self.store, control, evidence, &self.plan.name, enough).await.map_err(|error| {
            let what = format!("could not read who holds the epochs of {}; nothing was done", self.plan.name);
            aws::step_failure(what, &error)
        })
    }

    /// The epoch that a person's act claims: greater than every one that was claimed and, under `switch`, than that of the
    /// newest flip, which nobody need have claimed and which may be none. So there is a way on over either.
    pub(crate) async fn next_epoch(&self) -> Result<u64, Failure> {
        let flipped = match self.plan.dns.strategy {
            Strategy::Records => None,
            Strategy::Switch => self.newest_flip().await.map_err(|error| {
                let what = format!("could not find the newest flip of {}; nothing was done", self.plan.name);
                aws::step_failure(what, &error)
            })?,
        };
        let newest = flipped.as_ref().map_or(0, |flip| flip.epoch).max(self.newest.epoch);
        newest.checked_add(1).filter(|next| *next <= EPOCH_MAX).ok_or_else(|| {
            let key = flipped.map_or_else(String::new, |flip| flip.key);
            Failure::new(
                Exit::Halted,
                format!("no epoch is left to claim beyond epoch {newest} ({key}); nothing was done"),
                "find out who put it; the keeper of the bucket's policy has to let it be removed",
            )
        })
    }

    /// The newest epoch that has put a fence into the ledger; 0 for none.
    pub(crate) async fn newest_fence(&self) -> Result<u64, Failure> {
        let bucket = &self.plan.ledger.bucket;
        run_control::newest_fence(&self.store, bucket).await.map_err(|error| {
            let what = format!("could not list the fences in s3://{bucket}; nothing was done");
            aws::step_failure(what, &error)
        })
    }

    /// Proves the whole ledger: nobody is given the pen or the traffic on a ledger that is not whole.
    pub(crate) async fn prove(&self) -> Result<Examined, Failure> {
        let plan = &self.plan;
        let progress = Progress::show(format!("proving the ledger of {}, every entry", plan.name));
        let answer = ledger_verify::verify_history(&self.store, plan).await;
        drop(progress);
        let ledger = format!("s3://{}/{}", plan.ledger.bucket, plan.ledger.prefix);
        let answer = answer.map_err(|error| {
            aws::step_failure(format!("could not read the ledger {ledger}; nothing was done"), &error)
        })?;
        match answer {
            Answer::Proven(examined) => Ok(examined),
            Answer::Broken(examined) => Err(Failure {
                cause: Some(examined.reason),
                ..Failure::new(
                    Exit::Broken,
                    format!(
                        "the ledger {ledger} is broken, {} findings; nothing was done",
                        examined.findings_count
                    ),
                    "neither side may go on from it as it is: keep every object, and find out who wrote what is named",
                )
            }),
            Answer::Unproven(examined) => Err(Failure {
                cause: Some(examined.reason),
                ..Failure::new(
                    Exit::Unproven,
                    format!(
                        "the ledger {ledger} could not be proven, {} findings; nothing was done",
                        examined.findings_count
                    ),
                    self.to_be_proven(),
                )
            }),
            other => Err(Failure::defect(format!("the proof of {ledger} answered {other:?}"))),
        }
    }

    /// What a person does about a ledger that could not be proven.
    pub(crate) fn to_be_proven(&self) -> String {
        let ledger = &self.plan.ledger;
        match ledger.lease {
            None => {
                "see that every object can be read and every stream of the plan is opened, then run it again"
                    .to_owned()
            }
            Some(_) => format!(
                "what was acknowledged and never delivered is in the delivery stream's errors or backup, if it is anywhere: put \
                 it below s3://{}/{} as it is, then run the same command again",
                ledger.bucket, ledger.prefix
            ),
        }
    }

    /// Asks the person whether to do what `lines` say, unless --yes has answered.
    pub(crate) fn agree(&self, mut lines: Vec<String>) -> Result<(), Failure> {
        lines.push(format!("  word     {}: {}", one_line(&self.by), one_line(&self.args.word.reason)));
        lines.push("Go on?".to_owned());
        person::agree(self.args.yes, &lines)
    }

    /// Leaves the manifest of what this person has done, under the person's own words.
    pub(crate) async fn close(&self, run: &str, outcome: Outcome, facts: Value) -> Result<Closed, StepError> {
        let evidence = &self.args.evidence.evidence_bucket;
        let left = run_control::listed(&self.store, evidence, &prefix(&self.plan.name, run)).await?;
        let manifest = Manifest {
            plan: self.plan.name.clone(),
            run: run.to_owned(),
            admitted: None,
            outcome,
            reason: self.args.word.reason.clone(),
            closed_at: lifeboat_runtime::now(),
            facts,
            deployment: None,
            account: None,
            records: left,
        };
        let stored = run_control::put_manifest(&self.store, evidence, manifest).await?;
        Ok(Closed { key: stored.key, sha256: stored.sha256 })
    }

    /// Somebody newer acts.
    pub(crate) fn superseded(&self, what: String, error: &StepError) -> Failure {
        let next = format!(
            "see with `lifeboat status --plan {}` who acts, before anything else is done",
            self.plan.name
        );
        Failure::new(Exit::Superseded, what, next).because(error)
    }
}

/// The stored manifest.
#[derive(Serialize)]
pub(crate) struct Closed {
    pub(crate) key: String,
    sha256: String,
}

/// Whether a run has claimed the epoch, and not a person.
pub(crate) fn is_a_runs(holder: &Holder) -> bool {
    matches!(holder.cause, Cause::Alarm | Cause::Operator)
}

/// How the holder of an epoch ended, for a person.
pub(crate) fn came_to(holder: &Holder) -> &'static str {
    holder.outcome.map_or("no manifest", Outcome::as_str)
}

/// What a command's act is called, as a run is by its execution: the moment for people, and digits against a second one
/// in the same second.
pub(crate) fn name(command: &str, now: Timestamp) -> String {
    format!("{command}-{}-{:06x}", now.strftime("%Y%m%dT%H%M%SZ"), fastrand::u32(..1 << 24))
}

/// Who holds the newest epoch.
async fn newest(store: &Store, control: &str, evidence: &str, plan: &Plan) -> Result<Holder, Failure> {
    let holders = run_control::holders(store, control, evidence, &plan.name, |_| true).await;
    let holders = holders.map_err(|error| {
        aws::step_failure(
            format!("could not read the newest epoch of {}; nothing was done", plan.name),
            &error,
        )
    })?;
    holders.into_iter().next().ok_or_else(|| {
        Failure::new(
            Exit::Halted,
            format!("no epoch was ever claimed for {}, so nobody has the pen; nothing was done", plan.name),
            "open its ledger with `lifeboat init`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_moment_and_differ_within_it() {
        let now = "2026-11-23T12:00:00.5Z".parse().unwrap();
        let names = [name("handback", now), name("handback", now)];
        assert!(names[0].starts_with("handback-20261123T120000Z-"), "{names:?}");
        assert_eq!(names[0].len(), "handback-20261123T120000Z-".len() + 6);
    }
}
