//! How AEX is told what it is: flags, or the environment that the task definition gives it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lifeboat_ledger::Holder;

use crate::order::is_word;

/// AEX, a small exchange: one matching engine a stream, and a ledger from which it recovers.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Config {
    /// The side that this process is.
    #[arg(long, env = "AEX_SIDE", value_enum)]
    pub side: SideArg,
    /// The epoch that this side was launched under; empty or 0 adopts whatever `open` names the side.
    #[arg(long, env = "AEX_EPOCH", default_value = "", hide_default_value = true)]
    pub epoch: EpochArg,
    /// Set by Lifeboat when it launches a recovery. AEX only logs it: both sides start by replay and wait for an `open`.
    #[arg(long, env = "AEX_RECOVERY_MODE", action = clap::ArgAction::Set, default_value = "false")]
    pub recovery_mode: bool,
    /// Where the gateway listens.
    #[arg(long, env = "AEX_LISTEN")]
    pub listen: SocketAddr,
    /// The log's bucket.
    #[arg(long, env = "AEX_LOG_BUCKET")]
    pub log_bucket: String,
    /// The prefix of the log's keys.
    #[arg(long, env = "AEX_LOG_PREFIX", default_value = "log/")]
    pub log_prefix: String,
    /// The Region of the log's bucket and of the delivery stream.
    #[arg(long, env = "AEX_LOG_REGION")]
    pub log_region: String,
    /// The streams and their symbols, e.g. `ME1=AAPL+MSFT,ME2=JPM+GS`.
    #[arg(long, env = "AEX_STREAMS")]
    pub streams: Streams,
    /// The delivery stream that gets the same entries after the put; empty for none.
    #[arg(long, env = "AEX_FIREHOSE", default_value = "", hide_default_value = true)]
    pub firehose: String,
    /// The least time between two puts of a stream, in milliseconds; what comes meanwhile goes into the next one.
    #[arg(long, env = "AEX_COMMIT_MS", default_value = "50", value_parser = millis)]
    pub commit_ms: Duration,
    /// The longest that the log of a served stream stands still, in milliseconds.
    #[arg(long, env = "AEX_HEARTBEAT_MS", default_value = "1000", value_parser = millis)]
    pub heartbeat_ms: Duration,
}

/// The side, on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SideArg {
    /// The side in the primary Region.
    Primary,
    /// The side in the recovery Region.
    Recovery,
}

impl From<SideArg> for Holder {
    fn from(side: SideArg) -> Holder {
        match side {
            SideArg::Primary => Holder::Primary,
            SideArg::Recovery => Holder::Recovery,
        }
    }
}

/// An epoch that may be left out. CloudFormation has no absent environment variables, only empty ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochArg(pub Option<u64>);

impl FromStr for EpochArg {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<EpochArg, Self::Err> {
        if text.is_empty() {
            return Ok(EpochArg(None));
        }
        text.parse().map(|epoch: u64| EpochArg((epoch > 0).then_some(epoch)))
    }
}

/// The streams, each with its symbols, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams(pub Vec<(String, Vec<String>)>);

impl FromStr for Streams {
    type Err = String;

    fn from_str(text: &str) -> Result<Streams, String> {
        let mut seen = BTreeSet::new();
        let mut streams = Vec::new();
        for part in text.split(',') {
            let (stream, symbols) =
                part.split_once('=').ok_or(format!("`{part}` is not STREAM=SYMBOL+SYMBOL"))?;
            let symbols: Vec<String> = symbols.split('+').map(String::from).collect();
            for name in symbols.iter().map(String::as_str).chain([stream]) {
                if !is_word(name) {
                    return Err(format!("`{name}` in `{part}` is no name"));
                }
                if !seen.insert(name.to_owned()) {
                    return Err(format!("`{name}` occurs twice"));
                }
            }
            streams.push((stream.to_owned(), symbols));
        }
        Ok(Streams(streams))
    }
}

fn millis(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(millis @ 1..=60_000) => Ok(Duration::from_millis(millis)),
        _ => Err("must be a number of milliseconds from 1 to 60000".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_read_and_mistakes_are_named() {
        let streams: Streams = "ME1=AAPL+MSFT,ME2=JPM".parse().unwrap();
        assert_eq!(streams.0[0], ("ME1".into(), vec!["AAPL".into(), "MSFT".into()]));
        for (bad, named) in
            [("ME1", "`ME1`"), ("ME1=", "``"), ("ME1=A,ME2=A", "`A` occurs twice"), ("", "``")]
        {
            assert!(bad.parse::<Streams>().unwrap_err().contains(named), "{bad}");
        }
    }

    #[test]
    fn an_empty_or_zero_epoch_is_none() {
        for (text, epoch) in [("", None), ("0", None), ("7", Some(7))] {
            assert_eq!(text.parse::<EpochArg>().unwrap().0, epoch);
        }
        assert!("-1".parse::<EpochArg>().is_err());
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Config::command().debug_assert();
    }
}
