//! One test a rule: a good plan is spoilt in one place, and the problems must name that place and no other.

mod pair;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    json!({
        "version": 1,
        "name": "aex",
        "regions": { "primary": "eu-west-1", "recovery": "eu-central-1" },
        "objectives": { "rto_seconds": 7200 },
        "probe": {
            "primary": ["http://10.0.0.10:8080/health"],
            "recovery": "http://10.1.0.10:8080/health",
            "timeout_seconds": 2,
            "attempts": 3,
            "quorum": 1,
            "consecutive_failures": 3,
            "interval_seconds": 1,
            "log_still_seconds": 5
        },
        "stacks": [
            {
                "name": "cluster",
                "template": "../examples/aex/infra/cluster.yaml",
                "depends_on": [],
                "parameters": { "Zone": "aex.internal" }
            },
            {
                "name": "exchange",
                "template": "../examples/aex/infra/exchange.yaml",
                "depends_on": ["cluster"],
                "parameters": {}
            }
        ],
        "ledger": { "bucket": "aex-log", "prefix": "log/", "streams": ["ME1", "ME2"],
            "witness": { "prefix": "witness/", "required": true, "objects_max": 1000 } },
        "dns": {
            "strategy": "switch",
            "health_check": "01234567-89ab-cdef-0123-456789abcdef",
            "zone_id": "Z0123456789",
            "zone": "aex.internal",
            "records": [
                {
                    "name": "gateway.aex.internal", "type": "A", "ttl": 5,
                    "primary": ["10.0.0.10"], "recovery": ["10.1.0.10"]
                },
                {
                    "name": "aapl.aex.internal", "type": "CNAME", "ttl": 5,
                    "primary": ["me1.eu-west-1.aex.internal"], "recovery": ["me1.eu-central-1.aex.internal"]
                },
                {
                    "name": "gateway.aex.internal", "type": "AAAA", "ttl": 5,
                    "primary": ["2001:db8::1"], "recovery": ["2001:db8::2"]
                }
            ],
            "names": [
                {
                    "name": "{symbol}.md.aex.internal", "list": "symbols.txt", "type": "A", "ttl": 5,
                    "primary": ["10.0.0.20"], "recovery": ["10.1.0.20"]
                }
            ],
            "confirm": { "sample": 500 }
        },
        "admission": { "anti_flap_seconds": 3600 },
        "approval": {
            "needed": "two",
            "approvers": [
                "arn:aws:iam::111122223333:user/ada",
                "arn:aws:sts::111122223333:assumed-role/dr-approver/*"
            ],
            "wait_seconds": 600,
            "on_expiry": "stand_down"
        },
        "limits": {
            "stack_wait_seconds_max": 1200,
            "seal_tries_max": 50,
            "shard_entries": 200000
        },
        "regulation": ["reg_sci", "dora"]
    })
}

/// A good plan whose ledger Firehose delivers, and leases guard.
fn leased() -> Value {
    let mut plan = good();
    plan["ledger"] = json!({
        "bucket": "aex-log", "prefix": "witness/", "streams": ["ME1", "ME2"],
        "lease": { "delivery_wait_seconds_max": 900 }
    });
    plan
}

/// The good plan with one place changed. `at` is a JSON pointer; null takes the field away.
fn with(at: &str, value: Value) -> Value {
    changed(good(), at, value)
}

/// As [`with`], of any plan.
fn changed(mut plan: Value, at: &str, value: Value) -> Value {
    let (parent, field) = at.rsplit_once('/').expect("a pointer has a slash");
    match plan.pointer_mut(parent).expect("the parent exists") {
        Value::Object(fields) if value.is_null() => {
            fields.remove(field);
        }
        Value::Object(fields) => {
            fields.insert(field.to_owned(), value);
        }
        Value::Array(items) => items[field.parse::<usize>().expect("an index")] = value,
        other => panic!("{other} has no fields"),
    }
    plan
}

fn problems(plan: Value) -> Vec<Problem> {
    match Plan::from_value(plan) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    }
}

/// Spoils one place and expects problems at exactly these fields, the first message saying `says`.
#[track_caller]
fn refused(at: &str, value: Value, fields: &[&str], says: &str) {
    let found = problems(with(at, value));
    let at: Vec<&str> = found.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(at, fields, "{found:#?}");
    assert!(found[0].message.contains(says), "{found:#?} does not say {says:?}");
}

#[track_caller]
fn accepted(at: &str, value: Value) {
    assert_eq!(problems(with(at, value)), []);
}

