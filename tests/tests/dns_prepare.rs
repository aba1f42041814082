//! `lifeboat dns prepare` and `dns check` against the emulator: 1,201 names, killed between batches, gone on with, undone.
//!
//! What this does not prove: that Route 53 takes a plain record's place by a pair in one batch (its documentation says that it
//! validates a batch as a whole), its throttling, and the quota of a zone, which the emulator does not have.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::time::Duration;

use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, StateValue, Statistic};
use aws_sdk_route53::types::{
    AlarmIdentifier, Change, ChangeAction, ChangeBatch, CloudWatchRegion, HealthCheckConfig, HealthCheckType,
    InsufficientDataHealthStatus, ResourceRecord, ResourceRecordSet, ResourceRecordSetFailover, RrType, Vpc,
    VpcRegion,
};
use lifeboat_rules::Plan;
use lifeboat_rules::dns::switch::METRIC_NAMESPACE;
use lifeboat_rules::evidence::sha256;
use lifeboat_rules::plan::{Names, RecordType, Strategy};
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::proxy::{Fault, RuleId, Scope};
use lifeboat_tests::world::{Clients, World, WorldOptions, places};
use lifeboat_tests::{drill, given};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

const CONTROL: &str = "aex-control";
const ALARM: &str = "lifeboat-aex-traffic-on-recovery";
const OPERATOR: &str = "operator";
const VPC: &str = "vpc-0123456789abcdef0";
/// As many as make four batches: a delete and two creates are three values of a thousand.
const SYMBOLS: usize = 1_200;
/// Long enough for a command on a loaded machine.
const COMMAND_WITHIN: Duration = Duration::from_secs(120);

struct Stage {
    world: World,
    clients: Clients,
    /// The proxy's entrance of the person at the keyboard.
    entrance: String,
    zone_id: String,
}

/// A record set in a line, by which the zone is compared to the letter.
type Lines = Vec<String>;

impl Stage {
    async fn set() -> Stage {
        drill::build().expect("the command is built");
        let mut world = World::start(WorldOptions::default()).await.expect("a world");
        let entrance = world.entrance(OPERATOR).await.expect("an entrance");
        let clients = world.clients(world.recovery());
        create_bucket(&clients, &Bucket::versioned(CONTROL)).await.expect("a bucket");
        let vpc = Vpc::builder().vpc_id(VPC).vpc_region(VpcRegion::EuCentral1).build();
        let zone = clients.route53.create_hosted_zone().name("aex.internal").caller_reference("1").vpc(vpc);
        let zone = zone.send().await.expect("a zone");
        let zone_id = zone.hosted_zone().expect("it").id().trim_start_matches("/hostedzone/").to_owned();
        let stage = Stage { world, clients, entrance, zone_id };
        stage.put_alarm(Statistic::Maximum).await;
        stage.say_alarm(StateValue::Ok).await;
        let gate = stage.create_gate().await;
        let plan = stage.upload(gate).await;
        stage.put_plain_records(&plan).await;
        stage
    }

    async fn put_alarm(&self, statistic: Statistic) {
        let dimension = Dimension::builder().name("Plan").value("aex").build();
        let alarm = self.clients.cloudwatch.put_metric_alarm().alarm_name(ALARM).namespace(METRIC_NAMESPACE);
        let alarm = alarm.metric_name("TrafficOnRecovery").dimensions(dimension).statistic(statistic);
        let alarm = alarm.period(60).evaluation_periods(1).threshold(1.0).treat_missing_data("ignore");
        let alarm = alarm.comparison_operator(ComparisonOperator::GreaterThanOrEqualToThreshold);
        alarm.send().await.expect("an alarm");
    }

    async fn say_alarm(&self, state: StateValue) {
        let set = self.clients.cloudwatch.set_alarm_state().alarm_name(ALARM).state_value(state);
        set.state_reason("a test").send().await.expect("a state");
    }

    async fn create_gate(&self) -> String {
        let region = CloudWatchRegion::from(self.world.recovery());
        let alarm = AlarmIdentifier::builder().name(ALARM).region(region).build().expect("whole");
        // Inverted and Disabled are left out: the emulator gives them back in a spelling that the SDK cannot read.
        let config = HealthCheckConfig::builder()
            .r#type(HealthCheckType::CloudwatchMetric)
            .alarm_identifier(alarm)
            .insufficient_data_health_status(InsufficientDataHealthStatus::LastKnownStatus)
            .build()
            .expect("whole");
        let gate =
            self.clients.route53.create_health_check().caller_reference("1").health_check_config(config);
        gate.send().await.expect("a health check").health_check().expect("it").id().to_owned()
    }

