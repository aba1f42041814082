//! What a comparison came to.

use lifeboat_ledger::Finding;
use lifeboat_ledger::copies::Patch;
use lifeboat_rules::evidence::sha256;
use serde::{Deserialize, Serialize};

use crate::told;

/// What is told one by one in an answer; the state machine hands on no more than 256 KiB.
const TOLD_MAX: usize = 20;
/// Characters of a name that nobody but the witness vouches for.
const NAME_MAX: usize = 100;

/// The two copies of a ledger, compared as far as the witness was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// It in one sentence.
    pub reason: String,
    /// How many objects of the witness were read, the newest ones.
    pub objects: u64,
    /// Whether older ones were left unread.
    pub older_unread: bool,
    /// The streams of the witness.
    pub streams: Vec<Compared>,
    /// What was put back, in either copy: the first 20. All are in the function's log, each before it was put.
    pub healed: Vec<Healed>,
    /// How many objects were put back, exactly.
    pub healed_count: u64,
    /// Entries that are missing between those of the log and that the witness holds, where nothing was put back because
    /// somebody only looked.
    pub mendable: u64,
    /// The streams of the witness that neither the plan nor the log names; 20 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_streams: Vec<String>,
    /// What of the witness could not be read, or not be put back; 20 at most.
    pub unreadable: Vec<Finding>,
    /// How many such things there are.
    pub unreadable_count: u64,
}

/// One stream, compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The stream.
    pub stream: String,
    /// The last sequence that both copies hold with the same hash; `None` where nothing was comparable.
    pub compared_through: Option<u64>,
    /// How many entries both hold with the same hash.
    pub same: u64,
    /// Entries that only the witness holds and that had no right to their place: an old primary sent what it could not put, or
    /// their epoch had not begun there.
    pub void: u64,
    /// Entries that the witness has not, below its greatest, and that were not put back, or not yet. By their numbers: where
    /// the log was not read there, control entries, which are never sent, count among them.
    pub missing: u64,
    /// Entries that only the witness holds, behind the end of the log, which may have lost them. They are not put back.
    pub beyond: u64,
}

/// One object that was put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healed {
    /// Its key, which says which copy it is in.
    pub key: String,
    /// The SHA-256 of its bytes.
    pub sha256: String,
    /// Its first sequence.
    pub first_seq: u64,
    /// Its last sequence.
    pub last_seq: u64,
}

impl Healed {
    /// What `patch` became under `key`.
    pub(super) fn of(key: String, patch: &Patch) -> Healed {
        Healed { key, sha256: sha256(&patch.bytes), first_seq: patch.first_seq, last_seq: patch.last_seq }
    }
}

impl Witnessed {
    /// Notes what was put back.
    pub(super) fn put_back(&mut self, healed: Healed) {
        self.healed_count += 1;
        if self.healed.len() < TOLD_MAX {
            self.healed.push(healed);
        }
    }

    /// Notes a stream that nobody knows.
    pub(super) fn unknown_stream(&mut self, stream: &str) {
        if self.unknown_streams.len() < TOLD_MAX {
            self.unknown_streams.push(told::cut(stream, NAME_MAX));
        }
    }

    /// Notes what could not be read.
    pub(super) fn could_not_read(&mut self, unreadable: &[Finding]) {
        self.unreadable_count += unreadable.len() as u64;
        self.unreadable.extend(unreadable.iter().take(TOLD_MAX).cloned());
        self.unreadable.truncate(TOLD_MAX);
    }

    /// Says it in one sentence.
    pub(super) fn sum_up(&mut self) {
        let through = |compared: &Compared| {
            compared.compared_through.map(|seq| format!("{} through {seq}", compared.stream))
        };
        let compared: Vec<String> = self.streams.iter().filter_map(through).collect();
        let mut parts = vec![if compared.is_empty() {
            "the witness was compared in no stream: nothing of it was delivered".to_owned()
        } else {
            format!("the witness is the same in {}", compared.join(", "))
        }];
        if compared.is_empty() && self.unreadable_count > 0 {
            parts = vec!["the witness was compared in no stream".into()];
        }
        let total = |count: fn(&Compared) -> u64| self.streams.iter().map(count).sum::<u64>();
        let counts = [
            (self.healed_count, "objects were put back"),
            (total(|compared| compared.void), "entries of the witness are void"),
            (
                total(|compared| compared.missing),
                "entries are missing in it and are not put back, or not yet",
            ),
            (
                total(|compared| compared.beyond),
                "entries of the witness stand behind the end of the log, which may have lost them",
            ),
            (self.mendable, "entries that the log lacks are in it: a run puts them back"),
            (
                self.unknown_streams.len() as u64,
                "streams of the witness are named neither by the plan nor by the log",
            ),
            (self.unreadable_count, "things in it could not be read or put back"),
        ];
        parts.extend(
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
        );
        self.reason = parts.join("; ");
    }

    /// Whether a person should be told more than that the copies agree.
    pub(crate) fn is_notable(&self) -> bool {
        let odd = |compared: &Compared| compared.void + compared.missing + compared.beyond > 0;
        self.healed_count + self.mendable + self.unreadable_count > 0
            || !self.unknown_streams.is_empty()
            || self.streams.iter().any(odd)
    }
}