#[test]
fn a_good_plan_is_accepted_and_keeps_its_values() {
    for good in [good(), leased()] {
        let plan = Plan::from_value(good.clone()).expect("a good plan");
        assert_eq!(serde_json::to_value(&plan).expect("JSON"), good);
    }
}

#[test]
fn the_limits_have_defaults_together_and_one_by_one() {
    let without = Plan::from_value(with("/limits", Value::Null)).expect("a good plan");
    let emptied = Plan::from_value(with("/limits", json!({}))).expect("a good plan");
    assert_eq!(without.limits, Limits::default());
    assert_eq!(emptied.limits, Limits::default());
    let one = Plan::from_value(with("/limits", json!({ "seal_tries_max": 7 }))).expect("a good plan");
    assert_eq!(one.limits, Limits { seal_tries_max: 7, ..Limits::default() });
}

#[test]
fn canonical_json_has_one_form_whatever_the_order_of_the_source() {
    let plan = Plan::from_value(good()).expect("a good plan");
    // serde_json sorts a `Value`'s keys; the canonical form keeps the order of the type.
    let sorted = serde_json::to_vec(&good()).expect("JSON");
    let again: Plan = serde_json::from_slice(&sorted).expect("a plan");
    assert_eq!(plan.canonical_json(), again.canonical_json());
    assert!(plan.canonical_json().starts_with(br#"{"version":1,"name":"aex","regions":{"primary":"#));
    assert_eq!(plan.digest(), again.digest());
    assert_eq!(plan.digest().len(), 64);
    let other = Plan::from_value(with("/objectives/rto_seconds", json!(7201))).expect("a good plan");
    assert_ne!(plan.digest(), other.digest());
}

#[test]
fn the_lambdas_read_only_uploaded_plans() {
    let mut plan = Plan::from_value(good()).expect("a good plan");
    let found = Plan::from_json(&plan.canonical_json()).expect_err("templates are still paths");
    let fields: Vec<&str> = found.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["stacks[0].template", "stacks[1].template", "dns.names[0].list"]);
    assert!(found.iter().all(|problem| problem.message.contains("lifeboat plan upload")), "{found:?}");
    for stack in &mut plan.stacks {
        stack.template = format!("templates/{}.yaml", "0a".repeat(32));
    }
    plan.dns.names[0].list = format!("names/{}.txt", "0a".repeat(32));
    assert_eq!(Plan::from_json(&plan.canonical_json()), Ok(plan));
}

#[test]
fn json_that_is_none_or_says_a_thing_twice_is_refused() {
    let found = Plan::from_json(b"version: 1").expect_err("YAML");
    assert!(found[0].message.contains("not JSON"), "{found:?}");
    let text = serde_json::to_string(&good()).expect("JSON").replacen('{', r#"{"name":"other","#, 1);
    let found = Plan::from_json(text.as_bytes()).expect_err("two names");
    assert!(found[0].message.contains("duplicate field `name`"), "{found:?}");
}

/// Drops each field of the types' own JSON in turn, and adds one: shape and serde must agree on every one.
#[test]
fn shape_and_types_agree() {
    fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let at = format!("{at}/{name}");
                    paths(value, &at, found);
                    found.insert(at);
                }
            }
            Value::Array(items) => {
                // Of a list's items only the fields of sections: an item itself has no name to misspell.
                for (index, value) in items.iter().enumerate() {
                    paths(value, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    for good in [good(), leased()] {
        let plan = Plan::from_value(good.clone()).expect("a good plan");
        let written = serde_json::to_value(&plan).expect("JSON");
        let mut all = BTreeSet::new();
        paths(&written, "", &mut all);
        assert!(all.len() > 40, "{all:?}");
        for path in all {
            let without = changed(good.clone(), &path, Value::Null);
            let serde_takes_it = serde_json::from_value::<Plan>(without.clone()).is_ok();
            assert_eq!(shape::mend(&mut without.clone()).is_empty(), serde_takes_it, "without {path}");
            let renamed = changed(good.clone(), &format!("{path}x"), json!("surplus"));
            let serde_takes_it = serde_json::from_value::<Plan>(renamed.clone()).is_ok();
            assert_eq!(shape::mend(&mut renamed.clone()).is_empty(), serde_takes_it, "with {path}x");
        }
    }
    serde_json::from_value::<Plan>(shape::placeholder_plan()).expect("placeholders are of the right types");
}

#[test]
fn an_unknown_field_is_named_with_the_one_that_was_meant() {
    refused("/probe/timeout_secods", json!(3), &["probe.timeout_secods"], "did you mean `timeout_seconds`?");
    refused("/dns/records/0/weight", json!(3), &["dns.records[0].weight"], "no such field");
    refused("/regions/third", json!("eu-west-2"), &["regions.third"], "primary, recovery may stand here");
}

#[test]
fn a_missing_field_is_named() {
    refused("/regions/recovery", Value::Null, &["regions.recovery"], "is missing; it must be text");
    refused("/dns", Value::Null, &["dns"], "is missing; it must be a section");
    refused("/stacks/0/depends_on", Value::Null, &["stacks[0].depends_on"], "must be a list");
    refused("/stacks/0/name", Value::Null, &["stacks[0].name"], "is missing");
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    refused("/probe/attempts", json!("3"), &["probe.attempts"], "write it without quotes");
    refused("/probe/attempts", json!(-1), &["probe.attempts"], "a whole number from 0");
    refused("/probe/attempts", json!(1.5), &["probe.attempts"], "a whole number from 0");
    refused("/probe/attempts", json!(5_000_000_000_u64), &["probe.attempts"], "to 4294967295");
    refused("/stacks/0/parameters/Size", json!(2), &["stacks[0].parameters.Size"], r#"in quotes: "2""#);
    refused("/stacks/0/parameters/Size", json!(true), &["stacks[0].parameters.Size"], r#"in quotes: "true""#);
    refused("/dns/records/0/type", json!("MX"), &["dns.records[0].type"], "one of A, AAAA, CNAME");
    refused("/ledger/streams", json!("ME1"), &["ledger.streams"], "must be a list");
    refused("/regions", json!(["eu-west-1"]), &["regions"], "a section with the fields primary, recovery");
    assert_eq!(problems(json!("plan")).len(), 1);
}

#[test]
fn faults_of_form_and_of_content_are_told_together() {
    let mut plan = with("/probe/retries", json!(3));
    plan["name"] = json!("AEX");
    plan["ledger"]["bucket"] = json!(7);
    plan["dns"]["records"][0]["ttl"] = json!(3600);
    let found: Vec<String> = problems(plan).into_iter().map(|problem| problem.field).collect();
    assert_eq!(found, ["probe.retries", "ledger.bucket", "name", "dns.records[0].ttl"]);
}

#[test]
fn version_is_one() {
    refused("/version", json!(2), &["version"], "reads version 1");
}

#[test]
fn the_name_has_its_syntax() {
    for bad in ["", "AEX", "1aex", "-aex", "a_ex", "aex.", &"a".repeat(33)] {
        refused("/name", json!(bad), &["name"], "lower-case letter");
    }
    for good in ["a", "aex-2", &"a".repeat(32)] {
        accepted("/name", json!(good));
    }
}

#[test]
fn the_regions_look_like_regions_and_differ() {
    for bad in ["", "eu-west", "eu_west_1", "EU-WEST-1", "eu-west-1a", "eu-west-100", "euwest1", "eu--1"] {
        refused("/regions/recovery", json!(bad), &["regions.recovery"], "does not look like an AWS Region");
    }
    for other in ["cn-north-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"] {
        refused("/regions/recovery", json!(other), &["regions.recovery"], "partition of its own");
    }
    for good in ["us-east-1", "ap-southeast-2", "mx-central-1"] {
        accepted("/regions/recovery", json!(good));
    }
    refused("/regions/recovery", json!("eu-west-1"), &["regions.recovery"], "stand in for itself");
}

/// The good plan with the strategy `records`.
fn edited() -> Value {
    let mut plan = with("/dns/health_check", Value::Null);
    plan["dns"]["strategy"] = json!("records");
    plan
}

#[test]
fn a_plan_that_edits_records_has_no_primary_where_they_are_edited() {
    accepted("/regions/primary", json!("us-east-1"));
    let found = problems(changed(edited(), "/regions/primary", json!("us-east-1")));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].field, "regions.primary");
    assert!(found[0].message.contains("control plane, which is in us-east-1"), "{found:#?}");
}

#[test]
fn the_gate_belongs_to_the_strategy() {
    assert_eq!(problems(edited()), []);
    let field = ["dns.health_check"];
    refused("/dns/health_check", Value::Null, &field, "the strategy `switch` needs");
    refused("/dns/strategy", json!("records"), &field, "belongs to the strategy `switch`");
    for bad in ["", "abc/def", &"a".repeat(65)] {
        refused("/dns/health_check", json!(bad), &field, "a health check's id");
    }
    refused("/dns/strategy", json!("arc"), &["dns.strategy"], "one of switch, records");
    let left_out = Plan::from_value(with("/dns/strategy", Value::Null)).expect("a good plan");
    assert_eq!(left_out.dns.strategy, Strategy::Switch);
}

#[test]
fn every_number_has_bounds_with_a_unit() {
    let rules: [(&str, u32, u32, &str); 8] = [
        ("objectives.rto_seconds", 29, 86_401, " s"),
        ("probe.timeout_seconds", 0, 11, " s"),
        ("probe.attempts", 0, 21, " attempts"),
        ("probe.interval_seconds", 0, 61, " s"),
        ("probe.log_still_seconds", 1, 61, " s"),
        ("limits.stack_wait_seconds_max", 9, 7_201, " s"),
        ("limits.seal_tries_max", 0, 1_001, " tries"),
        ("limits.shard_entries", 999, 10_000_001, " entries"),
    ];
    for (field, below, above, unit) in rules {
        let at = format!("/{}", field.replace('.', "/"));
        for value in [below, above] {
            refused(&at, json!(value), &[field], &format!("is {value}{unit}, but must be from"));
        }
    }
    refused("/dns/records/0/ttl", json!(61), &["dns.records[0].ttl"], "from 0 to 60 s");
    accepted("/dns/records/0/ttl", json!(0));
}

#[test]
fn the_probe_asks_two_addresses_that_no_flip_moves() {
    let bad = [
        ("ftp://10.0.0.1/", "begin with http"),
        ("10.0.0.1:8080", "begin with http"),
        ("tcp://10.0.0.1", "names no port"),
        ("tcp://10.0.0.1:80/health", "without a path"),
        ("tcp://:80", "names no host"),
        ("http://", "names no host"),
        ("http:///health", "names no host"),
        ("http://:80/", "names no host"),
        ("http://user:secret@10.0.0.1/", "kept as evidence"),
        ("http://10.0.0.1:0/", "port"),
        ("http://10.0.0.1:70000/", "port"),
        ("http://10.0.0.1:/", "port"),
        ("http://[::1/", "bracket"),
        ("http://[::zz]/", "no IPv6"),
        ("http://10.0.0.1/a b", "spaces"),
        ("http://a%20b/", "neither a name nor an address"),
    ];
    for (url, says) in bad {
        refused("/probe/primary/0", json!(url), &["probe.primary[0]"], says);
    }
    for good in [
        "https://primary.example/health?deep=1",
        "http://[2001:db8::5]:8443/health",
        "http://10.0.0.1",
        "tcp://10.0.0.1:9000",
        "tcp://[2001:db8::5]:9000",
    ] {
        accepted("/probe/primary/0", json!(good));
    }
    refused("/probe/primary", json!([]), &["probe.primary"], "needs at least 1 targets");
    let twice = json!(["tcp://10.0.0.1:9000", "tcp://10.0.0.1:9000"]);
    refused("/probe/primary", twice, &["probe.primary[1]"], "one observer does not become two");
    let moved = "http://gateway.aex.internal/health";
    refused("/probe/recovery", json!(moved), &["probe.recovery"], "a name that the flip moves");
    let same = "http://10.0.0.10:8080/other";
    refused("/probe/recovery", json!(same), &["probe.recovery"], "as the primary's probe does");
    accepted("/probe/recovery", json!("http://10.0.0.10:8081/health"));
}

#[test]
fn quorum_and_streak_fit_the_targets_and_the_attempts() {
    let left_out = Plan::from_value(with("/probe/quorum", Value::Null)).expect("a good plan");
    assert_eq!((left_out.probe.quorum(), left_out.probe.consecutive_failures()), (1, 3));
    refused("/probe/quorum", json!(2), &["probe.quorum"], "from 1 to 1 of the primary's targets");
    refused("/probe/quorum", json!(0), &["probe.quorum"], "from 1 to 1");
    let left_out = Plan::from_value(with("/probe/consecutive_failures", Value::Null)).expect("a good plan");
    assert_eq!(left_out.probe.consecutive_failures(), 3);
    refused("/probe/consecutive_failures", json!(4), &["probe.consecutive_failures"], "from 1 to 3");
    refused(
        "/admission",
        json!({ "anti_flap_seconds": 604_801 }),
        &["admission.anti_flap_seconds"],
        "604800 s",
    );
}

#[test]
fn persons_are_named_by_account_and_answer_in_time() {
    let left_out = Plan::from_value(with("/approval", Value::Null)).expect("a good plan");
    assert_eq!(left_out.approval, None);
    for bad in [
        "ada",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::*:user/ada",
        "arn:aws:iam::111122223333:role/dr-approver",
        "arn:aws:iam::111122223333:user/",
        "arn:aws:iam::111122223333:user/a*a",
        "arn:aws:sts::111122223333:assumed-role/dr-approver",
        "arn:aws:sts::111122223333:assumed-role/*",
        "arn:aws-cn:iam::111122223333:user/ada",
    ] {
        refused("/approval/approvers/0", json!(bad), &["approval.approvers[0]"], "is neither");
    }
    accepted("/approval/approvers/0", json!("arn:aws:iam::111122223333:user/*"));
    accepted("/approval/needed", json!("automatic"));
    accepted("/approval/on_expiry", json!("go_on"));
    refused("/approval/approvers", json!([]), &["approval.approvers"], "at least 1 approvers");
    let one = json!(["arn:aws:iam::111122223333:user/ada"]);
    refused("/approval/approvers", one, &["approval.approvers"], "names one person");
    refused("/approval/wait_seconds", json!(29), &["approval.wait_seconds"], "from 30 to 7200 s");
    refused("/approval/wait_seconds", json!(7200), &["approval.wait_seconds"], "a run past it seals nothing");
    refused("/approval/needed", json!("three"), &["approval.needed"], "two");
}

#[test]
fn regimes_are_known_and_stand_once() {
    accepted("/regulation", json!([]));
    accepted("/regulation", json!(["dora"]));
    refused("/regulation", json!(["dora", "reg_sci", "dora"]), &["regulation[2]"], "already");
    refused("/regulation", json!(["nis2"]), &["regulation[0]"], "one of reg_sci, dora");
}

#[test]
fn a_plan_that_names_no_regime_has_the_bytes_that_it_always_had() {
    let plan = Plan::from_value(with("/regulation", json!([]))).expect("a good plan");
    assert!(!String::from_utf8(plan.canonical_json()).expect("text").contains("regulation"));
}

#[test]
fn one_confirmation_is_one_call_and_leaves_time_to_act() {
    let mut plan = with("/probe/timeout_seconds", json!(10));
    plan["probe"]["attempts"] = json!(7);
    let found = problems(plan);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].field, "probe.attempts");
    assert!(found[0].message.contains("up to 70 s together, but may take 60 s"), "{found:#?}");
    let mut plan = with("/probe/log_still_seconds", json!(20));
    plan["objectives"]["rto_seconds"] = json!(45);
    let found = problems(plan);
    assert_eq!(found[0].field, "objectives.rto_seconds");
    assert!(found[0].message.contains("confirming the outage twice (40 s)"), "{found:#?}");
}

#[test]
fn stack_names_are_legal_short_and_unique() {
    for bad in ["", "1st", "a_b", "a b", "-a"] {
        let found = problems(with("/stacks/1/name", json!(bad)));
        assert_eq!(found[0].field, "stacks[1].name", "{found:#?}");
    }
    // 128 less "create-aex-" and "-e" with the twenty digits of the last epoch.
    accepted("/stacks/1/name", json!("s".repeat(95)));
    refused("/stacks/1/name", json!("s".repeat(96)), &["stacks[1].name"], "too long by 1 characters");
    refused("/stacks/1/name", json!("Cluster"), &["stacks[1].name"], "name of stacks[0] already");
    refused("/stacks", json!([]), &["stacks"], "at least 1 stacks");
}

#[test]
fn templates_are_named() {
    refused("/stacks/0/template", json!(""), &["stacks[0].template"], "must be the path");
}

#[test]
fn dependencies_exist_once_and_make_no_cycle() {
    let at = "/stacks/1/depends_on";
    refused(at, json!(["clutser"]), &["stacks[1].depends_on[0]"], "there are: cluster, exchange");
    refused(at, json!(["cluster", "cluster"]), &["stacks[1].depends_on[1]"], "listed twice");
    refused(at, json!(["exchange"]), &["stacks[1].depends_on[0]"], "exchange -> exchange");
    refused(
        "/stacks/0/depends_on",
        json!(["exchange"]),
        &["stacks[1].depends_on[0]"],
        "cluster -> exchange -> cluster",
    );
}

#[test]
fn lifeboat_sets_its_own_parameters() {
    for reserved in RESERVED_PARAMETERS {
        refused(
            &format!("/stacks/1/parameters/{reserved}"),
            json!("x"),
            &[&format!("stacks[1].parameters.{reserved}")],
            "set by Lifeboat",
        );
    }
    let field = "stacks[1].parameters.Zone-Id";
    refused("/stacks/1/parameters/Zone-Id", json!("x"), &[field], "letters and digits");
    let long = "x".repeat(4_097);
    refused("/stacks/1/parameters/Long", json!(long), &["stacks[1].parameters.Long"], "may be 4096");
}

#[test]
fn the_log_bucket_is_a_bucket() {
    for bad in ["", "ab", "AEX", "aex_log", "-aex", "aex-", "aex.log", &"a".repeat(64)] {
        refused("/ledger/bucket", json!(bad), &["ledger.bucket"], "a bucket's name");
    }
}

#[test]
fn the_prefix_is_the_one_that_is_guarded() {
    for bad in ["log", "", "/", "/log/", "log//", "../", "fence/", "witness/log/", "logs/", "log/aex/"] {
        refused("/ledger/prefix", json!(bad), &["ledger.prefix"], "must be `log/`");
    }
}

#[test]
fn streams_are_unique_parts_of_keys() {
    for bad in ["", "ME 1", "ME/1", "MÉ", &"M".repeat(65)] {
        refused("/ledger/streams/1", json!(bad), &["ledger.streams[1]"], "1 to 64 letters");
    }
    refused("/ledger/streams/1", json!("ME1"), &["ledger.streams[1]"], "listed twice");
    refused("/ledger/streams", json!([]), &["ledger.streams"], "at least 1");
    let many: Vec<String> = (0..101).map(|n| format!("ME{n}")).collect();
    refused("/ledger/streams", json!(many), &["ledger.streams"], "may have 100 at most");
}

#[test]
fn the_witness_lies_where_it_may_be_read() {
    for bad in ["witness", "", "log/", "witness/healed/", "/witness/"] {
        refused("/ledger/witness/prefix", json!(bad), &["ledger.witness.prefix"], "must be `witness/`");
    }
    for bad in [0, 10_001] {
        refused(
            "/ledger/witness/objects_max",
            json!(bad),
            &["ledger.witness.objects_max"],
            "from 1 to 10000",
        );
    }
    refused("/ledger/witness/required", json!("true"), &["ledger.witness.required"], "must be true or false");
    let without = with("/ledger/witness", Value::Null);
    assert_eq!(Plan::from_value(without).expect("it may be left out").ledger.witness, None);
    let short = Plan::from_value(with("/ledger/witness/objects_max", Value::Null)).expect("it has a default");
    assert_eq!(short.ledger.witness.map(|witness| witness.objects_max), Some(1_000));
}

#[test]
fn with_leases_the_deliveries_are_the_ledger() {
    #[track_caller]
    fn refused(at: &str, value: Value, field: &str, says: &str) {
        let found = problems(changed(leased(), at, value));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].field, field, "{found:#?}");
        assert!(found[0].message.contains(says), "{found:#?} does not say {says:?}");
    }
    for bad in ["log/", "", "witness", "witness/aex/", "lease/"] {
        refused(
            "/ledger/prefix",
            json!(bad),
            "ledger.prefix",
            "must be `witness/` where `ledger.lease` stands",
        );
    }
    let second = json!({ "prefix": "witness/", "required": false });
    refused("/ledger/witness", second, "ledger.witness", "must be left out");
    let wait = "ledger.lease.delivery_wait_seconds_max";
    for bad in [0, 4_001] {
        refused("/ledger/lease/delivery_wait_seconds_max", json!(bad), wait, "must be from 1 to 4000 s");
    }
    refused("/ledger/lease/delivery_wait_seconds_max", Value::Null, wait, "is missing");
    refused(
        "/ledger/lease",
        json!(true),
        "ledger.lease",
        "a section with the fields delivery_wait_seconds_max",
    );
    let without = Plan::from_value(good()).expect("a good plan");
    assert_eq!(without.ledger.lease, None);
    refused("/ledger/lease", Value::Null, "ledger.prefix", "must be `log/`");
}

