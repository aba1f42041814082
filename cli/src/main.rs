//! The `lifeboat` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    lifeboat::main(std::env::args_os())
}
