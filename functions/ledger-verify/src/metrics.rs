//! The metrics behind the ledger's two alarms.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use lifeboat_rules::StepError;
use lifeboat_runtime::aws_error;

/// How old the oldest entry is that nobody has verified, in seconds.
pub const LAG: &str = "VerifiedLagSeconds";
/// 1 where something stands against the log or a checkpoint, 0 where nothing does.
pub const FINDINGS: &str = "LedgerFindings";

/// Where the metrics go.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// CloudWatch in the recovery Region.
    pub cloudwatch: Client,
    /// The metrics' namespace.
    pub namespace: String,
}

impl Metrics {
    /// Writes a point of each metric that has a value.
    ///
    /// # Errors
    /// As [`aws_error`].
    pub async fn put(
        &self,
        plan: &str,
        lag_seconds: Option<u64>,
        broken: Option<bool>,
    ) -> Result<(), StepError> {
        let datum = |name: &str, value: f64, unit: StandardUnit| {
            MetricDatum::builder()
                .metric_name(name)
                .dimensions(Dimension::builder().name("Plan").value(plan).build())
                .value(value)
                .unit(unit)
                .build()
        };
        let lag = lag_seconds.map(|seconds| datum(LAG, seconds as f64, StandardUnit::Seconds));
        let broken = broken.map(|broken| datum(FINDINGS, f64::from(u8::from(broken)), StandardUnit::Count));
        let points: Vec<MetricDatum> = lag.into_iter().chain(broken).collect();
        if points.is_empty() {
            return Ok(());
        }
        self.cloudwatch
            .put_metric_data()
            .namespace(&self.namespace)
            .set_metric_data(Some(points))
            .send()
            .await
            .map(|_| ())
            .map_err(|err| aws_error(format!("put the metrics {LAG} and {FINDINGS}"), err))
    }
}