#[test]
fn the_zone_is_a_zone() {
    for bad in ["", "/hostedzone/Z0123", "z0123", "Z", "0123456789"] {
        refused("/dns/zone_id", json!(bad), &["dns.zone_id"], "hosted zone's id");
    }
    for bad in ["", "aex.internal.", "AEX.internal", "aex", "a..b", "-a.b"] {
        refused("/dns/zone", json!(bad), &["dns.zone"], "full DNS name");
    }
}

#[test]
fn record_names_lie_in_the_zone_and_leave_ours_alone() {
    let field = ["dns.records[1].name"];
    for outside in ["aapl.other.internal", "notaex.internal"] {
        refused("/dns/records/1/name", json!(outside), &field, "not inside the zone");
    }
    for bad in ["aapl.aex.internal.", "*.aex.internal", "AAPL.aex.internal"] {
        refused("/dns/records/1/name", json!(bad), &field, "full DNS name");
    }
    refused("/dns/records/1/name", json!("_lifeboat-epoch.aex.internal"), &field, "reserved");
    refused("/dns/records/1/name", json!("aex.internal"), &field, "cannot be a CNAME");
    accepted("/dns/records/0/name", json!("aex.internal"));
    accepted("/dns/records", json!([]));
    accepted("/dns/records", Value::Null);
    let found = problems(changed(with("/dns/names", Value::Null), "/dns/records", json!([])));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].message.contains("at least 1 records"), "{found:#?}");
}

