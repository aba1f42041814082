//! What happens in one schedule: data alone, so that a schedule that breaks a promise can be shrunk and read.

use lifeboat_rules::{Outcome, Plan};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// A moment, or a length, in milliseconds. Nothing in here reads a clock.
pub type Millis = i64;

/// One second.
pub const SECOND: Millis = 1_000;
/// Longer than any schedule: for good.
pub const FOR_GOOD: Millis = 10_000_000;

/// All of it.
#[derive(Clone, Debug)]
pub struct Script {
    /// The plan's numbers.
    pub numbers: Numbers,
    /// How the exchange writes.
    pub exchange: Exchange,
    /// What goes wrong, and when.
    pub troubles: Vec<Trouble>,
    /// The scheduled look and the alarm.
    pub watch: Watch,
    /// How the news of each change of the alarm is delivered; the list begins again when it ends.
    pub deliveries: Vec<Vec<Delivery>>,
    /// What people do.
    pub people: People,
    /// How the runs go; the list begins again when it ends.
    pub runs: Vec<RunScript>,
}

/// The numbers of the plan that the rules read.
#[derive(Clone, Debug)]
pub struct Numbers {
    pub targets: u32,
    pub quorum: Option<u32>,
    pub attempts: u32,
    pub consecutive_failures: Option<u32>,
    pub interval_seconds: u32,
    pub timeout_seconds: u32,
    pub log_still_seconds: u32,
    pub anti_flap_seconds: u32,
    pub rto_seconds: u32,
}

/// How the exchange writes.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Streams, one at least.
    pub streams: usize,
    /// From one heartbeat of a stream to its next, when nobody trades.
    pub heartbeat: Millis,
    /// From the moment that it can write again to the first object that is stored.
    pub resume: Millis,
    /// Whether its health endpoint says that it cannot write.
    pub health_follows_log: bool,
    /// How far the store's clock is past a whole second when this world begins.
    pub store_phase: Millis,
}

/// Something that is wrong for a while.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub what: What,
    pub from: Millis,
    pub lasts: Millis,
}

impl Trouble {
    pub fn until(&self) -> Millis {
        self.from + self.lasts
    }

    pub fn on(&self, at: Millis) -> bool {
        self.from <= at && at < self.until()
    }
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The exchange does nothing.
    Dead,
    /// No probe reaches it; it trades on.
    ProbesCut,
    /// Every other probe reaches it.
    ProbesFlap,
    /// It cannot write to the log; the probes reach it.
    LogCut,
    /// Neither probes nor writes get through.
    Partition,
    /// One stream's writer hangs.
    StreamHangs(usize),
    /// One target of the probes fails.
    TargetFails(u32),
    /// Whoever reads the log is refused: a permission is missing.
    LogDenied,
    /// Reading the log fails for the moment, and is worth another try.
    LogErrors,
    /// Nobody calls the scheduled look.
    ScheduleStops,
    /// The recovered side does nothing, if there is one.
    RecoveryPauses,
    /// No trouble: clients trade, so objects come faster than heartbeats.
    Trading,
}

/// The scheduled look and the alarm.
#[derive(Clone, Debug)]
pub struct Watch {
    /// When in its minute the look is called.
    pub phase: Millis,
    /// How much later than that each call comes.
    pub jitter: Vec<Millis>,
    /// How long after a period the alarm judges it.
    pub evaluation_delay: Millis,
    /// What the alarm's clock adds to the true time.
    pub skew: Millis,
    /// When somebody, or something, sets the alarm's state to `ALARM` for nothing.
    pub spurious: Vec<Millis>,
}

/// One delivery of the news of a change.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// How long after the change.
    pub after: Millis,
    /// Whether it starts an execution of another name: somebody replays the event. Delivered by whichever way of the
    /// alarm, the same change has the same name.
    pub replayed: bool,
}

/// What people do.
#[derive(Clone, Debug)]
pub struct People {
    /// At these times, whatever happens.
    pub deeds: Vec<(Millis, Deed)>,
    /// So long after each seal the pen is given back.
    pub hand_back_after: Option<Millis>,
    /// So long after each seal it is acknowledged.
    pub acknowledge_after: Option<Millis>,
}

/// What a person can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    HandBack,
    Acknowledge,
    MaintenanceBegin,
    MaintenanceEnd,
    StartByHand,
}

