//! How a ledger writes its lines. A ledger that was not made for Lifeboat may call its fields otherwise.

use serde::{Deserialize, Serialize};

/// The longest line that a writer makes and a reader takes, in bytes without its newline. One number for all: a line that
/// one proof takes and another refuses would be found out on the day.
pub const ENTRY_BYTES_MAX: usize = 65_536;

/// How a ledger writes its lines; the default is the format of this crate's README.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Format {
    /// What the fields are called.
    pub names: Names,
    /// The longest line, in bytes without its newline.
    pub entry_bytes_max: usize,
}

impl Default for Format {
    fn default() -> Format {
        Format { names: Names::default(), entry_bytes_max: ENTRY_BYTES_MAX }
    }
}

/// What the fields of an entry are called. A field without a name is one that the ledger does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The stream's name: a string.
    pub stream: String,
    /// The sequence: a whole number below 2^64 - 1.
    pub seq: String,
    /// The hash of the line before. A ledger without it gets contiguity only, and [`crate::Proof::linked`] says so.
    pub prev: Option<String>,
    /// The writer's epoch.
    pub epoch: Option<String>,
    /// The body of a control entry. Without it no entry of the ledger is one.
    pub control: Option<String>,
}

impl Default for Names {
    fn default() -> Names {
        let [stream, seq, prev, epoch, control] = crate::entry::RESERVED_FIELDS.map(str::to_owned);
        Names { stream, seq, prev: Some(prev), epoch: Some(epoch), control: Some(control) }
    }
}

impl Format {
    /// What makes the format unusable, if anything: a field without a name, or two of one name.
    pub fn problem(&self) -> Option<String> {
        let Names { stream, seq, prev, epoch, control } = &self.names;
        let names = [Some(stream), Some(seq), prev.as_ref(), epoch.as_ref(), control.as_ref()];
        let names: Vec<&String> = names.into_iter().flatten().collect();
        if names.iter().any(|name| name.is_empty()) {
            return Some("a field's name is empty".into());
        }
        let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        if let Some((_, name)) = twice {
            return Some(format!("two fields are called `{name}`"));
        }
        (self.entry_bytes_max == 0).then(|| "no line is shorter than 1 byte".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fields_of_one_name_are_a_problem() {
        assert_eq!(Format::default().problem(), None);
        let mut format = Format::default();
        format.names.epoch = Some("seq".into());
        assert_eq!(format.problem().as_deref(), Some("two fields are called `seq`"));
        format.names.epoch = Some(String::new());
        assert!(format.problem().unwrap().contains("empty"));
        format = Format { entry_bytes_max: 0, ..Format::default() };
        assert!(format.problem().is_some());
    }

    #[test]
    fn absent_names_are_what_a_ledger_does_not_have() {
        let names: Names = serde_json::from_str(r#"{"stream":"book","seq":"n"}"#).unwrap();
        assert_eq!((names.prev, names.epoch, names.control), (None, None, None));
        assert_eq!(serde_json::from_str::<Format>("{}").unwrap(), Format::default());
    }
}
