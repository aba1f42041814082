//! The local world: an AWS of two Regions on loopback, with faults to order, a DNS and something that runs containers.
//!
//! [`World::start`] brings it up, and it goes down with the value, however the program ends: each process is under a
//! keeper that outlives this program by a moment (see [`keeper`]).

pub mod clients;
mod clock;
mod command;
pub mod delivery;
pub mod deploy;
pub mod dns;
pub mod error;
mod functions;
pub mod iam;
pub mod keeper;
pub mod ministack;
pub mod places;
pub mod prerequisites;
pub mod proxy;
pub mod relay;
pub mod run_folder;
pub mod standin;
pub mod venv;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use clients::{ACCOUNT, Clients};
pub use clock::now;
pub use error::{WorldError, explain};
pub use keeper::Signal;
pub use run_folder::RunFolder;
pub use standin::{ContainerState, StandIn};
pub use venv::Venv;

use dns::DnsServer;
use error::Doing as _;
use ministack::MiniStack;
use proxy::{Proxy, ProxyHandle};
use standin::{ContainerSettings, WatchedRegion};

/// The proxy's entrance for everything that MiniStack runs: the Lambdas, in every Region.
pub const ORIGIN_LAMBDA: &str = "lambda";
/// The proxy's entrance for the container stand-in itself. (Containers come in by their Region's name.)
pub const ORIGIN_STANDIN: &str = "stand-in";

/// What a world is made with.
#[derive(Clone)]
pub struct WorldOptions {
    /// The primary Region.
    pub primary: String,
    /// The recovery Region.
    pub recovery: String,
    /// Which program stands for which container image.
    pub images: BTreeMap<String, PathBuf>,
    /// Set for every container, over what its task definition says.
    pub container_env: BTreeMap<String, String>,
    /// Told when there is something to wait for.
    pub report: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for WorldOptions {
    /// Ireland and Frankfurt, no image, and progress to standard error.
    fn default() -> Self {
        Self {
            primary: "eu-west-1".to_owned(),
            recovery: "eu-central-1".to_owned(),
            images: BTreeMap::new(),
            container_env: BTreeMap::new(),
            report: Arc::new(|line| anstream::eprintln!("{line}")),
        }
    }
}

impl WorldOptions {
    /// Lets a program stand for a container image.
    pub fn image(mut self, name: &str, program: PathBuf) -> Self {
        self.images.insert(name.to_owned(), program);
        self
    }
}

/// A running local world. Fields are dropped in this order: first what calls, then what is called.
#[derive(Debug)]
pub struct World {
    standin: StandIn,
    dns: DnsServer,
    ministack: MiniStack,
    proxy: Proxy,
    primary: String,
    recovery: String,
    venv: Venv,
    run: RunFolder,
}

impl World {
    /// Brings a world up, with a run folder of its own; the first time on a machine it makes the venv as well.
    pub async fn start(options: WorldOptions) -> Result<Self, WorldError> {
        let report = Arc::clone(&options.report);
        let venv = tokio::task::spawn_blocking(move || {
            let found = prerequisites::look().map_err(WorldError::Missing)?;
            Venv::ensure(&found, &*report)
        });
        let venv = venv.await.doing(|| "look at this machine".to_owned())??;
        let run = RunFolder::create(&places::target()?.join("drill"))?;

        let mut proxy = Proxy::new(&run.file("calls.ndjson"))?;
        let ministack = MiniStack::start(&venv, &run, &proxy.entrance(ORIGIN_LAMBDA).await?).await?;
        proxy.lead_to(ministack.address());

        // Straight to the emulator: DNS must go on answering while an API is being refused.
        let dns = DnsServer::start(&ministack.endpoint(), &run.file("dns.ndjson")).await?;

        let endpoint = proxy.entrance(ORIGIN_STANDIN).await?;
        let mut regions = Vec::new();
        for region in [&options.primary, &options.recovery] {
            let clients = Clients::new(&endpoint, region);
            regions.push(WatchedRegion { clients, container_endpoint: proxy.entrance(region).await? });
        }
        let settings = ContainerSettings {
            images: options.images,
            env: options.container_env,
            logs: run.path().to_owned(),
        };
        let standin = StandIn::start(regions, settings);
        let WorldOptions { primary, recovery, .. } = options;
        Ok(Self { standin, dns, ministack, proxy, primary, recovery, venv, run })
    }

    /// The primary Region.
    pub fn primary(&self) -> &str {
        &self.primary
    }

    /// The recovery Region.
    pub fn recovery(&self) -> &str {
        &self.recovery
    }

    /// The run folder.
    pub fn run(&self) -> &RunFolder {
        &self.run
    }

    /// The Python environment, for `aws`, `cfn-lint` and `cargo-lambda`.
    pub fn venv(&self) -> &Venv {
        &self.venv
    }

    /// The emulator's own endpoint, with no proxy before it: for the drill's own calls.
    pub fn endpoint(&self) -> String {
        self.ministack.endpoint()
    }

    /// SDK clients for a Region that go straight to the emulator.
    pub fn clients(&self, region: &str) -> Clients {
        Clients::new(&self.endpoint(), region)
    }

    /// The emulator.
    pub fn ministack(&self) -> &MiniStack {
        &self.ministack
    }

    /// Faults and the journal of calls.
    pub fn proxy(&self) -> ProxyHandle {
        self.proxy.handle()
    }

    /// An endpoint of the proxy for callers known as `origin`.
    pub async fn entrance(&mut self, origin: &str) -> Result<String, WorldError> {
        self.proxy.entrance(origin).await
    }

    /// The DNS server.
    pub fn dns(&self) -> &DnsServer {
        &self.dns
    }

    /// Where to ask DNS, by UDP or TCP: what dns-flip's `DNS_SERVER` holds.
    pub fn dns_address(&self) -> SocketAddr {
        self.dns.address()
    }

    /// The containers.
    pub fn standin(&self) -> &StandIn {
        &self.standin
    }

    /// Takes everything down and says where the logs are.
    pub fn stop(self) -> PathBuf {
        self.run.path().to_owned()
    }
}
