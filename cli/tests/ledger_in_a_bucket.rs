//! `lifeboat ledger verify` and `tail` on the wire form of S3. What these do not prove: that a person's role may list and
//! read the bucket, and how fast it goes.

mod support;

use serde_json::{Value, json};
use support::ledger::Made;
use support::s3::S3;
use support::{Run, says};

/// A made-up ledger, put into a bucket below `log/`.
struct Stored {
    made: Made,
    s3: S3,
}

impl Stored {
    fn with(options: &[&str]) -> Stored {
        let (made, s3) = (Made::with(options), S3::start());
        for object in made.objects() {
            s3.put(&format!("aex-log/log/{object}"), &made.read(&object));
        }
        // Beside the ledger, not of it.
        s3.put("aex-log/fence/00000000000000000002", b"{}");
        Stored { made, s3 }
    }

    fn run(&self, command: &str, options: &[&str]) -> Run {
        let arguments =
            [&["ledger", command, "s3://aex-log/log", "--region", "eu-central-1"], options].concat();
        self.made.folder.lifeboat_with(&arguments, &self.s3.environment())
    }

    #[track_caller]
    fn ends(&self, command: &str, options: &[&str], code: i32) -> Value {
        let run = self.run(command, &[options, &["--json"]].concat());
        assert_eq!(run.code, code, "{run:?}");
        run.json()
    }
}

#[test]
fn what_is_whole_in_a_folder_is_whole_in_a_bucket() {
    // More objects than a page of a listing holds.
    for (options, layout) in [
        (&["--entries", "6000", "--objects", "1203", "--streams", "3", "--seal"][..], "segments"),
        (
            &["--entries", "6000", "--seal", "--compress", "zstd", "--repeats", "30", "--layout", "firehose"],
            "firehose",
        ),
    ] {
        let stored = Stored::with(options);
        let here = stored.made.verify(&["--layout", layout], 0);
        let there = stored.ends("verify", &["--layout", layout, "--threads", "3"], 0);
        assert_eq!((&there["streams"], &there["counts"]), (&here["streams"], &here["counts"]));
        assert_eq!(there["place"], json!("s3://aex-log/log"));
        assert_eq!(stored.s3.regions(), ["eu-central-1"]);
        assert_eq!(stored.s3.puts(), Vec::<String>::new(), "it only reads");
    }
}

#[test]
fn a_fault_is_named_with_the_version_of_its_object() {
    for (fault, layout) in [("flip", "segments"), ("fork", "firehose"), ("gap", "segments")] {
        let options =
            ["--entries", "4000", "--object-entries", "200", "--seal", "--layout", layout, "--fault", fault];
        let stored = Stored::with(&options);
        let proof = stored.ends("verify", &["--layout", layout], 1);
        let (finding, expected) = (&proof["findings"][0], stored.made.fault());
        for field in ["stream", "seq", "offset"] {
            assert_eq!(finding[field], expected[field], "{finding}");
        }
        let key = format!("log/{}", expected["object"].as_str().expect("a key"));
        assert_eq!((&finding["object"], &finding["version"]), (&json!(key), &json!("v1")));
        let run = stored.run("verify", &["--layout", layout]);
        assert!(run.out.contains(&key) && run.out.contains("  v1  "), "{run:?}");
    }
}

#[test]
fn an_object_that_is_refused_is_a_hole_in_the_proof() {
    let stored = Stored::with(&["--entries", "4000", "--object-entries", "400", "--seal"]);
    let object = stored.made.objects()[4].clone();
    stored.s3.refuse_gets_of(&object, 403);
    let proof = stored.ends("verify", &[], 2);
    let finding = &proof["findings"][0];
    assert_eq!(
        (&finding["verdict"], &finding["object"]),
        (&json!("Unproven"), &json!(format!("log/{object}")))
    );
    assert_eq!(proof["findings_count"], json!(1));
    // What is broken elsewhere outranks it.
    let first = stored.made.objects()[0].clone();
    stored.s3.put(&format!("aex-log/log/{first}"), b"nothing\n");
    assert_eq!(stored.ends("verify", &[], 1)["findings_count"], json!(2));
}

#[test]
fn a_bucket_that_cannot_be_reached_proves_nothing() {
    let stored = Stored::with(&["--entries", "400", "--object-entries", "40", "--seal"]);
    let object = stored.made.objects()[4].clone();
    stored.s3.refuse_gets_of(&object, 503);
    says(&stored.ends("verify", &[], 75), &["s3://aex-log/log/"]);
    stored.s3.mend();
    stored.ends("verify", &[], 0);
    stored.s3.refuse(403, "AccessDenied");
    says(&stored.ends("verify", &[], 69), &["s3://aex-log/log/", "AccessDenied"]);

    let empty = S3::start();
    let arguments = ["ledger", "verify", "s3://aex-log/lgo", "--region", "eu-central-1", "--json"];
    let run = stored.made.folder.lifeboat_with(&arguments, &empty.environment());
    assert_eq!(run.code, 66, "{run:?}");
    says(&run.json(), &["there is nothing below s3://aex-log/lgo/"]);
    empty.put("aex-log/lgo/notes.txt", b"no ledger");
    let run = stored.made.folder.lifeboat_with(&arguments, &empty.environment());
    says(&run.json(), &["is a slot", "--layout firehose"]);

    let gone = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ];
    assert_eq!(stored.made.folder.lifeboat_with(&arguments, &gone).code, 75);
}

#[test]
fn the_tail_in_a_bucket_is_found() {
    let stored = Stored::with(&["--entries", "6000", "--objects", "1500", "--compress", "gzip", "--seal"]);
    let tail = stored.ends("tail", &["--stream", "ME1", "-n", "30"], 0);
    assert_eq!((&tail["through"], &tail["head"]), (&json!(6000), &stored.made.told["streams"][0]["head"]));
    assert_eq!(tail["entries"].as_array().map(Vec::len), Some(30));
    // What lies before was not read.
    stored.s3.refuse_gets_of("log/ME1/000000000000000000", 403);
    stored.ends("tail", &["--stream", "ME1", "-n", "30"], 0);
    stored.ends("tail", &["--stream", "ME1", "-n", "6000"], 69);
    assert_eq!(stored.run("tail", &["--stream", "ME2"]).code, 66);
}
