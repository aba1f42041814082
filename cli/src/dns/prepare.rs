//! `lifeboat dns prepare`: failover pairs of the plan's records before the day, and back with --undo.
//!
//! Each batch compares and swaps, and holds every change of the records in it. So it may be stopped anywhere and run again, and
//! whoever edits the zone meanwhile is not overwritten: the batch is refused, and the zone is read anew.
//!
//! Nothing fences a batch of it that arrives late, when the zone has come back to the very sets that it deletes: it is applied
//! then. It changes no answer, and `lifeboat dns check` tells of it.

mod told;

use dns_flip::Rejected;
use lifeboat_rules::dns::Change;
use lifeboat_rules::dns::prepare::{Edit, Prepared, To, prepare};
use lifeboat_rules::plan::{Side, Strategy};
use lifeboat_rules::{ErrorName, Plan, StepError};

use super::eyes::{Eyes, Standing};
use crate::args::PrepareArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, State};
use crate::person;
use crate::progress::Steps;

/// How often in a row a batch is worked out anew, because the zone changed or Route 53 did not answer.
const TRIES_MAX: u32 = 5;
/// How often the whole zone is gone through. The last time finds nothing to do.
const ROUNDS_MAX: u32 = 20;

pub(super) async fn run(args: &PrepareArgs) -> Result<Report, Failure> {
    if !args.yes && !person::can_be_asked() {
        let next = "say --yes, or run it where it can ask you";
        return Err(Failure::new(Exit::Usage, "there is no terminal to ask on; nothing was done", next));
    }
    let eyes = Eyes::open(&args.plan).await?;
    let standing = eyes.standing().await?;
    refuse_while_on_recovery(&eyes.plan, &standing)?;
    let to = if args.undo { To::Plain } else { pairs(&eyes).await? };
    let prepared = prepare(to, &eyes.records, &eyes.found().await?);
    let work = Work { eyes: &eyes, to, standing };
    if prepared.batches.is_empty() {
        return Ok(work.report(State::DoneAlready, &[], 0, &prepared));
    }
    work.refuse_without_room(&prepared).await?;
    if !args.yes && !person::agrees(&work.question(&prepared).join("\n")) {
        let next = "run it again when it is to be";
        return Err(Failure::new(Exit::Halted, "it was not agreed to; nothing was done", next));
    }
    let (edits, batches, last) = work.edit(prepared).await?;
    Ok(work.report(State::Done, &edits, batches, &last))
}

/// While the recovery side has the traffic a new pair would answer from there, and a plain record from a dead side.
fn refuse_while_on_recovery(plan: &Plan, standing: &Standing) -> Result<(), Failure> {
    if let Some(unreadable) = &standing.unreadable {
        return Err(Failure {
            cause: Some(unreadable.why.clone()),
            ..Failure::new(
                Exit::Halted,
                format!(
                    "where the traffic of {} is cannot be known: the newest flip, {}, cannot be read; nothing was done",
                    plan.name, unreadable.key
                ),
                "find out who put it; after `lifeboat handback`, which puts a newer one, run this again",
            )
        });
    }
    let Some(flip) = standing.flip.as_ref().filter(|flip| flip.side == Side::Recovery) else { return Ok(()) };
    Err(Failure::new(
        Exit::Halted,
        format!(
            "the traffic of {} is on the recovery side since epoch {} (run {}); nothing was done",
            plan.name, flip.epoch, flip.run
        ),
        "give the traffic back with `lifeboat handback`, then run this again",
    ))
}

/// To pairs, where the plan asks for them and the gate is as it should be: a pair behind a gate that is shut, or that
/// follows something else, would move its name at once.
async fn pairs(eyes: &Eyes) -> Result<To<'_>, Failure> {
    let plan = &eyes.plan;
    let (Strategy::Switch, Some(health_check)) = (plan.dns.strategy, &plan.dns.health_check) else {
        return Err(Failure::new(
            Exit::PlanInvalid,
            format!(
                "the plan {} has the strategy records, whose flips edit plain records; nothing was done",
                plan.name
            ),
            "put `strategy: switch` and `health_check` into the plan and store it with `lifeboat plan upload`; if these \
             records are pairs and are to be plain again, say --undo",
        ));
    };
    let gate = eyes.gate().await?;
    let findings = gate.findings(plan);
    if let Some(first) = findings.first() {
        return Err(Failure {
            cause: Some(format!("{}: {}", first.place, first.what)),
            ..Failure::new(
                Exit::Halted,
                format!("the gate of {} is not as it should be; nothing was done", plan.name),
                format!("{}; `lifeboat dns check` tells of all that is not right", first.next),
            )
        });
    }
    if gate.alarm.is_some_and(|alarm| alarm.state == "ALARM") {
        return Err(Failure::new(
            Exit::Halted,
            format!(
                "the alarm {} is on, so a pair would answer from the recovery side; nothing was done",
                lifeboat_rules::dns::switch::alarm_name(&plan.name)
            ),
            "after a hand-back it goes off within two minutes; if it does not, see the log of dns-flip, whose schedule \
             publishes the newest flip every minute",
        ));
    }
    Ok(To::Pairs { health_check })
}

struct Work<'a> {
    eyes: &'a Eyes,
    to: To<'a>,
    /// Who was the last to act on the traffic, when this began.
    standing: Standing,
}

