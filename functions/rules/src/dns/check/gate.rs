//! The gate: the health check that every primary half has, and the alarm behind it.
//!
//! How Route 53 follows an alarm:
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html>.

use super::{Finding, Kind};
use crate::Plan;
use crate::dns::switch::{
    FlipObject, METRIC_DIMENSION, METRIC_NAME, METRIC_NAMESPACE, PERIOD_SECONDS, alarm_name,
};
use crate::plan::Side;

const REDEPLOY: &str = "set it as infra/foundation.yaml has it (`aws route53 update-health-check`, `aws cloudwatch put-metric-alarm`): a stack \
     that is deployed again unchanged mends nothing";

/// What was seen of the gate; a part that is not there is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    /// The plan's health check.
    pub health_check: Option<HealthCheck>,
    /// The plan's alarm.
    pub alarm: Option<Alarm>,
}

/// A health check, as Route 53 has it.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// Its type: `CLOUDWATCH_METRIC` for one on an alarm.
    pub kind: String,
    /// Name and Region of the alarm that it follows.
    pub alarm: Option<(String, String)>,
    /// Whether it says the opposite of what it sees.
    pub inverted: bool,
    /// Whether it is switched off.
    pub disabled: bool,
    /// What it says while there is no data.
    pub insufficient_data: Option<String>,
    /// What of the alarm Route 53 has copied, where it says so: it follows the metric by this, and not by the alarm.
    pub copy: Option<Watched>,
}

/// An alarm, as CloudWatch has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// What it watches.
    pub watched: Watched,
    /// How many of the periods must be over the threshold; all where it does not say.
    pub datapoints_to_alarm: Option<u32>,
    /// What it does without data.
    pub missing_data: Option<String>,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
}

/// A metric, and when it alarms.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// `<namespace> <metric>`.
    pub metric: String,
    /// Names and values.
    pub dimensions: Vec<(String, String)>,
    /// `Maximum` and the like.
    pub statistic: String,
    /// The period, in seconds.
    pub period_seconds: u32,
    /// How many periods it looks at.
    pub evaluation_periods: u32,
    /// How it compares.
    pub comparison: String,
    /// With what.
    pub threshold: f64,
}

/// A field, what it is, and what it is to be.
type Field = (&'static str, String, String);

impl Watched {
    fn fields(&self, plan: &Plan) -> Vec<Field> {
        let dimensions: Vec<String> =
            self.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        vec![
            ("metric", self.metric.clone(), format!("{METRIC_NAMESPACE} {METRIC_NAME}")),
            ("dimensions", dimensions.join(", "), format!("{METRIC_DIMENSION}={}", plan.name)),
            ("statistic", self.statistic.clone(), "Maximum".to_owned()),
            ("period", format!("{} s", self.period_seconds), format!("{PERIOD_SECONDS} s")),
            ("evaluation periods", self.evaluation_periods.to_string(), "1".to_owned()),
            ("comparison", self.comparison.clone(), "GreaterThanOrEqualToThreshold".to_owned()),
            ("threshold", self.threshold.to_string(), "1".to_owned()),
        ]
    }
}

/// The fields that are not what they are to be, each in words.
fn wrong(fields: Vec<Field>) -> impl Iterator<Item = String> {
    let wrong = fields.into_iter().filter(|(_, is, wanted)| is != wanted);
    wrong.map(|(field, is, wanted)| format!("its {field} is {is:?}, and {wanted:?} is needed"))
}

impl Gate {
    /// What of it is not as the switch needs it.
    pub fn findings(&self, plan: &Plan) -> Vec<Finding> {
        let mut found = health_check(plan, self.health_check.as_ref());
        found.extend(alarm(plan, self.alarm.as_ref()));
        found
    }

    /// Where its alarm says another side than the newest flip does.
    pub fn disagrees(&self, plan: &Plan, flip: Option<&FlipObject>) -> Option<Finding> {
        let state = &self.alarm.as_ref()?.state;
        let (side, by) = match flip {
            Some(flip) => {
                (flip.side, format!("the newest flip, of epoch {}, says {}", flip.epoch, word(flip.side)))
            }
            None => (Side::Primary, "nobody has flipped".to_owned()),
        };
        let wanted = if side == Side::Recovery { "ALARM" } else { "OK" };
        (state != wanted).then(|| Finding {
            kind: Kind::Alarm,
            place: alarm_name(&plan.name),
            what: format!("it is in the state {state}, and {by}, for which it is to be {wanted}"),
            next: "within two minutes of a flip that is normal; later see in the log of dns-flip whether its schedule, \
                   which publishes the newest flip every minute, is called and what it says"
                .to_owned(),
        })
    }
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Primary => "primary",
        Side::Recovery => "recovery",
    }
}

