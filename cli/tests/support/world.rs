//! A plan that is uploaded and opened, and what runs have left of it, for the commands that come after a run.

use jiff::{SignedDuration, Timestamp};
use lifeboat_ledger::control::{Open, Seal};
use lifeboat_ledger::{Control, Holder, PenState, Tail, slot};
use lifeboat_rules::epoch::{self, Cause, Claim};
use lifeboat_rules::evidence::verify::Object;
use lifeboat_rules::evidence::{Manifest, manifest_key, sha256};
use lifeboat_rules::{Outcome, Plan, Trigger};
use serde_json::json;

use super::cloudwatch::CloudWatch;
use super::route53::Route53;
use super::s3::S3;
use super::{Folder, Run};

pub const GATEWAY: &str = "gateway.aex.internal";
pub const FENCE: &str = "_lifeboat-epoch.aex.internal";
pub const PRIMARY: &str = "10.0.0.10";
pub const RECOVERY: &str = "10.1.0.10";

pub struct World {
    pub folder: Folder,
    pub s3: S3,
    pub route53: Route53,
    pub cloudwatch: CloudWatch,
}

impl World {
    /// A plan that is uploaded, and no more.
    pub fn uploaded() -> Self {
        let route53 = Route53::start(&[(GATEWAY, "A", "5", &[PRIMARY])]);
        let world = Self { folder: Folder::new(), s3: S3::start(), route53, cloudwatch: CloudWatch::start() };
        world.upload();
        world
    }

    /// Stores the plan as it is in the folder now.
    #[track_caller]
    pub fn upload(&self) {
        let upload = self.bare(&["plan", "upload", "plan.yaml", "--control-bucket", "control"]);
        assert_eq!(upload.code, 0, "{upload:?}");
    }

    /// Adds a rule over so many symbols, `s0000` and on, to the plan, and uploads it. The rule's time to live is 30 s.
    #[track_caller]
    pub fn add_symbols(&self, count: usize) {
        let list: String = (0..count).map(|number| format!("s{number:04}\n")).collect();
        self.folder.write("symbols.txt", &list);
        self.folder.replace(
            "plan.yaml",
            "  records:\n",
            "  names:\n    - { name: \"{symbol}.md.aex.internal\", list: symbols.txt, type: A, ttl: 30, primary: [10.0.0.20], \
             recovery: [10.1.0.20] }\n  records:\n",
        );
        self.upload();
    }

    /// As [`Self::opened`], under a plan of the strategy `switch` whose gate is as it should be. Its records are plain yet.
    pub fn on_switch() -> Self {
        let world = Self::opened();
        world.folder.replace("plan.yaml", "strategy: records", "strategy: switch\n  health_check: gate");
        world.upload();
        // What is called from here on is counted: an upload that changes the strategy looks whether anybody has flipped.
        let world = Self { route53: Route53::start(&[(GATEWAY, "A", "5", &[PRIMARY])]), ..world };
        world.route53.set_health_check(&world.health_check(""));
        world
    }

    /// The configuration of the gate, with something more in it.
    pub fn health_check(&self, more: &str) -> String {
        format!(
            "<Type>CLOUDWATCH_METRIC</Type>{more}<AlarmIdentifier><Region>eu-central-1</Region>\
             <Name>lifeboat-aex-traffic-on-recovery</Name></AlarmIdentifier>\
             <InsufficientDataHealthStatus>LastKnownStatus</InsufficientDataHealthStatus>"
        )
    }

    /// With its ledger open for the primary.
    pub fn opened() -> Self {
        let world = Self::uploaded();
        let init = world.bare(&["init", "plan.yaml", "--control-bucket", "control"]);
        assert_eq!(init.code, 0, "{init:?}");
        world
    }

    /// A run of epoch 2 has sealed both streams, and halted; its claim is a day old.
    pub fn halted() -> Self {
        let world = Self::opened();
        world.claim(2, "run-2", Cause::Alarm, 86_400);
        world.fence(2);
        world.seal("ME1", 2, "run-2");
        world.seal("ME2", 2, "run-2");
        world.close("run-2", Outcome::Halted, "the stacks failed", None);
        world
    }

