//! The container stand-in: runs what the emulated ECS services say should run, as processes of this machine.
//!
//! It asks through the proxy. A Region that was taken away is unseen: nothing new starts there and nothing that runs
//! there is stopped. And it never restarts what has ended: a process that the drill killed would otherwise be back
//! before the Region is noticed to be gone, which no real ECS in a lost Region could do, and a process that fails by
//! itself would hide its failure behind its successor.

mod container;
mod wanted;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use container::ContainerState;

use super::clients::Clients;
use super::error::WorldError;
use super::keeper::Signal;
use container::Container;
use wanted::{Wanted, ask};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// One Region to watch.
#[derive(Debug, Clone)]
pub struct WatchedRegion {
    /// Clients that go through the proxy.
    pub clients: Clients,
    /// The endpoint that containers of this Region are given.
    pub container_endpoint: String,
}

/// How containers run here.
#[derive(Debug, Clone, Default)]
pub struct ContainerSettings {
    /// Which program stands for which image, by the image's last name without tag: `aex`.
    pub images: BTreeMap<String, PathBuf>,
    /// Set for every container, over what its task definition says.
    pub env: BTreeMap<String, String>,
    /// Where each container's output goes, one file each.
    pub logs: PathBuf,
}

/// The running stand-in. Dropping it kills all its containers.
#[derive(Debug)]
pub struct StandIn {
    shared: Arc<Shared>,
    watchers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    settings: ContainerSettings,
    containers: Mutex<BTreeMap<Place, Vec<Container>>>,
    changed: watch::Sender<()>,
}

/// One service of one Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    region: String,
    service: String,
}

impl StandIn {
    /// Watches the Regions, each on its own, so that one which does not answer holds up no other.
    pub fn start(regions: Vec<WatchedRegion>, settings: ContainerSettings) -> Self {
        let shared =
            Arc::new(Shared { settings, containers: Mutex::default(), changed: watch::channel(()).0 });
        let watchers =
            regions.into_iter().map(|region| tokio::spawn(look_after(region, Arc::clone(&shared)))).collect();
        Self { shared, watchers }
    }

    /// Every container that was ever started and whose service was not seen to be deleted since.
    pub fn containers(&self) -> Vec<ContainerState> {
        self.shared.lock().values().flatten().map(Container::state).collect()
    }

    /// Waits until a container that suits has been started, and gives its state.
    pub async fn wait_for(
        &self,
        within: Duration,
        suits: impl Fn(&ContainerState) -> bool,
    ) -> Result<ContainerState, WorldError> {
        let mut changed = self.shared.changed.subscribe();
        let found = async {
            loop {
                changed.mark_unchanged();
                if let Some(found) = self.containers().into_iter().find(&suits) {
                    return found;
                }
                // The sender lives as long as we do.
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(within, found)
            .await
            .map_err(|_| WorldError::TooLate { what: "wait for a container".to_owned(), within })
    }

    /// Signals every running container that suits, and says how many got it.
    pub fn signal(
        &self,
        signal: Signal,
        suits: impl Fn(&ContainerState) -> bool,
    ) -> Result<usize, WorldError> {
        let mut signalled = 0;
        for container in self.shared.lock().values().flatten() {
            let state = container.state();
            if state.is_running() && suits(&state) {
                container.signal(signal)?;
                signalled += 1;
            }
        }
        Ok(signalled)
    }

    /// Forgets each service whose containers suit and have all ended, so that it is started anew, and says how many: what ECS
    /// does by itself, and this stand-in only when told.
    pub fn restart(&self, suits: impl Fn(&ContainerState) -> bool) -> usize {
        let mut containers = self.shared.lock();
        let before = containers.len();
        containers.retain(|_, running| {
            !running.iter().map(Container::state).all(|state| !state.is_running() && suits(&state))
        });
        before - containers.len()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
        self.shared.lock().clear();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Vec<Container>>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_after(region: WatchedRegion, shared: Arc<Shared>) {
    loop {
        // Only a Region that answered every question in full says anything about what should run there.
        if let Ok(wanted) = ask(&region.clients).await {
            settle(&region, &shared, wanted).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Stops what is no longer wanted, starts what is new.
async fn settle(region: &WatchedRegion, shared: &Shared, wanted: Vec<Wanted>) {
    let place = |service: &str| Place { region: region.clients.region.clone(), service: service.to_owned() };
    let mut leaving = Vec::new();
    {
        let mut containers = shared.lock();
        let gone: Vec<Place> = containers
            .iter()
            .filter(|(at, running)| {
                at.region == region.clients.region
                    && !wanted.iter().any(|wanted| {
                        wanted.service == at.service
                            && running.iter().all(|running| running.generation() == wanted.generation)
                    })
            })
            .map(|(at, _)| at.clone())
            .collect();
        leaving.extend(gone.iter().filter_map(|at| containers.remove(at)).flatten());
    }
    // Outside the lock: a polite stop takes its time.
    futures::future::join_all(leaving.into_iter().map(Container::stop)).await;

    let mut containers = shared.lock();
    for wanted in wanted {
        containers.entry(place(&wanted.service)).or_insert_with(|| {
            let start = |definition| Container::start(definition, &wanted, region, &shared.settings);
            wanted.definitions.iter().map(start).collect()
        });
    }
    drop(containers);
    shared.changed.send_replace(());
}
