//! What a case came to: a decision on what was seen, without any I/O.

use lifeboat_ledger::{Holder, PenState, Verdict};
use lifeboat_rules::evidence::Manifest;
use lifeboat_rules::plan::Side;
use serde::{Deserialize, Serialize};

use super::seen::Seen;
use crate::light::runs::End;

/// The ends that a run may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// The primary serves, unharmed; nothing of the run is left.
    Primary,
    /// The recovery side serves, on a proven ledger.
    Recovery,
    /// A person is needed.
    Halted,
}

/// Who may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pen {
    /// The primary, to every stream.
    Primary,
    /// The recovery side, to every stream, under this epoch.
    Recovery(u64),
    /// The recovery side, to some streams and not to all.
    Half,
    /// Nobody, to some stream at least.
    Neither,
}

/// Who may write to all the streams.
pub(super) fn pen(pens: &[PenState]) -> Pen {
    let holders: Vec<Option<(Holder, u64)>> = pens
        .iter()
        .map(|pen| match pen {
            PenState::Open { epoch, holder } => Some((*holder, *epoch)),
            _ => None,
        })
        .collect();
    match holders[..] {
        [Some((Holder::Recovery, epoch)), ref rest @ ..]
            if rest.iter().all(|other| *other == Some((Holder::Recovery, epoch))) =>
        {
            Pen::Recovery(epoch)
        }
        ref all if all.iter().all(|pen| matches!(pen, Some((Holder::Primary, _)))) => Pen::Primary,
        ref some if some.iter().any(|pen| matches!(pen, Some((Holder::Recovery, _)))) => Pen::Half,
        _ => Pen::Neither,
    }
}

/// What may never be of the ledger.
pub(super) fn forbidden_of_ledger(seen: &Seen) -> Vec<String> {
    let mut wrongs = Vec::new();
    if seen.proof != Verdict::Proven {
        wrongs.push(format!("the log is {:?}: {}", seen.proof, seen.findings.join("; ")));
    }
    if let Some(lost) = seen.lost.first() {
        wrongs.push(format!("{} acknowledged segments are lost, {lost} among them", seen.lost.len()));
    }
    wrongs
}

/// What may never be, whatever a run says of itself. `stored` is what became of the primary's last puts.
pub(super) fn forbidden(seen: &Seen, before: &[PenState], stored: &[bool]) -> Vec<String> {
    let mut wrongs = forbidden_of_ledger(seen);
    let moved = seen.traffic != Some(Side::Primary) || seen.answers != Some(Side::Primary);
    if moved && !matches!(pen(&seen.pens), Pen::Recovery(_)) {
        wrongs.push(format!(
            "traffic belongs to {:?} and names answer from {:?}, while {:?} may write",
            seen.traffic,
            seen.answers,
            pen(&seen.pens)
        ));
    }
    for (pen, stored) in before.iter().zip(stored) {
        let may = matches!(pen, PenState::Open { holder: Holder::Primary, .. });
        if may != *stored {
            wrongs.push(format!("the primary put while the pen was {pen:?}: stored is {stored}"));
        }
    }
    wrongs
}

/// What a run came to, and what is wrong with that.
pub(super) fn run(end: &End, manifest: Option<&Manifest>, seen: &Seen) -> (Came, Vec<String>) {
    let mut wrongs = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrongs.push(format!("{} ended as {}, and {what}: {seen:?}", end.name, end.outcome));
        }
    };
    let pen = pen(&seen.pens);
    let of_run = seen.stacks.iter().filter(|(_, run)| *run == end.name).count();
    let came = match end.outcome.as_str() {
        "Recovered" => {
            must(recovery_serves(seen), "the recovery side does not serve");
            must(of_run == 1, "its stack is not there");
            Came::Recovery
        }
        "StoodDown" | "Refused" => {
            must(pen == Pen::Primary, "the primary has lost the pen");
            must(of_run == 0, "its stack is left");
            Came::Primary
        }
        "Halted" => {
            // A seal that ended in an error may have been done: what stands then stays, as the operator's page says.
            let sealing = end.reason.starts_with("Seal the ledger: ");
            let said = manifest.is_none_or(|manifest| !manifest.facts["left_standing"].is_null()) || sealing;
            must(pen != Pen::Primary || of_run == 0 || said, "its stack is left and it does not say so");
            Came::Halted
        }
        // The log is whole and nobody else acts: these are false.
        _ => {
            must(false, "nothing happened that this could come from");
            Came::Halted
        }
    };
    let says = manifest.map(|manifest| format!("{:?}", manifest.outcome));
    must(says.is_none_or(|says| says == end.outcome), "its manifest says otherwise");
    must(came == Came::Halted || manifest.is_some(), "it has left no manifest");
    (came, wrongs)
}

/// Whether the recovery side holds the whole pen, and traffic is with it under its epoch.
pub(super) fn recovery_serves(seen: &Seen) -> bool {
    let epoch = match pen(&seen.pens) {
        Pen::Recovery(epoch) => epoch,
        _ => return false,
    };
    seen.traffic == Some(Side::Recovery) && seen.answers == Some(Side::Recovery) && seen.moved_by == epoch
}

/// Whether the primary holds the whole pen, and traffic belongs to it. Under `switch` the names follow a minute later, when the
/// last point of the other side is older than the alarm's period.
pub(super) fn primary_serves(seen: &Seen) -> bool {
    pen(&seen.pens) == Pen::Primary && seen.traffic == Some(Side::Primary)
}

