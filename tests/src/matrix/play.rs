//! Plays one case: the alarm fires, the run meets its trouble, and what it came to is judged; where a person is needed, the way
//! out is taken and judged as well.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::join_all;
use lifeboat_rules::evidence::Manifest;

use super::case::{Case, Trouble};
use super::false_alarm;
use super::ground::{Ground, Ready};
use super::judge::{self, Came};
use super::primary::Primary;
use super::result::Played;
use super::seen::{self, Seen};
use super::trouble::Made;
use super::way_out::{self, Way};
use super::{RUN_WITHIN, call};
use crate::light::runs::{self, End};
use crate::light::{Stage, lambda};
use crate::world::ORIGIN_LAMBDA;
use crate::world::error::{Doing as _, WorldError};

/// From the alarm to the execution, by SNS and one Lambda.
const START_WITHIN: Duration = Duration::from_secs(40);
/// How long one looks for a run that is not to be there.
const LOOKED_FOR: Duration = Duration::from_secs(2);
/// Lambda tries news again that its function has failed at, twice.
const DELIVERED_AGAIN: u32 = 2;
/// The state that writes the manifest and its signature.
const CLOSE: &str = "Close the run";
/// What is held when the run ends arrives by then: it is held for less than that.
const ARRIVES_WITHIN: Duration = Duration::from_secs(6);
/// What a Lambda still does when its run has ended: the longest is an attempt of a call.
const QUIET_WITHIN: Duration = Duration::from_secs(15);

/// The calls of a run that nothing happens to.
pub(super) async fn record(
    ground: &Ground,
    stage: &Stage,
    is_false_alarm: bool,
) -> Result<Vec<call::CallId>, WorldError> {
    let mut primary = Box::pin(ground.set_back(stage)).await?.begin(ground, stage).await?;
    let before = ground.world.proxy().count();
    let run = Box::pin(async {
        let run = start(stage).await?;
        runs::follow(stage, &run, RUN_WITHIN).await
    });
    let end = match is_false_alarm {
        true => false_alarm::beside(&ground.world, stage, &mut primary, run).await?,
        false => run.await?,
    };
    let journal = ground.world.proxy().calls_since(before);
    let (came, wrongs) = look_and_judge(ground, stage, &mut primary, &end).await?;
    let is_to_come = if is_false_alarm { Came::Primary } else { Came::Recovery };
    if (came, wrongs.is_empty()) != (is_to_come, true) {
        return Err(WorldError::failed(
            "record a run that nothing happens to",
            format!("{end:?}: {wrongs:?}"),
        ));
    }
    call::of_run(stage, &end.name, &journal)
}

/// Plays a case on a stage that is ready for it.
pub(super) async fn play(
    ground: &Ground,
    stage: &Stage,
    ready: Ready,
    case: &Case,
) -> Result<Played, WorldError> {
    Box::pin(play_one(ground, stage, ready, case)).await.doing(|| format!("play {}", case.id()))
}

