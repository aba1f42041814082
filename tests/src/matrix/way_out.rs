//! The person's way out of a run that needs one: chosen by what the operator's page says, and taken.

use lifeboat_rules::evidence::Manifest;
use serde::{Deserialize, Serialize};

use super::ground::Ground;
use super::judge::{self, Pen, primary_serves, recovery_serves};
use super::primary::Primary;
use super::seen::{Seen, manifest};
use super::{RUN_WITHIN, case::Case, false_alarm};
use crate::light::Stage;
use crate::light::runs::{self, End};
use crate::world::error::WorldError;

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Starts a new run by hand.
    NewRun,
    /// `lifeboat flip`.
    Flip,
    /// `lifeboat handback`.
    HandBack,
    /// `lifeboat handback --take-from-recovery`.
    HandBackFromRecovery,
}

impl Way {
    /// The one of the page ("After an end past Seal the ledger"): by who may write.
    pub(super) fn choose(pen: Pen, case: &Case) -> Way {
        match (pen, case.goes_on()) {
            (Pen::Primary, _) | (Pen::Neither | Pen::Half, true) => Way::NewRun,
            (Pen::Neither, false) => Way::HandBack,
            (Pen::Recovery(_), true) => Way::Flip,
            (Pen::Recovery(_) | Pen::Half, false) => Way::HandBackFromRecovery,
        }
    }

    /// Whether a text says this way; another text of the same run may say it instead.
    fn is_named_in(self, text: &str) -> bool {
        let any = |words: &[&str]| words.iter().any(|words| text.contains(words));
        match self {
            Way::NewRun => any(&["new run", "start a run by hand", "start another run"]),
            Way::Flip => any(&["lifeboat flip"]),
            // The other hand-back begins with the same words.
            Way::HandBack => text
                .split("lifeboat handback")
                .skip(1)
                .any(|behind| !behind.trim_start().starts_with("--take-from-recovery")),
            Way::HandBackFromRecovery => any(&["--take-from-recovery"]),
        }
    }

    /// Takes it; what is wrong with where it led.
    pub(super) async fn take(
        self,
        ground: &Ground,
        stage: &Stage,
        primary: &mut Primary,
        case: &Case,
        halted: &str,
        closed: bool,
    ) -> Result<Vec<String>, WorldError> {
        let plan = stage.plan.name.clone();
        let mut word = vec!["--plan", &plan, "--by", "the matrix", "--reason", "a run has halted", "--yes"];
        if !closed {
            word.push("--run-is-over");
        }
        match self {
            Way::NewRun => {
                let name = format!("by-hand-{halted}");
                runs::by_hand(stage, &name, "the last one has halted").await?;
                let run = runs::follow(stage, &name, RUN_WITHIN);
                // Where the primary is well again, all that is left for a run to do is to find it so.
                let (end, is_to_come) = match case.false_alarm {
                    true => (false_alarm::trading(primary, run).await?, "StoodDown"),
                    false => (run.await?, "Recovered"),
                };
                let stored = stored_behind(stage, primary).await?;
                // What the halted run has left standing is a person's to delete.
                ground.take_stacks_away(stage, |run| run != name).await?;
                let seen = Seen::look(ground, stage, primary).await?;
                let closing = manifest(stage, &name).await?;
                let (_, mut wrongs) = judge::run(&end, closing.as_ref(), &seen);
                wrongs.extend(judge::forbidden(&seen, &stored.0, &stored.1));
                if end.outcome != is_to_come {
                    wrongs.push(format!("the new run ended as {}: {}", end.outcome, end.reason));
                }
                Ok(wrongs)
            }
            Way::Flip => {
                let done = command(stage, &[&["flip"], &word[..]].concat()).await?;
                let stored = stored_behind(stage, primary).await?;
                let seen = Seen::look(ground, stage, primary).await?;
                let mut wrongs = judge::forbidden(&seen, &stored.0, &stored.1);
                wrongs.extend(done);
                if !recovery_serves(&seen) {
                    wrongs.push(format!("after the flip the recovery side does not serve: {seen:?}"));
                }
                Ok(wrongs)
            }
            Way::HandBack | Way::HandBackFromRecovery => {
                let mut args = vec!["handback"];
                args.extend(&word);
                if self == Way::HandBackFromRecovery {
                    args.push("--take-from-recovery");
                }
                let mut wrongs: Vec<String> = command(stage, &args).await?.into_iter().collect();
                primary.resume(stage).await?;
                if primary.put().await?.contains(&false) {
                    wrongs.push("after the hand-back the primary cannot write".to_owned());
                }
                let seen = Seen::look(ground, stage, primary).await?;
                wrongs.extend(judge::forbidden_of_ledger(&seen));
                if !primary_serves(&seen) {
                    wrongs.push(format!("after the hand-back the primary does not serve: {seen:?}"));
                }
                Ok(wrongs)
            }
        }
    }
}

/// Whether the way out was said: by the run's own last words, by `lifeboat status`, or, where the primary still has the pen, by
/// `lifeboat status` saying that a start by hand would be admitted.
pub(super) async fn was_said(
    way: Way,
    stage: &Stage,
    end: Option<&End>,
    manifest: Option<&Manifest>,
) -> Result<bool, WorldError> {
    let output = stage.lifeboat(&["status", "--plan", &stage.plan.name]).await?;
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    let reason = manifest.map(|manifest| manifest.reason.clone()).unwrap_or_default();
    let texts = [end.map(|end| end.reason.clone()).unwrap_or_default(), reason, status.clone()];
    let named = texts.iter().any(|text| way.is_named_in(text));
    // It is for `lifeboat status --verify` to tell where the run itself could not know.
    let told_where = texts.iter().any(|text| text.contains("lifeboat status --verify"));
    let by_hand = status.lines().any(|line| line.contains("by hand") && line.contains("would be admitted"));
    Ok(output.status.success() && (named || told_where || (way == Way::NewRun && by_hand)))
}

/// What the primary of before comes to, that knows nothing of what has happened: who held the pens, and what was stored.
pub(super) async fn stored_behind(
    stage: &Stage,
    primary: &mut Primary,
) -> Result<(Vec<lifeboat_ledger::PenState>, Vec<bool>), WorldError> {
    let pens = super::seen::pens(stage).await?;
    Ok((pens, primary.put().await?))
}

async fn command(stage: &Stage, args: &[&str]) -> Result<Option<String>, WorldError> {
    let output = stage.lifeboat(args).await?;
    if output.status.success() {
        return Ok(None);
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(Some(format!("lifeboat {}: {}: {out}{err}", args.join(" "), output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_back_from_the_recovery_side_does_not_name_the_plain_one() {
        let from_recovery = "back with `lifeboat handback --take-from-recovery`";
        let plain = "until a new run, or `lifeboat handback`";
        let both = format!("{from_recovery}; {plain}");
        let named =
            |way: Way| [from_recovery, plain, both.as_str(), "nothing"].map(|text| way.is_named_in(text));
        assert_eq!(named(Way::HandBack), [false, true, true, false]);
        assert_eq!(named(Way::HandBackFromRecovery), [true, false, true, false]);
        assert_eq!(named(Way::NewRun), [false, true, true, false]);
    }
}
