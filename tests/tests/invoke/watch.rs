//! `cargo lambda watch` for the whole workspace on one port, and `cargo lambda invoke` against it.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lifeboat_tests::world::keeper::{Kept, Program};
use lifeboat_tests::world::{World, places};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::fixture::Answer;

/// It listens at once; a machine that compiles at the same time takes longer.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Longer than any function waits for anything (20 s), and than cargo's look at whether all is built.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// A free port can be taken by somebody else before the watch binds it.
const PORT_TRIES_MAX: usize = 5;

/// A running watch. Dropping it kills it; the functions that it has started are not of its process group, and end by
/// themselves because their runtime API is gone.
pub struct Watch {
    kept: Kept,
    address: SocketAddr,
    cargo_lambda: PathBuf,
    scratch: PathBuf,
}

impl Watch {
    /// Starts one whose functions have `environment` besides the caller's.
    pub async fn start(world: &World, environment: &[(&str, String)]) -> Watch {
        let cargo_lambda = world.venv().program("cargo-lambda");
        let mut last = String::new();
        for _ in 0..PORT_TRIES_MAX {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            drop(listener);
            let kept = Kept::start(&program(world, &cargo_lambda, address, environment)).unwrap();
            let watch =
                Watch { kept, address, cargo_lambda: cargo_lambda.clone(), scratch: world.run().scratch() };
            match watch.until_ready().await {
                Ok(()) => return watch,
                Err(how) => last = format!("it exited {how}: {}", watch.log()),
            }
        }
        panic!("cargo lambda watch did not start in {PORT_TRIES_MAX} tries; {last}");
    }

    /// Calls a function as a person would.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Answer {
        let file = self.scratch.join("payload.json");
        std::fs::write(&file, payload.to_string()).unwrap();
        let mut invoke = Command::new(&self.cargo_lambda);
        invoke
            .args(["lambda", "invoke", function, "--color", "never"])
            .args(["--invoke-address", &self.address.ip().to_string()])
            .args(["--invoke-port", &self.address.port().to_string()])
            .arg("--data-file")
            .arg(&file)
            .current_dir(&self.scratch)
            .env_clear()
            .envs(inherited())
            .env("NO_COLOR", "1")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let output = match tokio::time::timeout(ANSWER_WITHIN, invoke.output()).await {
            Ok(output) => output.unwrap(),
            Err(_) => panic!("{function} did not answer within {ANSWER_WITHIN:?}: {}", self.log()),
        };
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            return match serde_json::from_str(&out) {
                Ok(result) => Answer::Result(result),
                Err(why) => panic!("{function} gave no JSON ({why}): {out}{err}"),
            };
        }
        read_error(&err)
    }

    /// The end of its log, in which the functions' own is.
    pub fn log(&self) -> String {
        lifeboat_tests::world::run_folder::tail(self.kept.log())
    }

    async fn until_ready(&self) -> Result<(), String> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(how) = self.kept.ended() {
                return Err(how);
            }
            if TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            assert!(Instant::now() < deadline, "cargo lambda watch was not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn program(
    world: &World,
    cargo_lambda: &Path,
    address: SocketAddr,
    environment: &[(&str, String)],
) -> Program {
    // Its folder is what it watches for changes, even when told to ignore them: a small one, not all of `target`. It
    // lies in the repository because cargo looks for its configuration upwards from there.
    let repository = places::repository();
    let folder = repository.join("tests/fixtures/invoke");
    let mut program =
        Program::new("cargo lambda watch", cargo_lambda, &folder, &world.run().file("watch.log"))
            .arg("lambda")
            .arg("watch")
            .arg("--ignore-changes")
            .arg("--wait")
            .arg("--color")
            .arg("never")
            .arg("--invoke-address")
            .arg(address.ip().to_string())
            .arg("--invoke-port")
            .arg(address.port().to_string())
            .arg("--manifest-path")
            .arg(repository.join("Cargo.toml"))
            .arg("--profile")
            .arg(profile());
    for (name, value) in inherited() {
        program = program.env(name, value);
    }
    for (name, value) in environment {
        program = program.env(name, value);
    }
    // Where, and in which profile, this test was built: so nothing is built twice. (By the variable, because the watch
    // hands the option on to `cargo metadata`, which has no such option.)
    program.env("CARGO_TARGET_DIR", places::target().unwrap())
}

/// The folder of this test's binaries says which profile it is; cargo calls the folder of `dev` another name.
fn profile() -> OsString {
    match places::binaries().unwrap().file_name() {
        Some(folder) if folder != "debug" => folder.to_owned(),
        _ => "dev".into(),
    }
}

/// The caller's environment, because cargo builds anew what was built under another (`CC`, `RUSTFLAGS`). But nothing
/// of a person's AWS account, no proxy, and nothing that cargo has set for this test alone.
fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        let of_account = name.starts_with("AWS_") && !name.starts_with("AWS_LC_");
        let of_this_test = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        !of_account && !of_this_test && !name.to_ascii_lowercase().ends_with("_proxy")
    })
}

/// `cargo lambda invoke` prints `Error: <errorType>`, a blank line, and `  × <errorMessage>`, wrapped and framed.
fn read_error(printed: &str) -> Answer {
    let Some(rest) = printed.trim_start().strip_prefix("Error: ") else {
        panic!("cargo lambda invoke failed by itself: {printed}");
    };
    let (name, message) = rest.split_once('\n').unwrap_or((rest, ""));
    let message = message.split("Was this behavior unexpected?").next().unwrap_or_default();
    let words = message.split_whitespace().filter(|word| !matches!(*word, "×" | "│" | "x" | "|"));
    Answer::Error(name.trim().to_owned(), words.collect::<Vec<_>>().join(" "))
}
