//! A writer, a sealer of epoch 42 and a stale sealer of epoch 41, raced on one stream by real conditional puts, for many
//! rounds: nothing is acknowledged beyond a seal that counts, nothing is lost, the stale seal is inert.
//!
//! The writer is AEX's own commit over the ledger's protocol, the sealers are the product's own [`ledger_verify::Append`],
//! and where a seal of the stale side would not be put by that, a program that asks nothing before it puts (`Manner`).
//! Answers are lost on their way by the world's proxy. What came of it is read back by [`lifeboat_ledger::Fold`], and
//! judged once more by a reading of its own.
//!
//! What this does not prove: that S3 lets exactly one of two conditional puts of a key win. Its documentation says so; the
//! puts here are the emulator's.
//!
//! By hand, for long: `LIFEBOAT_ROUNDS=2000 cargo test --package lifeboat-tests --test seal_race -- --nocapture`.

mod judge;
mod kind;
mod round;
mod sealer;
mod writer;

use std::time::Instant;

use futures::{StreamExt, stream};
use judge::Seen;
use kind::Kind;
use lifeboat_tests::world::{World, WorldOptions};
use round::Track;

/// Rounds that are under way at the same time, each with a bucket of its own: most of a round is waiting.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_acknowledged_beyond_a_seal_that_counts() {
    // Fewer than one of each kind would show less than is asserted below.
    let asked =
        std::env::var("LIFEBOAT_ROUNDS").ok().map(|rounds| rounds.parse().expect("a number of rounds"));
    let rounds = asked.unwrap_or(Kind::COUNT).max(Kind::COUNT);

    let mut world = World::start(WorldOptions::default()).await.unwrap();
    let track = Track::lay(&mut world).await;
    let began = Instant::now();
    let (mut seen, mut done) = (Seen::default(), 0);
    let mut running =
        stream::iter(0..rounds).map(|number| track.run(number, Kind::of(number))).buffer_unordered(AT_ONCE);
    while let Some(round) = running.next().await {
        seen.add(&round);
        done += 1;
        if done % 100 == 0 {
            println!("{done} rounds in {:.1?}", began.elapsed());
        }
    }
    println!("{rounds} rounds in {:.1?}: {seen:#?}", began.elapsed());
    seen.assert_each_happened();
}