impl Work<'_> {
    /// A pair is two record sets. What the zone's quota does not take would stop it half-way; where Route 53 does not tell
    /// the quota, the batches find it out.
    async fn refuse_without_room(&self, prepared: &Prepared) -> Result<(), Failure> {
        let changes = || prepared.edits().flat_map(|edit| &edit.changes);
        let creates = changes().filter(|change| matches!(change, Change::Create(_))).count();
        let needed = creates.saturating_sub(changes().count() - creates);
        match self.eyes.room().await.filter(|room| needed > *room) {
            None => Ok(()),
            Some(room) => Err(Failure::new(
                Exit::Halted,
                format!(
                    "{needed} record sets more are needed, and {} takes {room} more; nothing was done",
                    self.eyes.plan.dns.zone
                ),
                "ask AWS for a higher quota of records per hosted zone, or make CNAMEs to one pair of the symbols",
            )),
        }
    }

    /// Puts the batches, from fresh reads, until a read finds nothing left to do. Returns what was edited, in how many
    /// batches, and what the last read has found.
    async fn edit(&self, first: Prepared) -> Result<(Vec<Edit>, usize, Prepared), Failure> {
        let progress = Steps::show("records", first.edits().count() as u64);
        let (mut done, mut batches, mut tries) = (Vec::new(), 0, 0);
        let mut prepared = first;
        for _ in 0..ROUNDS_MAX {
            let mut unknown = Vec::new();
            for batch in std::mem::take(&mut prepared.batches) {
                self.refuse_where_somebody_acts(&done, batches).await?;
                match self.put(&batch).await {
                    Ok(Ok(())) => {
                        progress.advance(batch.len() as u64);
                        done.extend(batch);
                        (batches, tries) = (batches + 1, 0);
                    }
                    // Refused: somebody has edited the zone. Not known: the batch may be applied. A fresh read tells.
                    outcome if tries < TRIES_MAX && is_worth_a_look(&outcome) => {
                        tries += 1;
                        unknown = if outcome.is_err() { batch } else { Vec::new() };
                        break;
                    }
                    outcome => return Err(self.stopped(&done, batches, outcome)),
                }
            }
            prepared = prepare(self.to, &self.eyes.records, &self.eyes.found().await?);
            // A batch is applied whole: its first record tells.
            if unknown.first().is_some_and(|edit| !prepared.is_to_do(edit)) {
                done.extend(unknown);
                batches += 1;
            }
            if prepared.batches.is_empty() {
                return Ok((done, batches, prepared));
            }
        }
        let rejected = Rejected(format!("after {ROUNDS_MAX} times there was still something to do"));
        Err(self.stopped(&done, batches, Ok(Err(rejected))))
    }

    async fn put(&self, batch: &[Edit]) -> Result<Result<(), Rejected>, StepError> {
        let changes: Vec<Change> = batch.iter().flat_map(|edit| edit.changes.clone()).collect();
        let comment = format!("lifeboat {} dns prepare: {}", self.eyes.plan.name, self.becomes());
        let put = self.eyes.zone.change(&self.eyes.plan.dns.zone_id, &comment, &changes).await?;
        Ok(put.map(|_| ()))
    }

    fn becomes(&self) -> &'static str {
        match self.to {
            To::Pairs { .. } => "failover pairs",
            To::Plain => "plain records",
        }
    }

    /// A run that claims an epoch or a flip that is put in the middle of this would meet a zone that is half of each: who
    /// prepares makes way. A courtesy, for either may come right after it.
    async fn refuse_where_somebody_acts(&self, done: &[Edit], batches: usize) -> Result<(), Failure> {
        let now = self.eyes.standing().await?;
        if now == self.standing {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Superseded,
            format!(
                "epoch {} was claimed, or a flip put, while the records of {} were prepared; {}",
                now.epoch,
                self.eyes.plan.name,
                self.so_far(done, batches)
            ),
            format!(
                "see with `lifeboat status --plan {}` who acts; when that is over run this again, which goes on from here",
                self.eyes.plan.name
            ),
        ))
    }

    fn so_far(&self, done: &[Edit], batches: usize) -> String {
        match done.len() {
            0 => "nothing was done".to_owned(),
            count => {
                format!("{count} records are {} ({batches} batches), the others as they were", self.becomes())
            }
        }
    }

    fn stopped(
        &self,
        done: &[Edit],
        batches: usize,
        outcome: Result<Result<(), Rejected>, StepError>,
    ) -> Failure {
        let so_far = self.so_far(done, batches);
        let zone = &self.eyes.plan.dns.zone;
        match outcome {
            Err(error) => {
                let failure =
                    aws::step_failure(format!("the records of {zone} could not be edited; {so_far}"), &error);
                match error.name {
                    ErrorName::Transient => {
                        let what =
                            format!("Route 53 did not take the last batch for {zone}; before it {so_far}");
                        let next = "the same command again goes on from here".to_owned();
                        Failure { what, next, ..failure }
                    }
                    _ => failure,
                }
            }
            Ok(rejected) => Failure {
                cause: rejected.err().map(|Rejected(why)| why),
                ..Failure::new(
                    Exit::Halted,
                    format!("Route 53 refused {TRIES_MAX} batches for {zone} in a row; {so_far}"),
                    "find out who else edits the zone, or what the cause names; the same command again goes on from here",
                )
            },
        }
    }
}

/// Whether a fresh read may tell what became of a batch.
fn is_worth_a_look(outcome: &Result<Result<(), Rejected>, StepError>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(error) => error.name == ErrorName::Transient,
    }
}
