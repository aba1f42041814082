//! Plays a timeline: each event is done, and its effect seen, before the next one begins.

use std::collections::BTreeMap;
use std::time::Duration;

use aex::client::{Client, ClientConfig};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use lifeboat_rules::dns::switch;
use lifeboat_rules::evidence::{self, Phase, Record};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::file::{
    AlarmState, Answers, Bucket, Caller, Calls, Deliveries, Does, Event, FaultOrder, Form, InState, Link,
    News, Probe, Scenario, Side, Until,
};
use super::runs::{self, Evidence, Execution};
use super::{lambda, mask};
use crate::definition::Definition;
use crate::drill::Stage;
use crate::drill::setting::{SYMBOLS, Setting};
use crate::world::delivery::DeliveryStream;
use crate::world::error::{Doing as _, WorldError};
use crate::world::proxy::{Fault, RuleId, Scope};
use crate::world::{ORIGIN_LAMBDA, Signal, World};

/// For anything that is waited for. A whole run takes twenty seconds; a loaded machine may take four times as long.
const WAIT_MAX: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between two calls of the keeper, while traffic is waited for.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// Between two changes of the alarm's state.
const ALARM_CHANGES_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// Enough to have many segments, and few enough to be read back in a second.
const ORDERS_PER_SECOND: u32 = 200;
const ORDERS_IN_FLIGHT: usize = 32;

/// A world on which a timeline is played.
pub struct Play<'a> {
    /// The world.
    pub world: &'a World,
    /// What is deployed in it.
    pub stage: &'a Stage,
    /// The members, once they trade.
    pub client: Option<Client>,
    /// What was answered on the way, by the number of the step.
    pub answers: Vec<(usize, String)>,
    /// When a run was first redriven: what its evidence says from then on was not its own doing.
    pub redriven: BTreeMap<String, Timestamp>,
    /// What the runs have left.
    pub evidence: Evidence,
    /// Runs that were started at the same moment.
    pub together: Vec<Vec<String>>,
    setting: Setting,
    scenario: &'a Scenario,
    step: usize,
    cuts: BTreeMap<&'static str, RuleId>,
    cut_at: Option<Instant>,
    faults: BTreeMap<String, (RuleId, bool)>,
    report: &'a (dyn Fn(&str) + Send + Sync),
}

