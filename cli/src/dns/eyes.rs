//! What `prepare` and `check` look at: the plan and its names, the zone, the gate, the epochs.

use aws_sdk_cloudwatch::types::MetricAlarm;
use aws_sdk_route53::types::{
    CloudWatchAlarmConfiguration, HealthCheck as ApiHealthCheck, HostedZoneLimitType,
};
use dns_flip::Zone;
use lifeboat_rules::dns::Found;
use lifeboat_rules::dns::check::{Alarm, Gate, HealthCheck, HostedZone, UnreadableFlip, Watched};
use lifeboat_rules::dns::switch::{FlipObject, alarm_name};
use lifeboat_rules::plan::Record;
use lifeboat_rules::{Plan, StepError};
use lifeboat_runtime::{FoundFlip, Store, find_newest_flip};

use crate::args::PlanArgs;
use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::uploaded;

/// A look from the operator's machine.
pub(super) struct Eyes {
    pub(super) plan: Plan,
    /// All records of the plan, those by rules too.
    pub(super) records: Vec<Record>,
    pub(super) zone: Zone,
    control: String,
    store: Store,
    route53: aws_sdk_route53::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
}

/// Who was the last to act on the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The newest epoch; 0 for none.
    pub(super) epoch: u64,
    /// The newest flip of the strategy `switch`.
    pub(super) flip: Option<FlipObject>,
    /// What lies in its place and is none.
    pub(super) unreadable: Option<UnreadableFlip>,
}

impl Eyes {
    pub(super) async fn open(args: &PlanArgs) -> Result<Self, Failure> {
        let config = aws::config(&args.aws, None).await?;
        let (store, control) = (Store::new(&config), args.control.bucket.clone());
        let plan = uploaded::uploaded(&store, &control, &args.name).await?;
        let records = uploaded::records(&store, &control, &plan).await?;
        let route53 = aws::route53(&config);
        // The gate's alarm is where the plan says, whatever Region a person works in.
        let cloudwatch = aws::cloudwatch(&config, &plan.regions.recovery);
        let zone = Zone::new(route53.clone());
        Ok(Self { plan, records, zone, control, store, route53, cloudwatch })
    }

    /// Every record set of the zone.
    pub(super) async fn found(&self) -> Result<Vec<Found>, Failure> {
        let dns = &self.plan.dns;
        let _progress = Progress::show(format!("reading the records of {}", dns.zone));
        self.zone.read_all(&dns.zone_id).await.map_err(|error| {
            aws::step_failure(format!("could not read the records of {} ({})", dns.zone, dns.zone_id), &error)
        })
    }

    pub(super) async fn standing(&self) -> Result<Standing, Failure> {
        let (store, control, plan) = (&self.store, &self.control, &self.plan.name);
        let read = async {
            let epoch = run_control::newest_epoch(store, control, plan).await?;
            let (flip, unreadable) = match find_newest_flip(store, control, plan).await? {
                (None, _) => (None, None),
                (Some(FoundFlip { object: Ok(flip), .. }), _) => (Some(flip), None),
                (Some(FoundFlip { object: Err(why), key, .. }), _) => {
                    (None, Some(UnreadableFlip { key, why: why.to_string() }))
                }
            };
            Ok(Standing { epoch, flip, unreadable })
        };
        read.await.map_err(|error: StepError| {
            aws::step_failure(
                format!("could not read the newest epoch and the newest flip of {plan}"),
                &error,
            )
        })
    }

    pub(super) async fn hosted(&self) -> Result<HostedZone, Failure> {
        let id = &self.plan.dns.zone_id;
        let asked = self.route53.get_hosted_zone().id(id).send().await.map_err(|error| {
            let gone = error.as_service_error().is_some_and(|error| error.is_no_such_hosted_zone());
            let failure = aws::failure(format!("could not read the hosted zone {id}"), error);
            match gone {
                true => {
                    let next = "put the foundation stack's output HostedZoneId into the plan's `dns.zone_id`";
                    Failure { next: next.to_owned(), ..failure }
                }
                false => failure,
            }
        })?;
        let zone = asked.hosted_zone().ok_or_else(|| incomplete(&format!("the hosted zone {id}")))?;
        Ok(HostedZone {
            name: zone.name().to_owned(),
            private: zone.config().is_some_and(|config| config.private_zone()),
            networks: asked.vpcs().iter().filter_map(|vpc| vpc.vpc_id()).map(str::to_owned).collect(),
        })
    }

