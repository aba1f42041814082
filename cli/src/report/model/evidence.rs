//! What the evidence is worth: the verdict of `lifeboat evidence verify`, in the page.

use lifeboat_rules::evidence::verify::{Verdict, Wrong};
use serde::Serialize;

use super::Tone;
use crate::evidence::verify::told;
use crate::report::facts::Facts;
use crate::report::words::capital;

/// Things that are wrong, as many as a page tells; the check itself tells them all.
const WRONG_MAX: usize = 100;

#[derive(Debug, Serialize)]
pub(crate) struct Evidence {
    pub(crate) verdict: Verdict,
    pub(crate) tone: Tone,
    pub(crate) sentence: String,
    /// Where it was read.
    pub(crate) place: String,
    pub(crate) records: usize,
    pub(crate) left: usize,
    pub(crate) signed_by: Option<String>,
    /// The fingerprint that was given.
    pub(crate) pinned: Option<String>,
    pub(crate) wrong: Vec<Wrong>,
    pub(crate) wrong_count: usize,
}

pub(super) fn of(facts: &Facts) -> Evidence {
    let verified = &facts.verified;
    let (_, sentence) = told(&facts.run, verified, facts.pinned.as_deref());
    Evidence {
        verdict: verified.verdict,
        tone: match verified.verdict {
            Verdict::Authentic => Tone::Good,
            Verdict::Unauthenticated | Verdict::Open => Tone::Warning,
            Verdict::Broken => Tone::Bad,
        },
        // The page says the verdict itself, as a word of its own.
        sentence: capital(sentence.split_once(": ").map_or(sentence.as_str(), |(_, rest)| rest)),
        place: facts.place.clone(),
        records: verified.records,
        left: verified.left,
        signed_by: verified.signed_by.clone(),
        pinned: facts.pinned.clone(),
        wrong: verified.wrong.iter().take(WRONG_MAX).cloned().collect(),
        wrong_count: verified.wrong.len(),
    }
}
