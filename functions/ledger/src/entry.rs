//! One line of the ledger.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::{Control, Hash};

/// The fields that the format reserves; the application may use any other.
pub const RESERVED_FIELDS: [&str; 5] = ["stream", "seq", "prev", "epoch", "control"];

/// What the format needs of one line. The application's own fields are checked to be well-formed and left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The stream that the entry belongs to.
    pub stream: String,
    /// Its place in the stream.
    pub seq: u64,
    /// The hash of the line before it; [`Hash::GENESIS`] for the first.
    pub prev: Hash,
    /// The writer's epoch. Control entries carry theirs inside `control`.
    pub epoch: Option<u64>,
    /// Set where the entry is a control entry.
    pub control: Option<Control>,
    /// The hash of this line.
    pub hash: Hash,
}

/// Why a line is no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

/// Reads one line, given without its newline.
///
/// # Errors
/// Invalid UTF-8 or JSON, anything but an object, a duplicate key at any depth (spelled with escapes or not), a
/// missing or ill-typed `stream`, `seq` or `prev`, an unknown kind of control entry, or one that also names an
/// `epoch` of its own.
pub fn parse(line: &[u8]) -> Result<Entry, Fault> {
    let fault = |err: &dyn fmt::Display| Fault(err.to_string());
    let mut json = serde_json::Deserializer::from_slice(line);
    let fields = Fields::deserialize(&mut json).map_err(|err| fault(&err))?;
    json.end().map_err(|err| fault(&err))?;
    let missing = |field: &str| Fault(format!("field `{field}` is missing"));
    if fields.control.is_some() && fields.epoch.is_some() {
        return Err(Fault("a control entry names its epoch inside `control`, not beside it".into()));
    }
    Ok(Entry {
        stream: fields.stream.ok_or_else(|| missing("stream"))?,
        seq: fields.seq.ok_or_else(|| missing("seq"))?,
        prev: fields.prev.ok_or_else(|| missing("prev"))?,
        epoch: fields.epoch,
        control: fields.control,
        hash: Hash::of(line),
    })
}

#[derive(Default)]
struct Fields {
    stream: Option<String>,
    seq: Option<u64>,
    prev: Option<Hash>,
    epoch: Option<u64>,
    control: Option<Control>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                let mut seen = HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "stream" => fields.stream = Some(map.next_value()?),
                        "seq" => fields.seq = Some(map.next_value()?),
                        "prev" => fields.prev = Some(map.next_value()?),
                        "epoch" => fields.epoch = Some(map.next_value()?),
                        "control" => fields.control = Some(map.next_value()?),
                        _ => map.next_value_seed(NoDuplicates)?,
                    }
                    refuse_second(&mut seen, key)?;
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Reads any value and drops it, refusing an object that holds a key twice: two readers could disagree on it.
struct NoDuplicates;

impl<'de> DeserializeSeed<'de> for NoDuplicates {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NoDuplicates {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(NoDuplicates)?;
            refuse_second(&mut seen, key)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(NoDuplicates)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

fn refuse_second<E: serde::de::Error>(seen: &mut HashSet<String>, key: String) -> Result<(), E> {
    if seen.contains(&key) {
        return Err(E::custom(format_args!("key `{key}` occurs twice")));
    }
    seen.insert(key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn line(rest: &str) -> String {
        format!(r#"{{"stream":"ME1","seq":7,"prev":"{ZEROS}"{rest}}}"#)
    }

    #[test]
    fn reads_what_the_format_needs_and_leaves_the_rest() {
        let text = line(r#","epoch":3,"order":{"id":"a","legs":[1,2.5,null,true]}"#);
        let entry = parse(text.as_bytes()).unwrap();
        assert_eq!((entry.stream.as_str(), entry.seq, entry.epoch), ("ME1", 7, Some(3)));
        assert_eq!(entry.hash, Hash::of(text.as_bytes()));
    }

    #[test]
    fn a_carriage_return_belongs_to_the_hashed_bytes() {
        let text = line("") + "\r";
        assert_eq!(parse(text.as_bytes()).unwrap().hash, Hash::of(text.as_bytes()));
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        for (rest, says) in [
            (r#","seq":8"#, "`seq` occurs twice"),
            (r#","\u0073eq":8"#, "`seq` occurs twice"),
            (r#","a":{"b":1,"b":2}"#, "`b` occurs twice"),
            (r#","a":[{"b":1,"\u0062":2}]"#, "`b` occurs twice"),
            (r#","epoch":-1"#, "invalid value"),
            (r#","epoch":1,"control":{"seal":{"epoch":2,"run":"r"}}"#, "inside `control`"),
            (r#","control":{"melt":{}}"#, "unknown variant"),
            (r#","control":{"seal":{"epoch":2,"run":"r","x":1}}"#, "unknown field"),
        ] {
            let fault = parse(line(rest).as_bytes()).unwrap_err().to_string();
            assert!(fault.contains(says), "{rest}: {fault}");
        }
        for (text, says) in [
            (r#"{"seq":1}"#.to_string(), "`stream` is missing"),
            (line("").replace("7", "18446744073709551616"), "invalid type"),
            (line("").replace('7', "7.0"), "invalid type"),
            (line("").replace(ZEROS, "00"), "64 lower-case"),
            (line("") + "{}", "trailing"),
            ("[]".into(), "an object"),
        ] {
            let fault = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(fault.contains(says), "{text}: {fault}");
        }
        assert!(parse(b"{\"stream\":\"\xff\"}").is_err());
    }
}