    /// Stores the plan and its list as `lifeboat plan upload` does.
    async fn upload(&self, gate: String) -> Plan {
        let mut plan = given::plan();
        let list: String = (0..SYMBOLS).map(|number| format!("s{number:04}\n")).collect();
        let key = format!("names/{}.txt", sha256(list.as_bytes()));
        plan.dns.zone_id.clone_from(&self.zone_id);
        (plan.dns.strategy, plan.dns.health_check) = (Strategy::Switch, Some(gate));
        plan.dns.records.truncate(1);
        plan.dns.names = vec![Names {
            name: "{symbol}.md.aex.internal".to_owned(),
            list: key.clone(),
            kind: RecordType::A,
            ttl: 5,
            primary: vec!["10.0.0.20".to_owned()],
            recovery: vec!["10.1.0.20".to_owned()],
        }];
        let put = self.clients.s3.put_object().bucket(CONTROL).key(key).body(list.into_bytes().into());
        put.send().await.expect("a list");
        given::put_plan(&self.clients, CONTROL, &plan).await.expect("a plan");
        plan
    }

    /// What the exchange's owner has had for years: plain records, with times to live of an hour.
    async fn put_plain_records(&self, plan: &Plan) {
        let mut sets = vec![plain(&plan.dns.records[0].name, &plan.dns.records[0].primary[0])];
        sets.extend((0..SYMBOLS).map(|number| plain(&format!("s{number:04}.md.aex.internal"), "10.0.0.20")));
        for sets in sets.chunks(500) {
            self.change(sets.iter().map(|set| (ChangeAction::Create, set.clone()))).await;
        }
    }

    async fn change(&self, changes: impl Iterator<Item = (ChangeAction, ResourceRecordSet)>) {
        let changes = changes.map(|(action, set)| {
            Change::builder().action(action).resource_record_set(set).build().expect("whole")
        });
        let batch = ChangeBatch::builder().set_changes(Some(changes.collect())).build().expect("whole");
        let change = self.clients.route53.change_resource_record_sets().hosted_zone_id(&self.zone_id);
        change.change_batch(batch).send().await.expect("a batch");
    }

