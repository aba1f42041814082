//! The fault matrix: every call of a whole run in turn, refused, answered in vain, throttled, slow, failing for good, or its caller
//! killed. What each run comes to is judged by who knows nothing of the Lambdas, and where a person is needed the way out is
//! taken. `tests/FAULT_MATRIX.md` is made from it, and says what is played and what is not.

pub mod call;
pub mod case;
mod false_alarm;
mod ground;
mod judge;
pub mod page;
mod play;
mod primary;
pub mod result;
mod seen;
mod trouble;
mod way_out;

use std::path::PathBuf;
use std::time::Duration;

use lifeboat_rules::plan::Strategy;

use crate::world::WorldOptions;
use crate::world::error::{WorldError, explain};
use call::CallId;
use case::Case;
use ground::Ground;
use play::{play, record};
use result::Played;

pub use judge::Came;
pub use way_out::Way;

/// Any one run: the longest asks for ten minutes whether its names have followed.
const RUN_WITHIN: Duration = Duration::from_secs(720);
/// A case in which a fault has met nothing, and nothing else was wrong, is played again: which of two calls side by side came
/// first was chance.
const PLAYED_AGAIN: u32 = 2;
/// The state in which a false alarm is noticed: what a run calls before is the same whether or not it is one.
const NOTICED_IN: &str = "Confirm the outage again";

/// A world on which cases are played, one after the other.
pub struct Matrix {
    ground: Ground,
    calls: Vec<CallId>,
}

impl Matrix {
    /// Brings a world up, and records the calls of a run that nothing happens to; of a false alarm those alone that come once it can
    /// be noticed.
    ///
    /// # Errors
    /// The step that failed, with its cause.
    pub async fn set(
        strategy: Strategy,
        false_alarm: bool,
        options: WorldOptions,
    ) -> Result<Matrix, WorldError> {
        let ground = Ground::set(strategy, options).await?;
        // The first run is on cold Lambdas, and the second one's calls are those that count.
        record(&ground, &ground.stages[0], false_alarm).await?;
        let mut calls = record(&ground, &ground.stages[1], false_alarm).await?;
        if false_alarm {
            let noticed = calls.iter().position(|call| call.state == NOTICED_IN).unwrap_or(calls.len());
            calls.drain(..noticed);
        }
        Ok(Matrix { ground, calls })
    }

    /// Every call of a run.
    pub fn calls(&self) -> &[CallId] {
        &self.calls
    }

    /// Where the logs are.
    pub fn logs(&self) -> PathBuf {
        self.ground.world.run().path().to_owned()
    }

    /// Plays cases as `next` gives them, and hands each to `done`.
    ///
    /// # Errors
    /// Where a stage cannot be set back, or as `done`. A case that could not be played is a result with what went wrong.
    pub async fn play(
        &self,
        mut next: impl FnMut() -> Option<Case>,
        mut done: impl FnMut(Played) -> Result<(), WorldError>,
    ) -> Result<(), WorldError> {
        let [mut here, mut there] = [&self.ground.stages[0], &self.ground.stages[1]];
        let mut ready = self.ground.set_back(here).await?;
        while let Some(case) = next() {
            let (mut played, other) =
                tokio::join!(play(&self.ground, here, ready, &case), self.ground.set_back(there));
            let mut other = other?;
            for _ in 0..PLAYED_AGAIN {
                if !played.as_ref().is_ok_and(Played::met_nothing_alone) {
                    break;
                }
                let again = play(&self.ground, there, other, &case);
                let (second, first) = tokio::join!(again, self.ground.set_back(here));
                (played, other) = (second, first?);
                (here, there) = (there, here);
            }
            done(played.unwrap_or_else(|why| Played::failed(&case, &explain(&why))))?;
            (here, there) = (there, here);
            ready = other;
        }
        Ok(())
    }
}
