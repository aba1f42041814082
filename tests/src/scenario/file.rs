//! The folder of a scenario: what `scenario.yaml` may say.

use std::path::Path;

use lifeboat_rules::plan::Strategy;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::drill::setting::Ledger;
use crate::world::error::{Doing as _, WorldError};

/// A scenario, as its file has it. A field or an event that is not known is an error that names it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in one sentence.
    pub about: String,
    /// Members of the drill's plan that are to be otherwise, as a JSON merge patch.
    #[serde(default = "nothing")]
    pub plan: Value,
    /// How the application keeps its ledger; in segments where it does not say.
    #[serde(default)]
    pub ledger: Ledger,
    /// How traffic moves; by the switch where it does not say.
    #[serde(default)]
    pub strategy: Strategy,
    /// Stacks for the plan to have besides its own, spelled as in a plan.
    #[serde(default)]
    pub stacks: Vec<Value>,
    /// How many streams the exchange has.
    #[serde(default = "two")]
    pub streams: usize,
    /// What happens, in order: each event has ended before the next one begins.
    pub timeline: Vec<Event>,
}

fn nothing() -> Value {
    json!({})
}

fn two() -> usize {
    2
}

/// Something that happens in the world.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The members trade until so many more orders are acknowledged. The first time, they begin.
    Trade(usize),
    /// The exchange of a side ends at once.
    Kill(Side),
    /// The exchange of a side stands still, its connections open.
    Freeze(Side),
    /// A frozen exchange goes on, and knows nothing of the time between.
    Wake(Side),
    /// The exchange of a side, which has ended, is started anew, as ECS does.
    Restart(Side),
    /// What the delivery stream of a ledger with leases does from now on.
    Deliveries(Deliveries),
    /// No call reaches any API of the side's Region.
    TakeAway(Side),
    /// The side's Region is back.
    GiveBack(Side),
    /// The network between the primary and the recovery Region is cut.
    Cut(Vec<Link>),
    /// It is whole again.
    Mend(Vec<Link>),
    /// The scheduled probe looks at the primary, as if its time had come.
    Probe(Probe),
    /// News of the alarm reaches alarm-trigger.
    Alarm(News),
    /// A person starts a run of each name, all at the same moment.
    Start(Vec<String>),
    /// A person stops a run in a state, before the state's step acts.
    Stop(InState),
    /// The process that a function runs in is killed: one of the seven, by its name.
    Crash(String),
    /// Every step of a run is called again, with the request that its evidence recorded.
    Redrive(String),
    /// Nothing happens until something is so.
    Wait(Until),
    /// From now on calls fail.
    Fault(FaultOrder),
    /// A fault is no more, and what it held goes on.
    Lift(String),
    /// What DNS answers.
    Dns(Answers),
    /// A person uploads the plan anew, changed by a JSON merge patch.
    UploadPlan(Value),
    /// A person runs the `lifeboat` command.
    Lifeboat(Vec<String>),
}

impl Event {
    /// The name that it has in a file.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Trade(_) => "trade",
            Event::Kill(_) => "kill",
            Event::Freeze(_) => "freeze",
            Event::Wake(_) => "wake",
            Event::Restart(_) => "restart",
            Event::Deliveries(_) => "deliveries",
            Event::TakeAway(_) => "take_away",
            Event::GiveBack(_) => "give_back",
            Event::Cut(_) => "cut",
            Event::Mend(_) => "mend",
            Event::Probe(_) => "probe",
            Event::Alarm(_) => "alarm",
            Event::Start(_) => "start",
            Event::Stop(_) => "stop",
            Event::Crash(_) => "crash",
            Event::Redrive(_) => "redrive",
            Event::Wait(_) => "wait",
            Event::Fault(_) => "fault",
            Event::Lift(_) => "lift",
            Event::Dns(_) => "dns",
            Event::UploadPlan(_) => "upload_plan",
            Event::Lifeboat(_) => "lifeboat",
        }
    }
}

/// One of the two Regions, and the exchange in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The primary.
    Primary,
    /// The recovery side.
    Recovery,
}

/// What a delivery stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deliveries {
    /// It accepts records, and keeps them back.
    KeepBack,
    /// It delivers what it kept back, and goes on.
    GoOn,
    /// It loses the next record that it accepts.
    LoseOne,
}

/// A way between the primary and the recovery Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// By which probes reach the primary.
    Probes,
    /// By which the primary reaches its log.
    Log,
}

/// What DNS answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// What it answered at this moment.
    Stale,
    /// What Route 53 has.
    Fresh,
}

