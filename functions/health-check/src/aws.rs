//! The calls to CloudWatch.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, Dimension, MetricDatum, StandardUnit};
use lifeboat_rules::outage::AlarmReading;
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::aws_error;

/// The alarm behind the plan, and the metric behind the alarm.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// CloudWatch in the recovery Region.
    pub cloudwatch: Client,
    /// The name of the alarm behind the plan.
    pub name: String,
    /// The metric's namespace.
    pub namespace: String,
}

impl Alarm {
    /// Reads the state of the alarm `name` again, be it a metric's or a composite one.
    ///
    /// # Errors
    /// `Transient` where CloudWatch did not answer just now.
    pub async fn read(&self, name: &str) -> Result<AlarmReading, StepError> {
        let answer = self
            .cloudwatch
            .describe_alarms()
            .alarm_names(name)
            // Left out, only metric alarms are looked at.
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm)
            .send()
            .await;
        alarm_reading(answer.map_err(|err| aws_error(format!("describe the alarm {name}"), err)).map(
            |found| {
                let metric = found.metric_alarms().first().and_then(|alarm| alarm.state_value());
                let composite = || found.composite_alarms().first().and_then(|alarm| alarm.state_value());
                Some(metric.or_else(composite)?.as_str().to_owned())
            },
        ))
    }

    /// Writes one high-resolution point of the metric: 1 for down, 0 for not down.
    pub async fn put_metric(&self, plan: &str, down: bool) -> Result<(), StepError> {
        self.cloudwatch
            .put_metric_data()
            .namespace(&self.namespace)
            .metric_data(
                MetricDatum::builder()
                    .metric_name("PrimaryDown")
                    .dimensions(Dimension::builder().name("Plan").value(plan).build())
                    .value(if down { 1.0 } else { 0.0 })
                    .unit(StandardUnit::Count)
                    .storage_resolution(1)
                    .build(),
            )
            .send()
            .await
            .map(|_| ())
            .map_err(|err| aws_error("put the metric PrimaryDown", err))
    }
}

/// What re-reading the alarm gave, as a reading.
///
/// # Errors
/// `Transient` where CloudWatch did not answer just now.
fn alarm_reading(state: Result<Option<String>, StepError>) -> Result<AlarmReading, StepError> {
    match state {
        Ok(Some(state)) if state == "ALARM" => Ok(AlarmReading::Alarm),
        Ok(Some(state)) => Ok(AlarmReading::Other(state)),
        Ok(None) => Ok(AlarmReading::Unreadable("there is no such alarm".into())),
        Err(err) if err.name == ErrorName::Transient => Err(err),
        Err(err) => Ok(AlarmReading::Unreadable(err.to_string())),
    }
}
