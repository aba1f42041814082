//! Putting a control entry into a stream that somebody else may be writing to, without I/O: what comes next, what a taken
//! slot means, and what a seal proves.
//!
//! Invariant: nobody opens or moves traffic on a proof that does not reach his own seal ([`proven_through_seal`]).

use serde::Serialize;

use crate::chain::{StreamProof, Tail};
use crate::control::{Control, PenState, Seal, Weight};
use crate::finding::Finding;

/// What whoever appends a control entry does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Put these bytes into this slot, with `If-None-Match: *`.
    Put {
        /// The slot.
        seq: u64,
        /// The object's bytes, which follow from the tail and the entry.
        #[serde(skip)]
        bytes: Vec<u8>,
    },
    /// Stop: the stream is a newer epoch's, or another run's of the same one.
    Outranked {
        /// The newest epoch of the stream.
        newest: u64,
    },
    /// Stop: the entry would stand there without effect.
    WouldNotCount(Finding),
}

/// Decides what to do about `control`, which is not in the stream up to `tail`.
pub fn next(tail: &Tail, control: &Control) -> Next {
    if tail.pen().weigh(control) == Weight::Counts {
        return Next::Put { seq: tail.next_seq(), bytes: tail.control_segment(control) };
    }
    let newest = tail.pen().newest_epoch();
    if newest > control.epoch() || (newest == control.epoch() && matches!(control, Control::Seal(_))) {
        return Next::Outranked { newest };
    }
    let what = format!("{control} would not count: the stream is not sealed by this run");
    Next::WouldNotCount(Finding::unproven(tail.stream(), Some(tail.next_seq()), what))
}

/// Verifies one segment as the next, and says at which sequence `awaited` stands in it, where it does.
///
/// # Errors
/// As [`Tail::absorb_segment`].
pub fn absorb(tail: &mut Tail, seq: u64, bytes: &[u8], awaited: &Control) -> Result<Option<u64>, Finding> {
    let entries = tail.absorb_segment(seq, bytes)?;
    Ok(entries.iter().find(|(entry, _)| entry.control.as_ref() == Some(awaited)).map(|(entry, _)| entry.seq))
}

/// What was found behind a history, up to where a run has sealed the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sealed {
    /// All of it is proven, and the run's own seal is the last word on the pen.
    Proven(StreamProof),
    /// A newer epoch has sealed or opened the stream.
    TakenOver,
    /// It does not end in the run's seal.
    Not(Finding),
}

/// Judges what was read behind `before`: `tail` is where the reading ended, and `at` where it found the seal.
pub fn proven_through_seal(before: &StreamProof, tail: &Tail, at: Option<u64>, seal: &Seal) -> Sealed {
    if tail.pen().newest_epoch() > seal.epoch {
        return Sealed::TakenOver;
    }
    let sealed = PenState::Sealed { epoch: seal.epoch, run: seal.run.clone() };
    if at.is_none() || *tail.pen().state() != sealed {
        return Sealed::Not(Finding::unproven(tail.stream(), None, "it is not sealed by this run"));
    }
    Sealed::Proven(StreamProof {
        stream: before.stream.clone(),
        first_seq: before.first_seq,
        through: tail.next_seq() - 1,
        head: tail.head(),
        entries: before.entries + (tail.next_seq() - 1 - before.through),
        pen: tail.pen().clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Holder, Open};

    fn open(epoch: u64, run: &str) -> Control {
        Control::Open(Open { epoch, holder: Holder::Recovery, run: run.into() })
    }

    fn seal(epoch: u64, run: &str) -> Seal {
        Seal { epoch, run: run.into() }
    }

    /// A stream with `controls`, and the proof of its first entry.
    fn stream(controls: &[Control]) -> (StreamProof, Tail) {
        let mut tail = Tail::new("ME1");
        let mut before = None;
        for control in controls {
            let bytes = tail.control_segment(control);
            let seq = tail.next_seq();
            assert_eq!(absorb(&mut tail, seq, &bytes, control).expect("it chains"), Some(seq));
            before.get_or_insert_with(|| StreamProof {
                stream: "ME1".into(),
                first_seq: 1,
                through: 1,
                head: tail.head(),
                entries: 1,
                pen: tail.pen().clone(),
            });
        }
        (before.expect("a stream has an entry"), tail)
    }

    #[test]
    fn what_would_count_is_put_and_what_is_older_is_told_so() {
        let (_, tail) = stream(&[open(1, "genesis"), Control::Seal(seal(3, "run-3"))]);
        assert!(matches!(next(&tail, &open(3, "run-3")), Next::Put { seq: 3, .. }));
        for outranked in [Control::Seal(seal(2, "run-2")), Control::Seal(seal(3, "twin")), open(2, "run-2")] {
            assert_eq!(next(&tail, &outranked), Next::Outranked { newest: 3 }, "{outranked}");
        }
        assert!(matches!(next(&tail, &open(3, "twin")), Next::WouldNotCount(_)));
    }

    #[test]
    fn a_proof_ends_in_the_runs_own_seal() {
        let sealed = [open(1, "genesis"), Control::Seal(seal(2, "run-2"))];
        let (before, tail) = stream(&sealed);
        let Sealed::Proven(proof) = proven_through_seal(&before, &tail, Some(2), &seal(2, "run-2")) else {
            panic!("it is sealed");
        };
        assert_eq!((proof.through, proof.entries, proof.head), (2, 2, tail.head()));
        let not = [(None, seal(2, "run-2")), (Some(2), seal(2, "twin")), (Some(2), seal(3, "run-3"))];
        for (at, own) in not {
            assert!(matches!(proven_through_seal(&before, &tail, at, &own), Sealed::Not(_)), "{own:?}");
        }
        assert_eq!(proven_through_seal(&before, &tail, None, &seal(1, "old")), Sealed::TakenOver);
    }
}
