//! `lifeboat ledger verify` on folders that `lifeboat ledger generate` has made: what is whole is proven, and what is wrong is
//! named at the very place at which it was put. The generator shares no code with the verifier.

mod support;

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use support::Folder;
use support::ledger::{LOG, Made};

const FIREHOSE: [&str; 2] = ["--layout", "firehose"];

#[test]
fn a_sealed_ledger_is_proven_in_every_layout_and_compression() {
    for layout in ["segments", "firehose"] {
        for compression in ["none", "gzip", "zstd"] {
            let size = ["--entries", "6000", "--object-entries", "300", "--streams", "2", "--repeats", "9"];
            let shape = ["--layout", layout, "--compress", compression, "--hand-overs", "2", "--seal"];
            let made = Made::with(&[&size[..], &shape].concat());
            let proof = made.verify(&["--layout", layout], 0);
            assert_eq!((&proof["ok"], &proof["verdict"]), (&json!(true), &json!("Proven")));
            assert_eq!((&proof["findings"], &proof["linked"]), (&json!([]), &json!(true)));
            let (repeated, entries) =
                (number(&proof["counts"]["repeated"]), number(&proof["counts"]["entries"]));
            assert_eq!(entries - repeated, 6000, "{proof}");
            assert_eq!(repeated > 0, layout == "firehose", "{proof}");
            assert_eq!(proof["counts"]["objects"], made.told["objects"]);
            for (stream, end) in array(&proof["streams"]).iter().zip(array(&made.told["streams"])) {
                for field in ["stream", "through", "head"] {
                    assert_eq!(stream[field], end[field]);
                }
                assert_eq!(stream["entries"], json!(3000));
                assert_eq!(stream["pen"]["state"]["state"], json!("sealed"));
            }
        }
    }
}

#[test]
fn each_fault_of_segments_is_named_at_its_place() {
    for fault in [
        "gap",
        "lost-object",
        "fork",
        "flip",
        "bad-link",
        "truncate",
        "swap",
        "duplicate-key",
        "bad-number",
        "bad-utf8",
        "not-json",
        "oversize",
        "bom",
        "wrong-stream",
        "wrong-epoch",
        "after-seal",
        "empty",
        "stray",
    ] {
        at_its_place(fault, "none");
    }
    for compression in ["gzip", "zstd"] {
        for fault in ["corrupt", "flip", "truncate"] {
            at_its_place(fault, compression);
        }
    }
}

#[track_caller]
fn at_its_place(fault: &str, compression: &str) {
    let shape = ["--entries", "4000", "--object-entries", "400", "--streams", "2", "--seal"];
    let wrong = ["--compress", compression, "--fault", fault, "--seed", "5"];
    let made = Made::with(&[&shape[..], &wrong].concat());
    let proof = made.verify(&[], 1);
    assert_eq!((&proof["ok"], &proof["verdict"]), (&json!(false), &json!("Broken")), "{fault}");
    let findings = array(&proof["findings"]);
    // A damaged Zstandard frame without a checksum may decode to something, which then is no entry.
    if (fault, compression) == ("corrupt", "zstd") {
        assert_eq!(findings[0]["object"], made.fault()["object"]);
        return;
    }
    assert_eq!(findings.len(), 1, "{fault}: {findings:?}");
    for field in ["stream", "seq", "object", "offset"] {
        assert_eq!(findings[0][field], made.fault()[field], "{fault}, {field}: {findings:?}");
    }
    // The other stream is whole, and said to be.
    assert_eq!(array(&proof["streams"]).len(), 1, "{fault}");
    assert_eq!(proof["streams"][0]["stream"], json!("ME2"), "{fault}");
}

#[test]
fn each_fault_of_a_delivery_is_named_at_its_place() {
    for fault in [
        "gap",
        "fork",
        "flip",
        "bad-link",
        "truncate",
        "duplicate-key",
        "bad-number",
        "bad-utf8",
        "not-json",
        "oversize",
        "bom",
        "wrong-epoch",
    ] {
        let shape =
            ["--entries", "4000", "--object-entries", "400", "--streams", "2", "--seal", "--repeats", "0"];
        let made = Made::with(&[&shape[..], &FIREHOSE, &["--fault", fault]].concat());
        let proof = made.verify(&FIREHOSE, 1);
        let findings = array(&proof["findings"]);
        let is_at = |finding: &&Value, fields: &[&str]| {
            fields.iter().all(|field| finding[*field] == made.fault()[*field])
        };
        // A line that cannot be read names no stream: its place and the hole that it leaves are told apart.
        let place = findings.iter().find(|finding| is_at(finding, &["object", "offset"]));
        let entry = findings.iter().find(|finding| is_at(finding, &["stream", "seq"]));
        assert!(place.is_some() && entry.is_some(), "{fault}: {findings:?} should say {}", made.fault());
        assert!(findings.len() <= 2, "{fault}: {findings:?}");
    }
    let corrupt = ["--entries", "4000", "--seal", "--compress", "gzip", "--fault", "corrupt"];
    let made = Made::with(&[&corrupt[..], &FIREHOSE].concat());
    let proof = made.verify(&FIREHOSE, 1);
    assert!(array(&proof["findings"]).iter().any(|finding| finding["object"] == made.fault()["object"]));
}

