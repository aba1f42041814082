//! `lifeboat plan check`: each class of mistake with its field and line, told once, all together.

mod support;

use serde_json::json;
use support::{CLUSTER, Folder};

/// The check's findings as `file:line field`, and its exit code.
fn findings(folder: &Folder) -> (i32, Vec<String>) {
    let run = folder.lifeboat(&["plan", "check", "plan.yaml", "--json"]);
    let found = run.json()["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .map(|problem| {
            let text = |name: &str| problem[name].as_str().expect("a text").to_owned();
            format!("{}:{} {}", text("file"), problem["line"], text("field"))
        })
        .collect();
    (run.code, found)
}

#[track_caller]
fn refused(folder: &Folder, expected: &[&str]) {
    let (code, found) = findings(folder);
    assert_eq!(found, expected);
    assert_eq!(code, 65);
}

#[test]
fn a_good_plan_passes_for_a_person_and_for_a_machine() {
    let folder = Folder::new();
    let run = folder.lifeboat(&["plan", "check", "plan.yaml"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    assert!(run.out.starts_with("plan.yaml is a good plan\n  plan     aex\n"), "no colours here: {run:?}");

    let json = folder.lifeboat(&["--json", "plan", "check", "plan.yaml"]).json();
    assert_eq!(json["ok"], json!(true));
    assert_eq!(json["plan"], json!("aex"));
    assert_eq!(json["problems"], json!([]));
    assert_eq!(json["digest"].as_str().map(str::len), Some(64));
    assert_eq!(json["templates"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_digest_changes_with_a_template() {
    let folder = Folder::new();
    let digest =
        |folder: &Folder| folder.lifeboat(&["plan", "check", "plan.yaml", "--json"]).json()["digest"].clone();
    let before = digest(&folder);
    assert_eq!(digest(&folder), before);
    folder.write("infra/cluster.yaml", &format!("{CLUSTER}# A remark.\n"));
    assert_ne!(digest(&folder), before);
}

#[test]
fn all_problems_are_told_at_once_with_their_lines() {
    let folder = Folder::new();
    folder.replace("plan.yaml", "name: aex\n", "name: AEX\n");
    folder.replace("plan.yaml", "  attempts: 3\n", "  attemps: 3\n");
    folder.replace("plan.yaml", "depends_on: [cluster]", "depends_on: [clutser]");
    folder.replace("plan.yaml", "ttl: 5", "ttl: 3600");
    folder.replace("infra/exchange.yaml", "AWS::ECS::Service", "AWS::IAM::Role");
    let run = folder.lifeboat(&["plan", "check", "plan.yaml"]);
    assert_eq!(run.code, 65);
    assert_eq!(run.out, "");
    assert_eq!(
        run.err,
        "\
plan.yaml:2:1: name: \"AEX\" must be a lower-case letter and then up to 31 lower-case letters, digits or hyphens
     2 | name: AEX
plan.yaml:5:1: probe.attempts: is missing; it must be a whole number from 0 to 4294967295
     5 | probe:
plan.yaml:9:3: probe.attemps: no such field; did you mean `attempts`?
     9 |   attemps: 3
plan.yaml:19:18: stacks[1].depends_on[0]: no stack is called \"clutser\"; there are: cluster, exchange
    19 |     depends_on: [clutser]
plan.yaml:27:46: dns.records[0].ttl: is 3600 s, but must be from 0 to 60 s
    27 |     - { name: gateway.aex.internal, type: A, ttl: 3600, primary: [10.0.0.10], recovery: [10.1.0.10] }
infra/exchange.yaml:7:3: Resources.Service: makes AWS::IAM::Role on the day, but IAM's control plane is in us-east-1; \
make it beforehand and pass it as a parameter
     7 |   Service:
error: plan.yaml cannot be used: 6 problems
  next   mend what is named above, then run `lifeboat plan check plan.yaml` again
"
    );
}

#[test]
fn failures_have_one_form_in_json() {
    let folder = Folder::spoilt("  attempts: 3", "  attempts: three");
    let run = folder.lifeboat(&["plan", "check", "plan.yaml", "--json"]);
    assert_eq!(run.code, 65);
    assert_eq!(
        run.json(),
        json!({
            "ok": false,
            "exit": 65,
            "error": {
                "what": "plan.yaml cannot be used: 1 problem",
                "cause": null,
                "next": "mend what is named above, then run `lifeboat plan check plan.yaml` again",
            },
            "problems": [{
                "file": "plan.yaml",
                "line": 9,
                "column": 3,
                "field": "probe.attempts",
                "message": "must be a whole number from 0 to 4294967295, but is the text \"three\"; write it without \
                            quotes and unit",
            }],
        })
    );
}

#[test]
fn each_class_of_mistake_has_its_field_and_line() {
    for (from, to, expected) in [
        ("version: 1", "version: 2", "plan.yaml:1 version"),
        ("primary: eu-west-1", "primary: us-east-1", "plan.yaml:3 regions.primary"),
        ("recovery: eu-central-1", "recovery: eu-west-1", "plan.yaml:3 regions.recovery"),
        ("rto_seconds: 7200", "rto_seconds: 2h", "plan.yaml:4 objectives.rto_seconds"),
        ("primary: [http://10.0.0.10", "primary: [10.0.0.10", "plan.yaml:6 probe.primary[0]"),
        ("timeout_seconds: 2", "timeout_seconds: 0", "plan.yaml:8 probe.timeout_seconds"),
        ("  log_still_seconds: 5\n", "", "plan.yaml:5 probe.log_still_seconds"),
        ("name: cluster", "name: the cluster", "plan.yaml:13 stacks[0].name"),
        ("depends_on: []", "depends_on: [exchange]", "plan.yaml:19 stacks[1].depends_on[0]"),
        (
            "LogBucket: aex-log",
            "LogBucket: aex-log\n      Epoch: \"1\"",
            "plan.yaml:22 stacks[1].parameters.Epoch",
        ),
        (
            "LogBucket: aex-log",
            "LogBucket: aex-log\n      Port: 80",
            "plan.yaml:22 stacks[1].parameters.Port",
        ),
        ("prefix: log/", "prefix: log", "plan.yaml:22 ledger.prefix"),
        ("[ME1, ME2]", "[ME1, ME1]", "plan.yaml:22 ledger.streams[1]"),
        ("zone_id: Z0123456789", "zone_id: 0123456789", "plan.yaml:24 dns.zone_id"),
        ("gateway.aex.internal", "gateway.example.com", "plan.yaml:27 dns.records[0].name"),
        ("type: A", "type: AAA", "plan.yaml:27 dns.records[0].type"),
        ("recovery: [10.1.0.10]", "recovery: [10.0.0.10]", "plan.yaml:27 dns.records[0].recovery[0]"),
        ("version: 1", "version: 1\nlimit: {}", "plan.yaml:2 limit"),
    ] {
        let folder = Folder::spoilt(from, to);
        let (_, mut found) = findings(&folder);
        // A text that is no stack's name any more is missing elsewhere too.
        found.truncate(1);
        if to == "depends_on: [exchange]" || to == "name: the cluster" || to.contains("zone_id: 0") {
            assert!(found.len() == 1, "{found:?}");
        }
        assert_eq!(found, [expected], "{from:?} -> {to:?}");
    }
}

#[test]
fn yaml_that_is_none_is_placed() {
    refused(&Folder::spoilt("name: aex", "name: aex\nname: aex"), &["plan.yaml:3 "]);
    refused(&Folder::spoilt("attempts: 3", "attempts: [3"), &["plan.yaml:10 "]);
    let folder = Folder::new();
    folder.write("plan.yaml", "");
    refused(&folder, &["plan.yaml:1 "]);
}

#[test]
fn a_template_is_there_and_is_one() {
    let folder = Folder::spoilt("infra/cluster.yaml", "infra/clutser.yaml");
    refused(&folder, &["plan.yaml:14 stacks[0].template"]);
    let folder = Folder::new();
    folder.write("infra/cluster.yaml", "Resources: {\n");
    refused(&folder, &["infra/cluster.yaml:1 "]);
    folder.write("infra/cluster.yaml", "Description: nothing\n");
    refused(&folder, &["infra/cluster.yaml:1 Resources"]);
}

#[test]
fn a_template_takes_what_lifeboat_and_the_plan_set() {
    let folder = Folder::new();
    folder.replace("infra/cluster.yaml", "  Epoch: { Type: String }\n", "");
    refused(&folder, &["infra/cluster.yaml:1 Parameters"]);
    let folder = Folder::spoilt("LogBucket: aex-log", "LogBukcet: aex-log");
    refused(&folder, &["plan.yaml:20 stacks[1].parameters", "plan.yaml:21 stacks[1].parameters.LogBukcet"]);
}

#[test]
fn a_template_makes_nothing_that_must_exist_beforehand() {
    for kind in ["AWS::IAM::Role", "AWS::S3::Bucket", "AWS::Route53::HostedZone", "AWS::Route53::HealthCheck"]
    {
        let folder = Folder::new();
        folder.replace("infra/cluster.yaml", "AWS::ECS::Cluster", kind);
        refused(&folder, &["infra/cluster.yaml:5 Resources.Cluster"]);
    }
}

#[test]
fn a_template_that_two_stacks_share_is_judged_once() {
    let folder = Folder::spoilt("infra/exchange.yaml", "infra/cluster.yaml");
    folder.replace("infra/cluster.yaml", "AWS::ECS::Cluster", "AWS::S3::Bucket");
    refused(
        &folder,
        &["plan.yaml:21 stacks[1].parameters.LogBucket", "infra/cluster.yaml:5 Resources.Cluster"],
    );
}

#[test]
fn a_list_makes_names_and_its_faults_have_their_lines() {
    let good = Folder::with_names("# Two of them.\nAAPL\nMSFT\n");
    let run = good.lifeboat(&["plan", "check", "plan.yaml"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("records  3 (2 by rules), strategy records"), "{run:?}");
    let json = good.lifeboat(&["plan", "check", "plan.yaml", "--json"]).json();
    assert_eq!((&json["records"], json["lists"].as_array().map(Vec::len)), (&json!(3), Some(1)));
    good.write("symbols.txt", "AAPL\nMSFT\n");
    let other = good.lifeboat(&["plan", "check", "plan.yaml", "--json"]).json();
    assert_ne!(other["digest"], json["digest"], "another list is another plan");

    refused(&Folder::with_names("AAPL\nBRK.B\n\naapl\n"), &["symbols.txt:2 ", "symbols.txt:4 "]);
    let run = Folder::with_names("AAPL\nBRK.B\n").lifeboat(&["plan", "check", "plan.yaml"]);
    assert!(run.err.contains("symbols.txt:2:1: ") && run.err.contains("BRK.B"), "{run:?}");
    let missing = Folder::with_names("");
    missing.replace("plan.yaml", "symbols.txt", "other.txt");
    refused(&missing, &["plan.yaml:30 dns.names[0].list"]);
    // What is wrong with the rule is told, and not once more for each symbol.
    let spoilt = Folder::with_names("AAPL\nMSFT\n");
    spoilt.replace("plan.yaml", "{symbol}.md", "md");
    refused(&spoilt, &["plan.yaml:30 dns.names[0].name"]);
    // A list that was saved as something else.
    let (_, found) = findings(&Folder::with_names(&"a,b\n".repeat(500)));
    assert_eq!(found.len(), 21, "{found:?}");
}

#[test]
fn a_file_that_is_not_there_is_another_failure() {
    let run = Folder::new().lifeboat(&["plan", "check", "other.yaml"]);
    assert_eq!(run.code, 66);
    assert!(run.err.starts_with("error: other.yaml cannot be read\n  cause  No such file"), "{run:?}");
}

#[test]
fn wrong_usage_is_64_and_help_is_none() {
    let folder = Folder::new();
    for arguments in
        [&["plan", "chekc"][..], &["plan"], &["plan", "check"], &["plan", "upload", "plan.yaml"], &["init"]]
    {
        assert_eq!(folder.lifeboat(arguments).code, 64, "{arguments:?}");
        let run = folder.lifeboat(&[arguments, &["--json"]].concat());
        assert_eq!(run.code, 64);
        assert_eq!(run.json()["exit"], json!(64));
    }
    for arguments in
        [&["--help"][..], &["plan", "check", "--help"], &["plan", "upload", "--help"], &["init", "--help"]]
    {
        let run = folder.lifeboat(arguments);
        assert_eq!(run.code, 0);
        assert!(run.out.contains("Examples:\n") && run.out.contains("Exit codes:\n"), "{run:?}");
    }
    assert!(folder.lifeboat(&["--version"]).out.starts_with("lifeboat "));
}

/// The plan that a newcomer starts from, with the example's own templates.
#[test]
fn the_repositorys_example_plan_passes() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/plans/example.yaml");
    let run = Folder::new().lifeboat(&["plan", "check", example]);
    assert_eq!(run.code, 0, "{}", run.err);
}