#[test]
fn a_rule_has_one_symbol_and_makes_records() {
    let at = "/dns/names/0/name";
    let field = ["dns.names[0].name"];
    for bad in ["md.aex.internal", "{symbol}.{symbol}.aex.internal", "{Symbol}.aex.internal", ""] {
        refused(at, json!(bad), &field, "`{symbol}` in it once");
    }
    refused(at, json!("{symbol}.md.other.internal"), &field, "not inside the zone");
    refused(at, json!("{symbol}.MD.aex.internal"), &field, "full DNS name");
    accepted(at, json!("md-{symbol}.aex.internal"));
    refused("/dns/names/0/ttl", json!(61), &["dns.names[0].ttl"], "from 0 to 60 s");
    refused("/dns/names/0/recovery/0", json!("10.0.0.20"), &["dns.names[0].recovery[0]"], "must differ");
    refused(
        "/dns/names/0/type",
        json!("CNAME"),
        &["dns.names[0].primary[0]", "dns.names[0].recovery[0]"],
        "address",
    );
    refused("/dns/names/0/list", json!(""), &["dns.names[0].list"], "one a line");
    refused("/dns/names/0/lists", json!("x"), &["dns.names[0].lists"], "did you mean `list`?");
    refused("/dns/confirm/sample", json!(0), &["dns.confirm.sample"], "from 1 to 10000 names");
    let moved = "http://nvda.md.aex.internal:8080/health";
    refused("/probe/recovery", json!(moved), &["probe.recovery"], "a name that the flip moves");
    accepted("/probe/recovery", json!("http://a.b.md.aex.internal:8080/health"));
    let plan = Plan::from_value(with("/dns/names/0/ttl", json!(60))).expect("a good plan");
    assert_eq!(plan.dns.ttl_max(), 60);
}

