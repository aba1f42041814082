//! A person's words to the plan: an append-only row of objects, each created at the next free number, never changed.
//!
//! What is in force is the fold of the row, so who said what, when and why stays readable for ever.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// When, by the speaker's clock; for people to read, no rule rests on it.
    pub at: Timestamp,
    /// Who. Said by the caller, so it is a note; the store's own trail of requests is the proof.
    pub by: String,
    /// In the speaker's words.
    pub reason: String,
    /// What.
    pub says: Says,
}

/// What a person can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// From here on no run is admitted.
    MaintenanceBegin,
    /// From here on runs are admitted again.
    MaintenanceEnd,
    /// The automatic failovers through this epoch are known; the next alarm may start a run.
    Acknowledge {
        /// The newest epoch when it was said.
        epoch: u64,
    },
}

/// What is in force once all words were heard, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The word that began the maintenance that is still on.
    pub maintenance: Option<Word>,
    /// Automatic failovers through this epoch are acknowledged; 0 for none.
    pub acknowledged: u64,
}

impl Words {
    /// Hears the words in their order.
    pub fn hear(words: impl IntoIterator<Item = Word>) -> Words {
        let mut heard = Words::default();
        for word in words {
            match word.says {
                // A second beginning changes nothing: the first one's reason still holds.
                Says::MaintenanceBegin => {
                    heard.maintenance.get_or_insert(word);
                }
                Says::MaintenanceEnd => heard.maintenance = None,
                Says::Acknowledge { epoch } => heard.acknowledged = heard.acknowledged.max(epoch),
            }
        }
        heard
    }
}

/// The prefix of all words about `plan` in the control bucket.
pub fn prefix(plan: &str) -> String {
    format!("word/{plan}/")
}

/// The key of word `number`, from 1; twenty digits, so that keys sort as the numbers do.
pub fn key(plan: &str, number: u64) -> String {
    format!("{}{number:020}", prefix(plan))
}

/// Reads the number back from a key that [`key`] made.
pub fn parse_key(plan: &str, key: &str) -> Option<u64> {
    let digits = key.strip_prefix(&prefix(plan))?;
    if digits.len() == 20 { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(reason: &str, says: Says) -> Word {
        Word { at: Timestamp::UNIX_EPOCH, by: "somebody".into(), reason: reason.into(), says }
    }

    #[test]
    fn the_last_word_on_each_matter_holds() {
        use Says::*;
        let begin = |reason: &str| word(reason, MaintenanceBegin);
        let on = |said: &[Word]| Words::hear(said.to_vec()).maintenance.map(|word| word.reason);
        assert_eq!(on(&[]), None);
        assert_eq!(on(&[begin("a"), begin("b")]), Some("a".into()));
        assert_eq!(on(&[begin("a"), word("", MaintenanceEnd)]), None);
        assert_eq!(on(&[begin("a"), word("", MaintenanceEnd), begin("b")]), Some("b".into()));
        let acknowledged = |epochs: &[u64]| {
            Words::hear(epochs.iter().map(|epoch| word("", Acknowledge { epoch: *epoch }))).acknowledged
        };
        assert_eq!(acknowledged(&[]), 0);
        assert_eq!(acknowledged(&[7, 3]), 7);
    }

    #[test]
    fn keys_sort_as_numbers_and_read_back() {
        assert!(key("aex", 9) < key("aex", 10));
        assert_eq!(parse_key("aex", &key("aex", 10)), Some(10));
        for other in ["word/aex/10", "word/bex/00000000000000000010", "epoch/aex/00000000000000000010"] {
            assert_eq!(parse_key("aex", other), None, "{other}");
        }
    }
}
