//! Who needed what was taken away: the log of calls, looked through after a run.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::CONTROL_PLANES;
use crate::world::ORIGIN_LAMBDA;
use crate::world::proxy::Record;

/// What the log says about two Regions that were refused from `since` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Calls to either by those who must not need them, whatever became of the call: service and operation, with how often.
    pub calls: BTreeMap<String, usize>,
    /// How many calls they made in all: none would mean that nobody looked.
    pub looked_at: usize,
    /// Calls that did not say their Region, which nobody can judge.
    pub unsigned: usize,
}

impl Needed {
    /// Whether neither was needed, and there was something to judge it by.
    pub fn nothing(&self) -> bool {
        self.calls.is_empty() && self.looked_at > 0 && self.unsigned == 0
    }
}

impl std::fmt::Display for Needed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Needed { calls, looked_at, unsigned } = self;
        if calls.is_empty() {
            write!(out, "none of {looked_at} calls")?;
        } else {
            let calls: Vec<String> = calls.iter().map(|(call, times)| format!("{call} ({times})")).collect();
            write!(out, "{} of {looked_at} calls", calls.join(", "))?;
        }
        if *unsigned > 0 {
            write!(out, "; {unsigned} did not say their Region")?;
        }
        Ok(())
    }
}

/// Looks through `log` for calls that arrived from `since` on, by the Lambdas and by whoever comes in as `served` (the
/// recovered exchange), to us-east-1 or to the `primary` Region. Left out is who must go on calling there: the struck exchange
/// itself, which does not know yet, and the harness's own container runtime.
pub fn needed(log: &[Record], since: Timestamp, primary: &str, served: &str) -> Needed {
    let mut found = Needed { calls: BTreeMap::new(), looked_at: 0, unsigned: 0 };
    for Record { call, .. } in log
        .iter()
        .filter(|record| record.at >= since && [ORIGIN_LAMBDA, served].contains(&record.call.origin.as_str()))
    {
        found.looked_at += 1;
        match call.region.as_deref() {
            None => found.unsigned += 1,
            Some(region) if region == CONTROL_PLANES || region == primary => {
                let service = call.service.as_deref().unwrap_or("a service that it does not name");
                let operation = call.operation.as_deref().unwrap_or(&call.method);
                *found.calls.entry(format!("{service} {operation} in {region}")).or_default() += 1;
            }
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::ORIGIN_STANDIN;
    use crate::world::proxy::Call;

    fn record(at: i64, origin: &str, region: Option<&str>, service: &str, operation: Option<&str>) -> Record {
        let call = Call {
            origin: origin.to_owned(),
            region: region.map(str::to_owned),
            service: Some(service.to_owned()),
            operation: operation.map(str::to_owned),
            method: "GET".to_owned(),
            path: "/".to_owned(),
        };
        let at = Timestamp::from_second(at).unwrap();
        Record { at, call, fault: None, status: None, millis: None }
    }

    fn judged(log: &[Record]) -> Needed {
        needed(log, Timestamp::from_second(100).unwrap(), "eu-west-1", "eu-central-1")
    }

    #[test]
    fn a_call_to_either_region_is_found_once_it_was_refused() {
        let mut log = vec![
            record(99, ORIGIN_LAMBDA, Some("us-east-1"), "route53", None),
            record(100, ORIGIN_LAMBDA, Some("eu-central-1"), "s3", None),
            record(101, "eu-west-1", Some("eu-west-1"), "s3", None),
            record(101, ORIGIN_STANDIN, Some("eu-west-1"), "ecs", Some("ListTasks")),
        ];
        assert!(judged(&log).nothing());
        assert_eq!(judged(&log).to_string(), "none of 1 calls");
        log.push(record(102, ORIGIN_LAMBDA, Some("us-east-1"), "route53", None));
        log.push(record(103, "eu-central-1", Some("eu-west-1"), "firehose", Some("PutRecord")));
        assert!(!judged(&log).nothing());
        let said = "firehose PutRecord in eu-west-1 (1), route53 GET in us-east-1 (1) of 3 calls";
        assert_eq!(judged(&log).to_string(), said);
    }

    #[test]
    fn a_log_that_says_nothing_shows_nothing() {
        assert!(!judged(&[]).nothing());
        let unsigned = [record(100, ORIGIN_LAMBDA, None, "s3", None)];
        assert!(!judged(&unsigned).nothing());
    }
}
