//! The sealers.

use std::time::{Duration, Instant};

use ledger_verify::Append;
use lifeboat_ledger::control::{Open, Seal};
use lifeboat_ledger::{Control, Holder, Tail, slot};
use lifeboat_rules::plan::{Ledger, Limits};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::{Log, Put, Store};
use serde_json::json;

use crate::kind::{Manner, Pauses};
use crate::round::{GIVE_UP_AFTER, STREAM};

/// Between the fence and the seal, in which a writer that watches has time to see the fence; or has not.
const AFTER_FENCE_LONGEST: Duration = Duration::from_millis(40);

/// What came of sealing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// The seal stands there.
    Stands(u64),
    /// A newer epoch holds the stream, and nothing was put.
    Fenced,
}

/// A run that seals the one stream, and opens it.
pub struct Sealer<'a> {
    pub store: &'a Store,
    pub ledger: &'a Ledger,
    pub epoch: u64,
    pub run: String,
    pub pauses: Pauses,
}

impl Sealer<'_> {
    /// Fences, waits a moment, and seals.
    pub async fn seal(&self, manner: Manner) -> Sealing {
        self.put_fence().await;
        tokio::time::sleep(self.pauses.at(0, AFTER_FENCE_LONGEST)).await;
        let control = Control::Seal(Seal { epoch: self.epoch, run: self.run.clone() });
        match manner {
            Manner::Ours => self.append(&control).await,
            Manner::Blind => self.append_blindly(&control).await,
        }
    }

    /// Gives the pen to the recovery side, after the seal.
    pub async fn open(&self) {
        let control =
            Control::Open(Open { epoch: self.epoch, holder: Holder::Recovery, run: self.run.clone() });
        assert!(matches!(self.append(&control).await, Sealing::Stands(_)), "it is sealed by this run");
    }

    /// The step as the state machine calls it: again, from the beginning, where the outcome is unknown.
    async fn append(&self, control: &Control) -> Sealing {
        let log = Log::new(self.store, self.ledger);
        let tries_max = Limits::default().seal_tries_max;
        let append = Append { store: self.store, log: &log, ledger: self.ledger, tries_max };
        let history = self.until_answered(|| read_on(&log, Tail::new(STREAM), control)).await.0;
        self.until_answered(async || match append.control(history.clone(), control).await {
            Ok(Ok(seq)) => Ok(Sealing::Stands(seq)),
            Ok(Err(finding)) => panic!("{control}: {finding}"),
            Err(err) if err.name == ErrorName::Fenced => Ok(Sealing::Fenced),
            Err(err) => Err(err),
        })
        .await
    }

    /// What a program does that never heard of weighing: the next free slot, and its seal into it.
    async fn append_blindly(&self, control: &Control) -> Sealing {
        let log = Log::new(self.store, self.ledger);
        self.until_answered(async || {
            let mut tail = Tail::new(STREAM);
            for _ in 0..Limits::default().seal_tries_max {
                let (at_end, found) = read_on(&log, tail, control).await?;
                if let Some(seq) = found {
                    return Ok(Sealing::Stands(seq));
                }
                tail = at_end;
                let (seq, bytes) = (tail.next_seq(), tail.control_segment(control));
                if self.store.create(&self.ledger.bucket, &log.key(STREAM, seq), &bytes).await?
                    == Put::Created
                {
                    return Ok(Sealing::Stands(seq));
                }
            }
            Err(StepError::new(ErrorName::Transient, "the writer took every slot"))
        })
        .await
    }

    async fn put_fence(&self) {
        let bytes = serde_json::to_vec(&json!({ "epoch": self.epoch, "run": self.run })).unwrap();
        let key = slot::fence_key(self.epoch);
        let put = self.until_answered(|| self.store.create(&self.ledger.bucket, &key, &bytes)).await;
        assert_eq!(put, Put::Created);
    }

    async fn until_answered<T, F>(&self, mut call: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, StepError>>,
    {
        let deadline = Instant::now() + GIVE_UP_AFTER;
        loop {
            match call().await {
                Ok(answer) => return answer,
                Err(err) if err.name == ErrorName::Transient && Instant::now() < deadline => {}
                Err(err) => panic!("run {}: {err}", self.run),
            }
        }
    }
}

/// Reads behind `tail` to the end. Says where `awaited` stands, if it was met.
async fn read_on(log: &Log<'_>, mut tail: Tail, awaited: &Control) -> Result<(Tail, Option<u64>), StepError> {
    let mut at = None;
    while let Some(bytes) = log.segment(&log.key(STREAM, tail.next_seq())).await? {
        let entries = tail.absorb_segment(tail.next_seq(), &bytes).expect("what is in the log chains");
        let met = entries.iter().find(|(entry, _)| entry.control.as_ref() == Some(awaited));
        at = at.or(met.map(|(entry, _)| entry.seq));
    }
    Ok((tail, at))
}
