//! What is true: the exchange on both sides, the log, and what a look at them gives.

use jiff::Timestamp;
use lifeboat_rules::outage::{LogHead, LogReading, Probe, Round};

use crate::script::{Millis, SECOND, Script, What};

/// What is between two objects of a stream while clients trade.
const TRADING_EVERY: Millis = 100;
/// How long the probes get through, and then do not, while they flap.
const PROBES_FLAP_EVERY: Millis = 700;
/// When this world begins, in seconds of the calendar.
const EPOCH_SECONDS: i64 = 1_700_000_000;

/// Who may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pen {
    Primary,
    Sealed,
    Recovery,
}

/// The newest object of a stream, and when the next will be stored.
#[derive(Clone, Debug)]
struct Stream {
    slot: u64,
    stored_at: Millis,
    next_at: Option<Millis>,
}

/// The world at one moment; it only goes forward.
#[derive(Debug)]
pub struct World<'a> {
    script: &'a Script,
    pen: Pen,
    streams: Vec<Stream>,
    period: Millis,
}

/// A moment of this world as the rules read it.
pub fn timestamp(at: Millis) -> Timestamp {
    Timestamp::from_millisecond(EPOCH_SECONDS * SECOND + at).expect("a few hours after the beginning")
}

impl<'a> World<'a> {
    pub fn new(script: &'a Script) -> World<'a> {
        let heartbeat = script.exchange.heartbeat;
        let streams = (0..script.exchange.streams)
            .map(|n| Stream { slot: 1, stored_at: 0, next_at: Some(heartbeat * (n as Millis + 1) / 3) })
            .collect();
        World { script, pen: Pen::Primary, streams, period: heartbeat }
    }

    pub fn pen(&self) -> Pen {
        self.pen
    }

    /// The control entries that give the pen to another are stored, and whoever has it now goes on.
    pub fn pass_the_pen(&mut self, pen: Pen, at: Millis) {
        self.go_on(at);
        self.pen = pen;
        for stream in &mut self.streams {
            *stream = Stream { slot: stream.slot + 1, stored_at: at, next_at: None };
        }
        self.retune(at);
    }

    /// Something has begun or ended: who writes from here on?
    pub fn retune(&mut self, at: Millis) {
        self.go_on(at);
        let trading = self.script.troubled(at, |what| what == What::Trading);
        self.period = if trading { TRADING_EVERY } else { self.script.exchange.heartbeat };
        for n in 0..self.streams.len() {
            let writes = self.writes(n, at);
            let (period, stream) = (self.period, &mut self.streams[n]);
            stream.next_at = match (writes, stream.next_at) {
                (false, _) => None,
                (true, Some(next)) => Some(next.min(at + period)),
                (true, None) => Some(at + self.script.exchange.resume),
            };
        }
    }

    fn writes(&self, n: usize, at: Millis) -> bool {
        match self.pen {
            Pen::Primary => !self.script.troubled(at, |what| match what {
                What::Dead | What::LogCut | What::Partition => true,
                What::StreamHangs(stream) => stream == n,
                _ => false,
            }),
            Pen::Sealed => false,
            Pen::Recovery => !self.script.troubled(at, |what| what == What::RecoveryPauses),
        }
    }

    /// Stores all that is due.
    fn go_on(&mut self, at: Millis) {
        let period = self.period;
        for stream in &mut self.streams {
            if let Some(next) = stream.next_at.filter(|next| *next <= at) {
                let more = (at - next) / period;
                stream.slot += 1 + more as u64;
                stream.stored_at = next + more * period;
                stream.next_at = Some(stream.stored_at + period);
            }
        }
    }

    /// When the newest object of all was stored.
    pub fn newest_stored(&mut self, at: Millis) -> Millis {
        self.go_on(at);
        self.streams.iter().map(|stream| stream.stored_at).max().expect("one stream at least")
    }

    /// The newest object of each stream. The store's clock counts whole seconds.
    pub fn heads(&mut self, at: Millis) -> Vec<LogHead> {
        self.go_on(at);
        let by_the_store = |at: Millis| {
            let seconds = (at + self.script.exchange.store_phase).div_euclid(SECOND);
            Timestamp::from_second(EPOCH_SECONDS + seconds).expect("a few hours after the beginning")
        };
        let head = |(n, stream): (usize, &Stream)| LogHead {
            stream: format!("ME{n}"),
            slot: stream.slot,
            stored_at: by_the_store(stream.stored_at),
            read_at: by_the_store(at),
        };
        self.streams.iter().enumerate().map(head).collect()
    }

    /// What reading the log's end gives.
    pub fn read_log(&mut self, at: Millis) -> LogReading {
        if self.script.troubled(at, |what| matches!(what, What::LogDenied | What::LogErrors)) {
            LogReading::Unreadable("no answer".into())
        } else {
            LogReading::Heads(self.heads(at))
        }
    }

    /// One round of probes.
    pub fn round(&self, targets: &[String], at: Millis) -> Round {
        let health_follows_log = self.script.exchange.health_follows_log;
        let none_serves = self.pen != Pen::Primary
            || self.script.troubled(at, |what| match what {
                What::Dead | What::ProbesCut | What::Partition => true,
                What::LogCut => health_follows_log,
                What::ProbesFlap => at / PROBES_FLAP_EVERY % 2 == 0,
                _ => false,
            });
        let answers = targets.iter().zip(0u32..).map(|(target, n)| {
            let serving = !none_serves && !self.script.troubled(at, |what| what == What::TargetFails(n));
            Probe { target: target.clone(), serving, what: String::new() }
        });
        Round { at: timestamp(at), answers: answers.collect() }
    }
}
