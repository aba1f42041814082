//! One round: a bucket of its own, a stream opened for the primary, and the three upon it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use lifeboat_ledger::Holder;
use lifeboat_ledger::control::{Control, Open};
use lifeboat_rules::plan::Ledger;
use lifeboat_runtime::{Log, Put, Store};
use lifeboat_tests::world::deploy::{Bucket, create_bucket};
use lifeboat_tests::world::proxy::{Fault, ProxyHandle, Scope};
use lifeboat_tests::world::{Clients, World};
use tokio::sync::watch;

use crate::judge::{Chain, Ended, Seen, judge};
use crate::kind::{Kind, Lost, Order, Pauses};
use crate::sealer::Sealer;
use crate::writer::Side;

/// The one stream.
pub const STREAM: &str = "ME1";
/// The epoch of the run that is to win.
pub const NEW: u64 = 42;
/// The epoch of the run that slept.
pub const STALE: u64 = 41;
/// The epoch that the primary writes under.
const GENESIS: u64 = 1;
/// Longer than any round takes; a round that hangs is a failure.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// When the sealers come: before, while and after the writer has its first entries safe.
const START_LONGEST: Duration = Duration::from_millis(20);
/// What each side has acknowledged before somebody stops it.
const ACKNOWLEDGED_MIN: usize = 3;
/// As AEX looks for fences, but more often.
const FENCE_EVERY: Duration = Duration::from_millis(10);
/// The first id of the recovery side's entries.
const RECOVERY_IDS: u64 = 1_000_000;

const ORIGINS: [&str; 4] = ["primary", "recovery", "new", "stale"];

/// Where rounds are run.
pub struct Track {
    clients: Clients,
    proxy: ProxyHandle,
    endpoints: Vec<(&'static str, String)>,
}

impl Track {
    /// In the recovery Region of `world`, with an entrance of the proxy for each actor.
    pub async fn lay(world: &mut World) -> Track {
        let mut endpoints = Vec::new();
        for origin in ORIGINS {
            endpoints.push((origin, world.entrance(origin).await.unwrap()));
        }
        Track { clients: world.clients(world.recovery()), proxy: world.proxy(), endpoints }
    }

    /// Runs one round, and judges it.
    pub async fn run(&self, number: u64, kind: Kind) -> Seen {
        let bucket = format!("race-{number:05}");
        create_bucket(&self.clients, &Bucket::plain(&bucket)).await.unwrap();
        let ledger = Ledger {
            bucket: bucket.clone(),
            prefix: "log/".into(),
            streams: vec![STREAM.into()],
            witness: None,
            lease: None,
        };
        let direct = Store::new(&self.clients.config);
        open_for_primary(&direct, &ledger).await;
        let rule = self.lose(kind.lost, &bucket);

        let (new_store, stale_store) = (self.sealer_store("new"), self.sealer_store("stale"));
        let pauses = |actor| Pauses::new(number, actor);
        let sealer = |store, epoch, actor: &'static str| Sealer {
            store,
            ledger: &ledger,
            epoch,
            run: format!("{actor}-{number}"),
            pauses: pauses(actor),
        };
        let (new, stale) = (sealer(&new_store, NEW, "new"), sealer(&stale_store, STALE, "stale"));

        let primary = self.side("primary", &bucket, pauses("primary"), kind.writer_watches);
        let (primary, mut progress, _enough) = primary;
        let primary = tokio::spawn(primary.write(0));
        reach(&mut progress, ACKNOWLEDGED_MIN).await;
        let starts = |actor| tokio::time::sleep(pauses(actor).at(1, START_LONGEST));

        let mut recovery = None;
        let stale_ended = match kind.order {
            Order::StaleFirst => {
                starts("stale").await;
                let ended = stale.seal(kind.stale).await;
                new.seal(crate::kind::Manner::Ours).await;
                ended
            }
            Order::StaleAfter => {
                starts("new").await;
                new.seal(crate::kind::Manner::Ours).await;
                stale.seal(kind.stale).await
            }
            Order::Together => {
                let (ended, _) = tokio::join!(
                    async {
                        starts("stale").await;
                        stale.seal(kind.stale).await
                    },
                    async {
                        starts("new").await;
                        new.seal(crate::kind::Manner::Ours).await
                    }
                );
                ended
            }
            Order::StaleAwakes => {
                starts("new").await;
                new.seal(crate::kind::Manner::Ours).await;
                new.open().await;
                let (side, mut progress, enough) =
                    self.side("recovery", &bucket, pauses("recovery"), kind.writer_watches);
                let writing = tokio::spawn(side.write(RECOVERY_IDS));
                reach(&mut progress, ACKNOWLEDGED_MIN).await;
                starts("stale").await;
                let ended = stale.seal(kind.stale).await;
                let so_far = *progress.borrow();
                reach(&mut progress, so_far + ACKNOWLEDGED_MIN).await;
                enough.send_replace(true);
                recovery = Some(writing.await.unwrap());
                ended
            }
        };
        let primary = primary.await.unwrap();
        if let Some(rule) = rule {
            self.proxy.lift(rule);
        }

