//! Scenarios: what can go wrong, as folders of data. `tests/scenarios/README.md` says how to add one.
//!
//! What is real here and what is not is the drill's (see [`crate::drill`]), but for one thing: no scenario waits for the
//! minute of the schedule. Events call the deployed Lambdas instead, as Scheduler and SNS would.

mod ending;
pub mod file;
mod lambda;
mod mask;
mod play;
mod runs;
mod transcript;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use file::Scenario;
use play::Play;
use transcript::{Told, Transcript};

use crate::drill::{Setting, Stage};
use crate::replayed;
use crate::world::error::{Doing as _, WorldError};
use crate::world::{World, WorldOptions, places};

/// The expected transcript in a scenario's folder.
const TRANSCRIPT: &str = "transcript.txt";

/// What came of a scenario.
#[derive(Debug)]
pub struct Played {
    /// What happened.
    pub transcript: String,
    /// What may never be, and was.
    pub wrongs: Vec<String>,
    /// Where the logs are.
    pub logs: PathBuf,
}

/// The folder of all scenarios.
pub fn folder() -> PathBuf {
    places::repository().join("tests/scenarios")
}

/// The names of all scenarios, sorted: the folders that there are.
///
/// # Errors
/// Where the folder cannot be read.
pub fn all() -> Result<Vec<String>, WorldError> {
    let what = || format!("list {}", folder().display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder()).doing(what)? {
        let entry = entry.doing(what)?;
        if entry.file_type().doing(what)?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Plays a scenario in a world of its own. Everything that it started is gone when it returns, or when its future is
/// dropped.
///
/// # Errors
/// Where its file is wrong, the world could not be brought up, or an event did not come about: the error names the
/// scenario and the step.
pub async fn play(name: &str, report: Arc<dyn Fn(&str) + Send + Sync>) -> Result<Played, WorldError> {
    let scenario = file::read(&folder().join(name)).doing(|| format!("scenario {name}"))?;
    play_one(&scenario, report).await.doing(|| format!("scenario {name}"))
}

async fn play_one(
    scenario: &Scenario,
    report: Arc<dyn Fn(&str) + Send + Sync>,
) -> Result<Played, WorldError> {
    let world = World::start(WorldOptions {
        report: Arc::clone(&report),
        ..WorldOptions::default().image("aex", places::binary(scenario.ledger.application())?)
    })
    .await?;
    report(&format!("logs: {}", world.run().path().display()));
    let setting = Setting {
        ledger: scenario.ledger,
        streams: scenario.streams,
        plan: scenario.plan.clone(),
        strategy: scenario.strategy,
        stacks: scenario.stacks.clone(),
        relay: true,
        report: Arc::clone(&report),
    };
    let stage = Stage::set(&world, &setting).await?;
    stage.take_schedules_away(&world).await?;

    let mut play = Play::new(&world, &stage, setting, scenario, &*report);
    play.all().await?;
    let Play { mut client, answers, redriven, evidence, together, .. } = play;
    report("the timeline is played; reading how the world stands");
    let ending = ending::observe(&world, &stage, client.as_mut()).await?;

    let executions = runs::executions(&world, &stage).await?;
    let mut told = Vec::new();
    for execution in &executions {
        let mut records = evidence.records(&world, &stage, &execution.name).await?;
        let mut closed_at = evidence.closed_at(&world, &stage, &execution.name).await?;
        if let Some(at) = redriven.get(&execution.name) {
            records.retain(|record| record.at < *at);
            closed_at = closed_at.filter(|closed_at| closed_at < at);
        }
        let mut verdicts = runs::verdicts(&records);
        if closed_at.is_some() {
            verdicts.insert("Close the run".to_owned(), "Closed".to_owned());
        }
        let end = runs::end(&world, execution).await?;
        let end =
            end.ok_or_else(|| WorldError::failed("read its end", format!("{} runs on", execution.name)))?;
        told.push(Told {
            name: execution.name.clone(),
            states: runs::states_entered(&world, execution).await?,
            verdicts,
            end,
        });
    }
    let transcript = Transcript {
        about: &scenario.about,
        answers: &answers,
        runs: told,
        names: transcript::names(
            &executions,
            &together,
            &ending.epochs,
            &runs::with_evidence(&world, &stage).await?,
        ),
        ending: &ending,
    };
    let (text, mut wrongs) = (transcript.text(), ending.wrongs());
    for run in runs::with_evidence(&world, &stage).await? {
        wrongs.extend(replayed::wrongs(&world, &stage, &run).await?);
    }
    let logs = world.stop();
    std::fs::write(logs.join(TRANSCRIPT), &text).doing(|| format!("write {TRANSCRIPT}"))?;
    Ok(Played { transcript: text, wrongs, logs })
}

/// The transcript that a scenario is held against; none where it has none yet.
///
/// # Errors
/// Where it cannot be read.
pub fn expected(name: &str) -> Result<Option<String>, WorldError> {
    let file = expected_file(name);
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text)),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(WorldError::failed(format!("read {}", file.display()), why)),
    }
}

/// Makes a transcript the expected one.
///
/// # Errors
/// Where it cannot be written.
pub fn renew(name: &str, transcript: &str) -> Result<(), WorldError> {
    let file = expected_file(name);
    std::fs::write(&file, transcript).doing(|| format!("write {}", file.display()))
}

fn expected_file(name: &str) -> PathBuf {
    Path::new(&folder()).join(name).join(TRANSCRIPT)
}

/// Whether what happened is what was expected and nothing is wrong; if not, why, for a person.
///
/// # Errors
/// Where the expected transcript cannot be read.
pub fn judge(name: &str, played: &Played) -> Result<Result<(), String>, WorldError> {
    let mut complaints = played.wrongs.clone();
    let renew = format!(
        "where this is what should happen: cargo run -p lifeboat-tests --bin scenario -- {name} --write"
    );
    match expected(name)? {
        Some(expected) if expected == played.transcript => {}
        Some(expected) => {
            let diff = similar::TextDiff::from_lines(&expected, &played.transcript);
            let diff = diff.unified_diff().context_radius(3).header("expected", "happened").to_string();
            complaints.push(format!("{diff}{renew}"));
        }
        None => complaints.push(format!("it has no {TRANSCRIPT} yet:\n{}{renew}", played.transcript)),
    }
    Ok(match complaints.is_empty() {
        true => Ok(()),
        false => Err(format!("{}\nlogs: {}", complaints.join("\n"), played.logs.display())),
    })
}