fn health_check(plan: &Plan, seen: Option<&HealthCheck>) -> Vec<Finding> {
    let id = plan.dns.health_check.as_deref().unwrap_or_default();
    let finding = |what: String, next: &str| Finding {
        kind: Kind::HealthCheck,
        place: format!("health check {id}"),
        what,
        next: next.to_owned(),
    };
    let Some(seen) = seen else {
        return vec![finding(
            "it is not there: what Route 53 makes of the halves that it gates cannot be predicted".to_owned(),
            "put the foundation stack's output HealthCheckId into the plan's `dns.health_check`",
        )];
    };
    let mut found = Vec::new();
    let (name, region) = (alarm_name(&plan.name), plan.regions.recovery.as_str());
    if seen.kind != "CLOUDWATCH_METRIC" {
        found.push(finding(
            format!("it is of type {}: it follows no alarm", seen.kind),
            "put the foundation stack's output HealthCheckId into the plan's `dns.health_check`",
        ));
    } else if seen.alarm.as_ref().map(|(name, region)| (name.as_str(), region.as_str()))
        != Some((name.as_str(), region))
    {
        let follows = seen
            .alarm
            .as_ref()
            .map_or_else(|| "no alarm".to_owned(), |(name, region)| format!("the alarm {name} in {region}"));
        found.push(finding(
            format!("it follows {follows}; the keeper publishes for {name} in {region}"),
            REDEPLOY,
        ));
    }
    if seen.inverted {
        let what = "it is inverted: traffic is on the recovery side while the alarm is off, and a flip moves it back";
        found.push(finding(what.to_owned(), REDEPLOY));
    }
    if seen.disabled {
        let what = "it is disabled: Route 53 takes it for healthy whatever the alarm says, and no flip moves traffic";
        let next = "`aws route53 update-health-check --health-check-id ID --no-disabled`";
        found.push(finding(what.to_owned(), next));
    }
    if let Some(copy) = &seen.copy {
        let next = "Route 53 copies an alarm's settings when the health check is made or updated: \
                    `aws route53 update-health-check --health-check-id ID --alarm-identifier Region=REGION,Name=ALARM` \
                    copies them anew";
        found.extend(
            wrong(copy.fields(plan)).map(|wrong| finding(format!("in its copy of the alarm {wrong}"), next)),
        );
    }
    let without_data = seen.insufficient_data.as_deref().unwrap_or("nothing");
    if without_data != "LastKnownStatus" {
        found.push(finding(
            format!(
                "without data it says {without_data}, where LastKnownStatus is needed: to lose the metric would move traffic"
            ),
            REDEPLOY,
        ));
    }
    found
}

fn alarm(plan: &Plan, seen: Option<&Alarm>) -> Vec<Finding> {
    let name = alarm_name(&plan.name);
    let finding =
        |what: String| Finding { kind: Kind::Alarm, place: name.clone(), what, next: REDEPLOY.to_owned() };
    let Some(seen) = seen else {
        let what = "there is no such alarm in the recovery Region: the health check has no data, and no flip moves traffic";
        return vec![finding(what.to_owned())];
    };
    let mut fields = seen.watched.fields(plan);
    let datapoints = seen.datapoints_to_alarm.unwrap_or(1).to_string();
    fields.push(("number of datapoints to alarm", datapoints, "1".to_owned()));
    // Where an alarm does not say, CloudWatch takes `missing`.
    let missing_data = seen.missing_data.clone().unwrap_or_else(|| "missing".to_owned());
    fields.push(("treatment of missing data", missing_data, "ignore".to_owned()));
    wrong(fields).map(finding).collect()
}
