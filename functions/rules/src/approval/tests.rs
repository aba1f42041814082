use super::*;
use crate::plan::Needed;

const ADA: &str = "arn:aws:iam::111122223333:user/ada";
const ADA_IN_A_ROLE: &str = "arn:aws:sts::111122223333:assumed-role/dr-approver/Ada";
const BOB: &str = "arn:aws:sts::111122223333:assumed-role/dr-approver/bob";
const EVE: &str = "arn:aws:sts::111122223333:assumed-role/developer/eve";
const ROOT: &str = "arn:aws:iam::111122223333:root";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn approval(needed: Needed, on_expiry: OnExpiry) -> Approval {
    let approvers =
        ["arn:aws:iam::111122223333:user/ada", "arn:aws:sts::111122223333:assumed-role/dr-approver/*"];
    let approvers = approvers.into_iter().map(str::to_owned).chain([ROOT.to_owned()]).collect();
    Approval { needed, approvers, wait_seconds: 600, on_expiry }
}

fn question(about: About, needed: usize) -> Question {
    Question {
        plan: "aex".into(),
        run: "run".into(),
        epoch: 7,
        about,
        proof: "ab".repeat(32),
        reason: "the primary is down".into(),
        needed,
        asked_at: at(0),
        expires_at: at(600),
    }
}

fn signed(question: &Question, answer: super::Answer, arn: &str) -> Came {
    let decision = Decision::of(question, answer, "we have looked", at(0));
    Came::Signed { decision, by: Signer { arn: arn.to_owned() } }
}

#[test]
fn two_distinct_persons_and_not_one_twice() {
    let (rule, asked) = (approval(Needed::Two, OnExpiry::StandDown), question(About::Seal, 2));
    let first = count(&rule, &asked, &[], &signed(&asked, super::Answer::Approve, ADA), at(1));
    assert_eq!((first.verdict, first.approvals.len(), &first.refused), (Verdict::Waiting, 1, &None));
    for again in [ADA, ADA_IN_A_ROLE] {
        let again =
            count(&rule, &asked, &first.approvals, &signed(&asked, super::Answer::Approve, again), at(2));
        assert_eq!((again.verdict, again.approvals[1].decision), (Verdict::Waiting, Decided::Refused));
        assert!(again.refused.unwrap().contains("has decided already"));
    }
    let second = count(&rule, &asked, &first.approvals, &signed(&asked, super::Answer::Approve, BOB), at(3));
    assert_eq!((second.verdict, second.approvals.len()), (Verdict::Approved, 2));
    assert!(second.reason.contains(ADA) && second.reason.contains(BOB), "{}", second.reason);
}

#[test]
fn one_no_is_enough() {
    let (rule, asked) = (approval(Needed::Two, OnExpiry::GoOn), question(About::Seal, 2));
    let no = count(&rule, &asked, &[], &signed(&asked, super::Answer::Decline, BOB), at(1));
    assert_eq!(no.verdict, Verdict::Declined);
    assert!(no.reason.contains("we have looked"), "{}", no.reason);
}

#[test]
fn who_may_not_and_what_does_not_count() {
    let (rule, asked) = (approval(Needed::One, OnExpiry::StandDown), question(About::Seal, 1));
    type Spoil = fn(&mut Decision);
    let spoilt: [(&str, Spoil); 6] = [
        ("another run", |decision| decision.run = "other".into()),
        ("another plan", |decision| decision.plan = "other".into()),
        ("epoch 6", |decision| decision.epoch = 6),
        ("unproven", |decision| decision.about = About::Unproven),
        ("another proof", |decision| decision.proof = "cd".repeat(32)),
        ("no reason", |decision| decision.reason = " ".into()),
    ];
    for (what, spoil) in spoilt {
        let mut decision = Decision::of(&asked, super::Answer::Approve, "yes", at(0));
        spoil(&mut decision);
        let came = Came::Signed { decision, by: Signer { arn: BOB.into() } };
        let counted = count(&rule, &asked, &[], &came, at(1));
        assert_eq!(
            (counted.verdict, counted.approvals[0].decision),
            (Verdict::Waiting, Decided::Refused),
            "{what}"
        );
        let words = what.strip_prefix("another run").map_or(what, |_| "the run other");
        let words = if what == "another plan" { "of other" } else { words };
        assert!(counted.refused.as_deref().unwrap().contains(words), "{what}: {:?}", counted.refused);
    }
    for (arn, why) in [(EVE, "none of the plan's approvers"), (ROOT, "no person")] {
        let counted = count(&rule, &asked, &[], &signed(&asked, super::Answer::Approve, arn), at(1));
        assert_eq!(counted.verdict, Verdict::Waiting);
        assert!(counted.refused.unwrap().contains(why), "{arn}");
    }
    let unknown = Came::Unknown { why: "the signature is none".into() };
    let counted = count(&rule, &asked, &[], &unknown, at(1));
    assert_eq!(
        (counted.verdict, counted.refused.as_deref()),
        (Verdict::Waiting, Some("the signature is none"))
    );
    let late = count(&rule, &asked, &[], &signed(&asked, super::Answer::Approve, BOB), at(600));
    assert_eq!(late.verdict, Verdict::Unanswered);
    assert!(late.refused.unwrap().contains("the time was over"));
}

