//! What objects gave, collected.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::judge::Judge;
use super::{Counts, Expect, Proof};
use crate::chain::{Run, Tail};
use crate::finding::{Finding, Verdict};
use crate::object::{Answer, Layout, Question};

/// How many findings are kept; how many there were is counted.
pub const FINDINGS_MAX: usize = 1_000;

/// Collects what objects gave. Adding and merging commute, so any split of the objects gives the same proof.
///
/// It is also what one part of a divided work hands to the next: it can be written out and read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Fold {
    pub(super) layout: Layout,
    pub(super) objects: u64,
    pub(super) bytes: u64,
    pub(super) entries: u64,
    /// Each stream's runs by their first sequence.
    pub(super) runs: BTreeMap<String, BTreeMap<u64, Vec<Run>>>,
    pub(super) findings: Findings,
    pub(super) answers: BTreeMap<Question, Answer>,
}

impl Default for Fold {
    /// An empty fold of segments.
    fn default() -> Fold {
        Fold::new(Layout::Segments)
    }
}

impl Fold {
    /// A fold of nothing.
    pub fn new(layout: Layout) -> Fold {
        Fold {
            layout,
            objects: 0,
            bytes: 0,
            entries: 0,
            runs: BTreeMap::new(),
            findings: Findings::default(),
            answers: BTreeMap::new(),
        }
    }

    /// What one object gave.
    pub(crate) fn of_object(
        layout: Layout,
        bytes: u64,
        runs: impl IntoIterator<Item = Run>,
        finding: Option<Finding>,
    ) -> Fold {
        let mut fold = Fold { objects: 1, bytes, ..Fold::new(layout) };
        runs.into_iter().for_each(|run| fold.add_run(run));
        finding.into_iter().for_each(|finding| fold.add_finding(finding));
        fold
    }

    /// Adds what [`Run::of_segment`] gave of one segment. The bytes are not counted.
    pub fn add(&mut self, result: Result<Run, Finding>) {
        self.objects += 1;
        match result {
            Ok(run) => self.add_run(run),
            Err(finding) => self.add_finding(finding),
        }
    }

    fn add_run(&mut self, run: Run) {
        self.entries = self.entries.saturating_add(run.entries());
        self.place(run);
    }

    /// Puts a run among the others. Segments that follow each other become one run.
    fn place(&mut self, mut run: Run) {
        let slots = match self.runs.get_mut(&run.stream) {
            Some(slots) => slots,
            None => self.runs.entry(run.stream.clone()).or_default(),
        };
        if self.layout == Layout::Segments {
            if let Some(next) = run.last_seq.checked_add(1)
                && let Some(found) = slots.get_mut(&next)
                && let [only] = found.as_slice()
                && run.is_followed_by(only)
            {
                run.append(slots.remove(&next).and_then(|mut runs| runs.pop()).expect("just seen"));
            }
            if let Some((_, before)) = slots.range_mut(..run.first_seq).next_back()
                && let [only] = before.as_mut_slice()
                && only.is_followed_by(&run)
            {
                only.append(run);
                return;
            }
        }
        let same = slots.entry(run.first_seq).or_default();
        let at = same.partition_point(|other| other.at <= run.at);
        same.insert(at, run);
    }

    /// Adds something that was found by whoever reads, e.g. that an object could not be had.
    pub fn add_finding(&mut self, finding: Finding) {
        self.findings.add(finding);
    }

    pub(crate) fn add_findings(&mut self, findings: Findings) {
        self.findings.merge(findings);
    }

    /// Adds all that `other` holds, of the same layout. What is merged twice is held twice.
    ///
    /// # Panics
    /// If the layouts differ: a witness is compared with the authority, and never a part of it.
    pub fn merge(&mut self, other: Fold) {
        assert_eq!(self.layout, other.layout, "a fold has one layout");
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.entries = self.entries.saturating_add(other.entries);
        for run in other.runs.into_values().flat_map(BTreeMap::into_values).flatten() {
            self.place(run);
        }
        self.findings.merge(other.findings);
        self.answers.extend(other.answers);
    }

    /// The copy's layout.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// How many objects were read.
    pub fn objects(&self) -> u64 {
        self.objects
    }

