//! The worked example of the README: its bytes are a stream, and what the page says of them is so.

use lifeboat_ledger::writer::{Taken, Writer};
use lifeboat_ledger::{Hash, Holder, PenState, Tail, slot};
use serde_json::{Value, json};

const README: &str = include_str!("../README.md");

/// The lines of the only block of NDJSON on the page.
fn example() -> Vec<&'static str> {
    let mut blocks = README.split("```ndjson\n").skip(1);
    let (block, _) = blocks.next().expect("an example").split_once("```").expect("its end");
    assert!(blocks.next().is_none(), "one example");
    block.lines().collect()
}

fn segment(line: &str) -> Vec<u8> {
    format!("{line}\n").into_bytes()
}

#[test]
fn the_example_is_a_stream_that_is_opened_written_and_sealed() {
    let lines = example();
    assert_eq!(lines.len(), 3);
    let mut tail = Tail::new("ME1");
    for (line, seq) in lines.iter().zip(1..) {
        assert!(README.contains(&format!("`{}`", slot::key("log/", "ME1", seq))), "the key of slot {seq}");
        tail.absorb_segment(seq, &segment(line)).unwrap();
        assert_eq!(tail.head(), Hash::of(line.as_bytes()));
    }
    assert_eq!(tail.pen().state(), &PenState::Sealed { epoch: 2, run: "alarm-7".into() });
    assert!(README.contains(&format!("`{}`", tail.head())), "the hash of the last line");
}

#[test]
fn the_example_is_what_the_crate_writes() {
    let lines = example();
    let mut tail = Tail::new("ME1");
    for (line, seq) in lines.iter().zip(1..) {
        let Value::Object(mut fields) = serde_json::from_str(line).unwrap() else { panic!("an object") };
        if let Some(control) = fields.get("control") {
            // The same fields; their order is free, and depends on how serde_json was built.
            let control = serde_json::from_value(control.clone()).unwrap();
            let ours: Value = serde_json::from_slice(&tail.control_segment(&control)).unwrap();
            assert_eq!(ours, Value::Object(fields));
        } else {
            fields.retain(|name, _| !["stream", "seq", "prev", "epoch"].contains(&name.as_str()));
            let writer = Writer::new("log/", tail.clone(), Holder::Primary, None);
            assert_eq!(writer.segment(&[Value::Object(fields)]).unwrap().bytes, segment(line));
        }
        tail.absorb_segment(seq, &segment(line)).unwrap();
    }
}

#[test]
fn a_writer_that_meets_the_seal_of_the_example_has_lost_the_pen() {
    let lines = example();
    let mut tail = Tail::new("ME1");
    for (line, seq) in lines[..2].iter().zip(1..) {
        tail.absorb_segment(seq, &segment(line)).unwrap();
    }
    let writer = Writer::new("log/", tail, Holder::Primary, None);
    let late = writer.segment(&[json!({ "kind": "order" })]).unwrap();
    assert_eq!(late.key, slot::key("log/", "ME1", 3));
    assert_eq!(writer.slot_taken(&late, &late.bytes), Taken::Mine);
    let Taken::LostPen(reason) = writer.slot_taken(&late, &segment(lines[2])) else { panic!("not its own") };
    assert_eq!(reason, "slot 3 of stream ME1 holds the seal of epoch 2 by run alarm-7");
}

#[test]
fn the_limit_on_a_line_is_the_one_that_the_page_names() {
    let limit = lifeboat_ledger::chain::ENTRY_BYTES_MAX;
    let named = format!("at most {},{:03} bytes", limit / 1_000, limit % 1_000);
    assert!(README.contains(&named), "{named}");
}