impl<'a> Play<'a> {
    /// Nothing has happened yet.
    pub fn new(
        world: &'a World,
        stage: &'a Stage,
        setting: Setting,
        scenario: &'a Scenario,
        report: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Self {
        Self {
            world,
            stage,
            client: None,
            answers: Vec::new(),
            redriven: BTreeMap::new(),
            evidence: Evidence::default(),
            together: Vec::new(),
            setting,
            scenario,
            step: 0,
            cuts: BTreeMap::new(),
            cut_at: None,
            faults: BTreeMap::new(),
            report,
        }
    }

    /// Plays the whole timeline.
    ///
    /// # Errors
    /// The step that failed, by number and name, with its cause.
    pub async fn all(&mut self) -> Result<(), WorldError> {
        for (index, event) in self.scenario.timeline.iter().enumerate() {
            self.step = index + 1;
            (self.report)(&format!("step {}: {event:?}", self.step));
            self.one(event).await.doing(|| format!("step {} ({})", self.step, event.name()))?;
        }
        // A fault that met nothing shows nothing: the scenario would hold without it.
        for (name, (rule, _)) in &self.faults {
            self.check_met(name, *rule)?;
        }
        let running = runs::executions(self.world, self.stage).await?;
        let running: Vec<_> =
            running.iter().filter(|run| run.status == aws_sdk_sfn::types::ExecutionStatus::Running).collect();
        match running.first() {
            None => Ok(()),
            Some(run) => Err(WorldError::failed(
                "end the timeline",
                format!("the run {} has not ended: wait for it in the last step", run.name),
            )),
        }
    }

    async fn one(&mut self, event: &Event) -> Result<(), WorldError> {
        match event {
            Event::Trade(orders) => self.trade(*orders).await,
            Event::Kill(side) => self.signal(Signal::Kill, *side),
            Event::Freeze(side) => self.signal(Signal::Stop, *side),
            Event::Wake(side) => self.signal(Signal::Continue, *side),
            Event::Restart(side) => self.restart(*side),
            Event::Deliveries(deliveries) => self.deliveries(*deliveries).await,
            Event::TakeAway(side) => {
                let rule = self.world.proxy().refuse_region(self.region(*side));
                self.cut_off(region_cut(*side), rule)
            }
            Event::GiveBack(side) => self.give_back(region_cut(*side)),
            Event::Cut(links) => links.iter().try_for_each(|link| self.cut(*link)),
            Event::Mend(links) => links.iter().try_for_each(|link| self.mend(*link)),
            Event::Probe(probe) => self.probe(probe).await,
            Event::Alarm(news) => self.alarm(news).await,
            Event::Start(names) => self.start(names).await,
            Event::Stop(at) => self.stop(at).await,
            Event::Crash(function) => self.crash(function),
            Event::Redrive(run) => self.redrive(run).await,
            Event::Wait(until) => self.wait(until).await,
            Event::Fault(order) => self.fault(order),
            Event::Lift(name) => self.lift(name).await,
            Event::Dns(Answers::Stale) => {
                self.world.dns().hold_answers();
                Ok(())
            }
            Event::Dns(Answers::Fresh) => {
                self.world.dns().renew_answers();
                self.world.dns().settled().await;
                Ok(())
            }
            Event::UploadPlan(patch) => {
                json_patch::merge(&mut self.setting.plan, patch);
                self.stage.upload_plan(self.world, &self.setting).await
            }
            Event::Lifeboat(arguments) => self.lifeboat(arguments).await,
        }
    }

    fn region(&self, side: Side) -> &'a str {
        match side {
            Side::Primary => self.world.primary(),
            Side::Recovery => self.world.recovery(),
        }
    }