    /// Every record set but the zone's own, as it stands.
    async fn sets(&self) -> Vec<ResourceRecordSet> {
        let mut sets: Vec<ResourceRecordSet> = Vec::new();
        let mut from = None::<(String, RrType, Option<String>)>;
        loop {
            let mut list = self.clients.route53.list_resource_record_sets().hosted_zone_id(&self.zone_id);
            if let Some((name, kind, identifier)) = from.take() {
                list = list.start_record_name(name).start_record_type(kind);
                list = list.set_start_record_identifier(identifier);
            }
            let page = list.send().await.expect("a page");
            sets.extend(page.resource_record_sets().iter().cloned());
            if !page.is_truncated() {
                sets.retain(|set| !matches!(set.r#type(), RrType::Ns | RrType::Soa));
                return sets;
            }
            let name = page.next_record_name().expect("a name").to_owned();
            let kind = page.next_record_type().expect("a type").clone();
            from = Some((name, kind, page.next_record_identifier().map(str::to_owned)));
        }
    }

    async fn zone(&self) -> Lines {
        let mut lines: Lines = self.sets().await.iter().map(|set| format!("{set:?}")).collect();
        lines.sort();
        lines
    }

    /// What each name answers while the primary side has the traffic.
    async fn answers(&self) -> BTreeMap<String, Vec<String>> {
        let of_primary =
            |set: &&ResourceRecordSet| set.failover() != Some(&ResourceRecordSetFailover::Secondary);
        let values = |set: &ResourceRecordSet| {
            set.resource_records().iter().map(|record| record.value().to_owned()).collect()
        };
        let sets = self.sets().await;
        sets.iter().filter(of_primary).map(|set| (set.name().to_owned(), values(set))).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(places::binary("lifeboat").expect("it is built"));
        command.args(["dns"]).args(arguments).args(["--plan", "aex", "--control-bucket", CONTROL]);
        command.env_clear().env("AWS_ENDPOINT_URL", &self.entrance).env("AWS_REGION", self.world.recovery());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn lifeboat(&self, arguments: &[&str]) -> Output {
        let ended = tokio::time::timeout(COMMAND_WITHIN, self.command(arguments).output()).await;
        ended.expect("it ends in time").expect("it starts")
    }

    /// The command's JSON, with its exit code.
    async fn ends(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.lifeboat(&[arguments, &["--json"]].concat()).await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Starts the command and kills it when its batch with `name` in it is on the wire and has not arrived.
    async fn killed_at(&self, name: &str, arguments: &[&str]) -> RuleId {
        let scope = Scope::origin(OPERATOR).service("route53").method("POST").says(name);
        let held = self.world.proxy().add_times(scope, Fault::Hold, 1);
        let mut child: Child = self.command(arguments).spawn().expect("it starts");
        let met = async {
            while self.world.proxy().met(held) == 0 {
                assert_eq!(child.try_wait().expect("a child"), None, "it has ended before that batch");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(COMMAND_WITHIN, met).await.expect("the batch is sent");
        child.kill().await.expect("a kill");
        held
    }
}

fn plain(name: &str, value: &str) -> ResourceRecordSet {
    let record = ResourceRecord::builder().value(value).build().expect("whole");
    let set = ResourceRecordSet::builder().name(name).r#type(RrType::A).ttl(3_600).resource_records(record);
    set.build().expect("whole")
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_hundred_names_are_converted_through_a_kill_and_back() {
    let stage = Stage::set().await;
    let (before, answers) = (stage.zone().await, stage.answers().await);
    assert_eq!(before.len(), 1 + SYMBOLS);

    // Killed with the second of four batches on the wire: the names of the first are pairs, and all answer as they did.
    let held = stage.killed_at("s0400.md", &["prepare", "--yes"]).await;
    assert_eq!(stage.zone().await.len(), 1 + SYMBOLS + 333);
    assert_eq!(stage.answers().await, answers);
    let unfinished = stage.ends(&["check"], 3).await;
    let kinds = |report: &Value| {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for finding in report["findings"].as_array().expect("findings") {
            *kinds.entry(finding["kind"].as_str().expect("a kind").to_owned()).or_default() += 1;
        }
        kinds
    };
    let to_go = 1 + SYMBOLS - 333;
    assert_eq!(
        kinds(&unfinished),
        BTreeMap::from([("not_prepared".to_owned(), to_go), ("ttl".to_owned(), to_go)])
    );

    // The next one goes on from there, and the batch of the killed one, which arrives now, has no effect.
    let done = stage.ends(&["prepare", "--yes"], 0).await;
    assert_eq!((&done["prepare"], &done["batches"]), (&json!("done"), &json!(3)));
    assert_eq!(done["edits"].as_array().expect("edits").len(), to_go);
    let pairs = stage.zone().await;
    assert_eq!(pairs.len(), 2 * (1 + SYMBOLS));
    assert_eq!(stage.world.proxy().release(held).await, Some(vec![400]));
    assert_eq!(stage.zone().await, pairs);
    assert_eq!(stage.answers().await, answers);
    let sound = stage.ends(&["check", "--vpc", VPC], 0).await;
    assert_eq!((&sound["findings"], &sound["records"]), (&json!([]), &json!(1 + SYMBOLS)));
    assert_eq!(stage.ends(&["prepare", "--yes"], 0).await["prepare"], json!("done_already"));

    // Back, killed as well, and the other way again from the middle of it.
    let held = stage.killed_at("s0700.md", &["prepare", "--undo", "--yes"]).await;
    assert_eq!(stage.answers().await, answers);
    assert_eq!(stage.ends(&["prepare", "--yes"], 0).await["prepare"], json!("done"));
    assert_eq!(stage.zone().await, pairs);
    // This one finds the very pairs that it deletes, so it is done: as if the person had waited for it.
    assert_eq!(stage.world.proxy().release(held).await, Some(vec![200]));
    assert_eq!(stage.answers().await, answers);
    assert_eq!(stage.ends(&["prepare", "--undo", "--yes"], 0).await["prepare"], json!("done"));
    assert_eq!(stage.answers().await, answers);
    // To the letter as the owner had them, but for the time to live: a pair has the plan's, and an undo keeps it.
    let with_the_plans_ttl: Lines =
        before.iter().map(|line| line.replacen("ttl: Some(3600)", "ttl: Some(5)", 1)).collect();
    assert_eq!(stage.zone().await, with_the_plans_ttl);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_fault_is_found_and_prepare_mends_what_is_a_pairs() {
    let stage = Stage::set().await;
    stage.ends(&["prepare", "--yes"], 0).await;
    let sound = stage.zone().await;
    let half = |name: &str, failover: ResourceRecordSetFailover| {
        let name = format!("{name}.md.aex.internal.");
        let sets = &stage;
        async move {
            let sets = sets.sets().await;
            sets.into_iter().find(|set| set.name() == name && set.failover() == Some(&failover)).expect("it")
        }
    };
    let primary = half("s0001", ResourceRecordSetFailover::Primary).await;
    let recovery = half("s0002", ResourceRecordSetFailover::Secondary).await;
    let slow = half("s0003", ResourceRecordSetFailover::Secondary).await;
    let ungated = {
        let mut set = ResourceRecordSet::builder().name(primary.name()).r#type(RrType::A).ttl(5);
        set = set
            .set_identifier(primary.set_identifier().expect("one"))
            .failover(ResourceRecordSetFailover::Primary);
        set.set_resource_records(Some(primary.resource_records().to_vec())).build().expect("whole")
    };
    let slower = {
        let mut set = ResourceRecordSet::builder().name(slow.name()).r#type(RrType::A).ttl(300);
        set = set
            .set_identifier(slow.set_identifier().expect("one"))
            .failover(ResourceRecordSetFailover::Secondary);
        set.set_resource_records(Some(slow.resource_records().to_vec())).build().expect("whole")
    };
    let changes = [
        (ChangeAction::Delete, primary),
        (ChangeAction::Create, ungated),
        (ChangeAction::Delete, recovery),
        (ChangeAction::Delete, slow),
        (ChangeAction::Create, slower),
        (ChangeAction::Create, plain("old.aex.internal", "10.0.0.20")),
        (ChangeAction::Create, plain("new.md.aex.internal", "10.7.7.7")),
    ];
    stage.change(changes.into_iter()).await;
    let flip = json!({ "epoch": 9, "run": "nobody", "side": "primary" }).to_string();
    let put = stage.clients.s3.put_object().bucket(CONTROL).key(format!("flip/aex/{:020}", 9));
    put.body(flip.into_bytes().into()).send().await.expect("an object");

    let report = stage.ends(&["check", "--vpc", VPC, "--vpc", "vpc-99999999"], 3).await;
    let found: Vec<(&str, &str)> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| {
            (finding["kind"].as_str().expect("a kind"), finding["place"].as_str().expect("a place"))
        })
        .collect();
    assert_eq!(
        found,
        [
            ("network", "vpc-99999999"),
            ("epoch", "flip/aex/00000000000000000009"),
            ("pair", "s0001.md.aex.internal A"),
            ("pair", "s0002.md.aex.internal A"),
            ("ttl", "s0003.md.aex.internal A"),
            ("outside_the_plan", "new.md.aex.internal A"),
            ("outside_the_plan", "old.aex.internal A"),
        ]
    );

    let mended = stage.ends(&["prepare", "--yes"], 0).await;
    assert_eq!(mended["edits"].as_array().expect("edits").len(), 3);
    let mut zone = stage.zone().await;
    zone.retain(|line| !line.contains("\"old.aex.internal") && !line.contains("\"new.md.aex.internal"));
    assert_eq!(zone, sound);

    // A gate that is shut gets no pairs, and one that does not follow the metric is told of.
    stage.say_alarm(StateValue::Alarm).await;
    let failure = stage.ends(&["prepare", "--yes"], 3).await;
    assert!(failure["error"]["what"].as_str().expect("what").contains(ALARM), "{failure}");
    stage.put_alarm(Statistic::Average).await;
    stage.say_alarm(StateValue::Ok).await;
    let report = stage.ends(&["check"], 3).await;
    assert_eq!(report["findings"][0]["kind"], json!("alarm"), "{report}");
}
