//! A person's leave to go on: what is asked, what a decision is bound to, and which decisions count.
//!
//! Invariant: who has decided is what AWS says of the signature under the decision, never what the decision says of itself;
//! and a decision is about one epoch and one proof, so that none counts for another run, or for another ledger.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::plan::{Approval, OnExpiry, bounds};

/// Where a run asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// Before the ledger is sealed, which is the point of no return.
    Seal,
    /// Behind the seal, where the tail is `Unproven`: whether to go on all the same.
    Unproven,
}

impl About {
    /// How many persons have to agree. Nobody goes past an unproven ledger alone, whatever the plan says.
    pub fn needed(self, approval: &Approval) -> usize {
        match self {
            About::Seal => approval.needed.persons(),
            About::Unproven => 2,
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            About::Seal => "sealing the ledger",
            About::Unproven => "going on with an unproven ledger",
        })
    }
}

/// What a run asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The plan's name.
    pub plan: String,
    /// The run.
    pub run: String,
    /// The run's epoch.
    pub epoch: u64,
    /// About what.
    pub about: About,
    /// SHA-256, in hexadecimal, of the proof as the state machine hands it on, of the history or of the tail, and of `reason`.
    pub proof: String,
    /// Why it is asked, for a person.
    pub reason: String,
    /// How many persons have to agree.
    pub needed: usize,
    /// When it was asked first.
    pub asked_at: Timestamp,
    /// When the plan's default takes over.
    pub expires_at: Timestamp,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Go on.
    Approve,
    /// Do not.
    Decline,
}

/// What a person decides, and signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The plan's name.
    pub plan: String,
    /// The run.
    pub run: String,
    /// The run's epoch.
    pub epoch: u64,
    /// About what.
    pub about: About,
    /// The proof, as the question has it.
    pub proof: String,
    /// Yes or no.
    pub answer: Answer,
    /// Why, in the person's words.
    pub reason: String,
    /// When, by the person's clock: so that no two decisions are the same text. No rule rests on it.
    pub signed_at: Timestamp,
}

impl Decision {
    /// The answer to a question.
    pub fn of(question: &Question, answer: Answer, reason: &str, signed_at: Timestamp) -> Decision {
        Decision {
            plan: question.plan.clone(),
            run: question.run.clone(),
            epoch: question.epoch,
            about: question.about,
            proof: question.proof.clone(),
            answer,
            reason: reason.to_owned(),
            signed_at,
        }
    }
}

/// Who AWS says has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// The ARN, as STS gives it: `arn:aws:iam::<account>:user/<name>` or
    /// `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
    pub arn: String,
}

/// Who a principal is, whatever role is worn: a user's name, or the session's, which IAM Identity Center sets to the user's and a
/// role's trust policy can hold to it (`sts:RoleSessionName`). None for the root user, who is nobody in particular.
fn person(arn: &str) -> Option<&str> {
    arn.rsplit_once('/').map(|(_, name)| name).filter(|name| !name.is_empty())
}

/// What a run keeps of what came: a decision that counts, one that does not, or the plan's in a person's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// About what.
    pub question: About,
    /// What was decided.
    pub decision: Decided,
    /// Who, as AWS says; the plan, where nobody came; nobody, where AWS knows none by what came.
    pub principal: String,
    /// Why, in their words; of what does not count, why it does not.
    pub reason: String,
    /// When it was counted.
    pub at: Timestamp,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decided {
    /// By a person: go on.
    Approve,
    /// By a person: do not.
    Decline,
    /// By the plan, since the time was over.
    Expired,
    /// By the rule: what came does not count.
    Refused,
}

/// What came in for a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Came {
    /// Nothing yet.
    Nothing,
    /// The question could not be asked: nobody can answer it.
    Unasked {
        /// Why.
        why: String,
    },
    /// Something that is no decision with a signature by which AWS knows anybody.
    Unknown {
        /// Why.
        why: String,
    },
    /// A decision, and who has signed it.
    Signed {
        /// The decision.
        decision: Decision,
        /// Who.
        by: Signer,
    },
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Ask on.
    Waiting,
    /// Enough have agreed, or the plan goes on without them.
    Approved,
    /// Somebody has said no.
    Declined,
    /// Nobody has decided in time, and the plan does not go on without.
    Unanswered,
}

/// A count: the verdict, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What it comes to.
    pub verdict: Verdict,
    /// All that came in this run, with what was asked earlier.
    pub approvals: Vec<Counted>,
    /// Why what came in does not count, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// For a person.
    pub reason: String,
}

