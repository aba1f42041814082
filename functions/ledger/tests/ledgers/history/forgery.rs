//! What a forger writes who chains his lines correctly.

use super::super::reference::Format;
use super::{Field, Life, Pencil, quoted};

/// A line that its forger chained correctly: whoever compares only hashes does not find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    KeyTwice,
    KeyTwiceEscaped,
    KeyTwiceNested,
    SeqTwice,
    Oversize,
    SeqAsText,
    SeqWithPoint,
    SeqWithExponent,
    SeqNegative,
    SeqBeyond64Bits,
    SeqWithLeadingZero,
    SeqMissing,
    SeqNull,
    StreamMissing,
    StreamNumber,
    PrevMissing,
    PrevUpperCase,
    PrevShort,
    InvalidUtf8,
    HalfASurrogate,
    ControlCharacter,
    NumberOutOfRange,
    NumberCutShort,
    ByteOrderMark,
    GarbageBehind,
    NoObject,
    TooDeep,
    Comment,
    TrailingComma,
    EpochAsText,
    EpochNull,
    UnknownControl,
    ControlAsList,
    ControlOfTwoKinds,
    ControlWithEpochBeside,
    ControlWithUnknownField,
    WrongEpoch,
    NoEpoch,
    SkipsASequence,
    StepsBack,
    OtherStream,
}

impl Forgery {
    pub const ALL: &[Forgery] = &[
        Forgery::KeyTwice,
        Forgery::KeyTwiceEscaped,
        Forgery::KeyTwiceNested,
        Forgery::SeqTwice,
        Forgery::Oversize,
        Forgery::SeqAsText,
        Forgery::SeqWithPoint,
        Forgery::SeqWithExponent,
        Forgery::SeqNegative,
        Forgery::SeqBeyond64Bits,
        Forgery::SeqWithLeadingZero,
        Forgery::SeqMissing,
        Forgery::SeqNull,
        Forgery::StreamMissing,
        Forgery::StreamNumber,
        Forgery::PrevMissing,
        Forgery::PrevUpperCase,
        Forgery::PrevShort,
        Forgery::InvalidUtf8,
        Forgery::HalfASurrogate,
        Forgery::ControlCharacter,
        Forgery::NumberOutOfRange,
        Forgery::NumberCutShort,
        Forgery::ByteOrderMark,
        Forgery::GarbageBehind,
        Forgery::NoObject,
        Forgery::TooDeep,
        Forgery::Comment,
        Forgery::TrailingComma,
        Forgery::EpochAsText,
        Forgery::EpochNull,
        Forgery::UnknownControl,
        Forgery::ControlAsList,
        Forgery::ControlOfTwoKinds,
        Forgery::ControlWithEpochBeside,
        Forgery::ControlWithUnknownField,
        Forgery::WrongEpoch,
        Forgery::NoEpoch,
        Forgery::SkipsASequence,
        Forgery::StepsBack,
        Forgery::OtherStream,
    ];

    /// Whether a ledger of this format has what is forged at all.
    pub fn fits(self, format: &Format) -> bool {
        use Forgery::*;
        match self {
            PrevMissing | PrevUpperCase | PrevShort => format.prev.is_some(),
            EpochAsText | EpochNull | WrongEpoch | NoEpoch => format.epoch.is_some(),
            UnknownControl | ControlAsList | ControlOfTwoKinds | ControlWithUnknownField => {
                format.control.is_some()
            }
            ControlWithEpochBeside => format.control.is_some() && format.epoch.is_some(),
            _ => true,
        }
    }
}

