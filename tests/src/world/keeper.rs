//! Programs that the world runs, each under a keeper of its own (`src/bin/keeper.rs`), so that none outlives it.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tokio::sync::watch;

use super::error::{Doing as _, WorldError};
use super::places;

/// Long enough for a loaded machine to start one process.
const START_WITHIN: Duration = Duration::from_secs(20);
/// A killed group is gone in milliseconds; a process stuck in the kernel is not waited for for ever.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A signal that a test or a drill sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGKILL: no last words.
    Kill,
    /// SIGTERM: the polite one.
    Terminate,
    /// SIGSTOP: frozen, with all connections open.
    Stop,
    /// SIGCONT: wakes up and knows nothing of the time between.
    Continue,
}

impl From<Signal> for rustix::process::Signal {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Kill => Self::KILL,
            Signal::Terminate => Self::TERM,
            Signal::Stop => Self::STOP,
            Signal::Continue => Self::CONT,
        }
    }
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// How messages call it.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing is inherited, so that a person's own AWS profile or proxy has no say here.
    pub env: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub folder: PathBuf,
    /// Where its output goes, appended.
    pub log: PathBuf,
}

impl Program {
    /// A program with no arguments and only `PATH` in its environment.
    pub fn new(name: &str, path: &Path, folder: &Path, log: &Path) -> Self {
        let search = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            args: Vec::new(),
            env: vec![("PATH".into(), search)],
            folder: folder.to_owned(),
            log: log.to_owned(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Sets a variable; the last one of a name counts.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }
}

/// A running program. Dropping it kills its whole process group, and so does the death of this process.
#[derive(Debug)]
pub struct Kept {
    name: String,
    log: PathBuf,
    pid: Pid,
    keeper: Child,
    /// Closing this is what ends the program.
    life: Option<ChildStdin>,
    exit: watch::Receiver<Option<String>>,
}

impl Kept {
    /// Starts a program and returns once its process exists.
    pub fn start(program: &Program) -> Result<Self, WorldError> {
        let name = &program.name;
        let mut keeper = Command::new(places::binary("keeper")?)
            .arg(&program.log)
            .arg(&program.path)
            .args(&program.args)
            .env_clear()
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&program.folder)
            // A group of its own: Ctrl-C goes to the terminal's group, and the keeper must live to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .doing(|| format!("start a keeper for {name}"))?;
        let life = keeper.stdin.take();
        let (exited, exit) = watch::channel(None);
        let (started, first) = mpsc::channel();
        let told = keeper.stdout.take();
        std::thread::spawn(move || {
            for line in told.map(BufReader::new).into_iter().flat_map(BufReader::lines).map_while(Result::ok)
            {
                if let Some(how) = line.strip_prefix("exited") {
                    exited.send_replace(Some(how.trim().to_owned()));
                } else {
                    // Nobody listens any more after the first line.
                    let _ = started.send(line);
                }
            }
            // A keeper that goes without a word was killed itself.
            exited.send_if_modified(|how| {
                let silent = how.is_none();
                if silent {
                    *how = Some("unseen: its keeper is gone".to_owned());
                }
                silent
            });
        });
        let line = first.recv_timeout(START_WITHIN).unwrap_or_else(|_| "no word from its keeper".to_owned());
        let pid = line.strip_prefix("started ").and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        match pid {
            Some(pid) => Ok(Self { name: name.clone(), log: program.log.clone(), pid, keeper, life, exit }),
            None => {
                drop(life);
                let _ = keeper.kill();
                let _ = keeper.wait();
                Err(WorldError::failed(format!("start {name}"), line))
            }
        }
    }

    /// The process, which leads a group of the same number.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<String> {
        self.exit.borrow().clone()
    }

    /// Waits until it has ended and says how.
    pub async fn wait(&self) -> String {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or_default(),
            Err(_) => "unseen".to_owned(),
        }
    }

    /// Signals the program and whatever it has started.
    pub fn signal(&self, signal: Signal) -> Result<(), WorldError> {
        // The number of a process that has ended may belong to somebody else by now.
        if let Some(how) = self.ended() {
            return Err(WorldError::failed(
                format!("send {signal:?} to {}", self.name),
                format!("it has exited {how}"),
            ));
        }
        rustix::process::kill_process_group(self.pid, signal.into())
            .doing(|| format!("send {signal:?} to {}", self.name))
    }

    /// Asks politely, waits for at most `grace`, then kills.
    pub async fn stop(self, grace: Duration) {
        if self.signal(Signal::Terminate).is_ok() {
            // Too late is no failure: the drop that follows kills it.
            let _ = tokio::time::timeout(grace, self.wait()).await;
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.life.take());
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline {
            match self.keeper.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Ok(Some(status)) if status.success() => return,
                Ok(Some(_)) | Err(_) => break,
            }
        }
        // The keeper was killed by somebody, or is stuck: do its work.
        if self.ended().is_none_or(|how| how.starts_with("unseen")) {
            let _ = rustix::process::kill_process_group(self.pid, rustix::process::Signal::KILL);
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
