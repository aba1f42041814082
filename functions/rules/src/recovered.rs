//! Does the recovered application serve, through everything that was sealed?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::StepError;

/// What an application's health endpoint says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `serving` once it acknowledges; other values are for people.
    pub mode: String,
    /// The epoch under which it writes.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// What it has rebuilt, by stream.
    #[serde(default)]
    pub streams: BTreeMap<String, StreamHealth>,
}

/// One stream of a [`Health`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamHealth {
    /// The last sequence that the application has applied.
    pub seq: u64,
}

/// Where one stream was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The stream.
    pub stream: String,
    /// The sequence of the seal itself: everything acknowledged lies before it.
    pub seq: u64,
}

/// Judges the recovered application: RPO 0 as the application itself sees it.
///
/// # Errors
/// `NotReady` while it has not got there; the message says what is missing.
pub fn judge(health: &Health, epoch: u64, sealed: &[Sealed]) -> Result<(), StepError> {
    if health.mode != "serving" {
        return Err(StepError::not_ready(format!("the recovered application says `{}`", health.mode)));
    }
    if health.epoch != Some(epoch) {
        return Err(StepError::not_ready(format!(
            "the recovered application serves under epoch {:?}, this run holds {epoch}",
            health.epoch
        )));
    }
    for Sealed { stream, seq } in sealed {
        match health.streams.get(stream) {
            Some(applied) if applied.seq >= *seq => {}
            Some(applied) => {
                return Err(StepError::not_ready(format!(
                    "stream {stream}: applied through {}, sealed at {seq}",
                    applied.seq
                )));
            }
            None => {
                return Err(StepError::not_ready(format!("stream {stream} is not known to the application")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_only_under_its_epoch_and_through_the_seal() {
        let sealed = [Sealed { stream: "ME1".into(), seq: 10 }];
        let health = |mode: &str, epoch, seq| Health {
            mode: mode.into(),
            epoch,
            streams: BTreeMap::from([("ME1".into(), StreamHealth { seq })]),
        };
        assert!(judge(&health("serving", Some(2), 10), 2, &sealed).is_ok());
        for (health, says) in [
            (health("replaying", Some(2), 10), "replaying"),
            (health("serving", Some(1), 10), "epoch Some(1)"),
            (health("serving", None, 10), "epoch None"),
            (health("serving", Some(2), 9), "applied through 9, sealed at 10"),
            (Health { mode: "serving".into(), epoch: Some(2), streams: BTreeMap::new() }, "not known"),
        ] {
            let err = judge(&health, 2, &sealed).unwrap_err();
            assert_eq!(err.name, crate::ErrorName::NotReady);
            assert!(err.to_string().contains(says), "{err}");
        }
    }
}