    /// The command, with the buckets and the plan in place, and one line of JSON.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.bare(&[arguments, &["--plan", "aex"]].concat())
    }

    /// The command's JSON, once it has ended well.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(run.code, 0, "{run:?}");
        run.json()
    }

    /// The command's JSON, with its exit code.
    #[track_caller]
    pub fn ends(&self, arguments: &[&str], code: i32) -> serde_json::Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(run.code, code, "{run:?}");
        run.json()
    }

    /// The command on a terminal of its own, on which `typed` is typed; what it shows there is its output.
    pub fn on_a_terminal(&self, arguments: &[&str], typed: &str) -> Run {
        let arguments = [arguments, &["--plan", "aex"]].concat();
        self.folder.on_a_terminal(&arguments, &self.environment(), typed)
    }

    fn bare(&self, arguments: &[&str]) -> Run {
        self.folder.lifeboat_with(arguments, &self.environment())
    }

    pub fn environment(&self) -> Vec<(&str, &str)> {
        let mut environment = vec![
            ("LIFEBOAT_CONTROL_BUCKET", "control"),
            ("LIFEBOAT_EVIDENCE_BUCKET", "evidence"),
            ("AWS_REGION", "eu-central-1"),
        ];
        environment.extend(self.s3.environment());
        environment.extend(self.route53.environment());
        environment.extend(self.cloudwatch.environment());
        environment
    }

    pub fn claim(&self, epoch: u64, run: &str, cause: Cause, seconds_ago: i64) {
        let at = lifeboat_runtime::now() - SignedDuration::from_secs(seconds_ago);
        let claim = Claim { epoch, run: run.to_owned(), at, cause };
        self.s3.put(&claim_path(epoch), &serde_json::to_vec(&claim).expect("JSON"));
    }

    pub fn fence(&self, epoch: u64) {
        self.s3.put(&fence_path(epoch), b"{}");
    }

    pub fn seal(&self, stream: &str, epoch: u64, run: &str) {
        self.append(stream, &Control::Seal(Seal { epoch, run: run.to_owned() }));
    }

    pub fn open(&self, stream: &str, epoch: u64, holder: Holder, run: &str) {
        self.append(stream, &Control::Open(Open { epoch, holder, run: run.to_owned() }));
    }

    fn append(&self, stream: &str, control: &Control) {
        let tail = self.tail(stream);
        self.s3.put(&slot_path(stream, tail.next_seq()), &tail.control_segment(control));
    }

    /// One entry of an application.
    pub fn write(&self, stream: &str, epoch: u64) {
        let tail = self.tail(stream);
        let (seq, prev) = (tail.next_seq(), tail.head());
        let line = json!({ "stream": stream, "seq": seq, "prev": prev, "epoch": epoch, "order": "buy" });
        self.s3.put(&slot_path(stream, seq), format!("{line}\n").as_bytes());
    }

    /// The end of a stream, read through the chain's own rules.
    pub fn tail(&self, stream: &str) -> Tail {
        let mut tail = Tail::new(stream);
        let prefix = format!("aex-log/log/{stream}/");
        for path in self.s3.keys().iter().filter(|path| path.starts_with(&prefix)) {
            tail.absorb_segment(tail.next_seq(), &self.s3.object(path)).expect("it chains");
        }
        tail
    }

    #[track_caller]
    pub fn assert_primary_holds(&self, epoch: u64) {
        for stream in ["ME1", "ME2"] {
            let expected = PenState::Open { epoch, holder: Holder::Primary };
            assert_eq!(*self.tail(stream).pen().state(), expected, "{stream}");
        }
    }

    /// The epoch of the fence in the zone; none where there is none.
    pub fn zone_epoch(&self) -> Option<u64> {
        let txt = self.route53.values(FENCE, "TXT").pop()?;
        Some(lifeboat_rules::dns::Fence::parse(&txt).expect("a fence").epoch)
    }

    /// Puts this plan in the place of the uploaded one, past everything that an upload looks at.
    pub fn smuggle(&self, change: impl Fn(&mut Plan)) {
        let mut plan = self.plan();
        change(&mut plan);
        self.s3.put("control/plan/aex.json", &plan.canonical_json());
    }

    pub fn plan(&self) -> Plan {
        Plan::from_json(&self.s3.object("control/plan/aex.json")).expect("the Lambdas accept it")
    }

    /// The objects that were put, but for what a flip leaves of each batch.
    pub fn puts(&self) -> Vec<String> {
        self.s3.puts().into_iter().filter(|path| !path.contains("/left/")).collect()
    }

    /// The plan as a run pins it: what is uploaded now.
    pub fn pinned(&self) -> serde_json::Value {
        let path = "control/plan/aex.json";
        json!({ "key": "plan/aex.json", "version": self.s3.version(path), "sha256": sha256(&self.s3.object(path)) })
    }

    /// A run's manifest, by the plan that is uploaded now. One that has claimed an epoch was admitted under the one before.
    pub fn close(&self, run: &str, outcome: Outcome, reason: &str, trigger: Option<Trigger>) {
        let claimed = self.epoch_of(run);
        let admitted = (claimed.is_some() || trigger.is_some())
            .then(|| json!({ "admitted_epoch": claimed.unwrap_or(2) - 1, "trigger": trigger, "plan": self.pinned() }));
        let has_opened = claimed.is_some_and(|epoch| {
            *self.tail("ME1").pen().state() == PenState::Open { epoch, holder: Holder::Recovery }
        });
        let facts = if has_opened { json!({ "open": { "verdict": "Opened" } }) } else { json!({}) };
        let manifest = json!({
            "plan": "aex", "run": run, "outcome": outcome, "reason": reason, "closed_at": Timestamp::UNIX_EPOCH,
            "admitted": admitted, "facts": facts, "records": [],
        });
        self.s3.put(&manifest_path(run), manifest.to_string().as_bytes());
    }

    /// The epoch that a run has claimed.
    fn epoch_of(&self, run: &str) -> Option<u64> {
        let prefix = format!("control/{}", epoch::prefix("aex"));
        let claims = self.s3.keys().into_iter().filter(|path| path.starts_with(&prefix));
        let mut claims =
            claims.map(|path| serde_json::from_slice::<Claim>(&self.s3.object(&path)).expect("a claim"));
        claims.find(|claim| claim.run == run).map(|claim| claim.epoch)
    }

    /// What the check of a run's evidence finds wrong.
    pub fn wrong(&self, run: &str) -> Vec<String> {
        let prefix = format!("evidence/aex/{run}/");
        let below = |path: &String| path.strip_prefix(&prefix).map(str::to_owned);
        let keys: Vec<String> = self.s3.keys().iter().filter_map(below).collect();
        let object = |key: String| {
            let bytes = self.s3.object(&format!("{prefix}{key}"));
            (key.clone(), Object::new(&key, bytes))
        };
        let verified = lifeboat::evidence::judge(&keys.into_iter().map(object).collect(), None);
        verified.wrong.iter().map(|wrong| format!("{wrong:?}")).collect()
    }

    pub fn manifest(&self, run: &str) -> Manifest {
        serde_json::from_slice(&self.s3.object(&manifest_path(run))).expect("a manifest")
    }
}

pub fn claim_path(epoch: u64) -> String {
    format!("control/{}", epoch::key("aex", epoch))
}

pub fn fence_path(epoch: u64) -> String {
    format!("aex-log/{}", slot::fence_key(epoch))
}

pub fn slot_path(stream: &str, seq: u64) -> String {
    format!("aex-log/{}", slot::key("log/", stream, seq))
}

pub fn manifest_path(run: &str) -> String {
    format!("evidence/{}", manifest_key("aex", run))
}
