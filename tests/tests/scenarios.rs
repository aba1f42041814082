//! Every folder of `tests/scenarios`, one trial each: `cargo test -p lifeboat-tests --test scenarios -- alarm`.
//!
//! What these do not prove: that AWS behaves as the emulator does, and that the schedule calls the probe each minute
//! (`cargo drill` waits for it).

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use lifeboat_tests::world::explain;
use lifeboat_tests::{drill, scenario};

/// Worlds at once. A scenario mostly waits; two cores carry this many.
const WORLDS_AT_ONCE: usize = 3;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(WORLDS_AT_ONCE).min(WORLDS_AT_ONCE));
    let names = scenario::all().unwrap_or_else(|err| panic!("{}", explain(&err)));
    let trials = names.into_iter().map(|name| Trial::test(name.clone(), move || played_as_expected(&name)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn played_as_expected(name: &str) -> Result<(), Failed> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    BUILT.get_or_init(|| drill::build().map_err(|err| explain(&err))).clone()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let label = name.to_owned();
    let report = Arc::new(move |line: &str| eprintln!("{label}: {line}"));
    let played = runtime.block_on(scenario::play(name, report)).map_err(|err| explain(&err))?;
    let judged = scenario::judge(name, &played).map_err(|err| explain(&err))?;
    judged.map_err(|complaint| Failed::from(format!("{name}: {complaint}")))
}
