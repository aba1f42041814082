//! What a stage is set with.

use std::sync::Arc;

use lifeboat_rules::plan::Strategy;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::error::{Doing as _, WorldError};
use crate::world::places;

/// What the exchange trades.
pub const SYMBOLS: [&str; 6] = ["AAPL", "MSFT", "NVDA", "JPM", "GS", "MS"];

/// Below which deliveries lie: where the role of *ledger-verify* may read them.
pub const DELIVERIES_PREFIX: &str = "witness/";
/// How long a run waits for deliveries, in seconds, where the scenario says nothing else.
const DELIVERY_WAIT_SECONDS: u32 = 90;

/// How the application keeps its ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ledger {
    /// It writes the slots of the log itself: AEX.
    #[default]
    Segments,
    /// It sends entries to a delivery stream and acknowledges by leases: [`crate::leased`].
    Leases,
}

impl Ledger {
    /// The program that stands for the application's image.
    pub fn application(self) -> &'static str {
        match self {
            Ledger::Segments => "aex",
            Ledger::Leases => "leased",
        }
    }
}

/// What is to be set up.
#[derive(Clone)]
pub struct Setting {
    /// How the application keeps its ledger.
    pub ledger: Ledger,
    /// How many streams the exchange has, from one to as many as there are symbols.
    pub streams: usize,
    /// Members of `tests/drill/plan.yaml` that are to be otherwise, as a JSON merge patch.
    pub plan: Value,
    /// How traffic moves.
    pub strategy: Strategy,
    /// Stacks for the plan to have besides its own.
    pub stacks: Vec<Value>,
    /// Whether probes of the primary go through a [`Relay`], so that they can be cut off from it.
    pub relay: bool,
    /// Told each line of progress.
    pub report: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Setting {
    /// The drill's plan as it is, with two streams.
    pub fn new(report: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        let (plan, stacks, strategy) = (json!({}), Vec::new(), Strategy::Switch);
        Self { ledger: Ledger::Segments, streams: 2, plan, strategy, stacks, relay: false, report }
    }

    /// The prefix of the ledger's keys.
    pub(super) fn ledger_prefix(&self) -> &'static str {
        match self.ledger {
            Ledger::Segments => "log/",
            Ledger::Leases => DELIVERIES_PREFIX,
        }
    }

    /// The streams' names.
    fn stream_names(&self) -> Vec<String> {
        (1..=self.streams).map(|number| format!("ME{number}")).collect()
    }

    /// The exchange's parameter `Streams`: the symbols in their order, spread over the streams.
    pub(super) fn streams_parameter(&self) -> String {
        let each = SYMBOLS.len().div_ceil(self.streams);
        let symbols = SYMBOLS.chunks(each).map(|symbols| symbols.join("+"));
        let streams = self.stream_names().into_iter().zip(symbols);
        streams.map(|(stream, symbols)| format!("{stream}={symbols}")).collect::<Vec<_>>().join(",")
    }

    /// The plan's text, with `${NAME}` in it where a value is known only once the world is up.
    pub(super) fn plan_text(&self) -> Result<String, WorldError> {
        let what = || "read tests/drill/plan.yaml".to_owned();
        let text = std::fs::read_to_string(places::repository().join("tests/drill/plan.yaml")).doing(what)?;
        let mut plan: Value = serde_saphyr::from_str(&text).doing(what)?;
        plan["ledger"]["streams"] = json!(self.stream_names());
        if self.ledger == Ledger::Leases {
            plan["ledger"]["prefix"] = json!(self.ledger_prefix());
            plan["ledger"]["lease"] = json!({ "delivery_wait_seconds_max": DELIVERY_WAIT_SECONDS });
        }
        for stack in plan["stacks"].as_array_mut().into_iter().flatten() {
            if stack["name"] == "exchange" {
                stack["parameters"]["Streams"] = json!(self.streams_parameter());
                stack["parameters"]["LogPrefix"] = json!(self.ledger_prefix());
            }
        }
        if self.strategy == Strategy::Records {
            json_patch::merge(&mut plan["dns"], &json!({ "strategy": "records", "health_check": null }));
        }
        json_patch::merge(&mut plan, &self.plan);
        plan["stacks"].as_array_mut().into_iter().for_each(|stacks| stacks.extend(self.stacks.clone()));
        serde_json::to_string_pretty(&plan).doing(|| "write the plan".to_owned())
    }
}
