//! What a step leaves beside its records, and what later attempts read of it, against the emulator's S3.

use std::collections::BTreeSet;

use lifeboat_rules::evidence::sha256;
use lifeboat_rules::{ErrorName, Step};
use lifeboat_runtime::{Context, Store};
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::proxy::{Fault, Scope};
use lifeboat_tests::world::{Clients, World, WorldOptions};

const EVIDENCE: &str = "aex-evidence";
const FUNCTION: &str = "a-function";

fn step(attempt: u32) -> Step {
    Step {
        run: "run-2".to_owned(),
        plan_key: "plan/aex.json".to_owned(),
        name: "Confirm the flip".to_owned(),
        entered: "2026-11-24T00:00:00Z".to_owned(),
        attempt,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_there_once_and_is_read_by_later_attempts() {
    let mut world = World::start(WorldOptions::default()).await.expect("a world");
    let entrance = world.entrance(FUNCTION).await.expect("an entrance");
    let clients = Clients::new(&entrance, world.recovery());
    create_bucket(&clients, &Bucket::versioned(EVIDENCE)).await.expect("a bucket");
    let store = Store::new(&clients.config);
    let context = Context {
        store: store.clone(),
        control_bucket: "none".to_owned(),
        evidence_bucket: EVIDENCE.to_owned(),
    };

    // Beside the records of the step; its digest and size are those of the very bytes.
    let first = context.leave(&step(0), "answered", &["a"]).await.expect("left");
    assert!(
        first.key.starts_with("aex/run-2/left/2026-11-24T00:00:00Z-Confirm-the-flip-0-answered-"),
        "{first:?}"
    );
    let bytes = store.get(EVIDENCE, &first.key, None).await.expect("an answer").expect("it is there");
    assert_eq!(bytes, br#"["a"]"#);
    assert_eq!((first.sha256.as_str(), first.bytes), (sha256(&bytes).as_str(), 5));

    // The same again is the same object, also where the first put's answer was lost; another value is another one.
    let puts = Scope::origin(FUNCTION).service("s3").method("PUT");
    world.proxy().add_times(puts, Fault::LoseAnswer, 1);
    let tenth = context.leave(&step(10), "answered", &["k"]).await.expect("read back");
    assert_eq!(context.leave(&step(10), "answered", &["k"]).await.expect("left"), tenth);
    assert_eq!(context.leave(&step(0), "answered", &["a"]).await.expect("left"), first);
    let other = context.leave(&step(0), "answered", &["b"]).await.expect("left");
    let third = context.leave(&step(2), "answered", &["c"]).await.expect("left");
    let keys = BTreeSet::from([&first.key, &other.key, &third.key, &tenth.key]);
    assert_eq!(keys.len(), 4);
    let versions = clients.s3.list_object_versions().bucket(EVIDENCE).send().await.expect("versions");
    assert_eq!(versions.versions().len(), 4, "nothing was put twice");

    // In the order of the attempts, and nothing of another name, state or visit.
    context.leave(&step(1), "receipts", &["no"]).await.expect("left");
    let again = Step { name: "Confirm the flip again".to_owned(), ..step(1) };
    context.leave(&again, "answered", &["no"]).await.expect("left");
    let later = Step { entered: "2026-11-24T00:00:01Z".to_owned(), ..step(1) };
    context.leave(&later, "answered", &["no"]).await.expect("left");
    let mut left: Vec<Vec<String>> = context.left(&step(11), "answered").await.expect("what was left");
    left[..2].sort();
    assert_eq!(left, [["a"], ["b"], ["c"], ["k"]]);

    // Neither a step of no plan nor an object that is something else is passed over.
    let of_no_plan = Step { plan_key: "aex.json".to_owned(), ..step(0) };
    let error = context.leave(&of_no_plan, "answered", &[0]).await.expect_err("no plan");
    assert_eq!(error.name, ErrorName::InputInvalid, "{error}");
    let error = context.left::<u64>(&step(0), "answered").await.expect_err("no numbers");
    assert!(error.name == ErrorName::Defect && error.to_string().contains("-0-answered-"), "{error}");
}