#[test]
fn a_name_has_one_record_of_a_type_and_no_cname_beside() {
    let second = json!({
        "name": "gateway.aex.internal", "type": "A", "ttl": 5,
        "primary": ["10.0.0.11"], "recovery": ["10.1.0.11"]
    });
    refused("/dns/records/2", second, &["dns.records[2].name"], "dns.records[0] already");
    let gateway = json!("gateway.aex.internal");
    let fields = ["dns.records[1].type", "dns.records[2].type"];
    refused("/dns/records/1/name", gateway, &fields, "only record of its name");
}

#[test]
fn values_are_of_the_records_type() {
    let a = ["dns.records[0].primary[0]"];
    for bad in ["10.0.0", "gateway.aex.internal", "2001:db8::1", "010.0.0.1", ""] {
        refused("/dns/records/0/primary/0", json!(bad), &a, "no IPv4 address");
    }
    refused("/dns/records/0/primary/0", json!("0.0.0.0"), &a, "no address of a host");
    let aaaa = ["dns.records[2].primary[0]"];
    refused("/dns/records/2/primary/0", json!("10.0.0.1"), &aaaa, "no IPv6 address");
    refused("/dns/records/2/primary/0", json!("2001:DB8:0::1"), &aaaa, "must be written 2001:db8::1");
    let cname = ["dns.records[1].primary[0]"];
    refused("/dns/records/1/primary/0", json!("10.0.0.1"), &cname, "is an address");
    refused("/dns/records/1/primary/0", json!("me1.aex.internal."), &cname, "without the closing dot");
    refused("/dns/records/1/primary/0", json!("aapl.aex.internal"), &cname, "own name");
    let two = json!(["a.aex.internal", "b.aex.internal"]);
    refused("/dns/records/1/primary", two, &["dns.records[1].primary"], "exactly one name");
    refused("/dns/records/1/primary", json!([]), &["dns.records[1].primary"], "exactly one name");
}

