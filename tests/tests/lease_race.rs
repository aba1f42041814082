//! Take-overs race holders that advance, on several streams at once, against the emulator's `If-Match`.
//!
//! The take-over's calls pass the world's proxy, so that it is known how often one of its puts came too late. That S3 itself lets
//! one of two such puts win is its documentation's word, and not shown here.

use ledger_verify::{Action, Answer, handle, lease};
use lifeboat_ledger::lease::{LEASE_PREFIX, Lease, LeaseWriter};
use lifeboat_ledger::{Hash, Holder, slot};
use lifeboat_rules::admission::{GENESIS, GENESIS_EPOCH};
use lifeboat_rules::epoch::{Cause, Claim};
use lifeboat_rules::plan::LeasePlan;
use lifeboat_rules::{ErrorName, Plan, Request, Run, Step, StepError};
use lifeboat_runtime::{Context, Log, Store, now};
use lifeboat_tests::given;
use lifeboat_tests::leased::advance::advance;
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::{Clients, World, WorldOptions};
use run_control::claim_epoch;
use serde_json::json;

const CONTROL: &str = "aex-control";
const EVIDENCE: &str = "aex-evidence";
const LOG: &str = "aex-log";
const STREAMS: [&str; 3] = ["ME1", "ME2", "ME3"];
/// Who takes over, for the proxy.
const TAKER: &str = "taker";
/// Rounds in the suite; `LIFEBOAT_ROUNDS` says how many otherwise.
const ROUNDS: u64 = 8;
/// Of a step that was beaten as often as the plan allows.
const TRIES_MAX: u32 = 10;

/// The hash of an entry that nobody has delivered: who advances and who takes over do not read it.
fn head(stream: &str, seq: u64, epoch: u64) -> Hash {
    Hash::of(format!("{stream} {seq} {epoch}").as_bytes())
}

/// A stream's holder, which advances until it is fenced: the last sequence that it acknowledged, and its hash.
async fn hold(store: Store, mut writer: LeaseWriter, stream: &str, epoch: u64) -> (u64, Hash) {
    let mut acknowledged = (writer.watermark(), writer.head());
    loop {
        let next = acknowledged.0 + 1;
        let head = head(stream, next, epoch);
        if advance(&store, LOG, &mut writer, next, head).await.is_err() {
            return acknowledged;
        }
        acknowledged = (next, head);
    }
}

async fn read(store: &Store, plan: &Plan, stream: &str) -> (Lease, String) {
    let found = Log::new(store, &plan.ledger).lease(stream).await.expect("an answer");
    let (lease, tagged) = found.expect("a lease");
    (lease, tagged.etag)
}

