//! Makes a sentence the same each time: what differs from one run to the next gives way to a sign.

use crate::drill::Stage;

/// Words before a number that is the same each time.
const NUMBERS_KEPT_AFTER: [&str; 9] =
    ["epoch", "HTTP", "Route", "code", "status", "signal", "with", "west-", "central-"];
/// A word with a digit and none but hexadecimal ones is an id from this length on, and so is a hosted zone's: a `Z`, then capitals
/// and digits.
const ID_CHARACTERS_MIN: usize = 12;
const UUID_CHARACTERS: usize = 36;

/// The buckets and the plan's file by what they are for.
pub fn places(stage: &Stage, text: &str) -> String {
    text.replace(&stage.log_bucket, "<log>")
        .replace(&stage.control_bucket, "<control>")
        .replace(&stage.evidence_bucket, "<evidence>")
        .replace(&stage.plan_file.display().to_string(), "<plan>")
}

/// Gives runs their labels (`names`: name and label), and masks numbers and ids. A number that is part of a name (`ME1`,
/// `aex-cluster-e2`) or says which epoch stays.
pub fn sentence(text: &str, names: &[(String, String)]) -> String {
    let first = names
        .iter()
        .filter_map(|(name, label)| Some((text.find(name.as_str())?, name, label)))
        // One name may begin another: of those at one place the longest.
        .min_by_key(|(at, name, _)| (*at, std::cmp::Reverse(name.len())));
    match first {
        Some((at, name, label)) => words(&text[..at]) + label + &sentence(&text[at + name.len()..], names),
        None => words(text),
    }
}

/// Whether a UUID begins here: groups of 8, 4, 4, 4 and 12 hexadecimal digits.
fn is_uuid(text: &[u8]) -> bool {
    text.len() >= UUID_CHARACTERS
        && text[..UUID_CHARACTERS].iter().enumerate().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => *c == b'-',
            _ => c.is_ascii_hexdigit(),
        })
}

fn words(text: &str) -> String {
    if let Some(at) = (0..text.len()).find(|at| is_uuid(&text.as_bytes()[*at..])) {
        return words(&text[..at]) + "<id>" + &words(&text[at + UUID_CHARACTERS..]);
    }
    let mut masked = String::new();
    let mut before = String::new();
    for part in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let (word, end) = match part.char_indices().next_back() {
            Some((at, last)) if !last.is_alphanumeric() => part.split_at(at),
            _ => (part, ""),
        };
        masked.push_str(&word_masked(word, &before));
        masked.push_str(end);
        // `with 200, 412`: of a list all are what the first one is. `epoch 2, 17 s` is no list.
        let goes_on = before == "with" && word.parse::<u64>().is_ok();
        if !word.is_empty() && !goes_on {
            before = format!("{word}{}", end.trim());
        }
    }
    masked
}

fn word_masked(word: &str, before: &str) -> String {
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    let is_hex = word.chars().all(|c| c.is_ascii_hexdigit());
    let is_zone = word.starts_with('Z') && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if word.len() >= ID_CHARACTERS_MIN && (is_zone || has_digit && is_hex) {
        return "<id>".to_owned();
    }
    // The middle of a moment, such as `23T14` or `08Z`, is a number as well.
    let is_number = has_digit && word.chars().all(|c| c.is_ascii_digit() || matches!(c, 'T' | 'Z'));
    if is_number && !NUMBERS_KEPT_AFTER.contains(&before) { "#".to_owned() } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_masked_and_what_matters_stays() {
        let names =
            [("alarm-20261123T142508Z-0123456789ab".into(), "alarm-1".into()), ("one".into(), "two".into())];
        for (text, expected) in [
            ("3 of 3 probes failed; still for 17 s", "# of # probes failed; still for # s"),
            ("run alarm-20261123T142508Z-0123456789ab (epoch 2)", "run alarm-1 (epoch 2)"),
            ("(epoch 2, 2026-11-23)", "(epoch 2, #-#-#)"),
            ("epoch 2 is held by run one", "epoch 2 is held by run two"),
            ("stream ME1, sequence 4711,", "stream ME1, sequence #,"),
            ("the stack aex-cluster-e2: HTTP 503", "the stack aex-cluster-e2: HTTP 503"),
            ("digest 0123456789abcdef", "digest <id>"),
            ("the records of ZY7EVYO47CH85R: Zulu 51", "the records of <id>: Zulu #"),
            ("answered with 200, 412", "answered with 200, 412"),
            ("run-0-141e563d-20d7-4c55-abcd-0123456789ab-intent", "run-#-<id>-intent"),
            ("at 127.0.0.1:8080", "at #.#.#.#:#"),
            ("since 2026-11-23T14:25:08.5Z", "since #-#-#:#:#.#"),
        ] {
            assert_eq!(sentence(text, &names), expected);
        }
    }
}