#[test]
fn what_comes_late_or_twice_is_no_fault() {
    let shape =
        ["--entries", "4000", "--object-entries", "200", "--streams", "3", "--seal", "--repeats", "40"];
    let made = Made::with(&[&shape[..], &FIREHOSE, &["--fault", "late"]].concat());
    let proof = made.verify(&FIREHOSE, 0);
    assert!(number(&proof["counts"]["repeated"]) > 400, "{proof}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let faults = ["--fault", "gap", "--fault", "flip", "--fault", "fork", "--fault", "bad-utf8"];
    for layout in ["segments", "firehose"] {
        let shape = ["--entries", "9000", "--object-entries", "100", "--streams", "4", "--layout", layout];
        let made = Made::with(&[&shape[..], &faults].concat());
        let alone = made.verify(&["--layout", layout, "--threads", "1"], 1);
        assert!(number(&alone["findings_count"]) >= 4, "{alone}");
        for threads in ["2", "7"] {
            assert_eq!(made.verify(&["--layout", layout, "--threads", threads], 1), alone);
        }
    }
}

#[test]
fn an_end_is_proven_by_a_seal_or_a_watermark() {
    let made = Made::with(&["--entries", "2000", "--streams", "2"]);
    let proof = made.verify(&[], 2);
    assert_eq!((&proof["verdict"], array(&proof["findings"]).len()), (&json!("Unproven"), 2));
    assert_eq!(proof["findings"][0]["verdict"], json!("Unproven"));
    assert_eq!(number(&made.verify(&["--watermark", "ME1=1000"], 2)["findings_count"]), 1);
    let both = |second: &'static str| ["--watermark", "ME1=1000", "--watermark", second];
    assert_eq!(made.verify(&both("ME2=1000"), 0)["watermarks"], json!({ "ME1": 1000, "ME2": 1000 }));
    made.verify(&both("ME2=7"), 0);
    // Something was acknowledged that is not there.
    let proof = made.verify(&both("ME2=1001"), 1);
    let finding = &proof["findings"][0];
    assert_eq!(
        (&finding["stream"], &finding["seq"], &finding["verdict"]),
        (&json!("ME2"), &json!(1001), &json!("Broken"))
    );
    assert_eq!(made.verify(&["--watermark", "ME3=1"], 1)["findings"][0]["stream"], json!("ME3"));
}

#[test]
fn a_stream_that_was_named_has_to_be_there() {
    let made = Made::with(&["--entries", "2000", "--seal"]);
    made.verify(&["--stream", "ME1"], 0);
    let proof = made.verify(&["--stream", "ME1", "--stream", "ME2"], 2);
    assert_eq!(proof["findings"][0]["stream"], json!("ME2"));
    // The plan's streams are ME1 and ME2.
    assert_eq!(made.verify(&["--plan", "plan.yaml"], 2)["findings"][0]["stream"], json!("ME2"));
    let two = Made::with(&["--entries", "2000", "--seal", "--streams", "2"]);
    assert_eq!(two.verify(&["--plan", "plan.yaml"], 0)["layout"], json!("segments"));
    let run = two.run("verify", &["--plan", "none.yaml"]);
    assert_eq!(run.code, 66, "{run:?}");
}

#[test]
fn what_cannot_be_read_is_unproven_and_named() {
    let made = Made::with(&["--entries", "4000", "--object-entries", "400", "--seal"]);
    let object = made.objects()[5].clone();
    let path = made.folder.path(LOG).join(&object);
    std::fs::remove_file(&path).expect("it was there");
    symlink("nowhere", &path).expect("a link");
    let proof = made.verify(&[], 2);
    let finding = &proof["findings"][0];
    assert_eq!((&finding["verdict"], &finding["object"]), (&json!("Unproven"), &json!(object)));
    assert_eq!((&finding["stream"], number(&proof["findings_count"])), (&json!("ME1"), 1));
    assert!(object.contains(&format!("{:020}", number(&finding["seq"]))), "{finding}");

    // A link to a folder is not followed: it could lead in a circle.
    std::fs::remove_file(&path).expect("a link");
    symlink("..", &path).expect("a link");
    assert_eq!(made.verify(&[], 1)["findings"][1]["verdict"], json!("Unproven"));

    let made =
        Made::with(&[&["--entries", "4000", "--object-entries", "400", "--seal"], &FIREHOSE[..]].concat());
    let path = made.folder.path(LOG).join(&made.objects()[5]);
    std::fs::remove_file(&path).expect("it was there");
    symlink("nowhere", &path).expect("a link");
    // What is missing may lie in the object that could not be read.
    assert_eq!(made.verify(&FIREHOSE, 2)["verdict"], json!("Unproven"));
}

#[test]
fn other_ledgers_call_their_fields_otherwise() {
    let names = [
        "--field",
        "stream=book",
        "--field",
        "seq=n",
        "--field",
        "prev=before",
        "--field",
        "epoch=term",
        "--field",
        "control=rule",
    ];
    let made = Made::with(&[&["--entries", "2000", "--seal"], &names[..]].concat());
    made.verify(&names, 0);
    made.verify(&[], 1);
    made.verify(&names[2..], 1);

    let made = Made::with(&["--entries", "2000", "--no-prev", "--seal"]);
    let proof = made.verify(&["--no-prev"], 0);
    assert_eq!(proof["linked"], json!(false));
    let run = made.run("verify", &["--no-prev"]);
    assert!(run.out.contains("proven, as far as it can be") && run.out.contains("has no links"), "{run:?}");
    made.verify(&[], 1);

    let made = Made::with(&["--entries", "2000", "--no-control"]);
    made.verify(&["--no-control"], 2);
    made.verify(&["--no-control", "--watermark", "ME1=2000"], 0);

    let made = Made::with(&["--entries", "2000", "--seal"]);
    let proof = made.verify(&["--entry-bytes-max", "200"], 1);
    assert!(proof["findings"][0]["what"].as_str().expect("words").contains("the limit is 200"), "{proof}");
}

#[test]
fn no_ledger_is_no_proof() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("empty")).expect("a folder");
    folder.write("other/notes.txt", "no ledger\n");
    for (place, layout, says) in [
        ("nowhere", "segments", "nowhere cannot be read"),
        ("plan.yaml", "segments", "plan.yaml cannot be read"),
        ("empty", "segments", "there is nothing below empty"),
        ("empty", "firehose", "there is nothing below empty"),
        ("other", "segments", "--layout firehose"),
    ] {
        let run = folder.lifeboat(&["ledger", "verify", place, "--layout", layout]);
        assert_eq!(run.code, 66, "{run:?}");
        assert!(run.err.contains(says), "{run:?}");
    }
    // For a delivery stream every file is an object.
    assert_eq!(folder.lifeboat(&["ledger", "verify", "other", "--layout", "firehose"]).code, 1);
}

