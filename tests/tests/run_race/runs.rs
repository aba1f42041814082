//! Starting the two runs of a round.

use std::time::Duration;

use futures::future::join_all;
use lifeboat_tests::light::runs::{self, End};

use crate::stage::Stage;

/// From the alarm to the execution: SNS and one Lambda.
const START_WITHIN: Duration = Duration::from_secs(30);

/// What starts the two runs of a round.
#[derive(Clone, Copy, Debug)]
pub enum Starts {
    /// Two people, at the same moment.
    TwoPeople,
    /// A person and the alarm, at the same moment. The alarm's way is the longer one.
    PersonAndAlarm,
    /// The alarm, through SNS and alarm-trigger, and a person as soon as its run is there.
    AlarmFirst,
}

impl Starts {
    /// Each of them in turn.
    pub fn of(round: u32) -> Starts {
        match round % 3 {
            1 => Starts::TwoPeople,
            2 => Starts::PersonAndAlarm,
            _ => Starts::AlarmFirst,
        }
    }
}

/// Starts the two runs of a round, and returns their names.
pub async fn start_two(stage: &Stage, round: u32, starts: Starts) -> [String; 2] {
    let hand = |which: &str| by_hand(stage, format!("by-hand-{round}-{which}"));
    match starts {
        Starts::TwoPeople => tokio::join!(hand("a"), hand("b")).into(),
        Starts::PersonAndAlarm => tokio::join!(hand("a"), alarm(stage)).into(),
        Starts::AlarmFirst => {
            let of_alarm = alarm(stage).await;
            [of_alarm, hand("b").await]
        }
    }
}

async fn by_hand(stage: &Stage, name: String) -> String {
    runs::by_hand(&stage.light, &name, "the primary Region is gone").await.unwrap();
    name
}

/// Lets the alarm fire, and waits until its run is there.
async fn alarm(stage: &Stage) -> String {
    let known = runs::names(&stage.light).await.unwrap();
    runs::fire_alarm(&stage.light).await.unwrap();
    let run = runs::of_alarm(&stage.light, &known, START_WITHIN).await.unwrap();
    run.unwrap_or_else(|| panic!("the alarm started no run within {START_WITHIN:?}"))
}

/// Waits until all have ended.
pub async fn follow(stage: &Stage, names: &[String], within: Duration) -> Vec<End> {
    join_all(names.iter().map(|name| runs::follow(&stage.light, name, within)))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}
