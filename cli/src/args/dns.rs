//! What can be typed after `lifeboat dns`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::examples::{DNS_CHECK_EXAMPLES, DNS_PREPARE_EXAMPLES};
use super::{PlanArgs, help_of};

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// Make failover pairs of the plan's records, which the strategy `switch` moves without a call to Route 53. No name
    /// changes its answer.
    #[command(after_help = help_of("dns prepare", DNS_PREPARE_EXAMPLES))]
    Prepare(PrepareArgs),
    /// Look for everything that a flip would stumble over. It changes nothing, and exits with 3 where there is something.
    #[command(after_help = help_of("dns check", DNS_CHECK_EXAMPLES))]
    Check(DnsCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PrepareArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Make plain records of the pairs again, with the values of their primary halves.
    #[arg(long)]
    pub(crate) undo: bool,
    /// Do it without asking. Needed where there is no terminal to ask on.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DnsCheckArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// A network (VPC) whose resolver is to know the zone; may be said again for each.
    #[arg(long = "vpc", value_name = "VPC-ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) networks: Vec<String>,
}
