//! What AWS's documentation leaves open about a health check on an alarm, asked of a real account: `infra/DNS.md` has the
//! list, the command and what it costs.
//!
//! What this does not prove: the answers within a VPC. It asks a public zone's own name servers, since a private zone
//! answers nobody outside; both follow the same health checks. It shows what Route 53 did on one day.

use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, Statistic};
use aws_sdk_route53::types::{
    AlarmIdentifier, Change, ChangeAction, ChangeBatch, CloudWatchRegion, HealthCheckConfig, HealthCheckType,
    InsufficientDataHealthStatus, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover, RrType,
};
use dns_flip::Gate;
use hickory_proto::rr::RecordType as DnsType;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use jiff::{SignedDuration, Timestamp};
use lifeboat_rules::dns::switch::{self, alarm_name, pair};
use lifeboat_rules::dns::{Failover, RecordSet};
use lifeboat_rules::plan::{Record, RecordType, Side};
use lifeboat_runtime::{load_config, now};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// As long as the documentation lets a change take, generously: alarm, health check, name servers.
const CHANGE_WITHIN: Duration = Duration::from_secs(10 * 60);
/// For how long an answer must not change where it is to stay.
const STAYS_FOR: Duration = Duration::from_secs(10 * 60);
const ASKED_EVERY: Duration = Duration::from_secs(15);
const ASKED_FIRST_EVERY: Duration = Duration::from_millis(500);
const SILENCE_MINUTES: u64 = 30;
/// Where a late point is put: behind the newest, and within what an alarm over one minute looks back.
const LATE_BY: SignedDuration = SignedDuration::from_mins(3);

#[tokio::test]
#[ignore = "makes an alarm, a health check and a zone in a real account, and takes about an hour: see infra/DNS.md"]
async fn a_health_check_on_an_alarm_does_what_the_switch_builds_on() {
    let zone = std::env::var("LIFEBOAT_CONFORMANCE_ZONE")
        .expect("LIFEBOAT_CONFORMANCE_ZONE is a name below a domain of yours, which need not be delegated");
    let silence = std::env::var("LIFEBOAT_CONFORMANCE_SILENCE_MINUTES").map_or(SILENCE_MINUTES, |minutes| {
        minutes.parse().expect("LIFEBOAT_CONFORMANCE_SILENCE_MINUTES is a number")
    });
    let mut account = Account::new(&zone).await.expect("AWS_REGION is set");
    let outcome = match account.prepare().await {
        Ok(names) => ask_all(&account, &names, Duration::from_secs(silence * 60)).await,
        Err(error) => Err(error),
    };
    // Whatever came of it, nothing is left behind.
    let cleaned = account.clean_up().await;
    outcome.expect("what the switch builds on holds");
    cleaned.expect("everything that was made is taken away again: look for lifeboat-conformance by hand");
}

async fn ask_all(account: &Account, names: &Names, silence: Duration) -> Result<()> {
    // The first answer of all, and every one after it: a check that is unhealthy first would move traffic as it is made.
    let new = "a new health check without any data";
    let asked = starts_on(Side::Primary, new, CHANGE_WITHIN, ASKED_FIRST_EVERY, async || names.side().await);
    println!("{new}: the primary side is the first to answer, after {} s", asked.await?.as_secs());
    names.stays(Side::Primary, new, STAYS_FOR, async || Ok(())).await?;
    names
        .stays(Side::Primary, "0, each minute", STAYS_FOR, async || {
            account.publish(Side::Primary, now()).await
        })
        .await?;
    let recovery = async || account.publish(Side::Recovery, now()).await;
    names.wait_for(Side::Recovery, "1, each minute", recovery).await?;
    let late = async || {
        recovery().await?;
        account.publish(Side::Primary, now() - LATE_BY).await
    };
    names
        .stays(Side::Recovery, "1, each minute, and late a 0 for a minute that has passed", STAYS_FOR, late)
        .await?;
    names.stays(Side::Recovery, "no point at all", silence, async || Ok(())).await?;
    account.cloudwatch.delete_alarms().alarm_names(&account.alarm).send().await?;
    names.stays(Side::Recovery, "no alarm", STAYS_FOR, async || Ok(())).await?;
    account.put_alarm().await?;
    names
        .wait_for(Side::Primary, "0, each minute", async || account.publish(Side::Primary, now()).await)
        .await
}

/// What is made in the account, by the name that it is taken away by.
struct Account {
    cloudwatch: aws_sdk_cloudwatch::Client,
    route53: aws_sdk_route53::Client,
    region: String,
    zone: String,
    /// Stands for a plan's name, and tells two runs apart.
    plan: String,
    alarm: String,
    health_check: Option<String>,
    zone_id: Option<String>,
    pair: Vec<RecordSet>,
}