#[test]
fn wrong_usage_is_64() {
    let folder = Folder::new();
    for arguments in [
        &["verify"][..],
        &["verify", LOG, "--layout", "tape"],
        &["verify", LOG, "--watermark", "ME1"],
        &["verify", LOG, "--watermark", "ME1=1", "--watermark", "ME1=2"],
        &["verify", LOG, "--threads", "0"],
        &["verify", LOG, "--field", "sequence=n"],
        &["verify", LOG, "--field", "seq=stream"],
        &["verify", LOG, "--entry-bytes-max", "0"],
        &["verify", "s3://"],
    ] {
        let run = folder.lifeboat(&[&["ledger"], arguments, &["--json"]].concat());
        assert_eq!(run.code, 64, "{arguments:?}: {run:?}");
        assert_eq!(run.json()["exit"], json!(64));
    }
}

#[test]
fn a_person_reads_a_table_and_what_to_do_next() {
    let made = Made::with(&[
        "--entries",
        "3000",
        "--object-entries",
        "300",
        "--streams",
        "2",
        "--seal",
        "--fault",
        "flip",
    ]);
    let run = made.run("verify", &["--watermark", "ME2=1500"]);
    assert_eq!((run.code, run.err.as_str()), (1, ""), "{run:?}");
    let seq = number(&made.fault()["seq"]).to_string();
    for text in [
        "log is broken\n",
        "ME2     1500     1     1500     its seal, watermark 1500  sealed by run run-2 under epoch 2",
        "Broken  ME1     ",
        &seq,
        made.fault()["object"].as_str().expect("a key"),
        "`prev` is ",
        "note: keep the objects named as they are",
    ] {
        assert!(run.out.contains(text), "{} should say: {text}", run.out);
    }
}

#[test]
fn progress_is_for_a_terminal() {
    let made = Made::with(&["--entries", "60000", "--seal"]);
    let run = made.folder.on_a_terminal(&["ledger", "verify", LOG], &[], "");
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("proving") && run.out.contains("to go"), "{run:?}");
    assert_eq!(made.run("verify", &[]).err, "");
}

#[track_caller]
fn array(value: &Value) -> &Vec<Value> {
    value.as_array().expect("an array")
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}