impl Pencil<'_> {
    pub(super) fn forge_fields(&self, forgery: Forgery, fields: &mut Vec<Field>) {
        use Forgery::*;
        let format = self.format;
        let key = |name: &Option<String>| quoted(name.as_deref().unwrap_or("unnamed"));
        let (seq, stream) = (quoted(&format.seq), quoted(&format.stream));
        let (prev, epoch, control) = (key(&format.prev), key(&format.epoch), key(&format.control));
        let set = |fields: &mut Vec<Field>, key: &str, value: String| {
            fields.retain(|(name, _)| name != key);
            fields.insert(0, (key.to_owned(), value));
        };
        let without = |fields: &mut Vec<Field>, key: &str| fields.retain(|(name, _)| name != key);
        match forgery {
            KeyTwice => fields.extend([(quoted("k"), "1".into()), (quoted("k"), "1".into())]),
            KeyTwiceEscaped => fields.extend([(quoted("k"), "1".into()), (r#""\u006b""#.into(), "2".into())]),
            KeyTwiceNested => fields.push((quoted("n"), r#"[{"a":{"b":1,"c":2,"b":3}}]"#.into())),
            SeqTwice => fields.push((seq, self.seq.to_string())),
            SeqAsText => set(fields, &seq, quoted(&self.seq.to_string())),
            SeqWithPoint => set(fields, &seq, format!("{}.0", self.seq)),
            SeqWithExponent => set(fields, &seq, format!("{}e0", self.seq)),
            SeqNegative => set(fields, &seq, format!("-{}", self.seq)),
            SeqBeyond64Bits => set(fields, &seq, "18446744073709551616".into()),
            SeqWithLeadingZero => set(fields, &seq, format!("0{}", self.seq)),
            SeqMissing => without(fields, &seq),
            SeqNull => set(fields, &seq, "null".into()),
            StreamMissing => without(fields, &stream),
            StreamNumber => set(fields, &stream, "7".into()),
            PrevMissing => without(fields, &prev),
            PrevUpperCase => set(fields, &prev, quoted(&format!("{}A", &hex::encode(self.head)[1..]))),
            PrevShort => set(fields, &prev, quoted(&hex::encode(self.head)[2..])),
            HalfASurrogate => fields.push((quoted("s"), r#""\ud800""#.into())),
            ControlCharacter => fields.push((quoted("s"), "\"a\tb\"".into())),
            NumberOutOfRange => fields.push((quoted("x"), "1e999".into())),
            NumberCutShort => fields.push((quoted("x"), "1.".into())),
            TooDeep => fields.push((quoted("d"), "[".repeat(127) + &"]".repeat(127))),
            EpochAsText => set(fields, &epoch, quoted("1")),
            EpochNull => set(fields, &epoch, "null".into()),
            WrongEpoch => {
                without(fields, &control);
                set(fields, &epoch, "1000".into());
            }
            NoEpoch => {
                // Under an open, or after a seal, an entry without an epoch is nobody's. In a foreign ledger it is
                // what is usual, so there a control entry that nobody's pen entitles it to is written beside it.
                without(fields, &control);
                without(fields, &epoch);
                if self.plot.life == Life::Foreign {
                    set(fields, &epoch, "0".into());
                }
            }
            UnknownControl | ControlAsList | ControlOfTwoKinds | ControlWithUnknownField => {
                without(fields, &epoch);
                set(
                    fields,
                    &control,
                    match forgery {
                        UnknownControl => r#"{"melt":{"epoch":900,"run":"r"}}"#,
                        ControlAsList => r#"{"seal":[900,"r"]}"#,
                        ControlOfTwoKinds => {
                            r#"{"seal":{"epoch":900,"run":"r"},"open":{"epoch":900,"holder":"primary","run":"r"}}"#
                        }
                        _ => r#"{"seal":{"epoch":900,"run":"r","at":1}}"#,
                    }
                    .into(),
                );
            }
            ControlWithEpochBeside => {
                set(fields, &control, r#"{"seal":{"epoch":900,"run":"r"}}"#.into());
                set(fields, &epoch, "1".into());
            }
            OtherStream => set(fields, &stream, quoted("SOMEBODY-ELSE")),
            Oversize | InvalidUtf8 | ByteOrderMark | GarbageBehind | NoObject | Comment | TrailingComma
            | SkipsASequence | StepsBack => {}
        }
    }

    pub(super) fn forge_line(&self, forgery: Forgery, bytes: &mut Vec<u8>) {
        let end = bytes.iter().rposition(|byte| *byte == b'}').expect("the line is an object");
        match forgery {
            Forgery::Oversize => {
                let too_long = self.format.entry_bytes_max + 1 - bytes.len();
                bytes.splice(end..end, std::iter::repeat_n(b' ', too_long));
            }
            Forgery::InvalidUtf8 => {
                bytes.splice(end..end, *b",\"u\":\"\xff\"");
            }
            Forgery::ByteOrderMark => {
                bytes.splice(0..0, *b"\xef\xbb\xbf");
            }
            Forgery::GarbageBehind => bytes.extend_from_slice(b"{}"),
            Forgery::NoObject => {
                bytes.insert(0, b'[');
                bytes.push(b']');
            }
            Forgery::Comment => bytes.extend_from_slice(b"//"),
            Forgery::TrailingComma => bytes.insert(end, b','),
            _ => {}
        }
    }
}
