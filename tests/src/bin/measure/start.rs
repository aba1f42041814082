//! From exec to the first poll: the part of a cold start that is ours.

use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lifeboat_tests::world::WorldError;

/// A function that has not polled by then never will.
const POLL_WITHIN: Duration = Duration::from_secs(10);
const NEXT: &str = "GET /2018-06-01/runtime/invocation/next ";

/// What `infra/orchestrator.yaml` sets, with values that lead nowhere: no function calls AWS before its first event.
const ENVIRONMENT: [(&str, &str); 20] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("CONTROL_BUCKET", "control"),
    ("EVIDENCE_BUCKET", "evidence"),
    ("PLAN_KEY", "plan/measured.json"),
    ("ALARM_NAME", "measured"),
    ("METRIC_NAMESPACE", "Lifeboat"),
    ("STATE_MACHINE_ARN", "arn:aws:states:eu-central-1:000000000000:stateMachine:measured"),
    ("DNS_SERVER", "127.0.0.1:53"),
    ("DNS_STRATEGY", "switch"),
    ("HOSTED_ZONE_ID", "Z1"),
    ("ARTIFACT_PREFIX", "packages/1/"),
    ("DEFINITION_KEY", "packages/1/failover.asl.json"),
    ("SIGNING_KEY_ARN", "arn:aws:kms:eu-central-1:000000000000:key/measured"),
    ("LOG_LEVEL", "error"),
];

/// Starts `binary` so many times, one after the other, and says how long each took to its first poll, in milliseconds,
/// the shortest first.
pub fn until_first_poll(binary: &Path, runs: u32) -> Result<Vec<f64>, WorldError> {
    let what = || format!("start {} against a runtime API", binary.display());
    let (listener, polls) = runtime_api().map_err(|source| WorldError::failed(what(), source))?;
    let mut times = Vec::new();
    for _ in 0..runs {
        let began = Instant::now();
        let child = spawn(binary, &listener).map_err(|source| WorldError::failed(what(), source))?;
        let polled = polls.recv_timeout(POLL_WITHIN);
        drop(child);
        let polled = polled.map_err(|_| {
            WorldError::failed(what(), format!("it did not poll within {} s", POLL_WITHIN.as_secs()))
        })?;
        times.push(polled.duration_since(began).as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The middle of sorted values; of an even number of them, the mean of the two in the middle.
pub fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(value), 1) => *value,
        (Some(value), _) => (sorted[middle - 1] + value) / 2.0,
        (None, _) => 0.0,
    }
}

/// Killed when dropped: it waits for an event that never comes.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(binary: &Path, runtime_api: &str) -> io::Result<Started> {
    Command::new(binary)
        .env_clear()
        .envs(ENVIRONMENT)
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Started)
}

/// A runtime API that tells the moment of each first poll and never answers: its address, and the moments.
fn runtime_api() -> io::Result<(String, mpsc::Receiver<Instant>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?.to_string();
    let (polled, polls) = mpsc::channel();
    std::thread::spawn(move || {
        // One function at a time, and one connection of it: the next is taken when that one is gone.
        for connection in listener.incoming().flatten() {
            let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
            if lines.next().is_some_and(|line| line.starts_with(NEXT)) && polled.send(Instant::now()).is_err()
            {
                return;
            }
            // Held open until the function is killed: a closed connection would make it poll again.
            lines.for_each(drop);
        }
    });
    Ok((address, polls))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert_eq!(median(&[]), 0.0);
    }
}
