//! The exchange as a process.

use std::process::ExitCode;

use aex::app::{End, Exchange};
use aex::config::Config;
use aex::store::{Store, sdk_config};
use aex::witness::Witness;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// The pen is lost for good. Not 1, so that whoever started the process can tell this from a crash.
const EXIT_LOST_PEN: u8 = 3;
/// A defect of AEX itself.
const EXIT_DEFECT: u8 = 70;

#[tokio::main]
async fn main() -> std::io::Result<ExitCode> {
    let config = Config::parse();
    let sdk = sdk_config(&config.log_region).await;
    let store = Store::new(&sdk, &config.log_bucket, &config.log_prefix);
    let witness = (!config.firehose.is_empty())
        .then(|| Witness::start(aws_sdk_firehose::Client::new(&sdk), config.firehose.clone()));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut exchange = tokio::select! {
        exchange = Exchange::start(&config, store, witness) => exchange?,
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
    };
    tokio::select! {
        end = exchange.ended() => Ok(match end {
            End::Asked => ExitCode::SUCCESS,
            End::LostPen { .. } => ExitCode::from(EXIT_LOST_PEN),
            End::Defect(_) => ExitCode::from(EXIT_DEFECT),
        }),
        _ = terminate.recv() => {
            exchange.stop().await;
            Ok(ExitCode::SUCCESS)
        }
        _ = tokio::signal::ctrl_c() => {
            exchange.stop().await;
            Ok(ExitCode::SUCCESS)
        }
    }
}
