//! What the commands of this package have in common.

use std::process::ExitCode;

use clap::Parser;

/// Wrong usage, as `sysexits.h` has it.
pub const USAGE: u8 = 64;
/// A defect of ours, or a machine that lacks something.
pub const DEFECT: u8 = 70;

/// Reads the command line, or says what is wrong with it (or the help that was asked for).
///
/// # Errors
/// The code to exit with: 0 for help, [`USAGE`] else.
pub fn parse<Args: Parser>() -> Result<Args, ExitCode> {
    // An alias that ends in `--` hands a literal one on.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|argument| argument == "--") {
        arguments.remove(1);
    }
    Args::try_parse_from(arguments).map_err(|err| {
        let _ = err.print();
        if err.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS }
    })
}
