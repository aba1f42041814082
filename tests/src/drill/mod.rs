//! The drill: an exchange trades, its Region is taken away, and Lifeboat brings it back, all on the local world.
//!
//! What is real here: the Lambda binaries, the state machine's definition, the deployment templates, the plan, the
//! exchange, its client, DNS over sockets, the conditional writes. What is emulated: AWS itself (MiniStack). What is
//! never done here: putting the alarm's metric, setting the alarm, or starting the run by hand (but for the test that
//! a start by hand does the same).

pub mod checks;
mod follow;
pub mod region;
pub mod setting;
pub mod stage;
pub mod summary;
mod zone;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aex::client::{Client, ClientConfig};
use jiff::Timestamp;
use serde_json::json;

pub use setting::Setting;
pub use stage::Stage;
pub use summary::{Check, Summary};

use crate::world::error::{Doing as _, WorldError};
use crate::world::proxy::RuleId;
use crate::world::{ContainerState, Signal, World, WorldOptions, places};
use follow::Execution;

/// How the drill tries to make Lifeboat do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sabotage {
    /// An acknowledged entry is removed from the history: the run must halt before any seal.
    LedgerGap,
    /// A stack cannot be launched: the run must halt and take down what it launched.
    StackFails,
    /// The exchange hangs until the alarm fires, then goes on: the run must stand down.
    FalseAlarm,
    /// The old primary is only frozen, and wakes up after the seal: it must not acknowledge anything.
    Zombie,
}

/// What starts the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The scheduled probe, the alarm and alarm-trigger.
    Alarm,
    /// A person, by `aws stepfunctions start-execution`.
    Operator,
}

/// What to drill.
#[derive(Clone)]
pub struct Options {
    /// How to make it go wrong, if at all.
    pub sabotage: Option<Sabotage>,
    /// What starts the run.
    pub start: Start,
    /// Acknowledged orders before the primary is struck.
    pub orders: usize,
    /// Told each line of progress.
    pub report: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Why a drill did not come to a verdict.
pub type DrillError = WorldError;

/// Where the control planes of Route 53 and IAM are, and no other Region has one.
const CONTROL_PLANES: &str = "us-east-1";
/// Orders a second that the client sends.
const ORDERS_PER_SECOND: u32 = 450;
/// Orders that the client keeps in flight.
const ORDERS_IN_FLIGHT: usize = 96;
/// Questions that the client has in flight when it compares its memory with the exchange.
const QUERIES_IN_FLIGHT: usize = 32;
/// The scheduled probe runs each minute: what is not watched cannot be seen to fail.
const MONITORED_WITHIN: Duration = Duration::from_secs(150);
/// For the orders before the strike.
const TRADED_WITHIN: Duration = Duration::from_secs(300);
/// From the strike to the alarm.
const ALARM_WITHIN: Duration = Duration::from_secs(120);
/// A whole run, from its start to its end.
const RUN_WITHIN: Duration = Duration::from_secs(240);

/// Builds what the drill runs: one build for all binaries of the workspace, since testing one package builds no other's.
///
/// # Errors
/// Where cargo fails; its own output says why.
pub fn build() -> Result<(), DrillError> {
    let status = std::process::Command::new(env!("CARGO"))
        .args(["build", "--workspace", "--bins", "--quiet"])
        .current_dir(places::repository())
        .status();
    let status = status.doing(|| "start cargo".to_owned())?;
    if status.success() {
        Ok(())
    } else {
        Err(WorldError::failed("build the workspace", format!("cargo: {status}")))
    }
}

/// Runs one drill. Everything that it started is gone when it returns, or when its future is dropped.
///
/// # Errors
/// Where the local world or the exchange could not be brought as far as the strike, or a run never came to an end. A run
/// that ends otherwise than it should is no error: the summary's checks say so.
pub async fn run(options: &Options) -> Result<Summary, DrillError> {
    let report = &*options.report;
    report("bringing up the local world");
    let world = World::start(WorldOptions {
        report: Arc::clone(&options.report),
        ..WorldOptions::default().image("aex", places::binary("aex")?)
    })
    .await?;
    report(&format!("logs of this run: {}", world.run().path().display()));
    let mut setting = Setting::new(Arc::clone(&options.report));
    if options.sabotage == Some(Sabotage::StackFails) {
        setting.stacks.push(json!({
            "name": "market-data", "template": "${REPOSITORY}/tests/drill/market-data.yaml",
            "depends_on": ["cluster"], "parameters": {},
        }));
    }
    // A gap that the witness could mend would be mended: the sabotage is of one that nobody can. The emulator delivers each
    // record as an object of its own, so the newest few hundred are what a real stream has in a few.
    if options.sabotage != Some(Sabotage::LedgerGap) {
        setting.plan = json!({ "ledger": { "witness": { "prefix": "witness/", "required": true, "objects_max": 200 } } });
    }
    let stage = Stage::set(&world, &setting).await?;

    report(
        "the exchange is up and quiet; waiting until the scheduled probe has looked and the alarm says OK",
    );
    stage.wait_for_alarm(&world, "OK", MONITORED_WITHIN).await?;
    let mut client = Client::start(ClientConfig {
        gateway: "gateway.aex.internal".into(),
        port: stage.port,
        dns_server: world.dns_address(),
        symbols: setting::SYMBOLS.map(String::from).to_vec(),
        rate_per_second: ORDERS_PER_SECOND,
        in_flight: ORDERS_IN_FLIGHT,
        journal_path: world.run().file("client.ndjson"),
        seed: 1,
    })
    .doing(|| "start the client".to_owned())?;
    report(&format!("the client trades until {} orders are acknowledged", options.orders));
    if !client.wait_for_count(options.orders, TRADED_WITHIN).await {
        let what = format!("trade {} orders: {:?}", options.orders, client.counts());
        return Err(WorldError::TooLate { what, within: TRADED_WITHIN });
    }

    let mut drill = Drill { world, stage, client: &mut client, options };
    let summary = drill.strike_and_follow().await;
    let Drill { world, .. } = drill;
    client.stop().await;
    let summary = summary?;
    summary.write(&world.stop())?;
    Ok(summary)
}

struct Drill<'a> {
    world: World,
    stage: Stage,
    client: &'a mut Client,
    options: &'a Options,
}