#[test]
fn who_answers_wrongly_for_ever_is_asked_no_more() {
    let (rule, asked) = (approval(Needed::One, OnExpiry::GoOn), question(About::Seal, 1));
    let mut so_far = Vec::new();
    for number in 1..=REFUSALS_MAX {
        let counted = count(&rule, &asked, &so_far, &signed(&asked, super::Answer::Approve, EVE), at(1));
        let over = if number < REFUSALS_MAX { Verdict::Waiting } else { Verdict::Unanswered };
        assert_eq!(counted.verdict, over, "{number}");
        so_far = counted.approvals;
    }
    assert!(so_far.last().unwrap().reason.contains("50 answers did not count"));
}

#[test]
fn a_question_before_the_seal_leaves_time_to_confirm_the_outage_again() {
    let rule = approval(Needed::One, OnExpiry::GoOn);
    for (about, deadline, over) in
        [(About::Seal, 10_000, 600), (About::Seal, 500, 425), (About::Unproven, 500, 600)]
    {
        assert_eq!(expires_at(about, at(0), at(deadline), &rule), at(over), "{about:?}, {deadline}");
    }
}

#[test]
fn who_was_refused_may_still_decide() {
    let (rule, asked) = (approval(Needed::One, OnExpiry::StandDown), question(About::Seal, 1));
    let other = Question { epoch: 6, ..asked.clone() };
    let wrong = count(&rule, &asked, &[], &signed(&other, super::Answer::Approve, ADA), at(1));
    assert_eq!(wrong.approvals[0].decision, Decided::Refused);
    let right = count(&rule, &asked, &wrong.approvals, &signed(&asked, super::Answer::Approve, ADA), at(2));
    assert_eq!((right.verdict, right.refused), (Verdict::Approved, None));
}

#[test]
fn nobody_in_time_is_as_the_plan_says_and_never_an_override() {
    for (about, on_expiry, verdict) in [
        (About::Seal, OnExpiry::GoOn, Verdict::Approved),
        (About::Seal, OnExpiry::StandDown, Verdict::Unanswered),
        (About::Unproven, OnExpiry::GoOn, Verdict::Unanswered),
        (About::Unproven, OnExpiry::StandDown, Verdict::Unanswered),
    ] {
        let (rule, asked) = (approval(Needed::One, on_expiry), question(about, 2));
        assert_eq!(count(&rule, &asked, &[], &Came::Nothing, at(599)).verdict, Verdict::Waiting);
        let over = count(&rule, &asked, &[], &Came::Nothing, at(600));
        assert_eq!(over.verdict, verdict, "{about:?}, {on_expiry:?}");
        assert_eq!(over.approvals[0].decision, Decided::Expired);
        let unasked = Came::Unasked { why: "no answer".into() };
        assert_eq!(count(&rule, &asked, &[], &unasked, at(1)).verdict, Verdict::Waiting, "it is asked again");
    }
}

#[test]
fn a_yes_to_one_question_is_none_to_the_next_and_an_override_takes_two() {
    let rule = approval(Needed::One, OnExpiry::GoOn);
    let sealed = question(About::Seal, About::Seal.needed(&rule));
    let yes = count(&rule, &sealed, &[], &signed(&sealed, super::Answer::Approve, ADA), at(1));
    assert_eq!(yes.verdict, Verdict::Approved);
    let past = question(About::Unproven, About::Unproven.needed(&rule));
    let one = count(&rule, &past, &yes.approvals, &signed(&past, super::Answer::Approve, ADA), at(2));
    assert_eq!((one.verdict, one.refused), (Verdict::Waiting, None));
    let two = count(&rule, &past, &one.approvals, &signed(&past, super::Answer::Approve, BOB), at(3));
    assert_eq!((two.verdict, two.approvals.len()), (Verdict::Approved, 3));
}
