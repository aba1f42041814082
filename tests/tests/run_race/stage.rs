//! The light stage with the primary's entries on it, and how a round is set back.

use aex::commit::{Outcome, commit};
use lifeboat_ledger::control::Open;
use lifeboat_ledger::writer::Writer;
use lifeboat_ledger::{Control, Holder, PenState};
use lifeboat_rules::dns::records::last_fence;
use lifeboat_rules::dns::{fence_record, wanted};
use lifeboat_rules::plan::{Side, Strategy};
use lifeboat_tests::light::{self, Replica, Setting, lines};
use lifeboat_tests::world::World;
use serde_json::json;
use tokio::sync::watch;

const PLAN: &str = "race";
const STREAM: &str = "ME1";
/// What the primary stores before each round.
const ENTRIES_A_ROUND: u64 = 3;

/// What is set up.
pub struct Stage {
    pub light: light::Stage,
    /// The log as this test reads it.
    pub replica: Replica,
    /// How many entries of the primary's are stored, in all rounds together.
    pub acknowledged: u64,
    controls_seen: usize,
}

impl Stage {
    /// Deploys everything and opens the stream for the primary.
    pub async fn set(world: &World) -> Stage {
        let setting = Setting { plan: PLAN, strategy: Strategy::Records, streams: &[STREAM], notify: "" };
        let light = light::Stage::set(world, &setting).await.unwrap();
        let replica = Replica::new(light.store(), STREAM);
        let mut stage = Stage { light, replica, acknowledged: 0, controls_seen: 0 };
        assert_eq!(stage.new_controls().await.len(), 1, "the stream begins with its open for the primary");
        stage
    }

    /// Stores a few entries as the primary, which has the pen and then falls silent.
    pub async fn trade(&mut self) {
        self.replica.read_on().await.unwrap();
        let mut writer = Writer::new("log/", self.replica.tail().clone(), Holder::Primary, None);
        let epoch = writer.has_pen().expect("the primary has the pen");
        let first = self.acknowledged;
        let entries: Vec<_> = (first..first + ENTRIES_A_ROUND).map(|id| json!({ "id": id })).collect();
        let segment = writer.segment(&entries).unwrap();
        let (_fences, fence) = watch::channel(0);
        assert_eq!(commit(&self.light.store(), &writer, &segment, epoch, &fence).await, Outcome::Stored);
        writer.stored(&segment);
        self.acknowledged += ENTRIES_A_ROUND;
    }

    /// The newest epoch that is claimed.
    pub async fn newest_epoch(&self) -> u64 {
        self.light.newest_epoch().await.unwrap().expect("`lifeboat init` has claimed one")
    }

    /// The control entries that have come since this was last asked.
    pub async fn new_controls(&mut self) -> Vec<Control> {
        self.replica.read_on().await.unwrap();
        let new = self.replica.controls()[self.controls_seen..].to_vec();
        self.controls_seen += new.len();
        new
    }

    /// Sets the round back: a person gives the pen back to the primary, takes the stack away, and, where the alarm's run has
    /// won, says that the next alarm may act.
    pub async fn set_back(&mut self, epoch: u64, alarm_won: bool) {
        let word = ["--plan", PLAN, "--by", "the race", "--reason", "the next round"];
        let hand_back = ["handback", "--take-from-recovery", "--yes"];
        self.light.succeed(&[&hand_back[..], &word].concat()).await.unwrap();

        assert_eq!(self.newest_epoch().await, epoch + 1);
        let controls = self.new_controls().await;
        let [Control::Open(Open { epoch: opened, holder: Holder::Primary, run: by })] = &controls[..] else {
            panic!("the hand-back opens the stream for the primary, and nothing else: {controls:?}");
        };
        assert!(*opened == epoch + 1 && by.starts_with("handback-"), "{controls:?}");
        let open = PenState::Open { epoch: epoch + 1, holder: Holder::Primary };
        assert_eq!(*self.replica.tail().pen().state(), open);
        let plan = &self.light.plan;
        let mut records = wanted(&plan.dns.records, Side::Primary);
        records.push(fence_record(plan, &last_fence(&plan.dns.records, Side::Primary, epoch + 1)));
        assert_eq!(self.light.zone().await.unwrap(), lines(&records));

        if alarm_won {
            self.light.succeed(&[&["acknowledge"][..], &word].concat()).await.unwrap();
        }
        let stack = plan.stack_name("cell", epoch);
        self.light.clients.cloudformation.delete_stack().stack_name(stack).send().await.unwrap();
    }
}
