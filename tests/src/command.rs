//! What the commands of this package have in common.

use std::process::ExitCode;

use clap::Parser;

use crate::drill;
use crate::world::{explain, prerequisites};

/// Wrong usage, as `sysexits.h` has it.
pub const USAGE: u8 = 64;
/// A defect of ours, or a machine that lacks something.
pub const DEFECT: u8 = 70;
/// After Ctrl-C.
pub const INTERRUPTED: u8 = 130;

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

/// Looks at the machine, builds what is run where `build` says so, and does `work` to its end or until Ctrl-C.
pub fn run(build: bool, work: impl Future<Output = ExitCode>) -> ExitCode {
    // Before the build: what is missing is said at once and not after minutes.
    if let Err(missing) = prerequisites::look() {
        anstream::eprintln!("{missing}");
        return DEFECT.into();
    }
    if build {
        anstream::eprintln!("building what is run (the first time takes some minutes)");
        if let Err(err) = drill::build() {
            return failed("the build failed", &err);
        }
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(err) => return failed("nothing could be started", &err),
    };
    runtime.block_on(async {
        tokio::select! {
            exit = work => exit,
            // The future is dropped, and with it everything that it started.
            _ = tokio::signal::ctrl_c() => {
                anstream::eprintln!("interrupted; taking everything down");
                INTERRUPTED.into()
            }
        }
    })
}

/// Says what failed, and why; the code to exit with.
pub fn failed(what: &str, err: &(dyn std::error::Error + 'static)) -> ExitCode {
    anstream::eprintln!("{what}: {}", explain(err));
    DEFECT.into()
}

/// Says why something failed; the code to exit with.
pub fn told(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            anstream::eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
