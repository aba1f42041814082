//! MiniStack, the AWS of this machine: one process that holds every Region on one loopback port.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::{Doing as _, WorldError};
use super::keeper::{Kept, Program};
use super::run_folder::RunFolder;
use super::venv::Venv;

/// It takes two seconds; a machine that compiles at the same time may take ten times as long.
const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(50);
/// A free port can be taken by somebody else before MiniStack binds it. That is rare, so twice in a row is luck and
/// five times is a fault.
const PORT_TRIES_MAX: usize = 5;

/// A running MiniStack; dropping it kills it and every Lambda that it started.
#[derive(Debug)]
pub struct MiniStack {
    kept: Kept,
    address: SocketAddr,
}

impl MiniStack {
    /// Starts one and returns when it answers. Lambdas are told to make their AWS calls at `lambda_endpoint`.
    pub async fn start(venv: &Venv, run: &RunFolder, lambda_endpoint: &str) -> Result<Self, WorldError> {
        Self::start_as(venv, run, lambda_endpoint, |program| program).await
    }

    /// The same, of a program that `changed` has changed.
    pub async fn start_as(
        venv: &Venv,
        run: &RunFolder,
        lambda_endpoint: &str,
        changed: impl Fn(Program) -> Program,
    ) -> Result<Self, WorldError> {
        let log = run.file("ministack.log");
        for _ in 0..PORT_TRIES_MAX {
            let address = free_port()?;
            let kept = Kept::start(&changed(program(venv, run, address, lambda_endpoint, &log)))?;
            if until_ready(&kept, address, run.name()).await? {
                return Ok(Self { kept, address });
            }
        }
        Err(WorldError::Program { what: format!("MiniStack did not start in {PORT_TRIES_MAX} tries"), log })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where SDK clients reach it directly.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.kept.pid()
    }

    /// Its log, with what the Lambdas print in it.
    pub fn log(&self) -> &Path {
        self.kept.log()
    }
}

fn program(venv: &Venv, run: &RunFolder, at: SocketAddr, lambda_endpoint: &str, log: &Path) -> Program {
    let scratch = run.scratch();
    Program::new("MiniStack", &venv.python(), &scratch, log)
        .arg("-m")
        .arg("ministack")
        .env("GATEWAY_PORT", at.port().to_string())
        // By default it binds every interface.
        .env("BIND_HOST", at.ip().to_string())
        .env("MINISTACK_HOST", "localhost")
        // Echoed by the health endpoint: how we know that it is ours that answers on this port.
        .env("MINISTACK_EDITION", run.name())
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        // Unpacked Lambdas are cached by port in the temporary folder: a private one, or a second world that gets
        // the same port later runs the first one's code.
        .env("TMPDIR", scratch.join("tmp"))
        .env("STATE_DIR", scratch.join("state"))
        .env("S3_DATA_DIR", scratch.join("s3"))
        .env("HOME", scratch.join("home"))
        // Where there is a Docker it would run ECS tasks itself; here the container stand-in does.
        .env("DOCKER_HOST", format!("unix://{}", scratch.join("no-docker.sock").display()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .env("AWS_ENDPOINT_URL", lambda_endpoint)
        .env("AWS_ACCESS_KEY_ID", super::clients::ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", super::clients::SECRET_KEY)
        // No Lambda asks the link-local address of an instance that does not exist.
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

/// True when ours answers, false when it ended because somebody else had the port.
async fn until_ready(kept: &Kept, address: SocketAddr, edition: &str) -> Result<bool, WorldError> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(2))
        .build()
        .doing(|| "make an HTTP client".to_owned())?;
    let url = format!("http://{address}/_ministack/health");
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if let Some(how) = kept.ended() {
            let port_taken = std::fs::read_to_string(kept.log())
                .is_ok_and(|log| log.contains("already in use") || log.contains("Errno 98"));
            if port_taken {
                return Ok(false);
            }
            return Err(WorldError::Program {
                what: format!("MiniStack exited {how} before it was ready"),
                log: kept.log().to_owned(),
            });
        }
        if answers_as(&http, &url, edition).await {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Err(WorldError::Program {
                what: format!("MiniStack was not ready within {} s", READY_WITHIN.as_secs()),
                log: kept.log().to_owned(),
            });
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn answers_as(http: &reqwest::Client, url: &str, edition: &str) -> bool {
    let Ok(answer) = http.get(url).send().await else { return false };
    let Ok(health) = answer.json::<serde_json::Value>().await else { return false };
    health["edition"] == edition
}

/// A port that was free a moment ago.
fn free_port() -> Result<SocketAddr, WorldError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .doing(|| "find a free port".to_owned())
}
