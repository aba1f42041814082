//! The guide for operators shows what the definition says, and the words that Rust has.

use lifeboat_rules::{ErrorName, Outcome};
use lifeboat_tests::{diagram, page, world::places};
use serde_json::json;

use crate::definition;

#[test]
fn diagrams_and_tables_are_those_of_the_definition() {
    let parts = diagram::parts(&definition());
    let files = diagram::files();
    assert!(!files.is_empty());
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let renewed = page::renewed(&text, &parts).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        assert!(
            text == renewed,
            "{} is older than the definition; renew it: {}",
            path.display(),
            diagram::COMMAND
        );
    }
}

#[test]
fn a_change_of_the_definition_shows() {
    let mut changed = definition();
    changed.value["States"]["Is it sealed?"]["Choices"][0]["Next"] = json!("Open the recovery side");
    changed.value["States"]["Begin"]["Comment"] = json!("Another beginning.");
    changed.value["States"]["Seal the ledger"]["TimeoutSeconds"] = json!(331);
    let (old, new) = (diagram::parts(&definition()), diagram::parts(&changed));
    for (name, part) in &old {
        assert_ne!(part, &new[name], "{name}");
    }
    assert!(page::renewed("<!-- diagram:nothing --><!-- /diagram:nothing -->", &old).is_err());
    assert!(page::renewed("<!-- diagram:picture -->", &old).is_err());
}

#[test]
fn the_guide_explains_every_outcome_and_every_error() {
    let path = places::repository().join("statemachine/README.md");
    let guide = std::fs::read_to_string(path).expect("a readable file");
    for part in ["picture", "states", "errors"] {
        assert!(guide.contains(&format!("<!-- diagram:{part} -->")), "{part}");
    }
    for outcome in Outcome::OF_RUNS {
        let row = format!("| `{outcome}` | {} |", outcome.exit_code());
        assert!(guide.contains(&row), "no row {row}");
    }
    for name in ErrorName::ALL {
        assert!(guide.contains(&format!("| `{}` |", name.as_str())), "no row for {name:?}");
    }
}