async fn play_one(ground: &Ground, stage: &Stage, ready: Ready, case: &Case) -> Result<Played, WorldError> {
    let mut primary = ready.begin(ground, stage).await?;
    let began = Instant::now();
    let before = ground.world.proxy().count();
    let made: Vec<Made> =
        case.troubles.iter().map(|trouble| Made::make(&ground.world, stage, trouble)).collect();
    let seen_to = join_all(
        made.iter().zip(&case.troubles).map(|(made, trouble)| made.see_to(&ground.world, stage, trouble)),
    );
    let in_vain = case.troubles.iter().any(Trouble::stops_the_trigger);
    // On the heap, with all that a case is: a test's thread has a small stack.
    let run = Box::pin(run_beside(stage, in_vain, seen_to));
    let (run, end) = match case.false_alarm {
        true => false_alarm::beside(&ground.world, stage, &mut primary, run).await?,
        false => run.await?,
    };
    let met: Vec<u64> = made.iter().map(Made::met).collect();
    drop(made);
    quiet(ground, before).await?;

    let (came, mut wrongs) = match &end {
        Some(end) => look_and_judge(ground, stage, &mut primary, end).await?,
        None => {
            let stored = way_out::stored_behind(stage, &mut primary).await?;
            let seen = Seen::look(ground, stage, &primary).await?;
            (Came::Halted, judge::forbidden(&seen, &stored.0, &stored.1))
        }
    };
    if case.false_alarm && came == Came::Recovery {
        wrongs.push("a primary that is well was failed over from".to_owned());
    }
    // Behind the manifest comes its signature alone: a run that cannot write it has its manifest, and is not signed.
    let closing = case.troubles.iter().any(|trouble| trouble.call.state == CLOSE);
    let may_be_unsigned = run.as_deref().filter(|_| closing);
    wrongs.extend(seen::evidence(stage, may_be_unsigned).await?);
    let run_seconds = began.elapsed().as_secs_f64();
    let mut way = None;
    if came == Came::Halted {
        let closed = match &run {
            Some(run) => seen::manifest(stage, run).await?,
            None => None,
        };
        let taken = Way::choose(judge::pen(&seen::pens(stage).await?), case);
        if run.is_some() && !way_out::was_said(taken, stage, end.as_ref(), closed.as_ref()).await? {
            wrongs.push(format!("nobody says that {taken:?} is the way out"));
        }
        let halted = run.as_deref().unwrap_or("nothing");
        wrongs.extend(
            taken.take(ground, stage, &mut primary, case, halted, is_closed(&run, closed.as_ref())).await?,
        );
        wrongs.extend(seen::evidence(stage, may_be_unsigned).await?);
        way = Some(taken);
    }
    Ok(Played {
        case: case.clone(),
        outcome: end.as_ref().map(|end| end.outcome.clone()),
        reason: end.map(|end| end.reason).unwrap_or_default(),
        came,
        way,
        met,
        wrongs,
        wrong_before: 0,
        run_seconds,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Lets the alarm fire and its run go to its end, while the trouble is seen to. What is held still arrives after the end; what was
/// never called is not waited for.
async fn run_beside(
    stage: &Stage,
    in_vain: bool,
    seen_to: impl Future,
) -> Result<(Option<String>, Option<End>), WorldError> {
    let mut seen_to = pin!(seen_to);
    let run = async {
        let run = if in_vain { start_in_vain(stage).await? } else { Some(start(stage).await?) };
        let end = match &run {
            Some(run) => Some(runs::follow(stage, run, RUN_WITHIN).await?),
            None => None,
        };
        Ok((run, end))
    };
    let mut run = pin!(run);
    tokio::select! {
        ended = &mut run => {
            let _ = tokio::time::timeout(ARRIVES_WITHIN, seen_to).await;
            ended
        }
        _ = &mut seen_to => run.await,
    }
}

/// A run that was never begun leaves nothing open.
fn is_closed(run: &Option<String>, manifest: Option<&Manifest>) -> bool {
    run.is_none() || manifest.is_some()
}

async fn look_and_judge(
    ground: &Ground,
    stage: &Stage,
    primary: &mut Primary,
    end: &End,
) -> Result<(Came, Vec<String>), WorldError> {
    let stored = way_out::stored_behind(stage, primary).await?;
    let seen = Seen::look(ground, stage, primary).await?;
    let manifest = seen::manifest(stage, &end.name).await?;
    let (came, mut wrongs) = judge::run(end, manifest.as_ref(), &seen);
    wrongs.extend(judge::forbidden(&seen, &stored.0, &stored.1));
    Ok((came, wrongs))
}

/// Fires the alarm, and returns its run.
async fn start(stage: &Stage) -> Result<String, WorldError> {
    let known = runs::names(stage).await?;
    runs::fire_alarm(stage).await?;
    let run = runs::of_alarm(stage, &known, START_WITHIN).await?;
    run.ok_or_else(|| WorldError::TooLate {
        what: "start a run by the alarm".to_owned(),
        within: START_WITHIN,
    })
}

/// Fires the alarm where its trigger fails for good: the news is delivered again, as Lambda does, and there is no run.
async fn start_in_vain(stage: &Stage) -> Result<Option<String>, WorldError> {
    let known = runs::names(stage).await?;
    let at = crate::world::now();
    runs::fire_alarm(stage).await?;
    for _ in 0..DELIVERED_AGAIN {
        // Whether it fails again is seen by what comes of it.
        let _ = lambda::tell_trigger(stage, at).await?;
    }
    runs::of_alarm(stage, &known, LOOKED_FOR).await
}

/// Waits until no Lambda has a call under way.
async fn quiet(ground: &Ground, before: usize) -> Result<(), WorldError> {
    let deadline = Instant::now() + QUIET_WITHIN;
    loop {
        let calls = ground.world.proxy().calls_since(before);
        if calls.iter().all(|call| call.call.origin != ORIGIN_LAMBDA || call.millis.is_some()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let what = "wait until no Lambda has a call under way".to_owned();
            return Err(WorldError::TooLate { what, within: QUIET_WITHIN });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