#[test]
fn the_sides_share_no_value() {
    let shared = json!(["10.1.0.10", "10.0.0.10"]);
    refused("/dns/records/0/recovery", shared, &["dns.records[0].recovery[1]"], "must differ");
    let twice = json!(["10.1.0.10", "10.1.0.10"]);
    refused("/dns/records/0/recovery", twice, &["dns.records[0].recovery[1]"], "listed twice");
    refused("/dns/records/0/recovery", json!([]), &["dns.records[0].recovery"], "at least 1 values");
}

/// The largest record of each type, old values and new ones, with the epoch's TXT record: one batch of Route 53 takes it, so
/// that no plan has a record that cannot be moved.
#[test]
fn the_largest_record_of_each_type_fits_one_batch() {
    let values = *bounds::RECORD_VALUES.end();
    let longest = |kind: &str| match kind {
        "A" => (values, "255.255.255.255".len()),
        "AAAA" => (values, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".len()),
        _ => (1, 253),
    };
    for kind in ["A", "AAAA", "CNAME"] {
        let (values, chars) = longest(kind);
        assert!(2 * values + 2 <= bounds::BATCH_VALUES_MAX, "{kind}");
        let chars = 2 * values * chars + 2 * bounds::EPOCH_VALUE_CHARS;
        assert!(chars <= bounds::BATCH_CHARS_MAX, "{kind}: {chars} characters");
    }
    let mut plan = changed(with("/dns/strategy", json!("records")), "/dns/health_check", Value::Null);
    plan["dns"]["records"][0]["primary"] = json!(addresses(0, 400));
    plan["dns"]["records"][0]["recovery"] = json!(addresses(1, 400));
    assert_eq!(problems(plan), []);
    let over = json!(addresses(0, 401));
    refused("/dns/records/0/primary", over, &["dns.records[0].primary"], "may have 400 at most");
}

/// So many IPv4 addresses of one side.
fn addresses(net: u8, count: usize) -> Vec<String> {
    (0..count).map(|v| format!("10.{net}.{}.{}", v / 200, v % 200)).collect()
}

#[test]
fn ten_thousand_records_are_the_most() {
    let many = |count: usize| -> Vec<Value> {
        let record = |n: usize| {
            json!({ "name": format!("s{n}.aex.internal"), "type": "A", "ttl": 5, "primary": ["10.0.0.1"],
                "recovery": ["10.1.0.1"] })
        };
        (0..count).map(record).collect()
    };
    accepted("/dns/records", json!(many(10_000)));
    refused("/dns/records", json!(many(10_001)), &["dns.records"], "may have 10000 at most");
}

#[test]
fn stacks_and_the_epoch_record_have_their_names() {
    let plan = Plan::from_value(good()).expect("a good plan");
    assert_eq!(plan.stack_name("cluster", 7), "aex-cluster-e7");
    assert_eq!(plan.epoch_record(), "_lifeboat-epoch.aex.internal");
}

mod properties {
    use proptest::prelude::*;
    use proptest::strategy::Strategy;

    use super::*;

    /// Any JSON, often with the names that a plan has.
    fn document() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            Just("name"),
            Just("regions"),
            Just("primary"),
            Just("stacks"),
            Just("dns"),
            Just("records"),
            Just("limits"),
            Just("ttl"),
            Just("other")
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(|fields| {
                    Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
                }),
            ]
        })
    }

    proptest! {
        /// Whatever is put where, reading neither panics nor falls back on serde's pathless errors.
        #[test]
        fn any_document_is_judged_by_path(document in document()) {
            let found = Plan::from_value(document.clone()).expect_err("no plan by chance");
            if document.is_object() {
                prop_assert!(found.iter().all(|problem| !problem.field.is_empty()), "{found:?}");
            }
        }

        /// Any document in any place of a good plan: the same, and what is accepted survives the round trip.
        #[test]
        fn any_part_is_judged_by_path(part in document(), place in 0_usize..10) {
            let at = ["/name", "/regions", "/probe/primary/0", "/stacks/0", "/stacks/1/parameters", "/ledger/streams",
                "/dns/records/0", "/dns/names/0", "/dns/records/1/recovery", "/limits"][place];
            let plan = if part.is_null() { good() } else { with(at, part) };
            match Plan::from_value(plan) {
                Ok(plan) => {
                    let again: Plan = serde_json::from_slice(&plan.canonical_json()).expect("a plan");
                    prop_assert_eq!(again, plan);
                }
                Err(found) => prop_assert!(found.iter().all(|problem| !problem.field.is_empty()), "{found:?}"),
            }
        }

        /// A chain of stacks, however long, has no cycle; closed into a ring it has exactly one, with all names.
        #[test]
        fn rings_are_cycles_and_chains_are_not(length in 1_usize..=50) {
            let mut plan = Plan::from_value(good()).expect("a good plan");
            let model = plan.stacks[0].clone();
            plan.stacks = (0..length)
                .map(|n| Stack {
                    name: format!("s{n}"),
                    depends_on: if n == 0 { Vec::new() } else { vec![format!("s{}", n - 1)] },
                    ..model.clone()
                })
                .collect();
            prop_assert_eq!(plan.validate(), []);
            plan.stacks[0].depends_on = vec![format!("s{}", length - 1)];
            let found = plan.validate();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].message.matches(" -> ").count(), length);
        }
    }
}
