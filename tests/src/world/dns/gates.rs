//! Where the health comes from: the emulator's health checks, and the alarms that they look at. The emulator keeps both
//! and evaluates no check, so this does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_route53::types::{HealthCheck, HealthCheckType, InsufficientDataHealthStatus};
use tokio::sync::watch;

use super::health::{AlarmCheck, AlarmId, Health, Judge, Reading, WhenInsufficient};
use super::poll::Read;
use crate::world::clients::Clients;
use crate::world::error::{Doing as _, WorldError};

/// CloudWatch describes no more alarms in one answer.
const ALARMS_A_CALL: usize = 100;
/// Pages of a hundred checks.
const PAGES_MAX: usize = 10;

/// Reads checks and alarms, and publishes which checks hold unless that is to stay as it is.
pub(super) struct HealthReader {
    clients: Clients,
    endpoint: String,
    /// Clients of the Regions that checks have named so far.
    cloudwatch: BTreeMap<String, aws_sdk_cloudwatch::Client>,
    judge: Judge,
    publish: watch::Sender<Arc<Health>>,
    hold: Arc<AtomicBool>,
}

impl HealthReader {
    pub(super) fn new(
        endpoint: &str,
        clients: Clients,
        publish: watch::Sender<Arc<Health>>,
        hold: Arc<AtomicBool>,
    ) -> Self {
        let (endpoint, cloudwatch) = (endpoint.to_owned(), BTreeMap::new());
        Self { clients, endpoint, cloudwatch, judge: Judge::default(), publish, hold }
    }

    async fn checks(&self) -> Result<Vec<AlarmCheck>, WorldError> {
        let what = || "list the health checks".to_owned();
        let mut checks = Vec::new();
        let mut pages = self.clients.route53.list_health_checks().into_paginator().send();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else { return Ok(checks) };
            checks.extend(page.doing(what)?.health_checks.iter().filter_map(alarm_check));
        }
        Err(WorldError::failed(what(), format!("there are more than {PAGES_MAX} pages")))
    }

    async fn readings(&mut self, checks: &[AlarmCheck]) -> Result<BTreeMap<AlarmId, Reading>, WorldError> {
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for AlarmCheck { alarm, .. } in checks {
            wanted.entry(&alarm.region).or_default().insert(&alarm.name);
        }
        let mut readings = BTreeMap::new();
        for (region, names) in wanted {
            let client = self.cloudwatch.entry(region.to_owned());
            let client = client.or_insert_with(|| Clients::new(&self.endpoint, region).cloudwatch);
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            for names in names.chunks(ALARMS_A_CALL) {
                let describe = client.describe_alarms().set_alarm_names(Some(names.to_vec()));
                let described = describe.send().await.doing(|| format!("describe the alarms of {region}"))?;
                for alarm in described.metric_alarms() {
                    let name = alarm.alarm_name().unwrap_or_default().to_owned();
                    readings
                        .insert(AlarmId { region: region.to_owned(), name }, reading(alarm.state_value()));
                }
            }
        }
        Ok(readings)
    }
}

impl Read for HealthReader {
    async fn read(&mut self) -> Result<(), WorldError> {
        let checks = self.checks().await?;
        let readings = self.readings(&checks).await?;
        let health = self.judge.judge(&checks, &readings);
        if !self.hold.load(Ordering::SeqCst) {
            self.publish.send_replace(Arc::new(health));
        }
        Ok(())
    }
}

/// A check on an alarm; none where it is of another kind.
fn alarm_check(check: &HealthCheck) -> Option<AlarmCheck> {
    let config = check.health_check_config()?;
    let alarm =
        config.alarm_identifier().filter(|_| *config.r#type() == HealthCheckType::CloudwatchMetric)?;
    Some(AlarmCheck {
        id: check.id().to_owned(),
        alarm: AlarmId { region: alarm.region().as_str().to_owned(), name: alarm.name().to_owned() },
        when_insufficient: match config.insufficient_data_health_status() {
            Some(InsufficientDataHealthStatus::Healthy) => WhenInsufficient::Healthy,
            Some(InsufficientDataHealthStatus::Unhealthy) => WhenInsufficient::Unhealthy,
            _ => WhenInsufficient::LastKnown,
        },
        inverted: config.inverted().unwrap_or(false),
        disabled: config.disabled().unwrap_or(false),
    })
}

fn reading(state: Option<&StateValue>) -> Reading {
    match state {
        Some(StateValue::Ok) => Reading::Ok,
        Some(StateValue::Alarm) => Reading::Alarm,
        _ => Reading::InsufficientData,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::{AlarmIdentifier, CloudWatchRegion, HealthCheckConfig};

    use super::*;

    #[test]
    fn only_a_check_on_an_alarm_is_evaluated() {
        let check = |kind: HealthCheckType| {
            let alarm = AlarmIdentifier::builder().region(CloudWatchRegion::EuCentral1).name("traffic");
            let config = HealthCheckConfig::builder()
                .r#type(kind)
                .alarm_identifier(alarm.build().unwrap())
                .insufficient_data_health_status(InsufficientDataHealthStatus::LastKnownStatus);
            let check = HealthCheck::builder().id("gate").caller_reference("1").health_check_version(1);
            check.health_check_config(config.build().unwrap()).build().unwrap()
        };
        let gate = alarm_check(&check(HealthCheckType::CloudwatchMetric)).unwrap();
        assert_eq!(gate.alarm, AlarmId { region: "eu-central-1".into(), name: "traffic".into() });
        assert_eq!((gate.when_insufficient, gate.inverted), (WhenInsufficient::LastKnown, false));
        assert!(alarm_check(&check(HealthCheckType::Tcp)).is_none());
    }
}
