//! What a page shows, without how: this is what `--json` prints.

pub(super) mod appendix;
pub(super) mod decided;
pub(super) mod digests;
pub(super) mod dns;
pub(super) mod evidence;
pub(super) mod fence;
pub(super) mod ledger;
pub(super) mod names;
pub(super) mod notices;
pub(super) mod timeline;
pub(super) mod trouble;
pub(super) mod verdict;

#[cfg(test)]
mod tests;

use lifeboat_rules::evidence::Stacks;
use serde::Serialize;

use super::facts::Facts;

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    pub(super) run: String,
    pub(super) plan: Option<String>,
    pub(super) verdict: verdict::Verdict,
    pub(super) evidence: evidence::Evidence,
    pub(super) timeline: timeline::Timeline,
    /// Acknowledged entries that are lost, of a run that recovered and showed it.
    pub(super) lost_entries: Option<u64>,
    pub(super) ledger: ledger::Ledger,
    pub(super) fence: fence::Fence,
    pub(super) dns: dns::Dns,
    pub(super) decided: decided::Decided,
    pub(super) trouble: trouble::Trouble,
    /// What was launched, and what of it was left standing.
    pub(super) stacks: Stacks,
    pub(super) digests: Vec<digests::Digest>,
    pub(super) notices: notices::Notices,
    pub(super) appendix: appendix::Appendix,
}

impl Page {
    pub(super) fn of(facts: &Facts) -> Page {
        Page {
            run: facts.run.clone(),
            plan: facts.verified.plan.clone(),
            verdict: verdict::of(facts),
            evidence: evidence::of(facts),
            timeline: timeline::of(facts),
            lost_entries: facts.account.rpo.as_ref().map(|rpo| rpo.lost_entries),
            ledger: ledger::of(facts),
            fence: fence::of(facts),
            dns: dns::of(facts),
            decided: decided::of(facts),
            trouble: trouble::of(facts),
            stacks: facts.account.stacks.clone(),
            digests: digests::of(facts),
            notices: notices::of(facts),
            appendix: appendix::of(facts),
        }
    }
}

/// How something is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Nothing is wrong, and nothing to be glad about.
    Neutral,
    /// A person has to look.
    Warning,
    /// Something is wrong.
    Bad,
}