impl Account {
    async fn new(zone: &str) -> Result<Account> {
        let config = load_config().await;
        let region = config.region().ok_or("no Region is configured")?.to_string();
        let plan = format!("conformance-{}", now().as_second());
        Ok(Account {
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            route53: aws_sdk_route53::Client::new(&config),
            region,
            zone: zone.trim_end_matches('.').to_owned(),
            alarm: alarm_name(&plan),
            plan,
            health_check: None,
            zone_id: None,
            pair: vec![],
        })
    }

    /// As `infra/foundation.yaml` has it.
    async fn put_alarm(&self) -> Result<()> {
        let put = self.cloudwatch.put_metric_alarm().alarm_name(&self.alarm);
        put.namespace(switch::METRIC_NAMESPACE)
            .metric_name(switch::METRIC_NAME)
            .dimensions(Dimension::builder().name(switch::METRIC_DIMENSION).value(&self.plan).build())
            .statistic(Statistic::Maximum)
            .period(i32::try_from(switch::PERIOD_SECONDS)?)
            .evaluation_periods(1)
            .threshold(1.0)
            .comparison_operator(ComparisonOperator::GreaterThanOrEqualToThreshold)
            .treat_missing_data("ignore")
            .send()
            .await?;
        Ok(())
    }

    async fn publish(&self, side: Side, at: Timestamp) -> Result<()> {
        Gate { cloudwatch: self.cloudwatch.clone() }.publish(&self.plan, side, at).await?;
        Ok(())
    }

    /// The alarm, the health check on it, and a zone with one pair.
    async fn prepare(&mut self) -> Result<Names> {
        self.put_alarm().await?;
        let alarm = AlarmIdentifier::builder()
            .name(&self.alarm)
            .region(CloudWatchRegion::from(self.region.as_str()))
            .build()?;
        let config = HealthCheckConfig::builder()
            .r#type(HealthCheckType::CloudwatchMetric)
            .alarm_identifier(alarm)
            .insufficient_data_health_status(InsufficientDataHealthStatus::LastKnownStatus)
            .build()?;
        let create =
            self.route53.create_health_check().caller_reference(&self.plan).health_check_config(config);
        let check = create.send().await?.health_check.ok_or("no health check came back")?.id;
        self.health_check = Some(check.clone());
        let create =
            self.route53.create_hosted_zone().name(&self.zone).caller_reference(&self.plan).send().await?;
        let servers = create.delegation_set().ok_or("no name servers came back")?.name_servers().to_vec();
        self.zone_id = Some(create.hosted_zone.ok_or("no zone came back")?.id);
        let record = Record {
            name: format!("{}.{}", self.plan, self.zone),
            kind: RecordType::A,
            ttl: 5,
            primary: vec!["192.0.2.1".into()],
            recovery: vec!["192.0.2.2".into()],
        };
        self.pair = pair(&record, &check).to_vec();
        self.change(ChangeAction::Create).await?;
        Names::new(record, &servers).await
    }

    async fn change(&self, action: ChangeAction) -> Result<()> {
        let mut batch = ChangeBatch::builder();
        for set in &self.pair {
            let change =
                Change::builder().action(action.clone()).resource_record_set(written(set)?).build()?;
            batch = batch.changes(change);
        }
        let change = self.route53.change_resource_record_sets().set_hosted_zone_id(self.zone_id.clone());
        change.change_batch(batch.build()?).send().await?;
        Ok(())
    }

    /// Takes away what was made, as far as it was.
    async fn clean_up(&self) -> Result<()> {
        let mut failed = Vec::new();
        if self.zone_id.is_some() {
            if !self.pair.is_empty() {
                failed.extend(self.change(ChangeAction::Delete).await.err());
            }
            let delete = self.route53.delete_hosted_zone().set_id(self.zone_id.clone()).send().await;
            failed.extend(delete.err().map(Into::into));
        }
        if let Some(check) = &self.health_check {
            let delete = self.route53.delete_health_check().health_check_id(check).send().await;
            failed.extend(delete.err().map(Into::into));
        }
        let delete = self.cloudwatch.delete_alarms().alarm_names(&self.alarm).send().await;
        failed.extend(delete.err().map(Into::into));
        failed.into_iter().next().map_or(Ok(()), Err)
    }
}

fn written(set: &RecordSet) -> Result<ResourceRecordSet> {
    let half = set.half.as_ref().ok_or("half of a pair")?;
    let mut written = ResourceRecordSet::builder()
        .name(&set.name)
        .r#type(RrType::from(set.kind.as_str()))
        .ttl(i64::from(set.ttl))
        .set_identifier(&half.identifier)
        .failover(match half.failover {
            Failover::Primary => ResourceRecordSetFailover::Primary,
            Failover::Secondary => ResourceRecordSetFailover::Secondary,
        })
        .set_health_check_id(half.health_check.clone());
    for value in &set.values {
        written = written.resource_records(ResourceRecord::builder().value(value).build()?);
    }
    Ok(written.build()?)
}

