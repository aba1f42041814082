//! Keeping the traffic of a plan where it is, in such a way that nothing older moves it any more.

use dns_flip::{Moved, put_fence};
use lifeboat_rules::dns::Fence;
use lifeboat_rules::dns::switch::key;
use lifeboat_rules::plan::{Side, Strategy};
use lifeboat_rules::{ErrorName, StepError};
use serde_json::{Value, json};

use super::AfterRun;
use super::traffic::{by_flip, in_words};
use crate::aws;
use crate::failure::Failure;

/// Where it is to be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    /// Under `switch`: on the side that the newest flip said when the person was asked.
    On(Side),
    /// Under `records`: as the records stand.
    AsItStands,
}

/// How it is kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Under `switch`: by a flip to the side that has it.
    Switched(Side, Moved),
    /// Under `records`: by a fence, and no record is changed.
    Fenced(Fence),
    /// Under `records`, where Route 53 would not take the fence: not in such a way. Why is said.
    Unfenced(String),
}

impl AfterRun<'_> {
    /// Looks, before anything is done, where the traffic is. Under `records` that need not be told: a fence keeps what there is,
    /// and the pen is given back without Route 53, too.
    pub(crate) async fn look_at_kept(&self) -> Result<Keep, Failure> {
        if self.plan.dns.strategy == Strategy::Records {
            return Ok(Keep::AsItStands);
        }
        self.side_in_force().await.map(Keep::On).map_err(|error| {
            let what = format!("it cannot be told where the traffic of {} is; nothing was done", self.plan.name);
            let failure = aws::step_failure(what, &error);
            match error.name {
                ErrorName::Transient => failure,
                _ => {
                    let next = "mend it, or leave --keep-records out: that moves the traffic to the primary, wherever it is";
                    Failure { next: next.to_owned(), ..failure }
                }
            }
        })
    }

    /// Under `switch`: the side that the newest flip says.
    async fn side_in_force(&self) -> Result<Side, StepError> {
        match self.newest_flip().await? {
            None => Ok(Side::Primary),
            Some(flip) => Ok(flip.object?.side),
        }
    }

    /// What a person is asked about.
    pub(crate) fn will_keep(&self, keep: Keep, epoch: u64) -> String {
        match keep {
            Keep::On(side) => {
                format!("  traffic  stays with {}, by {}", in_words(side), key(&self.plan.name, epoch))
            }
            Keep::AsItStands => "  traffic  stays where it is".to_owned(),
        }
    }

    /// Keeps the traffic where the person was told that it is, under `epoch`, which `run` holds. A flip of a stopped run that
    /// came since is undone by it.
    pub(crate) async fn keep_traffic(&self, keep: Keep, epoch: u64, run: &str) -> Result<Kept, StepError> {
        match keep {
            Keep::On(side) => Ok(Kept::Switched(side, self.move_traffic(side, epoch, run, run).await?)),
            Keep::AsItStands => match put_fence(&self.zone, &self.plan, &self.records, epoch).await {
                Ok(fence) => Ok(Kept::Fenced(fence)),
                Err(error) if error.name == ErrorName::Fenced => Err(error),
                Err(error) => {
                    Ok(Kept::Unfenced(aws::step_failure(String::new(), &error).cause.unwrap_or_default()))
                }
            },
        }
    }
}

impl Kept {
    /// For the manifest.
    pub(crate) fn facts(&self) -> Value {
        match self {
            Kept::Switched(side, moved) => json!({ "kept": true, "side": side, "by": moved }),
            Kept::Fenced(fence) => json!({ "kept": true, "fence": fence }),
            Kept::Unfenced(why) => json!({ "kept": true, "fence": null, "why": why }),
        }
    }

    /// For a person.
    pub(crate) fn in_words(&self) -> (&'static str, String) {
        match self {
            Kept::Switched(side, moved) => {
                let by = match moved {
                    Moved::Switch(switched) => format!(" {}", by_flip(switched)),
                    Moved::Records(_) => String::new(),
                };
                ("traffic", format!("kept on {}{by}", in_words(*side)))
            }
            Kept::Fenced(fence) => {
                ("records", format!("kept as they are, under the fence of epoch {}", fence.epoch))
            }
            Kept::Unfenced(_) => ("records", "kept as they are, without a fence".to_owned()),
        }
    }

    /// What it means, where it leaves something to be done.
    pub(crate) fn warning(&self, after: &AfterRun<'_>) -> Option<String> {
        let (name, zone) = (&after.plan.name, &after.plan.dns.zone);
        let then = "`lifeboat handback` without --keep-records";
        match self {
            Kept::Switched(Side::Primary, _) => None,
            Kept::Switched(Side::Recovery, _) => Some(format!(
                "the traffic of {name} was kept on the recovery side: nothing there is acknowledged, until {then} moves it \
                 back"
            )),
            Kept::Fenced(_) => Some(format!(
                "the records of {zone} were kept as they are: where they point to the recovery side nothing is \
                 acknowledged, until {then} moves them back"
            )),
            Kept::Unfenced(why) => Some(format!(
                "the records of {zone} were kept, and their fence could not be put ({why}): a batch of a stopped run that \
                 arrives late could still move them, until {then} has moved them to the primary"
            )),
        }
    }
}
