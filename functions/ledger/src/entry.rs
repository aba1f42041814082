//! One line of the ledger.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::format::Names;
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
    /// The hash of the line before it; [`Hash::GENESIS`] for the first. `None` in a ledger that writes none.
    pub prev: Option<Hash>,
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

impl Fault {
    pub(crate) fn new(what: impl Into<String>) -> Fault {
        Fault(what.into())
    }
}

/// What Windows programs put in front of a text. It is no part of JSON, and readers disagree on it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads one line of the house's format, given without its newline.
///
/// # Errors
/// As [`parse_named`].
pub fn parse(line: &[u8]) -> Result<Entry, Fault> {
    static NAMES: LazyLock<Names> = LazyLock::new(Names::default);
    parse_named(&NAMES, line)
}

/// Reads one line whose fields are called as `names` has it, given without its newline.
///
/// # Errors
/// Invalid UTF-8 or JSON, a byte-order mark, anything but an object, a duplicate key at any depth (spelled with escapes or
/// not), a missing or ill-typed stream, sequence or hash of the line before, a sequence of 2^64 - 1 (none could follow), an
/// unknown kind of control entry, or one that also names an epoch beside it.
pub fn parse_named(names: &Names, line: &[u8]) -> Result<Entry, Fault> {
    parse_hashed(names, line, Hash::of(line))
}

/// As [`parse_named`], where the hash of `line` is known.
pub(crate) fn parse_hashed(names: &Names, line: &[u8], hash: Hash) -> Result<Entry, Fault> {
    let fault = |err: &dyn fmt::Display| Fault(err.to_string());
    if line.starts_with(BYTE_ORDER_MARK) {
        return Err(Fault("a byte-order mark stands before the entry".into()));
    }
    let mut json = serde_json::Deserializer::from_slice(line);
    let fields = Fields::read(names, &mut json).map_err(|err| fault(&err))?;
    json.end().map_err(|err| fault(&err))?;
    let missing = |field: &str| Fault(format!("field `{field}` is missing"));
    if fields.control.is_some() && fields.epoch.is_some() {
        return Err(Fault("a control entry names its epoch inside `control`, not beside it".into()));
    }
    let seq = fields.seq.ok_or_else(|| missing(&names.seq))?;
    if seq == u64::MAX {
        return Err(Fault("the sequence is the largest 64-bit number: no entry could follow".into()));
    }
    Ok(Entry {
        stream: fields.stream.ok_or_else(|| missing(&names.stream))?,
        seq,
        prev: match &names.prev {
            Some(name) => Some(fields.prev.ok_or_else(|| missing(name))?),
            None => None,
        },
        epoch: fields.epoch,
        control: fields.control,
        hash,
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

impl Fields {
    fn read<'de, D: Deserializer<'de>>(names: &Names, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(FieldsVisitor(names))
    }
}

struct FieldsVisitor<'a>(&'a Names);

impl<'de> Visitor<'de> for FieldsVisitor<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let FieldsVisitor(names) = self;
        let is = |name: &Option<String>, key: &str| name.as_deref() == Some(key);
        let mut fields = Fields::default();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                key if key == names.stream => fields.stream = Some(map.next_value()?),
                key if key == names.seq => fields.seq = Some(map.next_value()?),
                key if is(&names.prev, key) => fields.prev = Some(map.next_value()?),
                key if is(&names.epoch, key) => fields.epoch = Some(map.next_value()?),
                key if is(&names.control, key) => fields.control = Some(map.next_value()?),
                _ => map.next_value_seed(NoDuplicates)?,
            }
            refuse_second(&mut seen, key)?;
        }
        Ok(fields)
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
    fn fields_may_have_other_names_and_then_the_usual_ones_are_the_applications() {
        let names = Names {
            stream: "book".into(),
            seq: "n".into(),
            prev: None,
            epoch: Some("term".into()),
            control: None,
        };
        let text = r#"{"n":3,"seq":"x","control":[],"prev":0,"term":9,"book":"b","stream":null}"#;
        let entry = parse_named(&names, text.as_bytes()).unwrap();
        assert_eq!((entry.stream.as_str(), entry.seq, entry.epoch), ("b", 3, Some(9)));
        assert_eq!((entry.prev, entry.control), (None, None));
        let fault = parse_named(&names, br#"{"n":3}"#).unwrap_err().to_string();
        assert!(fault.contains("`book` is missing"), "{fault}");
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
            (r#","control":{"seal":[2,"r"]}"#, "expected an object"),
            (r#","control":{"open":[2,"primary","r"]}"#, "expected an object"),
            (r#","control":{"open":{"epoch":2,"holder":{"primary":null},"run":"r"}}"#, "expected a string"),
            (r#","control":{"open":{"epoch":2,"holder":"nobody","run":"r"}}"#, "unknown variant"),
            (r#","control":{"seal":{"epoch":2,"run":"r","run":"s"}}"#, "duplicate field"),
            (r#","control":["seal",{"epoch":2,"run":"r"}]"#, "expected value"),
            (r#","control":null"#, "expected value"),
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
            (line("").replace("7", "18446744073709551615"), "no entry could follow"),
            (line("").replace("7", "-7"), "invalid value"),
            (line("").replace("7", "\"7\""), "invalid type"),
            (format!("\u{feff}{}", line("")), "byte-order mark"),
            (String::new(), "EOF"),
            (line("") + "{}", "trailing"),
            ("[]".into(), "an object"),
        ] {
            let fault = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(fault.contains(says), "{text}: {fault}");
        }
        assert!(parse(b"{\"stream\":\"\xff\"}").is_err());
    }
}
