//! The gate of failover pairs: an alarm and the health check on it.

use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, Statistic};
use aws_sdk_route53::types::{
    AlarmIdentifier, CloudWatchRegion, HealthCheckConfig, HealthCheckType, InsufficientDataHealthStatus,
};
use lifeboat_rules::dns::switch::{self, alarm_name};

use crate::world::Clients;
use crate::world::error::{Doing as _, WorldError};

/// Creates the gate of `plan` as `infra/foundation.yaml` has it, in the Region of `clients`; the health check's id.
///
/// # Errors
/// The emulator took one of the two not.
pub async fn create_gate(clients: &Clients, plan: &str) -> Result<String, WorldError> {
    let what = || format!("create the gate of plan {plan}");
    let alarm = clients
        .cloudwatch
        .put_metric_alarm()
        .alarm_name(alarm_name(plan))
        .namespace(switch::METRIC_NAMESPACE)
        .metric_name(switch::METRIC_NAME)
        .dimensions(Dimension::builder().name(switch::METRIC_DIMENSION).value(plan).build())
        .statistic(Statistic::Maximum)
        .period(switch::PERIOD_SECONDS.cast_signed())
        .evaluation_periods(1)
        .threshold(1.0)
        .comparison_operator(ComparisonOperator::GreaterThanOrEqualToThreshold)
        .treat_missing_data("ignore");
    alarm.send().await.doing(what)?;
    let alarm = AlarmIdentifier::builder()
        .name(alarm_name(plan))
        .region(CloudWatchRegion::from(clients.region.as_str()))
        .build()
        .doing(what)?;
    let config = HealthCheckConfig::builder()
        .r#type(HealthCheckType::CloudwatchMetric)
        .alarm_identifier(alarm)
        .insufficient_data_health_status(InsufficientDataHealthStatus::LastKnownStatus)
        .build()
        .doing(what)?;
    let create = clients.route53.create_health_check().caller_reference(plan).health_check_config(config);
    let created = create.send().await.doing(what)?;
    let check =
        created.health_check.ok_or_else(|| WorldError::failed(what(), "the answer names no health check"))?;
    Ok(check.id)
}
