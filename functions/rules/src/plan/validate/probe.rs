//! Rules of the probe, and of what its waiting leaves of the objective.

use super::super::Plan;
use super::{Problems, bounds, syntax};

pub(super) fn check(plan: &Plan, found: &mut Problems) {
    addresses(plan, found);
    let probe = &plan.probe;
    let before = found.0.len();
    found.within("probe.timeout_seconds", probe.timeout_seconds, &bounds::PROBE_TIMEOUT_SECONDS, " s");
    found.within("probe.attempts", probe.attempts, &bounds::PROBE_ATTEMPTS, " attempts");
    found.within("probe.interval_seconds", probe.interval_seconds, &bounds::PROBE_INTERVAL_SECONDS, " s");
    found.within("probe.log_still_seconds", probe.log_still_seconds, &bounds::LOG_STILL_SECONDS, " s");
    if found.0.len() == before {
        waiting(plan, found);
    }
}

fn addresses(plan: &Plan, found: &mut Problems) {
    let endpoint = |field: &str, url: &str, found: &mut Problems| match syntax::http_endpoint(url) {
        Ok(endpoint) => {
            if plan.dns.records.iter().any(|record| record.name == endpoint.0) {
                found.add(
                    field,
                    format!(
                        "asks {}, a name that the flip moves to the other side; use an address",
                        endpoint.0
                    ),
                );
            }
            Some(endpoint)
        }
        Err(why) => {
            found.add(field, format!("{url:?} {why}"));
            None
        }
    };
    let primary = endpoint("probe.primary", &plan.probe.primary, found);
    let recovery = endpoint("probe.recovery", &plan.probe.recovery, found);
    if let (Some(primary), Some(recovery)) = (primary, recovery)
        && primary == recovery
    {
        let (host, port) = recovery;
        found.add("probe.recovery", format!("asks {host} port {port}, as the primary's probe does"));
    }
}

fn waiting(plan: &Plan, found: &mut Problems) {
    let probe = &plan.probe;
    // An attempt that takes longer than the interval delays the next one. Small numbers: bounded just before.
    let round =
        (probe.attempts - 1) * probe.interval_seconds.max(probe.timeout_seconds) + probe.timeout_seconds;
    if round > bounds::PROBE_ROUND_SECONDS_MAX {
        found.add(
            "probe.attempts",
            format!(
                "{} attempts take up to {round} s together, but may take {} s at most, since they are one call",
                probe.attempts,
                bounds::PROBE_ROUND_SECONDS_MAX
            ),
        );
    }
    // Confirmed once before the launch and once before the seal; then the slowest cached answer.
    let ttl = plan.dns.records.iter().map(|record| record.ttl).max().unwrap_or_default();
    let waiting = 2 * round.max(probe.log_still_seconds);
    let total = waiting.saturating_add(ttl);
    if bounds::RTO_SECONDS.contains(&plan.objectives.rto_seconds) && total >= plan.objectives.rto_seconds {
        found.add(
            "objectives.rto_seconds",
            format!(
                "is {} s, but confirming the outage twice ({waiting} s) and the longest TTL ({ttl} s) alone may \
                 take {total} s",
                plan.objectives.rto_seconds
            ),
        );
    }
}
