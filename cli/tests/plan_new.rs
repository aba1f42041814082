//! `lifeboat plan new` and `lifeboat plan schema`: a plan that passes as it is made, and the schema that lies in the repository.

mod support;

use serde_json::{Value, json};
use support::{Folder, says};

const NEW: [&str; 9] =
    ["plan", "new", "deep.yaml", "--name", "deep", "--primary", "us-west-2", "--recovery", "eu-west-3"];

#[test]
fn a_new_plan_passes_its_check_and_says_what_is_yours_to_change() {
    let folder = Folder::new();
    let made = folder.lifeboat(&[&NEW[..], &["--json"]].concat()).json();
    assert_eq!(made, json!({ "ok": true, "file": "deep.yaml", "template": "deep-stack.yaml" }));
    let checked = folder.lifeboat(&["plan", "check", "deep.yaml", "--json"]).json();
    assert_eq!((&checked["problems"], &checked["plan"]), (&json!([]), &json!("deep")));
    let text = std::fs::read_to_string(folder.path("deep.yaml")).expect("the plan");
    assert!(text.contains("primary: us-west-2") && text.contains("recovery: eu-west-3"), "{text}");
    assert!(text.contains("CHANGE") && !text.contains("{name}") && !text.contains("{file}"), "{text}");
}

#[test]
fn nothing_is_overwritten_and_nothing_is_half_made() {
    let folder = Folder::new();
    folder.write("deep.yaml", "mine");
    let refused = folder.lifeboat(&[&NEW[..], &["--json"]].concat());
    assert_eq!(refused.code, 73);
    says(&refused.json(), &["deep.yaml", "nothing was overwritten"]);
    assert_eq!(std::fs::read_to_string(folder.path("deep.yaml")).expect("still there"), "mine");
    assert!(!folder.path("deep-stack.yaml").exists(), "a template without its plan");
}

#[test]
fn a_name_that_no_plan_may_have_is_refused_with_what_it_may_be() {
    for (at, wrong, says) in [(4, "Deep", "a lower-case letter"), (6, "Ohio", "not the name of a Region")] {
        let mut arguments = NEW;
        arguments[at] = wrong;
        let run = Folder::new().lifeboat(&arguments);
        assert_eq!(run.code, 64);
        assert!(run.err.contains(says), "{run:?}");
    }
}

#[test]
fn the_schema_in_the_repository_is_the_codes() {
    let told = Folder::new().lifeboat(&["plan", "schema"]);
    let kept =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/plans/plan.schema.json"));
    let why = "run: lifeboat plan schema > infra/plans/plan.schema.json";
    assert_eq!(kept.expect("the schema is kept"), told.out, "{why}");
    let schema: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!(schema["properties"]["version"]["type"], json!("integer"));
    let in_json = Folder::new().lifeboat(&["plan", "schema", "--json"]).json();
    assert_eq!(in_json["schema"], schema);
}
