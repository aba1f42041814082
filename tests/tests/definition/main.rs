//! Holds the state machine's definition against the Rust that it calls, the template that deploys it, and itself.
//!
//! Each check is a function from a definition to what is wrong with it, so that each is also seen to find something:
//! the definition is spoiled in memory, and a check that then stays silent fails its test.

mod errors;
mod expressions;
mod graph;
mod readme;
mod route;
mod words;

use lifeboat_tests::definition::Definition;
use lifeboat_tests::{template, world::places};
use serde_json::Value;

fn definition() -> Definition {
    Definition::read().expect("the definition can be read")
}

fn orchestrator() -> Value {
    template::read(&places::repository().join("infra/orchestrator.yaml")).expect("the template can be read")
}

/// A way to make the definition wrong.
type Spoil = fn(&mut Value);

/// The check is content with the definition as it is, and with none of the spoiled ones.
fn holds(check: impl Fn(&Definition) -> Vec<String>, spoils: &[(&str, Spoil)]) {
    let found = check(&definition());
    assert!(found.is_empty(), "\n  {}", found.join("\n  "));
    for (what, spoil) in spoils {
        let mut spoiled = definition();
        spoil(&mut spoiled.value);
        assert_ne!(spoiled.value, definition().value, "`{what}` spoils nothing");
        assert!(!check(&spoiled).is_empty(), "the check does not see it: {what}");
    }
}
