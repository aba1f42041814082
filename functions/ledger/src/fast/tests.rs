use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::entry;

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn line(rest: &str) -> String {
    format!(r#"{{"stream":"ME1","seq":7,"prev":"{ZEROS}"{rest}}}"#)
}

fn reads(line: &str) -> bool {
    reads_as_strict(&mut LineReader::new(&Format::default()), &Format::default(), line.as_bytes())
}

/// Whether the line is read; if so, panics unless the strict reader reads the same.
fn reads_as_strict(reader: &mut LineReader, format: &Format, line: &[u8]) -> bool {
    let Some(Canonical { stream, seq, prev, epoch }) = reader.read(line) else { return false };
    let text = String::from_utf8_lossy(line);
    let strict = match entry::parse_named(&format.names, line) {
        Ok(strict) => strict,
        Err(fault) => panic!("read what is refused ({fault}): {text}"),
    };
    assert_eq!(
        (stream, seq, prev, epoch, None),
        (strict.stream.as_str(), strict.seq, strict.prev, strict.epoch, strict.control),
        "{text}"
    );
    true
}

#[test]
fn reads_what_a_writer_writes() {
    for rest in [
        "",
        r#","epoch":3"#,
        r#","epoch":0,"kind":"order","order_id":"a-1","quantity":5,"price":"101.25""#,
        r#","a":-1,"b":0,"c":-0.5,"d":1e9,"e":2.5E-10,"f":1E+09,"g":true,"h":false,"i":null,"j":"","":1"#,
        r#","legs":[{"a":1,"b":[]},{"a":2,"b":{}}],"x":{"a":{"a":{"a":[[[1]]]}}}"#,
        r#","note":"a colon: a comma, {braces} and [brackets]""#,
    ] {
        assert!(reads(&line(rest)), "{rest}");
    }
    assert!(reads(&line("").replace('7', "9999999999999999999")));
}

#[test]
fn leaves_to_the_strict_reader_what_is_unusual_but_good() {
    for text in [
        line(r#","a":"\n""#),
        line(r#","a":"Zürich""#),
        line(r#", "a":1"#),
        line("") + "\r",
        line(r#","a":1e100"#),
        line(r#","control":{"seal":{"epoch":2,"run":"r"}}"#),
        line(r#","a":1,"epoch":2"#),
        line("").replace('7', "18446744073709551614"),
        format!(r#"{{"seq":7,"stream":"ME1","prev":"{ZEROS}"}}"#),
        line(&format!(r#","a":{}{}"#, "[".repeat(9), "]".repeat(9))),
    ] {
        assert!(entry::parse(text.as_bytes()).is_ok(), "{text}");
        assert!(!reads(&text), "{text}");
    }
}

#[test]
fn does_not_read_what_the_strict_reader_refuses() {
    for text in [
        line(r#","seq":8"#),
        line(r#","stream":"ME1""#),
        line(r#","epoch":1,"epoch":1"#),
        line(r#","epoch":01"#),
        line(r#","epoch":-1"#),
        line(r#","epoch":1.0"#),
        line(r#","epoch":null"#),
        line(r#","epoch":18446744073709551616"#),
        line(r#","epoch":1,"control":{}"#),
        line(r#","a":1,"b":2,"a":3"#),
        line(r#","a":{"b":1,"b":2}"#),
        line(r#","a":[{"b":1,"c":{"b":2},"b":2}]"#),
        line(r#","a":01"#),
        line(r#","a":1."#),
        line(r#","a":.5"#),
        line(r#","a":-"#),
        line(r#","a":+1"#),
        line(r#","a":1e"#),
        line(r#","a":1e999"#),
        line(r#","a":nul"#),
        line(r#","a":truefalse"#),
        line(r#","a":[1,]"#),
        line(r#","a":{"b":1,}"#),
        line(r#","a":[1}"#),
        line(r#","a":"#),
        line(r#","a""#),
        line(","),
        line(",,"),
        line("\"a\":1"),
        line("") + "}",
        line("")[..60].to_owned(),
        line("").replace('7', ""),
        line("").replace('7', "07"),
        line("").replace('7', "7.0"),
        line("").replace('7', "18446744073709551615"),
        line("").replace(ZEROS, &ZEROS[1..]),
        line("").replace("000000", "00000A"),
        line("").replace("000000", "00000g"),
        format!("\u{feff}{}", line("")),
        String::new(),
    ] {
        assert!(entry::parse(text.as_bytes()).is_err(), "{text}");
        assert!(!reads(&text), "{text}");
    }
}

#[test]
fn field_names_come_from_the_format() {
    let names = Names {
        stream: "book".into(),
        seq: "n".into(),
        prev: None,
        epoch: None,
        control: Some("order".into()),
    };
    let mut format = Format { names, ..Format::default() };
    let mut reader = LineReader::new(&format);
    let mut reads = |text: &str| reads_as_strict(&mut reader, &format, text.as_bytes());
    assert!(reads(r#"{"book":"B","n":1,"stream":2,"epoch":"x"}"#));
    assert!(!reads(r#"{"book":"B","n":1,"order":2}"#));
    assert!(!reads(r#"{"book":"B","n":1,"n":2}"#));
    for name in ["quote\"", "back\\slash", "Straße", "n"] {
        format.names.stream = name.into();
        let text = format!(r#"{{"{name}":"B","n":1}}"#);
        assert_eq!(LineReader::new(&format).read(text.as_bytes()), None, "{name}");
    }
}

/// Any JSON value in the canonical layout. An object's keys differ, by a number.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[ !#-\\[\\]-~]{0,80}".prop_map(|text| format!("\"{text}\"")),
        "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?",
        prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            members(inner, 0..4).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

fn members(
    value: impl Strategy<Value = String>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(("[a-c_ ]{0,14}", value), count).prop_map(|members| {
        members.iter().enumerate().map(|(at, (key, value))| format!("\"{key}{at}\":{value}")).collect()
    })
}

prop_compose! {
    fn canonical_line()(
        stream in "[ !#-\\[\\]-~]{0,20}",
        seq in 0..10_000_000_000_000_000_000_u64,
        prev in any::<[u8; 32]>(),
        epoch in prop::option::of(0..10_000_000_000_000_000_000_u64),
        fields in members(value(), 0..8),
    ) -> String {
        let prev = hex::encode(prev);
        let epoch = epoch.map(|epoch| format!(r#","epoch":{epoch}"#)).unwrap_or_default();
        let fields: String = fields.iter().map(|field| format!(",{field}")).collect();
        format!(r#"{{"stream":"{stream}","seq":{seq},"prev":"{prev}"{epoch}{fields}}}"#)
    }
}

/// What two readers may see differently.
const SUSPICIOUS: [&str; 48] = [
    "\"",
    "\\",
    "\\\"",
    "\\u0061",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "{}",
    "[]",
    "[[",
    "]]",
    "0",
    "-",
    "-0",
    "01",
    "1.",
    ".5",
    "1e",
    "1e9",
    "1e999",
    "1E-99",
    "1e+308",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345678901234567890",
    "true",
    "nul",
    " ",
    "\t",
    "\r",
    "\n",
    "\0",
    "\x7f",
    "ü",
    "\u{feff}",
    "\"a0\":1",
    ",\"a0\":1",
    "\"seq\":1",
    ",\"seq\":1",
    ",\"epoch\":1",
    ",\"control\":{}",
    "\"prev\"",
    "\"stream\"",
    "\"\":\"\"",
];

/// A change to a line: what, where and with what.
type Change = (u8, prop::sample::Index, prop::sample::Index, u8);

fn change(line: &mut Vec<u8>, (what, at, other, byte): Change) {
    if line.is_empty() {
        return;
    }
    // Rather at a seam between two tokens than within one.
    let seams: Vec<usize> = (0..line.len()).filter(|at| br#"{}[],:""#.contains(&line[*at])).collect();
    let at = match (byte % 2, seams.len()) {
        (1, 1..) => seams[at.index(seams.len())] + usize::from(byte / 2 % 2),
        _ => at.index(line.len()),
    }
    .min(line.len() - 1);
    match what {
        0 => line[at] ^= 1 << (byte % 8),
        1 => line[at] = byte,
        2 => line.insert(at, byte),
        3 => drop(line.remove(at)),
        4 => drop(line.splice(at..at, SUSPICIOUS[other.index(SUSPICIOUS.len())].bytes())),
        5 => {
            let end = (at + usize::from(byte) % 12).min(line.len());
            line.splice(at..end, SUSPICIOUS[other.index(SUSPICIOUS.len())].bytes());
        }
        6 => {
            let from = other.index(line.len());
            let copy = line[from..(from + usize::from(byte)).min(line.len())].to_vec();
            line.splice(at..at, copy);
        }
        7 => drop(line.drain(at..(at + usize::from(byte) % 30).min(line.len()))),
        // A member once more, at another place of the same object or of another.
        8 => {
            let from = seams.iter().position(|seam| line[*seam] == b',' && *seam >= other.index(line.len()));
            let Some(from) = from else { return };
            let end = seams[from + 1..].iter().find(|seam| b",}".contains(&line[**seam]));
            let member = line[seams[from]..*end.unwrap_or(&line.len())].to_vec();
            let commas: Vec<usize> = (0..line.len()).filter(|at| b",}".contains(&line[*at])).collect();
            let at = commas[usize::from(byte) % commas.len()];
            line.splice(at..at, member);
        }
        _ => line.truncate(at),
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = any::<prop::sample::Index>;
    prop::collection::vec((0..10_u8, place(), place(), any::<u8>()), 1..3)
}

proptest! {
    #[test]
    fn canonical_lines_are_read(line in canonical_line()) {
        prop_assert!(reads(&line), "{line}");
    }

    /// A changed line is read as the strict reader reads it, or not at all; and by a reader that has read another before.
    #[test]
    fn nothing_is_read_that_is_refused(line in canonical_line(), changes in prop::collection::vec(changes(), 32)) {
        let format = Format::default();
        let mut reader = LineReader::new(&format);
        for changes in changes {
            let mut line = line.clone().into_bytes();
            for one in changes {
                change(&mut line, one);
            }
            reads_as_strict(&mut reader, &format, &line);
        }
    }
}

/// The property above says something: of the changed lines, many are read, many are refused by the strict reader, and
/// some of those for a key that occurs twice.
#[test]
fn changed_lines_are_of_every_kind() {
    let mut runner = TestRunner::deterministic();
    let (mut read, mut refused, mut twice) = (0, 0, 0);
    for _ in 0..5_000 {
        let (line, changes) = (canonical_line(), changes()).new_tree(&mut runner).unwrap().current();
        let mut line = line.into_bytes();
        for one in changes {
            change(&mut line, one);
        }
        read +=
            u32::from(reads_as_strict(&mut LineReader::new(&Format::default()), &Format::default(), &line));
        if let Err(fault) = entry::parse(&line) {
            refused += 1;
            twice += u32::from(fault.to_string().contains("twice"));
        }
    }
    assert!(read > 400 && refused > 2_000 && twice > 50, "{read} read, {refused} refused, {twice} for a key");
}
