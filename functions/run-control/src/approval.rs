//! Asking persons, and counting what they say. A question is an object that whoever may answer can read, with the token that
//! answers it; it is put anew each time that the state machine asks, and the newest one is the one that can be answered.

use jiff::Timestamp;
use lifeboat_rules::approval::{About, Came, Counted, Question, Verdict, expires_at};
use lifeboat_rules::decided::Counting;
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::notification::Notification;
use lifeboat_rules::plan::Approval;
use lifeboat_rules::{Plan, Request, Run, StepError};
use lifeboat_runtime::{Context, Put, Store, decide};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Action, Answer, Topic, notify, read_json};

/// Questions that one run puts at the most: every 40 s for two hours, for each of two matters, with retries.
const QUESTIONS_MAX: usize = 10_000;

/// An asking within so many seconds of the first is the first one, or its retry: the next comes when its 40 s are over.
const FIRST_SECONDS: i64 = 20;

/// What the state machine knows of a question.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// About what.
    pub about: About,
    /// When it was asked first.
    pub asked_at: Timestamp,
    /// Why, for a person.
    pub reason: String,
    /// The proof that the decision is bound to.
    pub proof: Value,
}

/// A question, as it lies in the control bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Posted {
    /// The question.
    pub question: Question,
    /// What counts so far.
    pub so_far: Vec<Counted>,
    /// What answers it, once, and for 40 s.
    pub token: String,
}

impl Asking {
    /// The question, for persons.
    fn question(&self, plan: &Plan, run: &Run, epoch: u64, approval: &Approval) -> Question {
        let grounds = json!({ "proof": self.proof, "reason": self.reason });
        Question {
            plan: plan.name.clone(),
            run: run.id.clone(),
            epoch,
            about: self.about,
            proof: sha256(grounds.to_string().as_bytes()),
            reason: self.reason.clone(),
            needed: self.about.needed(approval),
            asked_at: self.asked_at,
            expires_at: expires_at(self.about, self.asked_at, run.deadline, approval),
        }
    }
}

/// What comes before the names of a run's questions in the control bucket.
pub fn question_prefix(plan: &str, run: &str) -> String {
    format!("question/{plan}/{run}/")
}

/// The newest question of a run; none where it has asked nobody.
///
/// # Errors
/// As [`Store::list`].
pub async fn newest_question(
    store: &Store,
    control_bucket: &str,
    plan: &str,
    run: &str,
) -> Result<Option<Posted>, StepError> {
    // Their names begin with the moment at which they were put.
    let listed = store.list(control_bucket, &question_prefix(plan, run), QUESTIONS_MAX).await?;
    let Some(newest) = listed.last() else { return Ok(None) };
    let bytes = store.get(control_bucket, &newest.key, None).await?;
    bytes.map(|bytes| read_json(&newest.key, &bytes)).transpose()
}

/// Puts the question where persons find it, and tells them, the first time that it is asked. The state machine goes on by the
/// token, not by this answer.
pub(crate) async fn ask(
    context: &Context,
    request: &Request<Action>,
    asking: &Asking,
    so_far: &[Counted],
    token: Option<String>,
    topic: Option<&Topic>,
    now: Timestamp,
) -> Result<Answer, StepError> {
    let token =
        token.ok_or_else(|| StepError::input_invalid("action.ask.token", "missing: nobody could answer"))?;
    let plan = acting(context, request).await?;
    let question = question(&plan, request, asking)?;
    let step = &request.step;
    let name = format!("{}-{}.json", step.entered, step.attempt);
    let key = question_prefix(&question.plan, &step.run) + &name;
    let posted = Posted { question: question.clone(), so_far: so_far.to_vec(), token };
    let bytes = serde_json::to_vec(&posted).map_err(|err| StepError::defect(format!("{key}: {err}")))?;
    match context.store.create(&context.control_bucket, &key, &bytes).await? {
        Put::Created => {}
        Put::Exists(_) => return Err(StepError::defect(format!("{key} is another question"))),
    }
    let first = is_first(&step.entered, question.asked_at)
        && !so_far.iter().any(|counted| counted.question == asking.about);
    let not_told = match (&plan.approval, &request.run) {
        (Some(approval), Some(run)) if first => {
            let asked = Notification::Question { run, question: &question, on_expiry: approval.on_expiry };
            notify(topic, &asked, now).await
        }
        _ => None,
    };
    Ok(Answer::Asked { question, not_told })
}

/// Whether the state that asks was `entered` for the first time since `asked_at`, both by the clock of Step Functions.
fn is_first(entered: &str, asked_at: Timestamp) -> bool {
    let entered = entered.parse::<Timestamp>();
    entered.is_ok_and(|entered| entered.duration_since(asked_at).as_secs() < FIRST_SECONDS)
}

/// Counts what has come in.
pub(crate) async fn count(
    context: &Context,
    request: &Request<Action>,
    asking: &Asking,
    so_far: &[Counted],
    came: Came,
    now: Timestamp,
) -> Result<Answer, StepError> {
    let plan = acting(context, request).await?;
    let question = question(&plan, request, asking)?;
    let count = decide(&plan, &Counting { question, so_far: so_far.to_vec(), came, now });
    Ok(match count.verdict {
        Verdict::Waiting => Answer::Waiting(count),
        Verdict::Approved => Answer::Approved(count),
        Verdict::Declined => Answer::Declined(count),
        Verdict::Unanswered => Answer::Unanswered(count),
    })
}

/// The plan of a run that still holds its epoch: nobody is asked for one that another has overtaken.
async fn acting(context: &Context, request: &Request<Action>) -> Result<Plan, StepError> {
    let run = request.run()?;
    let plan = context.plan(&run.plan).await?;
    context.acting_epoch(&plan.name, run).await?;
    Ok(plan)
}

fn question(plan: &Plan, request: &Request<Action>, asking: &Asking) -> Result<Question, StepError> {
    let run = request.run()?;
    let approval = plan.approval.as_ref();
    let approval =
        approval.ok_or_else(|| StepError::defect("the plan lets nobody approve, and a person is asked"))?;
    Ok(asking.question(plan, run, run.claimed_epoch()?, approval))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_new_once() {
        let asked_at = "2026-11-27T23:00:12Z".parse().unwrap();
        for (entered, first) in [
            ("2026-11-27T23:00:12.034Z", true),
            ("2026-11-27T23:00:31.900Z", true),
            ("2026-11-27T23:00:52.100Z", false),
            ("never", false),
        ] {
            assert_eq!(is_first(entered, asked_at), first, "{entered}");
        }
    }
}
