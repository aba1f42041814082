//! What a stage is set with.

use std::sync::Arc;

use lifeboat_rules::plan::Strategy;
use serde_json::{Value, json};

use crate::world::error::{Doing as _, WorldError};
use crate::world::places;

/// What the exchange trades.
pub const SYMBOLS: [&str; 6] = ["AAPL", "MSFT", "NVDA", "JPM", "GS", "MS"];

/// What is to be set up.
#[derive(Clone)]
pub struct Setting {
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
        Self { streams: 2, plan, strategy, stacks, relay: false, report }
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
        for stack in plan["stacks"].as_array_mut().into_iter().flatten() {
            if stack["name"] == "exchange" {
                stack["parameters"]["Streams"] = json!(self.streams_parameter());
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
