//! Writing a control entry into the next free slot of a stream that somebody else may be writing to.

use lifeboat_ledger::append::{self, Next};
use lifeboat_ledger::control::Open;
use lifeboat_ledger::{Control, Finding, Holder, Tail};
use lifeboat_rules::decided::Placing;
use lifeboat_rules::plan::Ledger;
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Log, Put, Store, decide};

use crate::aws;

/// Appends control entries to the streams of one log.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// Object storage.
    pub store: &'a Store,
    /// The log.
    pub log: &'a Log<'a>,
    /// Where it is.
    pub ledger: &'a Ledger,
    /// How many slots may be lost to the writer before giving up.
    pub tries_max: u32,
}

impl Append<'_> {
    /// Puts `control` into the first free slot behind `tail`, reading past whatever stands before it, and returns its
    /// sequence. Done already by an earlier attempt, it returns where.
    ///
    /// # Errors
    /// `Fenced` where a control entry of another run outranks this one. The inner error is a finding: what stands
    /// behind `tail` does not chain, or does not let this control entry count.
    pub async fn control(
        &self,
        mut tail: Tail,
        control: &Control,
    ) -> Result<Result<u64, Finding>, StepError> {
        match aws::read_on(self.log, &mut tail, control).await? {
            Ok(Some(seq)) => return Ok(Ok(seq)),
            Ok(None) => {}
            Err(finding) => return Ok(Err(finding)),
        }
        for _ in 0..self.tries_max {
            let placing = Placing { tail, control: control.clone() };
            let next = decide(&(), &placing);
            tail = placing.tail;
            let (seq, bytes) = match next {
                Next::Put { seq, bytes } => (seq, bytes),
                Next::Outranked { newest } => {
                    let what = format!("epoch {newest} holds it, and {control} is not newer");
                    return Err(StepError::fenced(format!("stream {}: {what}", tail.stream())));
                }
                Next::WouldNotCount(finding) => return Ok(Err(finding)),
            };
            match self.store.create(&self.ledger.bucket, &self.log.key(tail.stream(), seq), &bytes).await? {
                Put::Created => return Ok(Ok(seq)),
                Put::Exists(found) => match append::absorb(&mut tail, seq, &found, control) {
                    Ok(Some(seq)) => return Ok(Ok(seq)),
                    Ok(None) => {}
                    Err(finding) => return Ok(Err(finding)),
                },
            }
        }
        Err(StepError::new(
            ErrorName::Transient,
            format!("stream {}: the writer took the slot {} times in a row", tail.stream(), self.tries_max),
        ))
    }
}

/// A newer epoch stands in the stream.
pub(crate) fn taken_over(tail: &Tail) -> StepError {
    let newest = tail.pen().newest_epoch();
    StepError::fenced(format!("stream {}: epoch {newest} has taken it over", tail.stream()))
}

/// Opens a stream that has no entries yet for the primary: the beginning of a ledger.
///
/// # Errors
/// `Fenced` where the stream was opened by another run; `Defect` where it holds what does not chain.
pub async fn open_stream(
    store: &Store,
    plan: &Plan,
    stream: &str,
    epoch: u64,
    run: &str,
) -> Result<u64, StepError> {
    let log = Log::new(store, &plan.ledger);
    let append = Append { store, log: &log, ledger: &plan.ledger, tries_max: plan.limits.seal_tries_max };
    let control = Control::Open(Open { epoch, holder: Holder::Primary, run: run.to_owned() });
    match append.control(Tail::new(stream), &control).await? {
        Ok(seq) => Ok(seq),
        Err(finding) => Err(StepError::caused(ErrorName::Defect, "open the stream", finding)),
    }
}
