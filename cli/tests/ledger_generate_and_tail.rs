//! `lifeboat ledger generate` and `lifeboat ledger tail` on folders.

mod support;

use serde_json::{Value, json};
use support::Folder;
use support::ledger::{LOG, Made};

#[test]
fn a_seed_is_a_ledger() {
    let size = ["--entries", "3000", "--object-entries", "200", "--streams", "2"];
    let options = [&size[..], &["--hand-overs", "1", "--seal", "--fault", "gap"]].concat();
    for layout in ["segments", "firehose"] {
        let shape = [&options[..], &["--layout", layout]].concat();
        let (one, same) = (Made::with(&shape), Made::with(&shape));
        assert_eq!(one.told, same.told);
        assert_eq!(one.objects(), same.objects());
        assert!(one.objects().iter().all(|object| one.read(object) == same.read(object)));
        let other = Made::with(&[&shape[..], &["--seed", "2"]].concat());
        assert_ne!(one.told["streams"][0]["head"], other.told["streams"][0]["head"]);
    }
}

#[test]
fn it_is_as_large_as_was_asked_for() {
    let made =
        Made::with(&["--entries", "5k", "--objects", "40", "--streams", "3", "--hand-overs", "2", "--seal"]);
    assert_eq!((&made.told["entries"], &made.told["objects"]), (&json!(5000), &json!(40)));
    assert_eq!(made.objects().len(), 40);
    let lines =
        made.objects().into_iter().map(|object| made.read(&object).split(|byte| *byte == b'\n').count() - 1);
    assert_eq!(lines.sum::<usize>(), 5000);

    let made = Made::with(&["--bytes", "1MiB", "--entry-bytes", "500"]);
    let bytes = made.told["bytes"].as_u64().expect("a number");
    assert!(bytes.abs_diff(1 << 20) < 20_000, "{bytes}");

    let made = Made::with(&["--entries", "3000", "--objects", "7", "--layout", "firehose"]);
    assert_eq!(made.objects().len(), 7);
    assert!(made.objects()[0].starts_with("2026/01/01/00/"), "{:?}", made.objects());
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let made = Made::with(&["--entries", "1000"]);
    let before: Vec<Vec<u8>> = made.objects().iter().map(|object| made.read(object)).collect();
    let run = made.run("generate", &["--seed", "2"]);
    assert_eq!(run.code, 73, "{run:?}");
    assert!(run.err.contains("log is not empty; nothing was written"), "{run:?}");
    let after: Vec<Vec<u8>> = made.objects().iter().map(|object| made.read(object)).collect();
    assert_eq!(before, after);
    let run = made.folder.lifeboat(&["ledger", "generate", "plan.yaml/log"]);
    assert_eq!(run.code, 73, "{run:?}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = Folder::new();
    for (options, says) in [
        (&["--entries", "10", "--objects", "20"][..], "too few"),
        (&["--entries", "10", "--objects", "3", "--fault", "gap"], "no object is left for the fault gap"),
        (&["--fault", "late"], "the fault late is for --layout firehose"),
        (&["--layout", "firehose", "--fault", "stray"], "the fault stray is for --layout segments"),
        (&["--fault", "after-seal"], "the fault after-seal needs --seal"),
        (&["--fault", "corrupt"], "the fault corrupt needs --compress"),
        (&["--fault", "flip", "--no-prev"], "does not show in a ledger without links"),
        (&["--no-control", "--seal"], "neither seals nor hand-overs"),
        (&["--entry-bytes", "10"], "160 to 65,000"),
        (&["--entries", "5X"], "the units are"),
        (&["--fault", "nonsense"], "nonsense"),
        (&["--entries", "5", "--bytes", "5"], "cannot be used with"),
    ] {
        let run = folder.lifeboat(&[&["ledger", "generate", LOG], options].concat());
        assert_eq!(run.code, 64, "{options:?}: {run:?}");
        assert!(run.err.contains(says), "{options:?}: {run:?}");
        assert!(!folder.path(LOG).exists(), "{options:?}");
    }
}

#[test]
fn a_person_is_told_where_the_faults_are() {
    let folder = Folder::new();
    let options = ["--entries", "9000", "--streams", "2", "--fault", "gap", "--fault", "fork"];
    let run = folder.lifeboat(&[&["ledger", "generate", LOG], &options[..]].concat());
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    for text in ["9000 entries of 2 streams in 12 objects", "gap    ME1  ", "fork   ME2  ", "ME2/0000"] {
        assert!(run.out.contains(text), "{} should say: {text}", run.out);
    }
}

#[test]
fn the_tail_is_the_end_of_the_stream() {
    for compression in ["none", "gzip", "zstd"] {
        let shape = [
            "--entries",
            "2000",
            "--object-entries",
            "50",
            "--streams",
            "2",
            "--seal",
            "--compress",
            compression,
        ];
        let made = Made::with(&shape);
        let tail = made.ends("tail", &["--stream", "ME2", "-n", "120"], 0);
        let entries = tail["entries"].as_array().expect("entries");
        let seqs: Vec<u64> = entries.iter().map(|entry| entry["seq"].as_u64().expect("a number")).collect();
        assert_eq!(seqs, (881..=1000).collect::<Vec<u64>>());
        assert_eq!((&tail["head"], &tail["through"]), (&made.told["streams"][1]["head"], &json!(1000)));
        assert_eq!(
            tail["last_control"],
            json!({ "seq": 1000, "control": { "seal": { "epoch": 2, "run": "run-2" } } })
        );
        let line: Value = serde_json::from_str(entries[0]["line"].as_str().expect("a line")).expect("JSON");
        assert_eq!((&line["stream"], &line["seq"]), (&json!("ME2"), &json!(881)));
    }
}

#[test]
fn the_tail_of_a_short_stream_is_all_of_it() {
    let made = Made::with(&["--entries", "20", "--object-entries", "5"]);
    let tail = made.ends("tail", &["--stream", "ME1", "-n", "100"], 0);
    assert_eq!((tail["entries"].as_array().map(Vec::len), &tail["wrong"]), (Some(20), &Value::Null));
    let run = made.run("tail", &["--stream", "ME1", "-n", "2"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    for text in [
        "the last 2 entries of stream ME1, which fit together\n",
        "through  20\n",
        "the last entry under epoch 1\n",
        "none among these\n",
        "  20        {\"stream\":\"ME1\",\"seq\":20,",
    ] {
        assert!(run.out.contains(text), "{} should say: {text}", run.out);
    }
}

#[test]
fn the_tail_reads_no_more_than_it_shows_and_checks_that() {
    let made = Made::with(&["--entries", "2000", "--object-entries", "100"]);
    let objects = made.objects();
    // What lies before is not looked at.
    std::fs::write(made.folder.path(LOG).join(&objects[3]), "spoilt").expect("written");
    made.ends("tail", &["--stream", "ME1", "-n", "150"], 0);
    let tail = made.ends("tail", &["--stream", "ME1", "-n", "1900"], 1);
    let wrong = tail["wrong"].as_str().expect("words");
    assert!(wrong.contains(&objects[3]) && wrong.contains("cut off"), "{wrong}");

    // Two segments that do not fit together, and two lines of one.
    for (find, says) in [("\"prev\":\"", "`prev` is "), ("\"seq\":", "stands where")] {
        let made = Made::with(&["--entries", "2000", "--object-entries", "100"]);
        let object = made.objects().pop().expect("an object");
        let text = String::from_utf8(made.read(&object)).expect("UTF-8");
        let at = text.rfind(find).expect("a field") + find.len();
        let other = if text.as_bytes()[at] == b'9' { "8" } else { "9" };
        let spoilt = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        std::fs::write(made.folder.path(LOG).join(&object), spoilt).expect("written");
        let run = made.run("tail", &["--stream", "ME1", "-n", "5"]);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.out.contains(says) && run.out.contains(&object), "{run:?}");
    }
    let made = Made::with(&["--entries", "2000", "--object-entries", "100"]);
    std::fs::remove_file(made.folder.path(LOG).join(&made.objects()[10])).expect("removed");
    let tail = made.ends("tail", &["--stream", "ME1", "-n", "2000"], 1);
    assert!(tail["wrong"].as_str().expect("words").contains("follows entry"), "{tail}");
}

#[test]
fn a_stream_that_is_not_there_has_no_tail() {
    let made = Made::with(&["--entries", "100", "--object-entries", "10"]);
    for arguments in [&["tail", LOG, "--stream", "ME9"][..], &["tail", "nowhere", "--stream", "ME1"]] {
        assert_eq!(made.folder.lifeboat(&[&["ledger"], arguments].concat()).code, 66, "{arguments:?}");
    }
    std::fs::create_dir(made.folder.path("log/ME2")).expect("a folder");
    assert_eq!(made.run("tail", &["--stream", "ME2"]).code, 66);
    assert_eq!(made.run("tail", &[]).code, 64);
    assert_eq!(made.run("tail", &["--stream", "ME1", "-n", "0"]).code, 64);
}

#[test]
fn help_has_examples_and_exit_codes() {
    for command in ["verify", "tail", "generate"] {
        let run = Folder::new().lifeboat(&["ledger", command, "--help"]);
        assert_eq!(run.code, 0);
        assert!(run.out.contains("Examples:\n") && run.out.contains("Exit codes:\n"), "{run:?}");
    }
}
