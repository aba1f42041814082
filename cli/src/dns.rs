//! `lifeboat dns`: what a person does about the records before the day.

mod check;
mod eyes;
mod prepare;

use crate::args::DnsCommand;
use crate::aws;
use crate::failure::Failure;
use crate::output::Report;

pub(crate) fn run(command: &DnsCommand) -> Result<Report, Failure> {
    match command {
        DnsCommand::Prepare(args) => aws::block_on(prepare::run(args)),
        DnsCommand::Check(args) => aws::block_on(check::run(args)),
    }
}
