//! The plan of the light stage: the shortest windows that a plan may have.

use std::net::SocketAddr;

use lifeboat_rules::plan::Strategy;
use serde_json::{Value, json};

use super::Setting;
use crate::world::places;

/// What of the plan is known once the foundation is there.
pub(super) struct Made<'a> {
    pub(super) log_bucket: &'a str,
    pub(super) zone_id: &'a str,
    pub(super) health_check: Option<&'a str>,
    pub(super) primary: SocketAddr,
    pub(super) exchange: SocketAddr,
}

/// The plan, as its file.
pub(super) fn plan(setting: &Setting, made: &Made<'_>) -> Value {
    let (name, zone) = (setting.plan, setting.zone());
    let mut plan = json!({
        "version": 1,
        "name": name,
        "regions": { "primary": "eu-west-1", "recovery": "eu-central-1" },
        "objectives": { "rto_seconds": 7200 },
        "probe": {
            "primary": [format!("http://{}/health", made.primary)],
            "recovery": format!("http://{}/health", made.exchange),
            "timeout_seconds": 1,
            "attempts": 1,
            "interval_seconds": 1,
            "log_still_seconds": 2,
        },
        "stacks": [{
            "name": "cell",
            "template": places::repository().join("tests/fixtures/light/cell.yaml"),
            "depends_on": [],
            "parameters": {},
        }],
        "ledger": { "bucket": made.log_bucket, "prefix": "log/", "streams": setting.streams },
        "dns": {
            "strategy": setting.strategy.to_string(),
            "zone_id": made.zone_id,
            "zone": zone,
            "records": [{
                "name": format!("gateway.{zone}"), "type": "A", "ttl": 0,
                "primary": ["127.0.1.1"], "recovery": ["127.0.2.1"],
            }],
        },
    });
    if setting.strategy == Strategy::Switch {
        plan["dns"]["health_check"] = json!(made.health_check);
    }
    plan
}