/// One call of the scheduled probe.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// How often it looks.
    pub rounds: u32,
    /// From one look to the next.
    #[serde(default = "second")]
    pub interval_seconds: u32,
}

fn second() -> u32 {
    1
}

/// Changes of the alarm's state, as alarm-trigger is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct News {
    /// Who tells; each of them all of the news.
    pub forms: Vec<Form>,
    /// The states that the alarm went to, a second apart.
    #[serde(default = "once_alarm")]
    pub states: Vec<AlarmState>,
    /// How long ago the last of these changes was.
    #[serde(default)]
    pub age_seconds: i64,
    /// How often each piece of news is delivered, all at the same moment.
    #[serde(default = "once")]
    pub times: usize,
}

fn once_alarm() -> Vec<AlarmState> {
    vec![AlarmState::Alarm]
}

fn once() -> usize {
    1
}

/// The form of an alarm's news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Through a topic of SNS.
    Sns,
    /// The alarm's own action on a Lambda.
    Direct,
    /// Through a rule of EventBridge.
    Eventbridge,
}

/// A state of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// It fired.
    Alarm,
    /// It is well.
    Ok,
}

impl AlarmState {
    /// As CloudWatch spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            AlarmState::Alarm => "ALARM",
            AlarmState::Ok => "OK",
        }
    }
}

/// A state of a run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InState {
    /// The run: the name that it was started by, or `alarm-1` for the first that an alarm started.
    pub run: String,
    /// The state's name in the definition.
    pub state: String,
}

/// What is waited for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// So many seconds have passed.
    Seconds(u64),
    /// The first cut has lasted so many seconds, whatever happened meanwhile.
    CutFor(u64),
    /// A run has begun a state: its intent is in the evidence.
    Begun(InState),
    /// A run has been through a state: an outcome of it is in the evidence that is no wait.
    Done(InState),
    /// A run waits in a state: an outcome of it says `NotReady`.
    NotReady(InState),
    /// A run has counted void entries in a state: delivered, and never acknowledged.
    Void(InState),
    /// The delivery stream has lost what it was told to lose.
    Lost(usize),
    /// A run has ended.
    Ended(String),
    /// A run is under way: for saying that it still is.
    Running(String),
    /// A fault has met a call, or so many.
    Met(Met),
    /// The exchange of a side says that it serves.
    Serving(Side),
    /// The exchange of a side says that it waits for the pen.
    Waiting(Side),
    /// The exchange of a side has ended by itself.
    Stopped(Side),
    /// The alarm is in a state.
    Alarm(AlarmState),
    /// The gate lets traffic through to a side. Meanwhile the keeper is called, each second instead of each minute.
    Traffic(Side),
}

/// How many calls a fault is to have met.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "the name of a fault, or { fault: .., calls: .. }")]
pub enum Met {
    /// One at least.
    Any(String),
    /// So many at least.
    Calls(MetCalls),
}

/// A fault, and how many calls it is to have met.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetCalls {
    /// The fault's name.
    pub fault: String,
    /// How many calls at least.
    pub calls: u64,
}

impl Met {
    /// The fault's name, and how many calls it is to have met at least.
    pub fn fault_and_calls(&self) -> (&str, u64) {
        match self {
            Met::Any(fault) => (fault, 1),
            Met::Calls(MetCalls { fault, calls }) => (fault, *calls),
        }
    }
}

/// A fault to be met by calls of AWS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    /// What it is lifted by.
    pub name: String,
    /// Which calls meet it.
    pub calls: Calls,
    /// What happens to them.
    pub does: Does,
    /// How many calls meet it; without it all do, until it is lifted.
    #[serde(default)]
    pub times: Option<u32>,
}

/// Which calls; what is not said matches anything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// `lambda`, `primary` or `recovery`: who makes them. Containers go by their side.
    #[serde(default)]
    pub from: Option<Caller>,
    /// The service, as credential scopes name it: `s3`, `route53`, `cloudformation`, `states`, `monitoring`.
    #[serde(default)]
    pub service: Option<String>,
    /// The operation, which S3 and Route 53 do not name.
    #[serde(default)]
    pub operation: Option<String>,
    /// The HTTP method.
    #[serde(default)]
    pub method: Option<String>,
    /// Of S3: the bucket.
    #[serde(default)]
    pub bucket: Option<Bucket>,
    /// Of S3: what the key begins with. Needs `bucket`.
    #[serde(default)]
    pub key: Option<String>,
    /// What the body holds.
    #[serde(default)]
    pub says: Option<String>,
}