        let chain = Chain::read(&direct, &ledger).await;
        let lost = self.lost_puts(&bucket);
        judge(kind, &chain, Ended { primary, recovery, stale: stale_ended, lost })
    }

    /// Orders the loss of answers to puts of entries; fences are told as they are.
    fn lose(&self, lost: Lost, bucket: &str) -> Option<lifeboat_tests::world::proxy::RuleId> {
        let puts = |origin| Scope::origin(origin).method("PUT").path_prefix(&format!("/{bucket}/log/"));
        match lost {
            Lost::Nothing => None,
            Lost::OfWriter => Some(self.proxy.add_times(puts("primary"), Fault::LoseAnswer, 1)),
            Lost::OfNew => Some(self.proxy.add(puts("new"), Fault::LoseAnswer)),
            Lost::OfStale => Some(self.proxy.add(puts("stale"), Fault::LoseAnswer)),
        }
    }

    /// The slots whose put's answer was lost, each with whose put it was.
    fn lost_puts(&self, bucket: &str) -> Vec<(String, u64)> {
        let prefix = format!("/{bucket}/log/");
        let puts = self.proxy.calls_in(&Scope::everything().method("PUT").path_prefix(&prefix));
        let lost = puts.into_iter().filter(|record| record.fault == Some("answer lost"));
        lost.filter_map(|record| {
            let key = record.call.path.split('?').next()?.strip_prefix(&format!("/{bucket}/"))?.to_owned();
            let (_, seq) = lifeboat_ledger::slot::parse("log/", &key)?;
            Some((record.call.origin, seq))
        })
        .collect()
    }

    fn config(&self, origin: &str, retries: RetryConfig) -> SdkConfig {
        let (_, endpoint) =
            self.endpoints.iter().find(|(known, _)| *known == origin).expect("a known origin");
        let config = Clients::new(endpoint, &self.clients.region).config;
        config.into_builder().retry_config(retries).build()
    }

    /// The Lambdas' own number of attempts, with less patience between them.
    fn sealer_store(&self, origin: &str) -> Store {
        let retries =
            RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1));
        Store::new(&self.config(origin, retries))
    }

    /// A side, the number of its acknowledgements, and the word that ends it.
    fn side(
        &self,
        origin: &'static str,
        bucket: &str,
        pauses: Pauses,
        watches: bool,
    ) -> (Side, watch::Receiver<usize>, watch::Sender<bool>) {
        // As AEX is configured: it tries again itself, in plain sight.
        let store = aex::store::Store::new(&self.config(origin, RetryConfig::disabled()), bucket, "log/");
        let (seen, fence) = watch::channel(0);
        if watches {
            tokio::spawn(watch_fences(store.clone(), seen));
        }
        let (progress, told) = watch::channel(0);
        let (word, enough) = watch::channel(false);
        let (holder, epoch) =
            if origin == "primary" { (Holder::Primary, None) } else { (Holder::Recovery, Some(NEW)) };
        // A fence of epoch 41 does not stop a side of epoch 42.
        let fast = watches && holder == Holder::Primary;
        (Side { holder, epoch, store, pauses, fast, fence, progress, enough }, told, word)
    }
}

async fn watch_fences(store: aex::store::Store, seen: watch::Sender<u64>) {
    while !seen.is_closed() {
        let newest = *seen.borrow();
        if let Ok(Some(epoch)) = store.fence_after(newest).await {
            seen.send_replace(epoch);
        }
        tokio::time::sleep(FENCE_EVERY).await;
    }
}

async fn reach(progress: &mut watch::Receiver<usize>, count: usize) {
    let reached = progress.wait_for(|told| *told >= count);
    tokio::time::timeout(GIVE_UP_AFTER, reached).await.expect("in time").expect("it writes on");
}

async fn open_for_primary(store: &Store, ledger: &Ledger) {
    let control = Control::Open(Open { epoch: GENESIS, holder: Holder::Primary, run: "genesis".into() });
    let bytes = lifeboat_ledger::Tail::new(STREAM).control_segment(&control);
    let key = Log::new(store, ledger).key(STREAM, 1);
    assert_eq!(store.create(&ledger.bucket, &key, &bytes).await.unwrap(), Put::Created);
}
