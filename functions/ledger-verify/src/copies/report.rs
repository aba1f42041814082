//! What a comparison came to.

use lifeboat_ledger::Finding;
use lifeboat_ledger::copies::Patch;
use lifeboat_rules::evidence::sha256;
use serde::{Deserialize, Serialize};

/// What is told one by one in an answer; the state machine hands on no more than 256 KiB.
const TOLD_MAX: usize = 20;

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
    /// What was put back, in either copy; 20 at most.
    pub healed: Vec<Healed>,
    /// How many objects were put back.
    pub healed_count: u64,
    /// Entries that are missing between those of the log and that the witness holds, where nothing was put back because
    /// somebody only looked.
    pub mendable: u64,
    /// What of the witness could not be read; 20 at most.
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
    /// Entries that only the witness holds and that had no right to their place: an old primary sent what it could not put.
    pub void: u64,
    /// Entries that the witness has not, below its greatest, and that were not put back.
    pub missing: u64,
    /// Entries that only the witness holds, behind the end of the log: the log has lost them. They are put back behind the
    /// fence, before the seal.
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
    pub(super) fn put_back(&mut self, healed: Vec<Healed>) {
        self.healed_count += healed.len() as u64;
        self.healed.extend(healed);
        self.healed.truncate(TOLD_MAX);
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
            (total(|compared| compared.missing), "entries are missing in it"),
            (
                total(|compared| compared.beyond),
                "entries stand behind the end of the log, which has lost them: the next run puts them back behind its fence",
            ),
            (self.mendable, "entries that the log lacks are in it: a run puts them back"),
            (self.unreadable_count, "things in it could not be read"),
        ];
        parts.extend(
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
        );
        self.reason = parts.join("; ");
    }

    /// Whether a person should be told more than that the copies agree.
    pub(crate) fn is_notable(&self) -> bool {
        let odd = |compared: &Compared| compared.void + compared.missing + compared.beyond > 0;
        self.healed_count + self.mendable + self.unreadable_count > 0 || self.streams.iter().any(odd)
    }
}
