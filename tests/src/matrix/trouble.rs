//! Makes trouble: the faults of a case at the proxy, and the process that is killed.

use std::time::Duration;

use super::case::{Fault, Trouble};
use crate::light::Stage;
use crate::world::World;
use crate::world::proxy::{self, Meets, ProxyHandle, RuleId};

/// What a Lambda gives one attempt of a call is 4 s (`functions/runtime/src/aws.rs`): by then it has given up.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(4_500);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A fault that is in force.
pub(super) struct Made {
    rule: RuleId,
    proxy: ProxyHandle,
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
        Made { rule, proxy }
    }

    /// How many calls it has met.
    pub(super) fn met(&self) -> u64 {
        self.proxy.met(self.rule)
    }

    /// Lets what is held arrive: a slow call once its caller has given it up, a killed caller's once that is dead. Ends when it
    /// has arrived; where nothing is ever held, never.
    pub(super) async fn see_to(&self, world: &World, stage: &Stage, trouble: &Trouble) {
        if !matches!(trouble.fault, Fault::Slow | Fault::Killed) {
            return;
        }
        while self.met() == 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if trouble.fault == Fault::Slow {
            tokio::time::sleep(GIVEN_UP_AFTER).await;
        } else {
            world.kill_function(&format!("lifeboat-{}-{}", stage.plan.name, trouble.call.function));
        }
        self.proxy.release(self.rule).await;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.proxy.lift(self.rule);
    }
}