#[cfg(test)]
mod tests {
    use lifeboat_rules::Outcome;
    use serde_json::json;

    use super::*;

    const PRIMARY: PenState = PenState::Open { epoch: 1, holder: Holder::Primary };
    const RECOVERY: PenState = PenState::Open { epoch: 2, holder: Holder::Recovery };

    fn recovered() -> Seen {
        Seen {
            proof: Verdict::Proven,
            findings: Vec::new(),
            lost: Vec::new(),
            pens: vec![RECOVERY; 2],
            traffic: Some(Side::Recovery),
            moved_by: 2,
            answers: Some(Side::Recovery),
            stacks: vec![("cell-e2".to_owned(), "run".to_owned())],
        }
    }

    fn untouched() -> Seen {
        Seen {
            pens: vec![PRIMARY; 2],
            traffic: Some(Side::Primary),
            moved_by: 0,
            answers: Some(Side::Primary),
            stacks: Vec::new(),
            ..recovered()
        }
    }

    fn ended(outcome: &str) -> End {
        End { name: "run".to_owned(), outcome: outcome.to_owned(), reason: "why".to_owned() }
    }

    fn manifest(outcome: Outcome) -> Manifest {
        Manifest {
            plan: "aex".to_owned(),
            run: "run".to_owned(),
            admitted: None,
            outcome,
            reason: "why".to_owned(),
            closed_at: jiff::Timestamp::UNIX_EPOCH,
            facts: json!({}),
            deployment: None,
            account: None,
            records: Vec::new(),
        }
    }

    #[test]
    fn what_is_well_is_nowhere_forbidden() {
        for (seen, stored) in [(recovered(), [false; 2]), (untouched(), [true; 2])] {
            assert_eq!(forbidden(&seen, &seen.pens, &stored), Vec::<String>::new());
        }
    }

    #[test]
    fn each_thing_that_may_never_be_is_found() {
        type Spoil = fn(&mut Seen);
        let spoilt: [(&str, Spoil); 6] = [
            ("is Broken", |seen| seen.proof = Verdict::Broken),
            ("are lost", |seen| seen.lost.push("log/ME1/1".to_owned())),
            ("may write", |seen| seen.pens[1] = PRIMARY),
            ("may write", |seen| (seen.pens[0], seen.traffic) = (PRIMARY, None)),
            ("may write", |seen| (*seen, seen.answers) = (untouched(), Some(Side::Recovery))),
            ("may write", |seen| (*seen, seen.traffic) = (untouched(), Some(Side::Recovery))),
        ];
        for (wanted, spoil) in spoilt {
            let mut seen = recovered();
            spoil(&mut seen);
            let wrongs = forbidden(&seen, &[], &[]);
            assert!(wrongs.len() == 1 && wrongs[0].contains(wanted), "{wanted}: {wrongs:?}");
        }
        let seen = recovered();
        assert_eq!(
            forbidden(&seen, &[RECOVERY, RECOVERY], &[false, true]).len(),
            1,
            "a fenced put was stored"
        );
        assert_eq!(
            forbidden(&seen, &[PRIMARY, RECOVERY], &[false, false]).len(),
            1,
            "its own put was refused"
        );
    }

    #[test]
    fn an_end_is_what_was_seen_and_not_what_the_run_says() {
        let well =
            |end: &str, outcome: Outcome, seen: &Seen| run(&ended(end), Some(&manifest(outcome)), seen);
        assert_eq!(well("Recovered", Outcome::Recovered, &recovered()), (Came::Recovery, Vec::new()));
        assert_eq!(well("StoodDown", Outcome::StoodDown, &untouched()), (Came::Primary, Vec::new()));
        assert_eq!(well("Halted", Outcome::Halted, &untouched()), (Came::Halted, Vec::new()));

        let elsewhere = Seen { answers: Some(Side::Primary), ..recovered() };
        let by_another = Seen { moved_by: 3, ..recovered() };
        let left = Seen { stacks: recovered().stacks, ..untouched() };
        let wrong = [
            ("Recovered", Outcome::Recovered, &untouched()),
            ("Recovered", Outcome::Recovered, &elsewhere),
            ("Recovered", Outcome::Recovered, &by_another),
            ("Recovered", Outcome::Halted, &recovered()),
            ("StoodDown", Outcome::StoodDown, &left),
            ("Halted", Outcome::Halted, &left),
            ("Broken", Outcome::Broken, &untouched()),
            ("Unproven", Outcome::Unproven, &untouched()),
            ("Superseded", Outcome::Superseded, &untouched()),
            ("", Outcome::Halted, &untouched()),
        ];
        for (end, outcome, seen) in wrong {
            assert!(!well(end, outcome, seen).1.is_empty(), "{end} of {seen:?} passes");
        }
        assert!(!run(&ended("Recovered"), None, &recovered()).1.is_empty(), "there is no manifest");
    }

    #[test]
    fn the_whole_pen_is_one_sides_under_one_epoch() {
        let newer = PenState::Open { epoch: 3, holder: Holder::Recovery };
        assert_eq!(pen(&[PRIMARY, PRIMARY]), Pen::Primary);
        assert_eq!(pen(&[RECOVERY, RECOVERY]), Pen::Recovery(2));
        for halves in [[RECOVERY, newer], [PRIMARY, RECOVERY], [RECOVERY, PenState::Unopened]] {
            assert_eq!(pen(&halves), Pen::Half, "{halves:?}");
        }
        assert_eq!(pen(&[PRIMARY, PenState::Unopened]), Pen::Neither);
    }
}