/// The pair, as its zone's own name servers answer for it.
struct Names {
    record: Record,
    resolver: TokioResolver,
}

impl Names {
    async fn new(record: Record, servers: &[String]) -> Result<Names> {
        let of_this_machine = TokioResolver::builder_tokio()?.build()?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for server in servers {
            addresses.extend(
                of_this_machine.lookup_ip(format!("{server}.")).await?.iter().filter(IpAddr::is_ipv4),
            );
        }
        let server = |address| NameServerConfig::new(address, true, vec![ConnectionConfig::udp()]);
        let config = ResolverConfig::from_parts(None, vec![], addresses.into_iter().map(server).collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().cache_size = 0;
        Ok(Names { record, resolver: builder.build()? })
    }

    /// The side that answers; `None` where nobody does yet.
    async fn side(&self) -> Option<Side> {
        let asked = self.resolver.lookup(format!("{}.", self.record.name), DnsType::A).await.ok()?;
        let values: Vec<String> = asked.answers().iter().map(|answer| answer.data.to_string()).collect();
        [Side::Primary, Side::Recovery].into_iter().find(|side| self.record.values(*side) == values)
    }

    /// Waits until `side` answers, and says how long it took. `each_minute` is done at once and then every minute.
    async fn wait_for(
        &self,
        side: Side,
        what: &str,
        each_minute: impl AsyncFn() -> Result<()>,
    ) -> Result<()> {
        let began = Instant::now();
        let mut minutes = Minutes::new();
        while began.elapsed() < CHANGE_WITHIN {
            minutes.each(&each_minute).await?;
            if self.side().await == Some(side) {
                println!("{what}: the {side:?} side answers after {} s", began.elapsed().as_secs());
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        Err(format!("{what}: the {side:?} side does not answer within {CHANGE_WITHIN:?}").into())
    }

    /// Sees to it that `side` goes on answering for so long.
    async fn stays(
        &self,
        side: Side,
        what: &str,
        time: Duration,
        each_minute: impl AsyncFn() -> Result<()>,
    ) -> Result<()> {
        let began = Instant::now();
        let mut minutes = Minutes::new();
        while began.elapsed() < time {
            minutes.each(&each_minute).await?;
            // A lost datagram is no answer, and says nothing.
            if let Some(other) = self.side().await.filter(|answers| *answers != side) {
                let seconds = began.elapsed().as_secs();
                return Err(format!("{what}: after {seconds} s the {other:?} side answers").into());
            }
            tokio::time::sleep(ASKED_EVERY).await;
        }
        if self.side().await != Some(side) {
            return Err(format!("{what}: the {side:?} side does not answer at the end").into());
        }
        println!("{what}: the {side:?} side answers for {} s", time.as_secs());
        Ok(())
    }
}

/// Asks until anybody answers, and sees to it that it is `side`; says after how long. An answer of the other side between two
/// questions is not seen.
async fn starts_on(
    side: Side,
    what: &str,
    within: Duration,
    every: Duration,
    ask: impl AsyncFn() -> Option<Side>,
) -> Result<Duration> {
    let began = Instant::now();
    while began.elapsed() < within {
        match ask().await {
            Some(first) if first == side => return Ok(began.elapsed()),
            Some(other) => {
                let seconds = began.elapsed().as_secs();
                return Err(
                    format!("{what}: the {other:?} side is the first to answer, after {seconds} s").into()
                );
            }
            None => tokio::time::sleep(every).await,
        }
    }
    Err(format!("{what}: nobody answers within {within:?}").into())
}

#[tokio::test]
async fn a_check_that_is_unhealthy_first_and_healthy_then_is_not_taken() {
    let answers = async |script: &[Option<Side>]| {
        let script = std::cell::RefCell::new(script.iter().copied());
        let (within, every) = (Duration::from_secs(1), Duration::from_millis(1));
        starts_on(Side::Primary, "new", within, every, async || script.borrow_mut().next().flatten()).await
    };
    let (primary, recovery) = (Some(Side::Primary), Some(Side::Recovery));
    answers(&[None, None, primary, recovery]).await.expect("the first answer is the primary's");
    let error = answers(&[None, recovery, primary]).await.expect_err("the first answer is the other's");
    assert!(error.to_string().contains("the Recovery side is the first to answer"), "{error}");
    let error = answers(&[]).await.expect_err("no answer is none of the primary's");
    assert!(error.to_string().contains("nobody answers"), "{error}");
}

/// Says when a minute is over.
struct Minutes {
    next: Instant,
}

impl Minutes {
    fn new() -> Minutes {
        Minutes { next: Instant::now() }
    }

    async fn each(&mut self, act: &impl AsyncFn() -> Result<()>) -> Result<()> {
        if Instant::now() < self.next {
            return Ok(());
        }
        self.next += Duration::from_secs(60);
        act().await
    }
}