/// How one run goes.
#[derive(Clone, Debug)]
pub struct RunScript {
    /// What the clock of its functions adds to the true time.
    pub clock: Millis,
    /// Between two steps.
    pub step: Millis,
    /// Asleep between admission and the first confirmation.
    pub sleeps: Millis,
    /// Until the stacks are ready and the history is proven.
    pub launch: Millis,
    /// The stacks fail, or the history is broken.
    pub launch_fails: bool,
    /// From the last look at the log to the seals.
    pub seal_gap: Millis,
    /// From the seals to the open.
    pub tail: Millis,
    /// Not all streams can be sealed.
    pub half_done: bool,
    /// How it ends once it has sealed.
    pub ends: Outcome,
    /// The execution ends without a manifest.
    pub no_manifest: bool,
    /// Until what it launched is deleted again.
    pub take_down: Millis,
}

impl Numbers {
    /// `base` with these numbers.
    pub fn plan(&self, base: &Plan) -> Plan {
        let mut plan = base.clone();
        plan.probe.primary = (0..self.targets).map(|n| format!("tcp://10.0.0.{n}:1")).collect();
        plan.probe.quorum = self.quorum;
        plan.probe.attempts = self.attempts;
        plan.probe.consecutive_failures = self.consecutive_failures;
        plan.probe.interval_seconds = self.interval_seconds;
        plan.probe.timeout_seconds = self.timeout_seconds;
        plan.probe.log_still_seconds = self.log_still_seconds;
        plan.admission.anti_flap_seconds = self.anti_flap_seconds;
        plan.objectives.rto_seconds = self.rto_seconds;
        plan
    }
}

fn seconds(range: std::ops::Range<Millis>) -> impl Strategy<Value = Millis> {
    range.start * SECOND..range.end * SECOND
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let probes =
        (1..4u32, 1..5u32, 1..4u32, 1..4u32).prop_flat_map(|(targets, attempts, interval, timeout)| {
            let quorum = option::of(1..=targets);
            let streak = option::of(1..=attempts);
            (Just((targets, attempts, interval, timeout)), quorum, streak)
        });
    let still = prop_oneof![3 => 2..60u32, 2 => Just(45u32), 2 => 50..61u32, 1 => Just(5u32)];
    let window = select(vec![0, 60, 300, 900, 3_600, 3_600u32]);
    let rto = prop_oneof![6 => Just(7_200u32), 1 => 150..900u32];
    (probes, still, window, rto).prop_map(
        |(((targets, attempts, interval_seconds, timeout_seconds), quorum, streak), still, window, rto)| {
            Numbers {
                targets,
                quorum,
                attempts,
                consecutive_failures: streak,
                interval_seconds,
                timeout_seconds,
                log_still_seconds: still,
                anti_flap_seconds: window,
                rto_seconds: rto,
            }
        },
    )
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (1..4usize, 100..2_000i64, 0..6_000i64, any::<bool>(), 0..1_000i64).prop_map(
        |(streams, heartbeat, resume, health_follows_log, store_phase)| Exchange {
            streams,
            heartbeat,
            resume,
            health_follows_log,
            store_phase,
        },
    )
}

/// One kind of trouble, once, or many times in a row.
fn shape() -> impl Strategy<Value = Vec<Trouble>> {
    let from = || seconds(60..1_500);
    let once = |what, lasts| {
        (from(), what, lasts).prop_map(|(from, what, lasts)| vec![Trouble { what, from, lasts }])
    };
    let flapping = (
        from(),
        select(vec![What::Dead, What::Partition, What::ProbesCut, What::LogCut]),
        vec((seconds(1..90), seconds(1..60)), 2..12),
    )
        .prop_map(|(mut from, what, periods)| {
            let mut troubles = Vec::new();
            for (lasts, pause) in periods {
                troubles.push(Trouble { what, from, lasts });
                from += lasts + pause;
            }
            troubles
        });
    // It answers now and then, and acknowledges nothing.
    let half_dead = (from(), seconds(60..600)).prop_map(|(from, lasts)| {
        [What::ProbesFlap, What::LogCut].map(|what| Trouble { what, from, lasts }).to_vec()
    });
    prop_oneof![
        1 => half_dead,
        3 => once(Just(What::Dead).boxed(), Just(FOR_GOOD).boxed()),
        3 => once(Just(What::Dead).boxed(), seconds(1..1_200).boxed()),
        3 => once(Just(What::Partition).boxed(), seconds(1..44).boxed()),
        1 => once(Just(What::Partition).boxed(), seconds(44..600).boxed()),
        2 => once(Just(What::ProbesCut).boxed(), prop_oneof![seconds(10..1_500), Just(FOR_GOOD)].boxed()),
        1 => once(Just(What::LogCut).boxed(), seconds(1..300).boxed()),
        2 => once(select(vec![What::LogDenied, What::LogErrors]).boxed(), seconds(1..600).boxed()),
        1 => once((0..3usize).prop_map(What::StreamHangs).boxed(), seconds(10..900).boxed()),
        1 => once((0..3u32).prop_map(What::TargetFails).boxed(), seconds(10..900).boxed()),
        1 => once(Just(What::ScheduleStops).boxed(), seconds(60..900).boxed()),
        1 => once(Just(What::RecoveryPauses).boxed(), seconds(30..900).boxed()),
        1 => once(Just(What::Trading).boxed(), seconds(30..1_500).boxed()),
        2 => flapping,
    ]
}

