//! The commands on a ledger with leases, against the wire form of S3: what `init` makes, what `status` and `ledger verify` read,
//! and what a hand-back leaves. What these do not prove: that the bucket's policy lets these puts through, and what S3 does
//! with two replacements of one lease that are truly under way at once.

mod support;

use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lifeboat_ledger::lease::Lease;
use lifeboat_ledger::{Hash, Holder};
use lifeboat_rules::Outcome;
use lifeboat_rules::epoch::Cause;
use serde_json::{Value, json};
use support::world::World;
use support::{Run, says};

const SLOTS: &str = "prefix: log/, streams: [ME1, ME2]";
/// As long ago as every object of this S3 was stored: what was not delivered by then is not waited for.
const LEASES: &str = "prefix: witness/, streams: [ME1, ME2], lease: { delivery_wait_seconds_max: 5 }";
const INIT: [&str; 2] = ["init", "plan.yaml"];
const VERIFY: [&str; 5] = ["ledger", "verify", "s3://aex-log/witness", "--plan", "plan.yaml"];
const HANDBACK: [&str; 6] = ["handback", "--reason", "the primary is well", "--by", "ops", "--yes"];
const FOLDER: &str = "aex-log/witness/2026/11/23/11";

/// A plan with leases, uploaded.
fn uploaded() -> World {
    let world = World::uploaded();
    world.folder.replace("plan.yaml", SLOTS, LEASES);
    world.upload();
    world
}

/// With its leases made.
fn begun() -> World {
    let world = uploaded();
    assert_eq!(bare(&world, &INIT, 0)["streams"][0]["open"], json!("done"));
    world
}

/// The command's JSON, without `--plan aex`.
#[track_caller]
fn bare(world: &World, arguments: &[&str], code: i32) -> Value {
    let run = world.folder.lifeboat_with(&[arguments, &["--json"]].concat(), &world.environment());
    assert_eq!(run.code, code, "{run:?}");
    run.json()
}

fn lease(world: &World, stream: &str) -> Lease {
    Lease::parse(stream, &world.s3.object(&format!("aex-log/lease/{stream}"))).expect("a lease")
}

/// Puts a lease as its holder, or a run, has left it.
fn stands(world: &World, lease: &Lease) {
    world.s3.put(&format!("aex-log/lease/{}", lease.stream), &lease.to_bytes());
}