/// Who makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// A Lambda.
    Lambda,
    /// The primary's exchange.
    Primary,
    /// The recovery side's exchange.
    Recovery,
}

/// One of the plan's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// Where the ledger is.
    Log,
    /// Where plans and epochs are.
    Control,
    /// What runs leave behind.
    Evidence,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// Its connection is dropped before it arrives.
    Refuse,
    /// The service says that it has had enough.
    Throttle,
    /// S3 says that the caller has no permission. For calls to S3 only.
    Deny,
    /// It is done, and its answer is lost.
    LoseAnswer,
    /// It arrives when the fault is lifted, whatever has become of its caller.
    Hold,
    /// It arrives so many seconds later, whatever has become of its caller.
    DelaySeconds(u64),
}

/// Reads `scenario.yaml` of a folder.
///
/// # Errors
/// Where it is not there, is no YAML, or has a field that is wrong or not known: the error names it by its path.
pub fn read(folder: &Path) -> Result<Scenario, WorldError> {
    let file = folder.join("scenario.yaml");
    let text = std::fs::read_to_string(&file).doing(|| format!("read {}", file.display()))?;
    parse(&text).doing(|| format!("read {}", file.display()))
}

fn parse(text: &str) -> Result<Scenario, Box<dyn std::error::Error + Send + Sync>> {
    let value: Value = serde_saphyr::from_str(text)?;
    let scenario: Scenario = serde_path_to_error::deserialize(value)
        .map_err(|err| format!("field `{}`: {}", err.path(), err.inner()))?;
    if !(1..=crate::drill::setting::SYMBOLS.len()).contains(&scenario.streams) {
        return Err(format!("field `streams`: 1 to {}", crate::drill::setting::SYMBOLS.len()).into());
    }
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        parse(text).map_or_else(|err| err.to_string(), |scenario| format!("{scenario:?}"))
    }

    #[test]
    fn what_is_not_known_is_named_by_its_path() {
        for (text, says) in [
            ("about: x\ntimeline: []\nfoo: 1", "`foo`"),
            ("timeline: []", "`about`"),
            ("about: x\nstreams: 7\ntimeline: []", "field `streams`"),
            ("about: x\nstrategy: luck\ntimeline: []", "unknown variant `luck`"),
            ("about: x\nledger: paper\ntimeline: []", "unknown variant `paper`"),
            ("about: x\ntimeline: [{ explode: primary }]", "field `timeline[0]`: unknown variant `explode`"),
            ("about: x\ntimeline: [{ kill: tertiary }]", "tertiary"),
            ("about: x\ntimeline: [{ probe: { rounds: 1, often: 2 } }]", "`often`"),
            ("about: x\ntimeline: [{ wait: { ended: a, seconds: 1 } }]", "timeline[0]"),
            ("about: x\ntimeline: [{ wait: { met: { fault: f, times: 2 } } }]", "{ fault: .., calls: .. }"),
            (
                "about: x\ntimeline: [{ fault: { name: f, calls: { verb: PUT }, does: hold } }]",
                "field `timeline[0].fault.calls.verb`",
            ),
        ] {
            let complaint = complaint(text);
            assert!(complaint.contains(says), "{complaint} should say: {says}");
        }
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let scenario = parse(
            "about: all of it
timeline:
  - trade: 100
  - deliveries: keep_back
  - restart: primary
  - wait: { not_ready: { run: one, state: Verify the tail } }
  - cut: [probes, log]
  - alarm: { forms: [sns], states: [ALARM, OK], age_seconds: 3600, times: 10 }
  - start: [one, two]
  - stop: { run: one, state: Seal the ledger }
  - wait: { done: { run: one, state: Seal the ledger } }
  - wait: { traffic: primary }
  - fault: { name: f, calls: { from: lambda, bucket: log, key: fence/ }, does: { delay_seconds: 5 }, times: 1 }
  - dns: stale
  - lifeboat: [status]
",
        )
        .unwrap();
        assert_eq!(scenario.timeline.len(), 13);
        assert_eq!((scenario.streams, scenario.strategy), (2, Strategy::Switch));
    }

    #[test]
    fn a_fault_is_waited_for_by_its_name_or_by_a_number_of_calls() {
        for (met, expected) in [("f", ("f", 1)), ("{ fault: f, calls: 2 }", ("f", 2))] {
            let scenario = parse(&format!("about: x\ntimeline: [{{ wait: {{ met: {met} }} }}]")).unwrap();
            match &scenario.timeline[..] {
                [Event::Wait(Until::Met(met))] => assert_eq!(met.fault_and_calls(), expected),
                other => panic!("{other:?}"),
            }
        }
    }
}
