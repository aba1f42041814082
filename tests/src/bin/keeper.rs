//! Runs one program for the local world and sees to it that nothing of it outlives the world.
//!
//! `keeper LOG PROGRAM [ARGS..]`. The world holds the other end of standard input and never writes to it. When it
//! closes, because the world was dropped, interrupted or killed with SIGKILL, the program's whole process group is
//! killed. No signal handler and no "die with your parent" flag covers all three; the end of a pipe does.
//! Standard output tells the world `started PID`, then `exited HOW`.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let (Some(log), Some(program)) = (args.next(), args.next()) else {
        tell("failed usage: keeper LOG PROGRAM [ARGS..]");
        return ExitCode::FAILURE;
    };
    match start(&log, &program, args) {
        Ok(child) => keep(child),
        Err(why) => {
            tell(&format!("failed {}: {why}", program.display()));
            ExitCode::FAILURE
        }
    }
}

fn start(log: &OsString, program: &OsString, args: impl Iterator<Item = OsString>) -> std::io::Result<Child> {
    let log: File = OpenOptions::new().create(true).append(true).open(log)?;
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

fn keep(mut child: Child) -> ExitCode {
    let group = Pid::from_child(&child);
    tell(&format!("started {}", child.id()));

    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        // Whatever comes but more input is the end: the world is gone.
        while matches!(std::io::stdin().read(&mut ignored), Ok(1..)) {}
        // It may just have ended by itself; either way nothing is left.
        let _ = kill_process_group(group, Signal::KILL);
    });

    // Look without reaping: as long as the leader is a zombie its group's number cannot be given to anyone else, so
    // the kill below can only ever hit what the program left behind.
    let _ = waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    let _ = kill_process_group(group, Signal::KILL);
    match child.wait() {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => tell(&format!("exited with code {code}")),
            (None, Some(signal)) => tell(&format!("exited on signal {signal}")),
            (None, None) => tell("exited"),
        },
        Err(why) => tell(&format!("exited unseen: {why}")),
    }
    ExitCode::SUCCESS
}

/// The world may be gone already, and then nobody listens: that is no error here.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