/// Counts what has come in for a question, by the plan's rule.
pub fn count(
    approval: &Approval,
    question: &Question,
    so_far: &[Counted],
    came: &Came,
    now: Timestamp,
) -> Count {
    let about = question.about;
    let mut approvals = so_far.to_vec();
    let mut refused = None;
    let mut refuse = |principal: &str, why: String| {
        let (principal, reason) = (cut(principal), cut(&why));
        refused = Some(reason.clone());
        Counted { question: about, decision: Decided::Refused, principal, reason, at: now }
    };
    match came {
        Came::Nothing => {}
        // It is asked again: a question that one blow of the network swallows is not over.
        Came::Unasked { why } => approvals.push(refuse("nobody", format!("it could not be asked: {why}"))),
        Came::Unknown { why } => approvals.push(refuse("nobody known", why.clone())),
        Came::Signed { decision, by } => {
            let counted = counts(approval, question, so_far, decision, by, now);
            approvals.push(counted.unwrap_or_else(|why| refuse(&by.arn, why)));
        }
    }
    let here = |decision: Decided| {
        let of = move |counted: &&Counted| counted.question == about && counted.decision == decision;
        approvals.iter().filter(of)
    };
    let by = |decided: Decided| {
        let said: Vec<String> =
            here(decided).map(|one| format!("{}: {}", one.principal, one.reason)).collect();
        said.join("; ")
    };
    let agreed = here(Decided::Approve).count();
    let refusals = here(Decided::Refused).count();
    let (late, too_many) = (now >= question.expires_at, refusals >= REFUSALS_MAX);
    let (verdict, reason) = if here(Decided::Decline).next().is_some() {
        (Verdict::Declined, format!("{about} was declined by {}", by(Decided::Decline)))
    } else if agreed >= question.needed {
        (Verdict::Approved, format!("{about} was approved by {}", by(Decided::Approve)))
    } else if !late && !too_many {
        let reason =
            format!("{about}: {agreed} of {} have agreed, until {}", question.needed, question.expires_at);
        (Verdict::Waiting, reason)
    } else {
        let why = match late {
            true => format!("{about}: {agreed} of {} had agreed by {}", question.needed, question.expires_at),
            false => {
                format!("{about}: {refusals} answers did not count, the last one since {}", last(&approvals))
            }
        };
        // What answers wrongly for ever does not make the plan go on before its time.
        let (verdict, then) = match (about, approval.on_expiry) {
            (About::Seal, OnExpiry::GoOn) if late => (Verdict::Approved, "the plan goes on"),
            _ => (Verdict::Unanswered, "the plan does not go on"),
        };
        let reason = format!("{why}, and {then}");
        let (principal, said) = ("the plan".to_owned(), reason.clone());
        approvals.push(Counted {
            question: about,
            decision: Decided::Expired,
            principal,
            reason: said,
            at: now,
        });
        (verdict, reason)
    };
    Count { verdict, approvals, refused, reason }
}

/// How many answers to one question may not count, before it is asked no more: each is a round of the state machine, whose
/// history ends.
pub const REFUSALS_MAX: usize = 50;
/// Bytes of a text in what a run hands on, whose state is 256 KiB at the most: a byte can be six in JSON.
const TEXT_BYTES_MAX: usize = 200;

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

fn last(counted: &[Counted]) -> &str {
    counted.last().map_or("", |counted| &counted.reason)
}

/// The decision as it counts.
///
/// # Errors
/// Why it does not.
fn counts(
    approval: &Approval,
    question: &Question,
    so_far: &[Counted],
    decision: &Decision,
    by: &Signer,
    now: Timestamp,
) -> Result<Counted, String> {
    let must = |holds: bool, why: String| if holds { Ok(()) } else { Err(why) };
    let who = &by.arn;
    let Some(name) = person(who) else {
        return Err(format!("{who} is no person: sign as a user, or in a session of a role"));
    };
    let may = approval.approvers.iter().any(|pattern| is_like(who, pattern));
    must(may, format!("{who} is none of the plan's approvers"))?;
    let Decision { plan, run, .. } = decision;
    let of_this = (plan, run) == (&question.plan, &question.run);
    must(
        of_this,
        format!("it is about the run {run} of {plan}, and this is {} of {}", question.run, question.plan),
    )?;
    let (of, here) = (decision.epoch, question.epoch);
    must(of == here, format!("it is about epoch {of}, and this run has epoch {here}"))?;
    let (of, here) = (decision.about, question.about);
    must(of == here, format!("it is about {of}, and the question is {here}"))?;
    let (of, here) = (&decision.proof, &question.proof);
    must(of == here, format!("it is about another proof of the ledger, {of}, and this one is {here}"))?;
    must(
        now < question.expires_at,
        format!("it came at {now}, and the time was over at {}", question.expires_at),
    )?;
    must(!decision.reason.trim().is_empty(), "it gives no reason".to_owned())?;
    // What did not count is no decision.
    let counted = so_far.iter().filter(|counted| counted.decision != Decided::Refused);
    let mut here = counted.filter(|counted| counted.question == question.about);
    let is_same = |counted: &&Counted| {
        person(&counted.principal).is_some_and(|earlier| earlier.eq_ignore_ascii_case(name))
    };
    if let Some(counted) = here.find(is_same) {
        return Err(format!("{name} has decided already, as {}, at {}", counted.principal, counted.at));
    }
    let decided = match decision.answer {
        Answer::Approve => Decided::Approve,
        Answer::Decline => Decided::Decline,
    };
    let (principal, reason) = (who.clone(), cut(&decision.reason));
    Ok(Counted { question: question.about, decision: decided, principal, reason, at: now })
}

/// Whether an ARN is what a pattern says, which may end in `*` for any rest.
fn is_like(arn: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => arn.starts_with(beginning),
        None => arn == pattern,
    }
}

/// When a question that is asked at `asked_at` is over; before the seal so early that the outage can still be confirmed again
/// before the run's `deadline`, past which it seals nothing.
pub fn expires_at(about: About, asked_at: Timestamp, deadline: Timestamp, approval: &Approval) -> Timestamp {
    let waited = asked_at + SignedDuration::from_secs(i64::from(approval.wait_seconds));
    match about {
        About::Seal => waited.min(deadline - CONFIRMATION),
        About::Unproven => waited,
    }
}

/// What one confirmation of the outage may take, and starting its function.
const CONFIRMATION: SignedDuration = SignedDuration::from_secs(bounds::PROBE_ROUND_SECONDS_MAX as i64 + 15);

#[cfg(test)]
mod tests;
