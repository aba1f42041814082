//! Every record, and what lies beside them.

use jiff::Timestamp;
use lifeboat_rules::evidence::chain::is_record;
use lifeboat_rules::evidence::{Listed, Phase};
use serde::Serialize;
use serde_json::Value;

use crate::report::facts::{Facts, Kept};
use crate::report::json::readable;

/// Bytes of JSON that a page shows, of all records and of one. What is longer is whole in the evidence.
const JSON_BYTES_MAX: usize = 200_000;
const RECORD_BYTES_MAX: usize = 16_000;
/// Characters of what came of a step.
const SHORT_MAX: usize = 160;
/// Objects beside the records that a page names.
const BESIDE_MAX: usize = 500;

#[derive(Debug, Serialize)]
pub(crate) struct Appendix {
    pub(crate) records: Vec<Entry>,
    pub(crate) beside: Vec<Listed>,
    pub(crate) beside_count: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) state: String,
    pub(crate) attempt: u32,
    pub(crate) phase: Phase,
    pub(crate) at: Timestamp,
    pub(crate) sha256: String,
    pub(crate) bytes: usize,
    pub(crate) short: String,
    /// The record whole; absent where it is too long for a page.
    pub(crate) json: Option<String>,
}

pub(super) fn of(facts: &Facts) -> Appendix {
    let mut left = JSON_BYTES_MAX;
    let records = facts.records.iter().map(|kept| entry(kept, &mut left)).collect();
    let listed = facts.manifest.iter().flat_map(|manifest| &manifest.records);
    let beside: Vec<&Listed> = listed.filter(|listed| !is_record(&listed.key)).collect();
    Appendix {
        records,
        beside_count: beside.len(),
        beside: beside.into_iter().take(BESIDE_MAX).cloned().collect(),
    }
}

fn entry(kept: &Kept, left: &mut usize) -> Entry {
    let json = readable(&serde_json::to_value(&kept.record).unwrap_or_default());
    let fits = json.len() <= RECORD_BYTES_MAX.min(*left);
    if fits {
        *left -= json.len();
    }
    let step = &kept.record.step;
    Entry {
        key: kept.key.clone(),
        state: step.name.clone(),
        attempt: step.attempt,
        phase: kept.record.phase,
        at: kept.record.at,
        sha256: kept.sha256.clone(),
        bytes: kept.bytes,
        short: short(kept),
        json: fits.then_some(json),
    }
}

fn short(kept: &Kept) -> String {
    let text = match (kept.action(), kept.error(), kept.verdict()) {
        (Some(action), ..) => format!("asks for {action}"),
        (_, Some((error, message)), _) => format!("{error}: {message}"),
        (_, _, Some(verdict)) => match &kept.result()["reason"] {
            Value::String(reason) => format!("{verdict}: {reason}"),
            _ => verdict.to_owned(),
        },
        _ => "no verdict".to_owned(),
    };
    match text.char_indices().nth(SHORT_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
