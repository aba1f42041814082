//! `lifeboat approve` and `lifeboat decline`: a person answers what a run asks. Who that is, AWS says: the answer is signed with
//! the person's own credentials, and the run asks STS whose they are.

mod counted;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sfn::operation::send_task_success::SendTaskSuccessError;
use lifeboat_rules::approval::{Answer, Count, Decision, Question, Verdict};
use lifeboat_runtime::Store;
use run_control::{Posted, newest_question};
use serde_json::json;

use crate::args::ApproveArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Report, moment, one_line};
use crate::person;
use crate::signing;
use crate::uploaded::uploaded;

/// A question whose token has just run out is put again within seconds.
const TRIES: u32 = 20;
const AGAIN_AFTER: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: &ApproveArgs, answer: Answer) -> Result<Report, Failure> {
    person::must_be_there(args.yes)?;
    let config = aws::config(&args.plan.aws, None).await?;
    let (store, control) = (Store::new(&config), args.plan.control.bucket.as_str());
    let plan = uploaded(&store, control, &args.plan.name).await?;
    let run = match &args.run {
        Some(run) => run.clone(),
        None => newest_run(&store, args).await?,
    };
    let asks = Asks { store: &store, control, plan: &plan.name, run: &run };
    let posted = asks.newest().await?;
    let question = &posted.question;
    if lifeboat_runtime::now() >= question.expires_at {
        return Err(asks.nothing(&format!("its last question was over at {}", moment(question.expires_at))));
    }
    let decision = Decision::of(question, answer, &args.reason, lifeboat_runtime::now());
    person::agree(args.yes, &asked(&posted, answer, &args.reason))?;
    let text = serde_json::to_string(&decision).expect("strings and numbers serialise");
    let evidence = args.evidence.evidence_bucket.as_str();
    let count = asks.answer(&config, &plan.regions.recovery, evidence, posted.clone(), &text).await?;
    report(question, answer, &count)
}

/// The run that holds the newest epoch.
async fn newest_run(store: &Store, args: &ApproveArgs) -> Result<String, Failure> {
    let (control, name) = (&args.plan.control.bucket, &args.plan.name);
    let holders = run_control::holders(store, control, &args.evidence.evidence_bucket, name, |_| true).await;
    let holders =
        holders.map_err(|error| aws::step_failure(format!("could not read the epochs of {name}"), &error))?;
    let newest = holders.into_iter().next().map(|holder| holder.run);
    newest.ok_or_else(|| {
        Failure::new(Exit::NoInput, format!("{name} has had no run"), "nobody is asked anything")
    })
}

/// One run's questions.
struct Asks<'a> {
    store: &'a Store,
    control: &'a str,
    plan: &'a str,
    run: &'a str,
}

impl Asks<'_> {
    async fn newest(&self) -> Result<Posted, Failure> {
        let found = newest_question(self.store, self.control, self.plan, self.run).await;
        let what = || format!("could not read the questions of the run {}", self.run);
        let found = found.map_err(|error| aws::step_failure(what(), &error))?;
        found.ok_or_else(|| self.nothing("it has asked nobody so far"))
    }

    fn nothing(&self, why: &str) -> Failure {
        let what = format!("the run {} of {} asks nothing: {why}", self.run, self.plan);
        Failure::new(
            Exit::NoInput,
            what,
            format!("see with `lifeboat status --plan {}` where it stands", self.plan),
        )
    }

    /// Sends the decision to the question that can be answered now, and waits until it is counted.
    async fn answer(
        &self,
        config: &SdkConfig,
        region: &str,
        evidence: &str,
        mut posted: Posted,
        text: &str,
    ) -> Result<Count, Failure> {
        let sfn = aws_sdk_sfn::Client::new(config);
        let first = posted.question.clone();
        let records = counted::Records::before(self.store, evidence, self.plan, self.run).await?;
        for _ in 0..TRIES {
            let submission = signing::submission(config, region, text).await.map_err(|error| {
                let next = "look at your credentials";
                Failure::new(Exit::Refused, "the decision could not be signed", next).because(error.as_ref())
            })?;
            let output = serde_json::to_string(&submission).expect("strings serialise");
            match sfn.send_task_success().task_token(&posted.token).output(output).send().await {
                Ok(_) => return records.wait(text).await,
                Err(error) if error.as_service_error().is_some_and(is_over) => {
                    tokio::time::sleep(AGAIN_AFTER).await;
                    posted = self.newest().await?;
                    // An answer whose own answer was lost has arrived all the same, and is not given twice.
                    if let Some(count) = records.find(text).await? {
                        return Ok(count);
                    }
                    if !is_same(&first, &posted.question) {
                        return Err(self.nothing("it asks something else by now: look, and answer again"));
                    }
                }
                Err(error) => {
                    let what = format!("could not answer the run {}; nothing was decided", self.run);
                    return Err(aws::failure(what, error));
                }
            }
        }
        Err(self.nothing("its last question was answered already, or its time is over"))
    }
}

fn is_over(error: &SendTaskSuccessError) -> bool {
    error.is_task_timed_out() || error.is_task_does_not_exist() || error.is_invalid_token()
}

/// Whether a decision about the one is about the other.
fn is_same(one: &Question, other: &Question) -> bool {
    (one.about, one.epoch, &one.proof) == (other.about, other.epoch, &other.proof)
}

fn asked(posted: &Posted, answer: Answer, reason: &str) -> Vec<String> {
    let Posted { question, so_far, .. } = posted;
    let verb = match answer {
        Answer::Approve => "Approve",
        Answer::Decline => "Decline",
    };
    let mut lines = vec![
        format!("{verb} {}, for the run {} of {}:", question.about, question.run, question.plan),
        format!("  why      {}", one_line(&question.reason)),
        format!("  epoch    {}, proof {}", question.epoch, question.proof),
        format!("  needed   {}, until {}", question.needed, moment(question.expires_at)),
    ];
    let said = so_far.iter().filter(|counted| counted.question == question.about);
    lines.extend(said.map(|counted| {
        format!(
            "  so far   {:?} by {}: {}",
            counted.decision,
            one_line(&counted.principal),
            one_line(&counted.reason)
        )
    }));
    lines.push(format!("  reason   {}", one_line(reason)));
    lines.push("It is signed with your credentials, and kept. Go on?".to_owned());
    lines
}

fn report(question: &Question, answer: Answer, count: &Count) -> Result<Report, Failure> {
    if let Some(why) = &count.refused {
        let what = format!("your answer does not count: {}", one_line(why));
        let next = "the refusal is in the evidence; who may approve is in the plan (`approval.approvers`)";
        return Err(Failure::new(Exit::Halted, what, next));
    }
    let then = match count.verdict {
        Verdict::Waiting => "the run waits for more",
        Verdict::Approved => "the run goes on",
        Verdict::Declined | Verdict::Unanswered => "the run does not go on",
    };
    let by = count.approvals.last().map(|counted| counted.principal.clone()).unwrap_or_default();
    Ok(Report {
        headline: format!("{}; {then}", count.reason),
        details: vec![
            ("run", format!("{} of {}, epoch {}", question.run, question.plan, question.epoch)),
            ("by", by.clone()),
            ("follow", format!("lifeboat status --plan {} --follow --run {}", question.plan, question.run)),
        ],
        json: json!({
            "plan": question.plan,
            "run": question.run,
            "epoch": question.epoch,
            "question": question.about,
            "answer": answer,
            "by": by,
            "verdict": count.verdict,
            "reason": count.reason,
            "proof": question.proof,
        }),
        ..Report::default()
    })
}
