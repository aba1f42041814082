//! The application with leases as a process: see `lifeboat_tests::leased`.

use std::process::ExitCode;

use aex::config::Config;
use clap::Parser;
use lifeboat_tests::leased;

/// A newer epoch has passed it by. As AEX's, so that it can be told from a crash.
const EXIT_LOST_LEASE: u8 = 3;

#[tokio::main]
async fn main() -> std::io::Result<ExitCode> {
    let why = leased::run(&Config::parse()).await?;
    anstream::eprintln!("{why}");
    Ok(ExitCode::from(EXIT_LOST_LEASE))
}
