//! The gate: the metric that its alarm, and the health check on that alarm, follow.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use jiff::Timestamp;
use lifeboat_rules::StepError;
use lifeboat_rules::dns::switch::{METRIC_DIMENSION, METRIC_NAME, METRIC_NAMESPACE, value};
use lifeboat_rules::plan::Side;
use lifeboat_runtime::aws_error;
use serde::{Deserialize, Serialize};

/// CloudWatch, in the Region of the gate's alarm.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The client.
    pub cloudwatch: Client,
}

/// A point of the gate's metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// 1 for recovery, 0 for primary.
    pub value: f64,
    /// What it is a statement about: the moment at which the newest flip was looked for, by the store's clock.
    pub at: Timestamp,
}

impl Gate {
    /// Writes that at `at` the traffic of `plan` belonged to `side`. Standard resolution, the only one that a health check
    /// can follow.
    ///
    /// # Errors
    /// As [`aws_error`]; the point may be written all the same, and writing it again changes nothing.
    pub async fn publish(&self, plan: &str, side: Side, at: Timestamp) -> Result<Point, StepError> {
        let point = Point { value: value(side), at };
        let datum = MetricDatum::builder()
            .metric_name(METRIC_NAME)
            .dimensions(Dimension::builder().name(METRIC_DIMENSION).value(plan).build())
            .value(point.value)
            .timestamp(DateTime::from_secs(at.as_second()))
            .unit(StandardUnit::None)
            .storage_resolution(60)
            .build();
        let put = self.cloudwatch.put_metric_data().namespace(METRIC_NAMESPACE).metric_data(datum);
        put.send().await.map_err(|err| aws_error(format!("put the metric {METRIC_NAME} of {plan}"), err))?;
        Ok(point)
    }
}
