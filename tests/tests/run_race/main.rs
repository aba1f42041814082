//! Two runs of one plan, started at the same moment, live on the local world, until so many rounds were races: one claims the epoch and
//! brings the recovery side up, the other ends `Superseded`, and nothing of the winner's is touched. Each round is set back
//! by `lifeboat handback`, which must succeed each time.
//!
//! What is real and what stands in is the light stage's (`lifeboat_tests::light`), with SNS from the alarm in every other round; one
//! stream, and the primary's entries are this test's own.
//!
//! By hand, as long as it is documented: `LIFEBOAT_ROUNDS=200 cargo test --package lifeboat-tests --test run_race --
//! --nocapture`.

mod judge;
mod runs;
mod stage;

use std::time::{Duration, Instant};

use judge::Loser;
use lifeboat_tests::drill;
use lifeboat_tests::light::runs::{End, is_of_alarm};
use lifeboat_tests::world::{World, WorldOptions};
use runs::Starts;
use stage::Stage;

/// Without the variable: enough to see both kinds of start more than once.
const RACES: u32 = 6;
/// Rounds that may be no race, besides as many as there are races: on a loaded machine one run may sleep through the other.
const SPARE_ROUNDS: u32 = 6;
/// From the starts to the end of the slower run.
const RUNS_WITHIN: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_one_claims_and_the_other_touches_nothing() {
    let asked =
        std::env::var("LIFEBOAT_ROUNDS").ok().map(|rounds| rounds.parse().expect("a number of rounds"));
    let rounds: u32 = asked.unwrap_or(RACES);
    tokio::task::spawn_blocking(drill::build).await.unwrap().unwrap();
    let world = World::start(WorldOptions::default()).await.unwrap();
    let mut stage = Stage::set(&world).await;

    let began = Instant::now();
    let (mut superseded, mut refused, mut stood_down, mut of_alarm) = (0, 0, 0, 0);
    let mut round = 0;
    // A run that came too late to race at all ends otherwise, and legitimately: such a round is played, and not counted.
    while superseded < rounds {
        round += 1;
        assert!(round <= 2 * rounds + SPARE_ROUNDS, "only {superseded} of {} rounds were races", round - 1);
        let round_began = Instant::now();
        stage.trade().await;
        let before = stage.newest_epoch().await;
        let names = runs::start_two(&stage, round, Starts::of(round)).await;
        let ends = runs::follow(&stage, &names, RUNS_WITHIN).await;
        let runs_took = round_began.elapsed();

        let (winner, loser) = judge::tell_apart(&ends);
        match judge::judge(&mut stage, before + 1, winner, loser).await {
            Loser::Superseded => superseded += 1,
            Loser::Refused => refused += 1,
            Loser::StoodDown => stood_down += 1,
        }
        let alarm_won = is_of_alarm(&winner.name);
        of_alarm += u32::from(alarm_won);
        stage.set_back(before + 1, alarm_won).await;
        let End { name: loser, outcome, .. } = loser;
        println!(
            "round {round}, {superseded} of {rounds} races: epoch {} is {}'s; {loser}: {outcome}; runs {:.1} s, whole {:.1} s",
            before + 1,
            winner.name,
            runs_took.as_secs_f64(),
            round_began.elapsed().as_secs_f64()
        );
    }
    println!(
        "{round} rounds in {:.0} s: {superseded} losers Superseded, {refused} Refused at admission, {stood_down} \
         StoodDown while the winner sealed; the alarm's run won {of_alarm}",
        began.elapsed().as_secs_f64()
    );
}