fn watch() -> impl Strategy<Value = Watch> {
    let skew = prop_oneof![8 => -5_000..5_000i64, 1 => -400_000..400_000i64];
    let spurious = prop_oneof![2 => Just(vec![]), 1 => vec(seconds(30..2_000), 1..4)];
    (0..60_000i64, vec(0..4_000i64, 1..4), 0..10_000i64, skew, spurious).prop_map(
        |(phase, jitter, evaluation_delay, skew, spurious)| Watch {
            phase,
            jitter,
            evaluation_delay,
            skew,
            spurious,
        },
    )
}

fn deliveries() -> impl Strategy<Value = Vec<Vec<Delivery>>> {
    let delivery = |after: BoxedStrategy<Millis>| {
        (after, prop_oneof![3 => Just(false), 1 => Just(true)])
            .prop_map(|(after, replayed)| Delivery { after, replayed })
    };
    let late =
        delivery(prop_oneof![1 => 0..20_000i64, 1 => 250_000..350_000i64, 1 => 0..7_200_000i64].boxed());
    let first = delivery(prop_oneof![9 => 50..5_000i64, 1 => 0..7_200_000i64].boxed());
    let all = (first, vec(late, 0..4)).prop_map(|(first, mut rest)| {
        rest.push(first);
        rest
    });
    vec(all, 1..4)
}

fn people() -> impl Strategy<Value = People> {
    let deed = prop_oneof![
        1 => Just(Deed::HandBack),
        2 => Just(Deed::Acknowledge),
        1 => Just(Deed::MaintenanceBegin),
        2 => Just(Deed::MaintenanceEnd),
        1 => Just(Deed::StartByHand),
    ];
    let deeds = prop_oneof![2 => Just(vec![]), 1 => vec((seconds(30..2_500), deed), 1..6)];
    (deeds, option::of(seconds(5..600)), option::weighted(0.3, seconds(1..600))).prop_map(
        |(deeds, hand_back_after, acknowledge_after)| People { deeds, hand_back_after, acknowledge_after },
    )
}

fn run() -> impl Strategy<Value = RunScript> {
    let sometimes = || prop_oneof![9 => Just(false), 1 => Just(true)];
    let sleeps = prop_oneof![12 => Just(0i64), 1 => seconds(1..4_000)];
    let launch = prop_oneof![2 => seconds(1..20), 2 => seconds(20..200), 1 => seconds(200..1_200)];
    let ends = prop_oneof![
        6 => Just(Outcome::Recovered),
        1 => select(vec![Outcome::Halted, Outcome::Broken, Outcome::Unproven]),
    ];
    let before = (-300..300i64, 20..2_000i64, sleeps, launch, sometimes());
    let after = (5..500i64, seconds(1..60), sometimes(), ends, sometimes(), seconds(1..600));
    (before, after).prop_map(
        |(
            (clock, step, sleeps, launch, launch_fails),
            (seal_gap, tail, half_done, ends, no_manifest, take_down),
        )| {
            RunScript {
                clock,
                step,
                sleeps,
                launch,
                launch_fails,
                seal_gap,
                tail,
                half_done,
                ends,
                no_manifest,
                take_down,
            }
        },
    )
}

/// Any schedule.
pub fn script() -> impl Strategy<Value = Script> {
    let troubles = vec(shape(), 0..4).prop_map(|shapes| shapes.concat());
    (numbers(), exchange(), troubles, watch(), deliveries(), people(), vec(run(), 1..4)).prop_map(
        |(numbers, exchange, troubles, watch, deliveries, people, runs)| Script {
            numbers,
            exchange,
            troubles,
            watch,
            deliveries,
            people,
            runs,
        },
    )
}

impl Script {
    /// Whether something of the sort goes on.
    pub fn troubled(&self, at: Millis, what: impl Fn(What) -> bool) -> bool {
        self.troubles.iter().any(|trouble| trouble.on(at) && what(trouble.what))
    }

    /// Until when the watch looks: some time after all that ends has ended.
    pub fn horizon(&self) -> Millis {
        let ends = self.troubles.iter().map(|trouble| {
            if trouble.lasts == FOR_GOOD { trouble.from + 900 * SECOND } else { trouble.until() }
        });
        (ends.max().unwrap_or(0) + 300 * SECOND).min(4_000 * SECOND)
    }
}
