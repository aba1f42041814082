//! Every Lambda as `cargo lambda watch` serves it and `cargo lambda invoke` calls it, each fixture in
//! `tests/fixtures/invoke` once: with good input, with bad input, with a wrong plan.
//!
//! By hand: `cargo test --package lifeboat-tests --test invoke -- --nocapture`.

mod fixture;
mod stage;
mod watch;

use std::time::Instant;

use fixture::Fixture;
use lifeboat_tests::FUNCTIONS;
use lifeboat_tests::drill;
use lifeboat_tests::world::{World, WorldOptions};
use stage::Stage;
use watch::Watch;

/// The cases of a function come in the order of their names: one may build on what an earlier one has done (what was
/// flipped is confirmed).
#[tokio::test(flavor = "multi_thread")]
async fn every_lambda_answers_its_fixtures() {
    tokio::task::spawn_blocking(drill::build).await.unwrap().unwrap();
    let world = World::start(WorldOptions::default()).await.unwrap();
    let stage = Stage::set(&world).await;
    let watch = Watch::start(&world, &stage.environment).await;

    let mut wrong = Vec::new();
    let mut fixtures = Fixture::read_all(&stage.values);
    fixtures.sort_by_key(|fixture| FUNCTIONS.iter().position(|name| *name == fixture.function));
    for fixture in fixtures {
        let began = Instant::now();
        let answer = watch.invoke(&fixture.function, &fixture.payload).await;
        let verdict = fixture.judge(&answer);
        let mark = if verdict.is_ok() { "holds" } else { "FAILS" };
        println!("{mark}  {:>6} ms  {}", began.elapsed().as_millis(), fixture.name());
        if let Err(why) = verdict {
            wrong.push(format!("{}: {why}", fixture.name()));
        }
    }
    assert!(wrong.is_empty(), "{}\n\nthe log of the watch ends:\n{}", wrong.join("\n"), watch.log());

    drop(watch);
    #[cfg(target_os = "linux")]
    until_nothing_is_left(&world.endpoint()).await;
}

/// Waits until no process has `endpoint` in its environment: every function had it, and nothing else of this world.
#[cfg(target_os = "linux")]
async fn until_nothing_is_left(endpoint: &str) {
    use std::time::Duration;

    let marker = format!("AWS_ENDPOINT_URL={endpoint}\0");
    let holds = |environ: Vec<u8>| environ.windows(marker.len()).any(|part| part == marker.as_bytes());
    let running = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes.filter(|one| std::fs::read(one.path().join("environ")).is_ok_and(holds)).count()
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while running() > 0 {
        assert!(Instant::now() < deadline, "{} functions outlived the watch", running());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A function without a fixture of each kind is a function that nobody has called wrongly yet.
#[test]
fn every_function_has_a_fixture_of_each_kind() {
    let all = Fixture::read_all(&Default::default());
    for function in FUNCTIONS {
        let has = |error: Option<&str>| {
            all.iter().any(|fixture| fixture.function == function && fixture.expected_error() == error)
        };
        assert!(has(None), "{function} has no fixture for success");
        assert!(has(Some("InputInvalid")), "{function} has no fixture for bad input");
        // alarm-trigger reads no plan: it only names one.
        assert!(has(Some("PlanInvalid")) || function == "alarm-trigger", "{function}: none for a wrong plan");
    }
    for fixture in &all {
        assert!(FUNCTIONS.contains(&fixture.function.as_str()), "{} is of no function", fixture.name());
    }
}