    async fn trade(&mut self, orders: usize) -> Result<(), WorldError> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(
                Client::start(ClientConfig {
                    gateway: "gateway.aex.internal".into(),
                    port: self.stage.port,
                    dns_server: self.world.dns_address(),
                    symbols: SYMBOLS.map(String::from).to_vec(),
                    rate_per_second: ORDERS_PER_SECOND,
                    in_flight: ORDERS_IN_FLIGHT,
                    journal_path: self.world.run().file("client.ndjson"),
                    seed: 1,
                })
                .doing(|| "start the client".to_owned())?,
            ),
        };
        let enough = client.counts().acknowledged + orders;
        if client.wait_for_count(enough, WAIT_MAX).await {
            return Ok(());
        }
        let what = format!("wait for {orders} more acknowledged orders: {:?}", client.counts());
        Err(WorldError::TooLate { what, within: WAIT_MAX })
    }

    fn signal(&self, signal: Signal, side: Side) -> Result<(), WorldError> {
        let region = self.region(side);
        match self.world.standin().signal(signal, |container| container.region == region)? {
            0 => Err(WorldError::failed(
                format!("send {signal:?} to the exchange of {side:?}"),
                format!("none runs there: {:?}", self.world.standin().containers()),
            )),
            _ => Ok(()),
        }
    }

    fn restart(&self, side: Side) -> Result<(), WorldError> {
        let region = self.region(side);
        match self.world.standin().restart(|container| container.region == region) {
            1 => Ok(()),
            services => Err(WorldError::failed(
                format!("start the exchange of {side:?} anew"),
                format!("{services} have ended there: {:?}", self.world.standin().containers()),
            )),
        }
    }

    async fn deliveries(&self, deliveries: Deliveries) -> Result<(), WorldError> {
        let stream = self.delivery_stream()?;
        match deliveries {
            Deliveries::KeepBack => stream.keep_back(),
            Deliveries::LoseOne => stream.lose_one(),
            Deliveries::GoOn => stream.go_on().await?,
        }
        Ok(())
    }

    fn delivery_stream(&self) -> Result<&'a DeliveryStream, WorldError> {
        let why = "it is there with `ledger: leases` only";
        self.stage.delivery.as_ref().ok_or_else(|| WorldError::failed("find the delivery stream", why))
    }

    fn cut_off(&mut self, what: &'static str, rule: RuleId) -> Result<(), WorldError> {
        match self.cuts.insert(what, rule) {
            None => Ok(()),
            Some(_) => Err(WorldError::failed(format!("cut off {what}"), "it is cut off already")),
        }
    }

    fn give_back(&mut self, what: &'static str) -> Result<(), WorldError> {
        match self.cuts.remove(what) {
            Some(rule) if self.world.proxy().lift(rule) => Ok(()),
            _ => Err(WorldError::failed(format!("give back {what}"), "it was not cut off")),
        }
    }

    fn cut(&mut self, link: Link) -> Result<(), WorldError> {
        self.cut_at.get_or_insert_with(Instant::now);
        match link {
            Link::Probes => self.stage.relay.iter().for_each(|relay| relay.cut()),
            Link::Log => {
                // Containers come in by the name of their Region.
                let rule = self.world.proxy().refuse_origin(self.world.primary());
                return self.cut_off("the way to the log", rule);
            }
        }
        Ok(())
    }

    fn mend(&mut self, link: Link) -> Result<(), WorldError> {
        match link {
            Link::Probes => self.stage.relay.iter().for_each(|relay| relay.mend()),
            Link::Log => return self.give_back("the way to the log"),
        }
        Ok(())
    }

    async fn probe(&self, probe: &Probe) -> Result<(), WorldError> {
        let Probe { rounds, interval_seconds } = probe;
        let payload = json!({ "action": "probe", "rounds": rounds, "interval_seconds": interval_seconds });
        match lambda::invoke(self.world, "health-check", &payload).await? {
            Ok(_) => Ok(()),
            Err(name) => Err(WorldError::failed("probe as the schedule does", name)),
        }
    }

    async fn alarm(&mut self, news: &News) -> Result<(), WorldError> {
        let last = crate::world::now() - SignedDuration::from_secs(news.age_seconds);
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for (back, state) in news.states.iter().rev().enumerate().rev() {
            let at = last - ALARM_CHANGES_EVERY * i32::try_from(back).doing(|| "count".to_owned())?;
            let told_by = |form: &Form| lambda::news(self.stage, self.world, *form, *state, at);
            let payloads: Vec<_> = news.forms.iter().map(told_by).collect();
            let deliveries = payloads
                .iter()
                .flat_map(|payload| std::iter::repeat_n(payload, news.times))
                .map(|payload| lambda::invoke(self.world, "alarm-trigger", payload));
            for answer in try_join_all(deliveries).await? {
                *told.entry(said(answer)).or_default() += 1;
            }
        }
        let told: Vec<_> = told.into_iter().map(|(answer, times)| format!("{answer} x{times}")).collect();
        self.answers.push((self.step, format!("alarm-trigger: {}", told.join(", "))));
        Ok(())
    }

    async fn start(&mut self, names: &[String]) -> Result<(), WorldError> {
        let sfn = self.world.clients(self.world.recovery()).sfn;
        let input = json!({
            "mode": "failover",
            "plan": { "key": self.stage.plan_key },
            "trigger": { "kind": "operator", "by": "scenario", "reason": "a person says so" },
        });
        let starts = names.iter().map(async |name| {
            let start = sfn.start_execution().state_machine_arn(&self.stage.state_machine_arn).name(name);
            start.input(input.to_string()).send().await.doing(|| format!("start the run {name}"))
        });
        try_join_all(starts).await?;
        if names.len() > 1 {
            self.together.push(names.to_vec());
        }
        Ok(())
    }

    /// Stops the run in a state: at the moment at which the step has begun and not acted yet. What it does then, it does
    /// after the stop.
    async fn stop(&mut self, at: &InState) -> Result<(), WorldError> {
        let what = || format!("stop the run {} in {:?}", at.run, at.state);
        let deadline = Instant::now() + WAIT_MAX;
        let late = || WorldError::TooLate { what: what(), within: WAIT_MAX };
        let execution = loop {
            match self.execution(&at.run).await? {
                Some(execution) => break execution,
                None if Instant::now() > deadline => return Err(late()),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        };
        // The step acts once its intent is stored: until then nothing has happened.
        let intents = evidence::prefix(&self.stage.plan.name, &execution.name);
        let intent = Scope::origin(ORIGIN_LAMBDA)
            .service("s3")
            .method("PUT")
            .path_prefix(&format!("/{}/{intents}", self.stage.evidence_bucket))
            .says(&intent_of(&execution.name, &self.stage.plan_key, &at.state)?);
        let proxy = self.world.proxy();
        let rule = proxy.add(intent, Fault::Hold);
        while proxy.met(rule) == 0 {
            if let Some(end) = runs::end(self.world, &execution).await? {
                return Err(WorldError::failed(
                    what(),
                    format!("it has ended as {}: {}", end.outcome, end.reason),
                ));
            }
            if Instant::now() > deadline {
                return Err(late());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let sfn = self.world.clients(self.world.recovery()).sfn;
        let stop =
            sfn.stop_execution().execution_arn(&execution.arn).error("Stopped").cause("a person stopped it");
        stop.send().await.doing(what)?;
        let released = tokio::time::timeout(WAIT_MAX, proxy.release(rule)).await;
        released.map(|_| ()).map_err(|_| late())
    }

    fn crash(&self, function: &str) -> Result<(), WorldError> {
        match self.world.kill_function(&format!("lifeboat-{}-{function}", self.stage.plan.name)) {
            0 => Err(WorldError::failed(format!("kill {function}"), "no process runs it")),
            _ => Ok(()),
        }
    }

    /// Calls each step of the run again, in the order of the definition: what a redrive does, and a duplicate that comes
    /// late. Which branch of a parallel state came first in the run is chance, and so is the order of its evidence.
    async fn redrive(&mut self, run: &str) -> Result<(), WorldError> {
        let execution = self.execution(run).await?;
        let execution =
            execution.ok_or_else(|| WorldError::failed(format!("redrive {run}"), "there is no such run"))?;
        self.redriven.entry(execution.name.clone()).or_insert_with(crate::world::now);
        // Of each state the first intent.
        let mut intents: BTreeMap<String, Record> = BTreeMap::new();
        for record in self.evidence.records(self.world, self.stage, &execution.name).await? {
            if record.phase == Phase::Intent {
                intents.entry(record.step.name.clone()).or_insert(record);
            }
        }
        if intents.is_empty() {
            return Err(WorldError::failed(format!("redrive {run}"), "it has left no evidence of any step"));
        }
        for state in &runs::in_order()? {
            let Some(record) = intents.remove(state) else { continue };
            (self.report)(&format!("again: {state}"));
            let answer = lambda::invoke(self.world, function_of(state)?, &record.body).await?;
            self.answers.push((self.step, format!("{state}: {}", said(answer))));
        }
        match intents.keys().next() {
            None => Ok(()),
            Some(state) => Err(WorldError::failed(
                format!("redrive {run}"),
                format!("its evidence names {state:?}, which the definition does not have"),
            )),
        }
    }

    async fn wait(&mut self, until: &Until) -> Result<(), WorldError> {
        if let Until::Seconds(seconds) = until {
            tokio::time::sleep(Duration::from_secs(*seconds)).await;
            return Ok(());
        }
        if let Until::CutFor(seconds) = until {
            let cut_at =
                self.cut_at.ok_or_else(|| WorldError::failed("wait for a cut", "nothing was ever cut"))?;
            tokio::time::sleep_until(cut_at + Duration::from_secs(*seconds)).await;
            return Ok(());
        }
        let deadline = Instant::now() + WAIT_MAX;
        while !self.is_so(until).await? {
            if Instant::now() > deadline {
                return Err(WorldError::TooLate { what: self.what_is(until).await, within: WAIT_MAX });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn is_so(&self, until: &Until) -> Result<bool, WorldError> {
        match until {
            Until::Seconds(_) | Until::CutFor(_) => Ok(true),
            Until::Begun(at) => {
                let records = self.records(&at.run).await?;
                Ok(records.iter().any(|record| record.step.name == at.state))
            }
            Until::Done(at) => {
                let verdicts = runs::verdicts(&self.records(&at.run).await?);
                Ok(verdicts.get(&at.state).is_some_and(|verdict| verdict != "NotReady"))
            }
            Until::NotReady(at) => self.has_outcome(at, |body| runs::verdict(body) == "NotReady").await,
            Until::Void(at) => {
                self.has_outcome(at, |body| body["result"]["void"].as_u64().is_some_and(|void| void > 0))
                    .await
            }
            Until::Lost(records) => Ok(self.delivery_stream()?.lost() >= *records),
            Until::Ended(run) => match self.execution(run).await? {
                Some(execution) => Ok(runs::end(self.world, &execution).await?.is_some()),
                None => Ok(false),
            },
            Until::Running(run) => match self.execution(run).await? {
                Some(execution) => Ok(runs::end(self.world, &execution).await?.is_none()),
                None => Ok(false),
            },
            Until::Met(met) => {
                let (name, calls) = met.fault_and_calls();
                match self.faults.get(name) {
                    Some((rule, _)) => Ok(self.world.proxy().met(*rule) >= calls),
                    None => Err(WorldError::failed(
                        format!("wait for the fault {name}"),
                        "no such fault is in force",
                    )),
                }
            }
            Until::Serving(side) => Ok(health(self.stage, *side).await["mode"] == "serving"),
            Until::Waiting(side) => Ok(health(self.stage, *side).await["mode"] == "waiting_for_open"),
            Until::Stopped(side) => {
                let region = self.region(*side);
                let containers = self.world.standin().containers();
                let mut here = containers.iter().filter(|container| container.region == region).peekable();
                Ok(here.peek().is_some() && here.all(|container| !container.is_running()))
            }
            Until::Alarm(state) => {
                Ok(self.alarm_state(&self.stage.alarm).await?.as_deref() == Some(state.as_str()))
            }
            Until::Traffic(side) => {
                // As the schedule does; each call is one of its minutes.
                lambda::invoke(self.world, "dns-flip", &json!({ "action": "keep" }))
                    .await?
                    .map_err(|name| WorldError::failed("keep the traffic as the schedule does", name))?;
                tokio::time::sleep(KEEP_EVERY).await;
                let gate = self.alarm_state(&switch::alarm_name(&self.stage.plan.name)).await?;
                self.world.dns().health_settled().await;
                Ok((gate.as_deref() == Some(AlarmState::Alarm.as_str())) == (*side == Side::Recovery))
            }
        }
    }

    /// What an alarm of the recovery Region says; none where it is not there.
    async fn alarm_state(&self, name: &str) -> Result<Option<String>, WorldError> {
        let cloudwatch = self.world.clients(self.world.recovery()).cloudwatch;
        let described = cloudwatch.describe_alarms().alarm_names(name).send().await;
        let described = described.doing(|| format!("describe the alarm {name}"))?;
        let state = described.metric_alarms().first().and_then(|alarm| alarm.state_value());
        Ok(state.map(|state| state.as_str().to_owned()))
    }

    /// What was waited for in vain, and how it stands instead.
    async fn what_is(&self, until: &Until) -> String {
        let runs = match runs::executions(self.world, self.stage).await {
            Ok(executions) => runs::labels(&executions)
                .into_iter()
                .map(|(label, execution)| format!("{label} is {}", execution.status.as_str()))
                .collect::<Vec<_>>()
                .join(", "),
            Err(why) => why.to_string(),
        };
        format!("wait for {until:?}; the runs: [{runs}]")
    }

    async fn records(&self, run: &str) -> Result<Vec<Record>, WorldError> {
        match self.execution(run).await? {
            Some(execution) => self.evidence.records(self.world, self.stage, &execution.name).await,
            None => Ok(Vec::new()),
        }
    }

    /// Whether an outcome of a run in a state is such a one.
    async fn has_outcome(&self, at: &InState, is_such: impl Fn(&Value) -> bool) -> Result<bool, WorldError> {
        let records = self.records(&at.run).await?;
        let mut outcomes = records.iter().filter(|record| record.phase == Phase::Outcome);
        Ok(outcomes.any(|record| record.step.name == at.state && is_such(&record.body)))
    }

    async fn execution(&self, label: &str) -> Result<Option<Execution>, WorldError> {
        let executions = runs::executions(self.world, self.stage).await?;
        let mut labels = runs::labels(&executions).into_iter();
        Ok(labels.find(|(known, _)| known == label).map(|(_, execution)| execution.clone()))
    }

    fn fault(&mut self, order: &FaultOrder) -> Result<(), WorldError> {
        let (scope, held) = (self.scope(&order.calls)?, order.does == Does::Hold);
        let fault = match order.does {
            Does::Refuse => Fault::Refuse,
            Does::Throttle => Fault::Throttle,
            Does::Deny if order.calls.bucket.is_some() || order.calls.service.as_deref() == Some("s3") => {
                Fault::Deny
            }
            Does::Deny => {
                return Err(WorldError::failed(
                    format!("order the fault {}", order.name),
                    "`does: deny` is for S3: say `bucket` or `service: s3`",
                ));
            }
            Does::LoseAnswer => Fault::LoseAnswer,
            Does::Hold => Fault::Hold,
            Does::DelaySeconds(seconds) => Fault::Delay(Duration::from_secs(seconds)),
        };
        let rule = match order.times {
            Some(times) => self.world.proxy().add_times(scope, fault, times),
            None => self.world.proxy().add(scope, fault),
        };
        match self.faults.insert(order.name.clone(), (rule, held)) {
            None => Ok(()),
            Some(_) => {
                Err(WorldError::failed(format!("order the fault {}", order.name), "the name is taken"))
            }
        }
    }

    fn scope(&self, calls: &Calls) -> Result<Scope, WorldError> {
        let Calls { from, service, operation, method, bucket, key, says } = calls;
        let mut scope = Scope::everything();
        if let Some(from) = from {
            scope = scope.from(match from {
                Caller::Lambda => ORIGIN_LAMBDA,
                Caller::Primary => self.world.primary(),
                Caller::Recovery => self.world.recovery(),
            });
        }
        if let Some(service) = service {
            scope = scope.service(service);
        }
        if let Some(operation) = operation {
            scope = scope.operation(operation);
        }
        if let Some(method) = method {
            scope = scope.method(method);
        }
        if let Some(says) = says {
            scope = scope.says(says);
        }
        match (bucket, key) {
            (Some(bucket), key) => {
                let bucket = match bucket {
                    Bucket::Log => &self.stage.log_bucket,
                    Bucket::Control => &self.stage.control_bucket,
                    Bucket::Evidence => &self.stage.evidence_bucket,
                };
                let key = key.as_deref().unwrap_or_default();
                Ok(scope.service("s3").path_prefix(&format!("/{bucket}/{key}")))
            }
            (None, Some(key)) => Err(WorldError::failed(
                "read `fault.calls`",
                format!("`key: {key}` says nothing without `bucket`"),
            )),
            (None, None) => Ok(scope),
        }
    }

    fn check_met(&self, name: &str, rule: RuleId) -> Result<(), WorldError> {
        match self.world.proxy().met(rule) {
            0 => Err(WorldError::failed(format!("see what the fault {name} has done"), "it met no call")),
            _ => Ok(()),
        }
    }

    async fn lift(&mut self, name: &str) -> Result<(), WorldError> {
        let (rule, held) = self
            .faults
            .remove(name)
            .ok_or_else(|| WorldError::failed(format!("lift the fault {name}"), "it was never ordered"))?;
        self.check_met(name, rule)?;
        if !held {
            self.world.proxy().lift(rule);
            return Ok(());
        }
        let released = tokio::time::timeout(WAIT_MAX, self.world.proxy().release(rule)).await;
        let answers = released.map_err(|_| WorldError::TooLate {
            what: format!("wait for the answers to what {name} held"),
            within: WAIT_MAX,
        })?;
        let mut answers = answers.unwrap_or_default();
        // How often the caller tried is a matter of its patience, not of the outcome.
        answers.sort_unstable();
        answers.dedup();
        let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
        self.answers.push((self.step, format!("what {name} held was answered with {}", answers.join(", "))));
        Ok(())
    }

    async fn lifeboat(&mut self, arguments: &[String]) -> Result<(), WorldError> {
        let arguments: Vec<String> = arguments.iter().map(|argument| self.stage.named(argument)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = self.stage.lifeboat(self.world, &arguments).await?;
        let code = output.status.code().map_or("no exit code".to_owned(), |code| format!("exit code {code}"));
        self.answers.push((self.step, format!("lifeboat {}: {code}", arguments.first().unwrap_or(&""))));
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        for line in text.lines() {
            // The width of a column is that of what is masked in it.
            let words: Vec<&str> = line.split_whitespace().collect();
            if !words.is_empty() {
                let line = mask::places(self.stage, &words.join(" "));
                self.answers.push((self.step, line));
            }
        }
        Ok(())
    }
}

/// What a Lambda said, in a word.
fn said(answer: Result<Value, String>) -> String {
    answer.map_or_else(|name| name, |value| value["verdict"].as_str().unwrap_or("no verdict").to_owned())
}

/// What only the intents of this state have in them. By the action where no other state asks for the same: the emulator
/// mixes up the names of branches. By the name elsewhere.
fn intent_of(run: &str, plan_key: &str, state: &str) -> Result<String, WorldError> {
    let what = || format!("find the state {state:?}");
    let definition = Definition::read().doing(what)?;
    let tasks = definition.tasks();
    let task = tasks.iter().find(|task| task.name == state);
    let action = task.and_then(|task| task.action());
    let action = action.ok_or_else(|| WorldError::failed(what(), "the definition has no such task"))?;
    let asking = tasks.iter().filter(|task| task.action() == Some(action)).count();
    Ok(if asking == 1 {
        format!("\"action\":{{\"{action}\":")
    } else {
        // As `lifeboat_rules::evidence::Record` is written.
        format!(
            "{{\"phase\":\"intent\",\"step\":{{\"run\":\"{run}\",\"plan_key\":\"{plan_key}\",\"name\":\"{state}\""
        )
    })
}

/// The function behind a state, by the definition.
fn function_of(state: &str) -> Result<&'static str, WorldError> {
    let what = || format!("find the function of the state {state:?}");
    let definition = Definition::read().doing(what)?;
    let tasks = definition.tasks();
    let task = tasks.iter().find(|task| task.name == state);
    task.and_then(|task| task.deployed())
        .ok_or_else(|| WorldError::failed(what(), "the definition has no such task of ours"))
}

/// What the exchange of a side says of itself; null where nobody answers.
pub async fn health(stage: &Stage, side: Side) -> Value {
    let address = match side {
        Side::Primary => stage.primary_address(),
        Side::Recovery => stage.recovery_address(),
    };
    let ask = async {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().ok()?;
        http.get(format!("http://{address}/health")).send().await.ok()?.json().await.ok()
    };
    ask.await.unwrap_or_default()
}

fn region_cut(side: Side) -> &'static str {
    match side {
        Side::Primary => "the primary Region",
        Side::Recovery => "the recovery Region",
    }
}