async fn step(context: &Context, run: &Run, action: Action) -> Result<Answer, StepError> {
    let step = Step {
        run: run.id.clone(),
        plan_key: run.plan.key.clone(),
        name: "a test".into(),
        entered: "2026-11-23T00:00:00Z".into(),
        attempt: 0,
    };
    handle(context, Request { step, run: Some(run.clone()), action }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wins_everything_acknowledged_lies_at_or_below_the_watermark_of_the_take_over() {
    let mut world = World::start(WorldOptions::default()).await.expect("a world");
    let clients = world.clients(world.recovery());
    for bucket in [Bucket::versioned(CONTROL), Bucket::plain(EVIDENCE), Bucket::versioned(LOG)] {
        create_bucket(&clients, &bucket).await.expect("a bucket");
    }
    let mut plan = given::plan();
    plan.ledger.streams = STREAMS.map(Into::into).to_vec();
    plan.ledger.bucket = LOG.into();
    plan.ledger.prefix = "witness/".into();
    plan.ledger.lease = Some(LeasePlan { delivery_wait_seconds_max: 600 });
    let uploaded = given::put_plan(&clients, CONTROL, &plan).await.expect("a plan");
    let store = Store::new(&clients.config);
    for stream in STREAMS {
        lease::first(&store, &plan, stream, GENESIS_EPOCH, GENESIS).await.expect("a lease");
    }
    let endpoint = world.entrance(TAKER).await.expect("a way in");
    let context = Context {
        store: Store::new(&Clients::new(&endpoint, world.recovery()).config),
        control_bucket: CONTROL.into(),
        evidence_bucket: EVIDENCE.into(),
    };
    let first = given::run("history", uploaded.clone(), GENESIS_EPOCH, None);
    let history = match step(&context, &first, Action::VerifyHistory {}).await.expect("an answer") {
        Answer::Proven(examined) => examined.streams,
        other => panic!("{other:?}"),
    };

    let rounds = std::env::var("LIFEBOAT_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let mut advanced = 0;
    for round in 0..rounds {
        let (before, _) = read(&store, &plan, STREAMS[0]).await;
        let side = before.holder.expect("it is held");
        let (of, epoch) = ((side == Holder::Recovery).then_some(before.epoch), before.epoch + 1);
        let run = given::run(format!("run-{epoch}"), uploaded.clone(), before.epoch, Some(epoch));
        let claim = Claim { epoch, run: run.id.clone(), at: now(), cause: Cause::Alarm };
        claim_epoch(&store, CONTROL, "aex", &claim).await.expect("an epoch");
        // The fence of an earlier attempt stands: so the step does not wait until the leases stand still.
        let fence = serde_json::to_vec(&json!({ "epoch": epoch, "run": run.id })).expect("JSON");
        store.create(LOG, &slot::fence_key(epoch), &fence).await.expect("a fence");

        let mut holding = Vec::new();
        for stream in STREAMS {
            let (lease, etag) = read(&store, &plan, stream).await;
            let writer = LeaseWriter::new(lease, etag, side, of);
            holding.push(tokio::spawn(hold(store.clone(), writer, stream, before.epoch)));
        }
        let mut tries = 0;
        loop {
            match step(&context, &run, Action::Seal { history: history.clone() }).await {
                Ok(Answer::Sealed { .. }) => break,
                Err(err) if err.name == ErrorName::Transient && tries < TRIES_MAX => tries += 1,
                other => panic!("{other:?}"),
            }
        }
        let opened = step(&context, &run, Action::Open { sealed: history.clone() }).await;
        assert!(matches!(opened, Ok(Answer::Opened { .. })), "{opened:?}");
        for (stream, holding) in STREAMS.into_iter().zip(holding) {
            let (acknowledged, head) = holding.await.expect("it ends by itself");
            let (after, _) = read(&store, &plan, stream).await;
            let closed =
                after.closed.iter().find(|closed| closed.epoch == before.epoch).expect("it was closed");
            assert_eq!((acknowledged, head), (closed.watermark, closed.head), "round {round}, {stream}");
            assert_eq!((after.epoch, after.watermark, after.head), (epoch, acknowledged, head));
            let held_from = after.closed.iter().rev().nth(1).map_or(0, |earlier| earlier.watermark);
            advanced += u64::from(acknowledged > held_from);
        }
    }
    let calls = world.proxy().calls();
    let lease_path = format!("/{LOG}/{LEASE_PREFIX}");
    let puts = calls.iter().filter(|record| {
        record.call.origin == TAKER
            && record.call.method == "PUT"
            && record.call.path.starts_with(&lease_path)
    });
    let (refused, stored): (Vec<_>, Vec<_>) = puts.partition(|record| record.status == Some(412));
    println!(
        "{rounds} rounds of {} streams: {advanced} holders had advanced; {} puts of the take-over came too late, {} were stored",
        STREAMS.len(),
        refused.len(),
        stored.len()
    );
    assert!(advanced > 0, "no holder ever advanced: nothing was raced");
    assert!(!refused.is_empty(), "no put of a take-over ever came too late: the refusal was not tried");
}