    /// How many record sets more the zone takes; `None` where Route 53 does not say.
    pub(super) async fn room(&self) -> Option<usize> {
        let asked = self.route53.get_hosted_zone_limit().hosted_zone_id(&self.plan.dns.zone_id);
        let asked = asked.r#type(HostedZoneLimitType::MaxRrsetsByZone).send().await.ok()?;
        usize::try_from(asked.limit()?.value() - asked.count()).ok()
    }

    /// The plan's gate: the health check and the alarm as they are.
    pub(super) async fn gate(&self) -> Result<Gate, Failure> {
        Ok(Gate { health_check: self.health_check().await?, alarm: self.alarm().await? })
    }

    async fn health_check(&self) -> Result<Option<HealthCheck>, Failure> {
        let Some(id) = &self.plan.dns.health_check else { return Ok(None) };
        let asked = match self.route53.get_health_check().health_check_id(id).send().await {
            Ok(asked) => asked,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_health_check()) => {
                return Ok(None);
            }
            Err(error) => return Err(aws::failure(format!("could not read the health check {id}"), error)),
        };
        let read = asked.health_check().and_then(read_health_check);
        read.map(Some).ok_or_else(|| incomplete(&format!("the health check {id}")))
    }

    async fn alarm(&self) -> Result<Option<Alarm>, Failure> {
        let name = alarm_name(&self.plan.name);
        let asked = self.cloudwatch.describe_alarms().alarm_names(&name).send().await;
        let asked = asked.map_err(|error| {
            let region = &self.plan.regions.recovery;
            aws::failure(format!("could not read the alarm {name} in {region}"), error)
        })?;
        Ok(asked.metric_alarms().first().map(read_alarm))
    }
}

fn incomplete(what: &str) -> Failure {
    Failure::new(Exit::TryAgain, format!("AWS gave an incomplete answer about {what}"), "run it again")
}

fn read_health_check(check: &ApiHealthCheck) -> Option<HealthCheck> {
    let config = check.health_check_config()?;
    let alarm = config.alarm_identifier();
    Some(HealthCheck {
        kind: config.r#type().as_str().to_owned(),
        alarm: alarm.map(|alarm| (alarm.name().to_owned(), alarm.region().as_str().to_owned())),
        inverted: config.inverted() == Some(true),
        disabled: config.disabled() == Some(true),
        insufficient_data: config.insufficient_data_health_status().map(|status| status.as_str().to_owned()),
        copy: check.cloud_watch_alarm_configuration().map(read_copy),
    })
}

fn read_copy(copy: &CloudWatchAlarmConfiguration) -> Watched {
    let dimensions =
        copy.dimensions().iter().map(|dimension| (dimension.name().to_owned(), dimension.value().to_owned()));
    Watched {
        metric: format!("{} {}", copy.namespace(), copy.metric_name()),
        dimensions: dimensions.collect(),
        statistic: copy.statistic().as_str().to_owned(),
        period_seconds: u32::try_from(copy.period()).unwrap_or_default(),
        evaluation_periods: u32::try_from(copy.evaluation_periods()).unwrap_or_default(),
        comparison: copy.comparison_operator().as_str().to_owned(),
        threshold: copy.threshold(),
    }
}

/// What an alarm does not say (one over an expression has no metric of its own) is empty, and then it is not the gate's.
fn read_alarm(alarm: &MetricAlarm) -> Alarm {
    let number = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    let dimensions = alarm.dimensions().iter().map(|dimension| {
        let (name, value) = (dimension.name().unwrap_or_default(), dimension.value().unwrap_or_default());
        (name.to_owned(), value.to_owned())
    });
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let watched = Watched {
        metric: format!("{} {}", text(alarm.namespace()), text(alarm.metric_name())),
        dimensions: dimensions.collect(),
        statistic: text(alarm.statistic().map(|statistic| statistic.as_str()).or(alarm.extended_statistic())),
        period_seconds: number(alarm.period()).unwrap_or_default(),
        evaluation_periods: number(alarm.evaluation_periods()).unwrap_or_default(),
        comparison: text(alarm.comparison_operator().map(|operator| operator.as_str())),
        threshold: alarm.threshold().unwrap_or(f64::NAN),
    };
    Alarm {
        watched,
        datapoints_to_alarm: number(alarm.datapoints_to_alarm()),
        missing_data: alarm.treat_missing_data().map(str::to_owned),
        state: text(alarm.state_value().map(|state| state.as_str())),
    }
}
