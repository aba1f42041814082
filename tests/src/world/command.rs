//! The `aws` command of the virtual environment, as the root user: for the services that nothing else here has a client of.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::Venv;
use super::clients::{ACCESS_KEY, SECRET_KEY};
use super::error::{Doing as _, WorldError};

impl Venv {
    /// Asks the emulator at `endpoint`, in `region`; null where the answer is empty.
    ///
    /// # Errors
    /// Where the command does not succeed, with what it says.
    pub async fn aws(&self, endpoint: &str, region: &str, args: &[&str]) -> Result<Value, WorldError> {
        let what = || format!("aws {}", args.join(" "));
        let output = Command::new(self.program("aws"))
            .args(args)
            // For SQS the variable of the environment is not enough.
            .args(["--output", "json", "--endpoint-url", endpoint])
            .env_clear()
            .env("AWS_DEFAULT_REGION", region)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .stdin(Stdio::null())
            .output()
            .await
            .doing(what)?;
        if !output.status.success() {
            return Err(WorldError::failed(what(), String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        if output.stdout.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_slice(&output.stdout).doing(what)
        }
    }
}