/// What a delivery of the lines `first..=last` under `epoch` holds, chained behind `head`; and the hash of the last.
fn lines(stream: &str, first: u64, last: u64, epoch: u64, mut head: Hash) -> (String, Hash) {
    let mut text = String::new();
    for seq in first..=last {
        let line = format!(r#"{{"stream":"{stream}","seq":{seq},"prev":"{head}","epoch":{epoch}}}"#);
        head = Hash::of(line.as_bytes());
        text += &(line + "\n");
    }
    (text, head)
}

/// Three entries of each stream are acknowledged and delivered, and a run of epoch 2 has taken the leases over and halted.
fn halted() -> World {
    let world = begun();
    for stream in ["ME1", "ME2"] {
        let (text, head) = lines(stream, 1, 3, 1, Hash::GENESIS);
        world.s3.put(&format!("{FOLDER}/{stream}"), text.as_bytes());
        let held = Lease { watermark: 3, head, ..lease(&world, stream) };
        stands(&world, &held.taken(2, "run-2").expect("it is older"));
    }
    world.claim(2, "run-2", Cause::Alarm, 86_400);
    world.fence(2);
    world.close("run-2", Outcome::Halted, "the stacks failed", None);
    world
}

#[test]
fn init_makes_each_lease_once_and_status_tells_who_has_it() {
    let world = begun();
    for stream in ["ME1", "ME2"] {
        assert_eq!(lease(&world, stream), Lease::first(stream, 1, "genesis"));
    }
    assert!(!world.s3.keys().iter().any(|key| key.starts_with("aex-log/log/")), "no slot is written");
    let puts = world.s3.puts();
    let status = world.json(&["status"]);
    let held = json!({ "lease": { "epoch": 1, "run": "genesis", "holder": "primary" } });
    assert_eq!(
        status["streams"][0],
        json!({ "stream": "ME1", "last_seq": 0, "last": held, "age_seconds": 5 })
    );

    let advanced = Lease { watermark: 9, head: Hash::of(b"9"), ..lease(&world, "ME1") };
    stands(&world, &advanced.taken(2, "run-2").expect("it is older"));
    assert_eq!(bare(&world, &INIT, 0)["streams"][0]["open"], json!("done_already"));
    assert_eq!(lease(&world, "ME1").watermark, 9, "it is not begun again");
    assert_eq!(world.s3.puts(), puts);
    let told = world.run(&["status"]).out;
    for text in
        ["the primary has the lease under epoch 1", "run run-2 has taken the lease over under epoch 2"]
    {
        assert!(told.contains(text), "{told} should say: {text}");
    }
}

#[test]
fn init_leaves_to_a_person_what_is_not_a_beginning() {
    let world = uploaded();
    stands(&world, &Lease::first("ME1", 7, "somebody"));
    says(&bare(&world, &INIT, 3), &["the lease of stream ME1 began with epoch 7"]);
    assert!(!world.s3.keys().contains(&"aex-log/lease/ME2".to_owned()));

    let world = uploaded();
    world.claim(1, "genesis", Cause::Genesis, 86_400);
    world.claim(2, "run-2", Cause::Alarm, 60);
    says(&bare(&world, &INIT, 3), &["stream ME1 is new, but epoch 2 has been claimed"]);
}

/// What is too much for a run, by the sizes in the listing, is no obstacle to a person, or there would be no way on from it.
#[test]
fn a_person_goes_on_from_a_ledger_that_is_larger_than_a_run_can_read() {
    let world = halted();
    world.s3.lists_each_as("witness/", 1 << 40);
    assert_eq!(world.json(&["status", "--verify"])["verification"]["verdict"], json!("Proven"));
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done"));
    assert_eq!(lease(&world, "ME1").holder, Some(Holder::Primary));
}

#[test]
fn what_was_delivered_is_read_under_the_leases() {
    let world = halted();
    let proof = bare(&world, &VERIFY, 0);
    assert_eq!((&proof["verdict"], &proof["counts"]["entries"]), (&json!("Proven"), &json!(6)));

    // The old holder goes on sending: it acknowledges nothing of it, and nobody reads it.
    let (_, head) = lines("ME1", 1, 3, 1, Hash::GENESIS);
    let (void, _) = lines("ME1", 4, 8, 1, head);
    world.s3.put(&format!("{FOLDER}/late"), void.as_bytes());
    let proof = bare(&world, &VERIFY, 0);
    assert_eq!(proof["streams"][0]["through"], json!(3), "{proof}");
    let without = ["ledger", "verify", "s3://aex-log/witness", "--layout", "firehose"];
    let without =
        bare(&world, &[&without[..], &["--watermark", "ME1=8", "--watermark", "ME2=3"]].concat(), 0);
    assert_eq!(without["streams"][0]["through"], json!(8), "without the plan it is an entry like all others");

    // One that was acknowledged and is not there.
    let (_, head) = lines("ME2", 1, 4, 1, Hash::GENESIS);
    stands(&world, &Lease { watermark: 4, head, ..Lease::first("ME2", 1, "genesis") });
    let proof = bare(&world, &VERIFY, 2);
    assert!(proof["findings"][0].to_string().contains("whole through 3, but 4 was acknowledged"), "{proof}");

    let folder = ["ledger", "verify", "witness", "--plan", "plan.yaml"];
    says(&bare(&world, &folder, 64), &["the leases of this plan are in its bucket"]);
}

#[test]
fn a_hand_back_gives_the_leases_to_the_primary() {
    let world = halted();
    let report = world.json(&HANDBACK);
    let run = report["run"].as_str().expect("a name");
    for stream in ["ME1", "ME2"] {
        let lease = lease(&world, stream);
        assert_eq!((lease.epoch, lease.run.as_str(), lease.watermark), (3, run, 3));
        assert_eq!(lease.holder, Some(Holder::Primary));
    }
    assert_eq!(world.manifest(run).outcome, Outcome::HandedBack);
    let puts = world.s3.puts();
    assert_eq!(world.json(&HANDBACK)["handback"], json!("done_already"));
    assert_eq!(world.s3.puts(), puts);
}

#[test]
fn what_nobody_acknowledged_stands_in_no_hand_backs_way() {
    let world = halted();
    let (text, _) = lines("ME1", 2, 2, 1, Hash::GENESIS);
    world.s3.put_together_with("fence/", &format!("{FOLDER}/other"), text.as_bytes());
    world.json(&HANDBACK);
    assert_eq!(lease(&world, "ME1").holder, Some(Holder::Primary));
}

#[test]
fn an_entry_of_no_holder_that_is_delivered_at_the_last_moment_gives_the_lease_to_nobody() {
    let (world, late) = halted_too_early(7);
    world.s3.put_together_with("fence/", &format!("{FOLDER}/late"), late.as_bytes());
    let failure = world.ends(&HANDBACK, 1);
    says(&failure, &["not every stream is open for the primary", "the ledger is broken", "ME1"]);
    assert_eq!(lease(&world, "ME1").holder, None);
}

/// Longer than one call of the ledger's own waits (20 s), and no more than a test may take.
const WITHIN: Duration = Duration::from_secs(60);
/// More than one call of the ledger's own has: it looks each 5 s, for 20 s.
const LOOKS: usize = 6;

/// As [`halted`], under a plan that waits for a minute, with the last entry of ME1, of `epoch`, acknowledged and not delivered; and
/// that entry.
fn halted_too_early(epoch: u64) -> (World, String) {
    let world = uploaded();
    world.folder.replace("plan.yaml", "delivery_wait_seconds_max: 5", "delivery_wait_seconds_max: 60");
    world.upload();
    bare(&world, &INIT, 0);
    let mut late = String::new();
    for stream in ["ME1", "ME2"] {
        let (text, head) = lines(stream, 1, 2, 1, Hash::GENESIS);
        let (last, head) = lines(stream, 3, 3, if stream == "ME1" { epoch } else { 1 }, head);
        world.s3.put(&format!("{FOLDER}/{stream}"), text.as_bytes());
        match stream {
            "ME1" => late = last,
            _ => world.s3.put(&format!("{FOLDER}/{stream}-2"), last.as_bytes()),
        }
        let held = Lease { watermark: 3, head, ..lease(&world, stream) };
        stands(&world, &held.taken(2, "run-2").expect("it is older"));
    }
    world.claim(2, "run-2", Cause::Alarm, 86_400);
    world.fence(2);
    world.close("run-2", Outcome::Halted, "the stacks failed", None);
    (world, late)
}

/// A hand-back that has begun, and has both leases.
fn waiting(world: &World, epoch: u64) -> Child {
    let arguments = [&HANDBACK[..], &["--plan", "aex", "--json"]].concat();
    let command = world.folder.start(&arguments, &world.environment());
    let taken = |stream: &&str| lease(world, stream).epoch == epoch;
    until("the leases are taken over", || ["ME1", "ME2"].iter().all(taken));
    command
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {WITHIN:?}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_hand_back_waits_for_what_is_still_to_be_delivered() {
    let (world, late) = halted_too_early(1);
    let command = waiting(&world, 3);
    let before = world.s3.listings_of("witness/");
    until("it looks again", || world.s3.listings_of("witness/") >= before + LOOKS);
    assert_eq!(lease(&world, "ME1").holder, None, "nobody is given what is not whole");
    world.s3.put(&format!("{FOLDER}/late"), late.as_bytes());
    let done = Run::of(command);
    assert_eq!(done.code, 0, "{done:?}");
    for stream in ["ME1", "ME2"] {
        let lease = lease(&world, stream);
        assert_eq!((lease.epoch, lease.watermark, lease.holder), (3, 3, Some(Holder::Primary)));
    }
    assert_eq!(world.manifest(done.json()["run"].as_str().expect("a name")).outcome, Outcome::HandedBack);
}

#[test]
fn a_hand_back_that_is_stopped_while_it_waits_is_finished_by_the_next_one() {
    let (world, late) = halted_too_early(1);
    let mut command = waiting(&world, 3);
    command.kill().expect("it is there");
    command.wait().expect("it ends");
    assert_eq!(lease(&world, "ME1").holder, None);
    world.s3.put(&format!("{FOLDER}/late"), late.as_bytes());
    assert_eq!(world.json(&HANDBACK)["epoch"], json!(4));
    let lease = lease(&world, "ME1");
    assert_eq!((lease.epoch, lease.holder), (4, Some(Holder::Primary)));
    assert_eq!(lease.closed.len(), 1, "the epochs that nobody held have closed nothing");
}

#[test]
fn what_is_never_delivered_is_given_to_nobody_and_it_is_said_where_to_look() {
    let (world, _) = halted_too_early(1);
    world.folder.replace("plan.yaml", "delivery_wait_seconds_max: 60", "delivery_wait_seconds_max: 5");
    world.upload();
    let failure = world.ends(&HANDBACK, 2);
    says(&failure, &["the delivery stream's errors or backup", "s3://aex-log/witness/"]);
    assert_eq!(lease(&world, "ME1").epoch, 2, "nothing was done");
}
