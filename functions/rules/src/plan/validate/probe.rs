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
        quorum(plan, found);
        waiting(plan, found);
    }
}

fn addresses(plan: &Plan, found: &mut Problems) {
    let probe = &plan.probe;
    let mut check = |field: &str, url: &str, parsed: Result<(String, u16), &str>| match parsed {
        Ok(endpoint) => {
            if plan.dns.moves(&endpoint.0) {
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
    let primary: Vec<_> = probe
        .primary
        .iter()
        .enumerate()
        .map(|(index, url)| check(&format!("probe.primary[{index}]"), url, syntax::probe_endpoint(url)))
        .collect();
    let recovery = check("probe.recovery", &probe.recovery, syntax::http_endpoint(&probe.recovery));
    if let Some((host, port)) = &recovery
        && primary.contains(&recovery)
    {
        found.add("probe.recovery", format!("asks {host} port {port}, as the primary's probe does"));
    }
    found.count("probe.primary", probe.primary.len(), &bounds::PROBE_TARGETS, "targets");
    for (index, url) in probe.primary.iter().enumerate() {
        if probe.primary[..index].contains(url) {
            found.add(
                format!("probe.primary[{index}]"),
                format!("{url:?} stands there twice: one observer does not become two"),
            );
        }
    }
}

/// The numbers that are about the other numbers.
fn quorum(plan: &Plan, found: &mut Problems) {
    let probe = &plan.probe;
    let targets = u32::try_from(probe.primary.len()).unwrap_or(u32::MAX).max(1);
    if let Some(quorum) = probe.quorum {
        found.within("probe.quorum", quorum, &(1..=targets), " of the primary's targets");
    }
    if let Some(failures) = probe.consecutive_failures {
        found.within("probe.consecutive_failures", failures, &(1..=probe.attempts), " of the attempts");
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
    let ttl = plan.dns.ttl_max();
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
