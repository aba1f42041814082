//! Moving records through Route 53's wire form where it is busy. What these do not prove: when Route 53 says so, and for how
//! long; the codes are those of its documentation.

mod support;

use serde_json::json;
use support::world::{GATEWAY, PRIMARY, World};

const HANDBACK: [&str; 6] = ["handback", "--reason", "the primary is well", "--by", "ops", "--yes"];

#[test]
fn a_zone_that_is_busy_is_asked_again_with_the_same_batch() {
    let world = World::halted();
    world.route53.is_busy(&["PriorRequestNotComplete", "Throttling"]);
    let report = world.json(&HANDBACK);
    assert_eq!(report["handback"], json!("done"));
    let traffic = &report["facts"]["traffic"];
    assert_eq!(
        (&traffic["batches"], &traffic["of"], &traffic["resumed"]),
        (&json!(1), &json!(1), &json!(false))
    );
    assert_eq!(world.route53.changes(), 3, "two refused, one taken, none in between or after");
    assert_eq!((world.zone_epoch(), world.route53.values(GATEWAY, "A")), (Some(3), vec![PRIMARY.to_owned()]));
}

#[test]
fn busy_and_then_an_answer_that_is_lost_is_read_back_and_not_sent_again() {
    let world = World::halted();
    world.route53.is_busy(&["Throttling"]);
    world.route53.lose_answer();
    let report = world.json(&HANDBACK);
    assert!(world.route53.has_lost_it());
    assert_eq!(report["handback"], json!("done"));
    assert_eq!(world.route53.changes(), 2, "one refused, one taken whose answer was lost");
    assert_eq!(world.zone_epoch(), Some(3));
}

#[test]
fn what_a_hand_back_has_sent_is_named_by_its_manifest() {
    let world = World::halted();
    let report = world.json(&HANDBACK);
    let run = report["run"].as_str().expect("a run");
    let left = world.s3.keys().into_iter().filter(|path| path.contains(&format!("{run}/left/"))).count();
    assert!(left > 0, "the batch is left");
    assert_eq!(world.manifest(run).records.len(), left);
    assert_eq!(world.wrong(run), Vec::<String>::new());
}
