//! A false alarm: the primary answers and trades again while the run that its silence has started prepares the recovery side.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::primary::Primary;
use crate::light::Stage;
use crate::world::error::WorldError;
use crate::world::proxy::{Fault, Scope};
use crate::world::{ORIGIN_LAMBDA, World};

/// Shorter than the time for which the plan wants to see the log still.
const TRADES_EVERY: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// From the alarm to the run's stack.
const PREPARES_WITHIN: Duration = Duration::from_secs(60);

/// Goes on until `run` has ended. The primary comes back when the run's stack is asked for, and that is not done before the
/// primary has traded.
pub(super) async fn beside<T>(
    world: &World,
    stage: &Stage,
    primary: &mut Primary,
    run: impl Future<Output = Result<T, WorldError>>,
) -> Result<T, WorldError> {
    let over = Cell::new(false);
    let back = async {
        comes_back(world, stage, primary).await?;
        trades(primary, &over).await
    };
    until_both(run, &over, back).await
}

/// Lets the primary trade until `run` has ended.
pub(super) async fn trading<T>(
    primary: &mut Primary,
    run: impl Future<Output = Result<T, WorldError>>,
) -> Result<T, WorldError> {
    let over = Cell::new(false);
    until_both(run, &over, trades(primary, &over)).await
}

/// Waits for both, so that no put is cut off.
async fn until_both<T>(
    run: impl Future<Output = Result<T, WorldError>>,
    over: &Cell<bool>,
    primary: impl Future<Output = Result<(), WorldError>>,
) -> Result<T, WorldError> {
    let run = async {
        let ended = run.await;
        over.set(true);
        ended
    };
    let (ended, traded) = tokio::join!(run, primary);
    traded.and(ended)
}

async fn comes_back(world: &World, stage: &Stage, primary: &mut Primary) -> Result<(), WorldError> {
    let proxy = world.proxy();
    let create = proxy.add_times(Scope::origin(ORIGIN_LAMBDA).operation("CreateStack"), Fault::Hold, 1);
    let deadline = Instant::now() + PREPARES_WITHIN;
    while proxy.met(create) == 0 {
        if Instant::now() > deadline {
            let what = "wait for the run to launch its stack".to_owned();
            return Err(WorldError::TooLate { what, within: PREPARES_WITHIN });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    stage.primary.set_well(true);
    primary.put().await?;
    proxy.release(create).await;
    Ok(())
}

/// What is stored of it, and whether that may be, is judged by its put behind the run.
async fn trades(primary: &mut Primary, over: &Cell<bool>) -> Result<(), WorldError> {
    while !over.get() {
        primary.put().await?;
        tokio::time::sleep(TRADES_EVERY).await;
    }
    Ok(())
}
