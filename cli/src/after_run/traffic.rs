//! Moving the traffic of a plan by hand, under either strategy.

use dns_flip::{Evidence, Moved, Mover, RecordsMoved, Switched, move_traffic};
use lifeboat_rules::dns::switch::key;
use lifeboat_rules::dns::{Flip, decide};
use lifeboat_rules::plan::{Side, Strategy};
use lifeboat_rules::{ErrorName, Step, StepError};
use lifeboat_runtime::{Context, FoundFlip, find_newest_flip, now};

use super::AfterRun;
use crate::aws;
use crate::failure::Failure;
use crate::progress::Progress;

/// Names that a person is told of; the others are counted.
const NAMES_SHOWN: usize = 3;
/// How often a move is gone on with that has not come to its end: thousands of records take several calls.
const CALLS_MAX: u32 = 100;

/// Whether an epoch has moved the traffic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    /// It has, and nobody has changed anything since.
    Done,
    /// It has, and somebody has changed these records since.
    Undone(Vec<String>),
    /// Not yet, or not all of it.
    ToDo,
}

impl AfterRun<'_> {
    /// Looks where the traffic is before anything is done, so that a missing permission or a newer flip is not found out
    /// half-way. Nothing rests on it: the act itself compares and swaps. `next` is what to do where it could not be moved.
    pub(crate) async fn look_at_traffic(&self, side: Side, epoch: u64, next: &str) -> Result<Moves, Failure> {
        let looked = match self.plan.dns.strategy {
            Strategy::Switch => self.look_at_flips(side, epoch).await,
            Strategy::Records => self.look_at_records(side, epoch).await,
        };
        looked.map_err(|error: StepError| {
            let what = format!("the traffic of {} could not be moved; nothing was done", self.plan.name);
            match error.name {
                ErrorName::Fenced => self.superseded(what, &error),
                _ => Failure { next: next.to_owned(), ..aws::step_failure(what, &error) },
            }
        })
    }

    async fn look_at_flips(&self, side: Side, epoch: u64) -> Result<Moves, StepError> {
        match self.newest_flip().await?.filter(|flip| flip.epoch >= epoch) {
            None => Ok(Moves::ToDo),
            Some(flip) if flip.epoch > epoch => {
                let by = match &flip.object {
                    Ok(object) => format!("{} has moved the traffic under epoch {}", object.run, flip.epoch),
                    Err(error) => error.to_string(),
                };
                Err(StepError::fenced(format!("{by}; this is for epoch {epoch}")))
            }
            Some(flip) => Ok(if flip.object?.side == side { Moves::Done } else { Moves::ToDo }),
        }
    }

    async fn look_at_records(&self, side: Side, epoch: u64) -> Result<Moves, StepError> {
        let found = self.zone.read(&self.plan, &self.records).await?;
        Ok(match decide(&self.plan, &self.records, side, epoch, &found)? {
            Flip::Done => Moves::Done,
            Flip::Changed(records) => Moves::Undone(records),
            Flip::Batch(_) => Moves::ToDo,
        })
    }

    /// The newest flip under `switch`, whether or not it can be read; none where nobody has flipped.
    pub(crate) async fn newest_flip(&self) -> Result<Option<FoundFlip>, StepError> {
        let control = &self.args.plan.control.bucket;
        Ok(find_newest_flip(&self.store, control, &self.plan.name).await?.0)
    }

    /// Moves the traffic as the step of `run` does, which is called again until it has come to its end. What it changes record
    /// by record is left whole as evidence of `command`: a run that is closed gets no more.
    pub(crate) async fn move_traffic(
        &self,
        side: Side,
        epoch: u64,
        run: &str,
        command: &str,
    ) -> Result<Moved, StepError> {
        let context = Context {
            store: self.store.clone(),
            control_bucket: self.args.plan.control.bucket.clone(),
            evidence_bucket: self.args.evidence.evidence_bucket.clone(),
        };
        let mut step = Step {
            run: command.to_owned(),
            plan_key: format!("plan/{}.json", self.plan.name),
            name: "traffic by hand".to_owned(),
            entered: now().to_string(),
            attempt: 0,
        };
        let _progress = Progress::show(format!("moving the traffic of {}", self.plan.name));
        loop {
            let mover = Mover {
                store: &self.store,
                control_bucket: &self.args.plan.control.bucket,
                zone: &self.zone,
                gate: &self.gate,
                evidence: Some(Evidence { context: &context, step: &step, now }),
            };
            match move_traffic(mover, &self.plan, side, epoch, run).await {
                Err(error) if error.name == ErrorName::NotReady && step.attempt + 1 < CALLS_MAX => {
                    step.attempt += 1;
                }
                ended => return ended,
            }
        }
    }

    /// What a person is asked about.
    pub(crate) fn will_move(&self, side: Side, epoch: u64) -> String {
        let plan = &self.plan;
        match plan.dns.strategy {
            Strategy::Switch => format!("  traffic  to {}, by {}", in_words(side), key(&plan.name, epoch)),
            Strategy::Records => {
                let values = match side {
                    Side::Primary => "the primary's",
                    Side::Recovery => "the recovery side's",
                };
                format!("  records  {} to {values} values, in {}", self.records.len(), plan.dns.zone)
            }
        }
    }

    /// What a run would have asked the resolver about, and a person's command does not.
    pub(crate) fn not_asked(&self, side: Side) -> String {
        let dns = &self.plan.dns;
        let by_rule = dns.names.iter().map(|rule| &rule.name);
        let names: Vec<String> =
            dns.records.iter().map(|record| &record.name).chain(by_rule).cloned().collect();
        let answer = if names.len() == 1 { "answers" } else { "answer" };
        let first = match dns.strategy {
            Strategy::Switch => "Route 53 follows the flip within about two minutes, and then ",
            Strategy::Records => "",
        };
        format!(
            "no DNS answer was asked for: {first}resolvers may give the old values until their time to live ends, up to {} s; \
             see that {} {answer} from {}",
            dns.ttl_max(),
            few(&names),
            in_words(side)
        )
    }
}

/// What moving the traffic has done, for a person.
pub(crate) fn moved_in_words(moved: &Moved) -> (&'static str, String) {
    match moved {
        Moved::Switch(switched) => ("traffic", format!("moved {}", by_flip(switched))),
        Moved::Records(records) => {
            let RecordsMoved { batches, changed, records, .. } = records;
            let done = match batches {
                0 => "were moved by earlier batches of this epoch".to_owned(),
                1 => format!("{changed} of {records} changed, in one batch"),
                _ => format!("{changed} of {records} changed, in {batches} batches"),
            };
            ("records", done)
        }
    }
}

/// By which flip, for a person.
pub(super) fn by_flip(switched: &Switched) -> String {
    let published = match switched.published {
        Some(_) => "published",
        None => "not published yet: the keeper does it within a minute",
    };
    format!("by {}, {published}", switched.key)
}

/// A side, for a person.
pub(super) fn in_words(side: Side) -> &'static str {
    match side {
        Side::Primary => "the primary",
        Side::Recovery => "the recovery side",
    }
}

/// The first names, and how many more there are.
pub(crate) fn few(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