    /// How many bytes of entries were read, decoded.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many entries were read.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The runs, by stream and first sequence.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().flat_map(BTreeMap::values).flatten()
    }

    /// What was found so far, the worst first; how the runs fit together is for [`Fold::finish`] to say.
    pub fn findings(&self) -> &[Finding] {
        &self.findings.kept
    }

    /// What one segment gave, as its run or its first fault.
    pub(crate) fn into_segment(self) -> Result<Run, Finding> {
        if let Some(finding) = self.findings.kept.into_iter().next() {
            return Err(finding);
        }
        let mut runs = self.runs.into_values().flat_map(BTreeMap::into_values).flatten();
        Ok(runs.next().expect("a segment gives a run or a finding"))
    }

    /// What has to be asked of the objects of a delivery before it can be judged: where two pieces overlap, whether they hold the
    /// same. Answer with [`Fold::answer`] and ask again, until there is nothing to ask; mostly there is nothing to begin with, since
    /// deliveries overlap only where something was sent twice. What stays without an answer is unproven.
    pub fn questions(&self, expect: &Expect) -> Vec<Question> {
        Judge::new(self, expect).questions()
    }

    /// Takes answers to [`Fold::questions`].
    pub fn answer(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.extend(answers.into_iter().map(|answer| (answer.question.clone(), answer)));
    }

    /// The runs of streams with a lease that begin behind a hole in what was acknowledged, as far as that can be told while the
    /// newest entries are still to be delivered: each goes on from an entry that was not delivered. Ask when
    /// [`Fold::questions`] has no more.
    pub fn behind_holes(&self, expect: &Expect) -> Vec<Run> {
        Judge::new(self, expect).behind_holes().into_iter().cloned().collect()
    }

    /// Judges what was collected.
    ///
    /// A stream that holds a finding has no tail and no [`crate::StreamProof`]: nothing is built on it. The exception is a stream
    /// that is whole, but of which nobody can tell whether its end was cut off.
    pub fn finish(self, expect: &Expect) -> (Proof, Vec<Tail>) {
        let judged = Judge::new(&self, expect).judge();
        let Findings { kept, count, .. } = judged.findings;
        let verdict = kept.first().map_or(Verdict::Proven, |finding| finding.verdict);
        let counts = Counts {
            objects: self.objects,
            bytes: self.bytes,
            entries: self.entries,
            repeated: self.entries.saturating_sub(judged.distinct).saturating_sub(judged.void),
            void: judged.void,
        };
        let linked = self.runs().all(|run| run.first_prev.is_some());
        let tails = judged.streams.iter().map(Tail::resume).collect();
        let proof =
            Proof { verdict, streams: judged.streams, findings: kept, findings_count: count, linked, counts };
        (proof, tails)
    }
}

/// Findings, in bounded memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Findings {
    /// The first in their order.
    pub(super) kept: Vec<Finding>,
    /// How many there are in all.
    pub(super) count: u64,
    /// The streams that hold one, of which nothing is built on any.
    pub(super) streams: BTreeSet<String>,
    /// Whether something could not be read whose entries might be any.
    pub(super) unread: bool,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        self.count = self.count.saturating_add(1);
        self.unread |= finding.stream.is_empty() && finding.verdict == Verdict::Unproven;
        if !self.streams.contains(&finding.stream) {
            self.streams.insert(finding.stream.clone());
        }
        let at = self.kept.partition_point(|other| *other <= finding);
        if at < FINDINGS_MAX {
            self.kept.insert(at, finding);
            self.kept.truncate(FINDINGS_MAX);
        }
    }

    pub(crate) fn merge(&mut self, other: Findings) {
        self.count = self.count.saturating_add(other.count);
        self.unread |= other.unread;
        self.streams.extend(other.streams);
        self.kept.extend(other.kept);
        self.kept.sort();
        self.kept.truncate(FINDINGS_MAX);
    }
}

/// A fold as it is written out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    layout: Layout,
    objects: u64,
    bytes: u64,
    entries: u64,
    runs: Vec<Run>,
    findings: Findings,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    answers: Vec<Answer>,
}

impl From<Fold> for Written {
    fn from(fold: Fold) -> Written {
        let Fold { layout, objects, bytes, entries, runs, findings, answers } = fold;
        Written {
            layout,
            objects,
            bytes,
            entries,
            runs: runs.into_values().flat_map(BTreeMap::into_values).flatten().collect(),
            findings,
            answers: answers.into_values().collect(),
        }
    }
}

impl TryFrom<Written> for Fold {
    type Error = String;

    fn try_from(written: Written) -> Result<Fold, String> {
        let Written { layout, objects, bytes, entries, runs, findings, answers } = written;
        let mut fold = Fold { objects, bytes, entries, findings, ..Fold::new(layout) };
        for run in runs {
            if run.first_seq > run.last_seq || run.last_seq == u64::MAX {
                return Err(format!("a run from {} to {} is none", run.first_seq, run.last_seq));
            }
            fold.place(run);
        }
        fold.answer(answers);
        Ok(fold)
    }
}