/// What the drill saw while it ran, to be judged by [`checks`].
pub(crate) struct Seen<'a> {
    pub world: &'a World,
    pub stage: &'a Stage,
    pub client: &'a Client,
    pub struck_at: Timestamp,
    pub alarm_at: Option<Timestamp>,
    pub execution: Execution,
    pub zone_before: Vec<String>,
    pub removed: Option<(String, u64)>,
}

impl Drill<'_> {
    async fn strike_and_follow(&mut self) -> Result<Summary, DrillError> {
        let Drill { world, stage, client, options } = self;
        let report = &*options.report;
        let zone_before = stage.zone(world).await?;
        let primary = world.primary().to_owned();
        let is_primary = |container: &ContainerState| container.region == primary;

        let mut removed = None;
        if options.sabotage == Some(Sabotage::LedgerGap) {
            let mut acks = client.acks();
            acks.sort_by_key(|ack| ack.at);
            let ack = &acks[acks.len() / 2];
            let slot = stage.remove_segment(world, &ack.stream, ack.seq).await?;
            report(&format!(
                "sabotage: removed the segment {slot} of {}, acknowledged as {}",
                ack.stream, ack.seq
            ));
            removed = Some((ack.stream.clone(), slot));
        }
        // The Region first, then the process: nothing there may notice the one and act on the other. With it goes the Region
        // of the control planes that are nowhere else: whether the primary was there too is not to matter.
        let taken: Vec<RuleId> = match options.sabotage {
            Some(Sabotage::FalseAlarm) => vec![],
            _ => [primary.as_str(), CONTROL_PLANES].map(|region| world.proxy().refuse_region(region)).into(),
        };
        // Under sabotage the primary is frozen: what comes back to life tells more than what is dead.
        let frozen = options.sabotage.is_some();
        let signal = if frozen { Signal::Stop } else { Signal::Kill };
        world.standin().signal(signal, is_primary)?;
        let (struck, struck_at) = (Instant::now(), crate::world::now());
        let kill = client.mark_kill(struck);
        report(&format!(
            "the primary is {} with {} orders acknowledged and {} in doubt",
            match (frozen, taken.is_empty()) {
                (false, _) => "killed, its Region and us-east-1 taken away",
                (true, false) => "frozen, its Region and us-east-1 taken away",
                (true, true) => "frozen",
            },
            kill.acknowledged,
            kill.in_doubt
        ));

        let alarm_at = match options.start {
            Start::Alarm => {
                let at = stage.wait_for_alarm(world, "ALARM", ALARM_WITHIN).await?;
                report(&format!("the alarm fired {:.1} s after the strike", seconds(struck_at, at)));
                Some(at)
            }
            Start::Operator => {
                stage.start_by_hand(world).await?;
                report("started by hand");
                None
            }
        };
        if options.sabotage == Some(Sabotage::FalseAlarm) {
            world.standin().signal(Signal::Continue, is_primary)?;
            report("sabotage: the primary goes on as if nothing had been");
        }
        let execution = Execution::follow(world, stage, RUN_WITHIN, report).await?;
        report(&format!("{}: {}", execution.outcome, execution.reason));

        if matches!(options.sabotage, Some(Sabotage::LedgerGap | Sabotage::StackFails)) {
            taken.into_iter().for_each(|rule| {
                world.proxy().lift(rule);
            });
        }
        let seen = Seen { world, stage, client, struck_at, alarm_at, execution, zone_before, removed };
        let checks = checks::judge(&seen, options.sabotage, report).await?;
        summary::summarise(&seen, options, &kill, checks, QUERIES_IN_FLIGHT).await
    }
}

pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
