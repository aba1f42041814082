//! Makes trouble: the faults of a case at the proxy, and the process that is killed.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::task::JoinHandle;

use super::case::{Fault, Trouble};
use crate::light::Stage;
use crate::world::World;
use crate::world::error::WorldError;
use crate::world::proxy::{self, Meets, ProxyHandle, RuleId};

/// What a Lambda gives one attempt of a call is 4 s (`functions/runtime/src/aws.rs`): by then it has given up.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(4_500);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A fault that is in force.
pub(super) struct Made {
    rule: RuleId,
    proxy: ProxyHandle,
    /// Lets go in its time what is held.
    releases: Option<JoinHandle<()>>,
}

impl Made {
    /// Puts a trouble into force on this stage.
    pub(super) fn make(world: &World, stage: &Stage, trouble: &Trouble) -> Made {
        let proxy = world.proxy();
        let (scope, after) = trouble.call.scopes(stage);
        let (fault, times) = match trouble.fault {
            Fault::Refused => (proxy::Fault::Refuse, Some(1)),
            Fault::AnswerLost => (proxy::Fault::LoseAnswer, Some(1)),
            Fault::Throttled => (proxy::Fault::Throttle, Some(1)),
            Fault::Slow | Fault::Killed => (proxy::Fault::Hold, Some(1)),
            Fault::Failing => (proxy::Fault::Refuse, None),
        };
        let rule = proxy.add_where(scope, fault, Meets { after, pass: trouble.call.nth - 1, times });
        let releases = (fault == proxy::Fault::Hold).then(|| {
            let name = format!("lifeboat-{}-{}", stage.plan.name, trouble.call.function);
            let of_world = format!("TMPDIR={}", world.run().scratch().join("tmp").display());
            let (proxy, kills) = (proxy.clone(), trouble.fault == Fault::Killed);
            tokio::spawn(async move {
                while proxy.met(rule) == 0 {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                if kills {
                    kill(&name, &of_world);
                } else {
                    tokio::time::sleep(GIVEN_UP_AFTER).await;
                }
                proxy.release(rule).await;
            })
        });
        Made { rule, proxy, releases }
    }

    /// How many calls it has met.
    pub(super) fn met(&self) -> u64 {
        self.proxy.met(self.rule)
    }

    /// Waits until what was held has arrived, and lifts what is still in force.
    pub(super) async fn end(mut self) -> Result<(), WorldError> {
        let met = self.met() > 0;
        if let Some(releases) = self.releases.take_if(|_| met) {
            let within = GIVEN_UP_AFTER * 4;
            if tokio::time::timeout(within, releases).await.is_err() {
                return Err(WorldError::TooLate {
                    what: "wait until a held call arrives".to_owned(),
                    within,
                });
            }
        }
        self.proxy.lift(self.rule);
        Ok(())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(releases) = &self.releases {
            releases.abort();
        }
        self.proxy.lift(self.rule);
    }
}

/// Kills every process that the emulator of this world runs a function in.
fn kill(function: &str, of_world: &str) {
    let wanted = [format!("AWS_LAMBDA_FUNCTION_NAME={function}"), of_world.to_owned()];
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        let environ = std::fs::read(Path::new("/proc").join(&name).join("environ")).unwrap_or_default();
        let says = |wanted: &String| environ.split(|byte| *byte == 0).any(|part| part == wanted.as_bytes());
        if wanted.iter().all(says) {
            // One that has ended meanwhile is dead as well.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}
