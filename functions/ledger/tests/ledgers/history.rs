//! What a stream's writers wrote, line after line, in the many ways in which JSON can be written; and what a forger who
//! chains his lines correctly could write instead.

mod forgery;

use sha2::{Digest, Sha256};

use super::dice::Dice;
use super::reference::{Control, Format};
pub use forgery::Forgery;

/// One line without its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub seq: u64,
    pub bytes: Vec<u8>,
}

/// The lines of one stream.
#[derive(Clone, Debug)]
pub struct History {
    pub stream: String,
    pub lines: Vec<Line>,
    /// The last line is a seal that counts.
    pub sealed: bool,
}

/// How a stream came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// No control entries and no epochs.
    Foreign,
    /// Opened, handed over now and then, with stale control entries in between.
    Governed,
}

#[derive(Clone, Debug)]
pub struct Plot {
    pub stream: String,
    pub life: Life,
    pub first_seq: u64,
    pub entries: usize,
    pub sealed: bool,
    /// Which line is forged, and how.
    pub forged: Option<(usize, Forgery)>,
    /// What makes this history differ from another of the same plot, from the line with this number on.
    pub differs_from: Option<usize>,
}

/// Writes the history of `plot`. The same dice give the same history, up to where `plot` says that it differs.
pub fn write(format: &Format, plot: &Plot, dice: &mut Dice) -> History {
    let mut pencil = Pencil { format, plot, lines: Vec::new(), head: [0; 32], seq: plot.first_seq };
    let mut epoch = dice.between(1, 3) as u64;
    let mut sealed_by: Option<String> = None;
    let governed = plot.life == Life::Governed;
    if governed {
        pencil.control(&open(epoch, "primary", "first"), dice);
    }
    while pencil.lines.len() < plot.entries {
        let what = if governed { dice.below(16) } else { 15 };
        match (what, sealed_by.take()) {
            (0..=7, Some(run)) => pencil.control(&open(epoch, "recovery", &run), dice),
            (8..=11, Some(_)) => {
                epoch += dice.between(1, 3) as u64;
                pencil.control(&open(epoch, "primary", "later"), dice);
            }
            // Whatever else comes behind a seal changes nothing.
            (_, Some(run)) => {
                pencil.control(&stale(epoch, dice), dice);
                sealed_by = Some(run);
            }
            (0, None) => {
                epoch += dice.between(1, 3) as u64;
                let run = format!("run-{epoch}");
                pencil.control(&Control::Seal { epoch, run: run.clone() }, dice);
                sealed_by = Some(run);
            }
            (1, None) => pencil.control(&stale(epoch, dice), dice),
            (2, None) => {
                epoch += 1;
                pencil.control(&open(epoch, "recovery", "without-seal"), dice);
            }
            (_, None) => pencil.data(governed.then_some(epoch), dice),
        }
    }
    if plot.sealed && governed && sealed_by.is_none() {
        pencil.control(&Control::Seal { epoch: epoch + 1, run: "last".into() }, dice);
        sealed_by = Some("last".into());
    }
    History { stream: plot.stream.clone(), lines: pencil.lines, sealed: sealed_by.is_some() }
}

fn open(epoch: u64, holder: &str, run: &str) -> Control {
    Control::Open { epoch, holder: holder.into(), run: run.into() }
}

/// A control entry that does not count while `epoch` is the newest.
fn stale(epoch: u64, dice: &mut Dice) -> Control {
    let epoch = dice.between(0, epoch as usize) as u64;
    match dice.below(2) {
        0 => Control::Seal { epoch, run: "stale".into() },
        _ => open(epoch, "recovery", "stale"),
    }
}

struct Pencil<'a> {
    format: &'a Format,
    plot: &'a Plot,
    lines: Vec<Line>,
    head: [u8; 32],
    seq: u64,
}

/// A field as it is written: the key with its quotation marks, and the value.
type Field = (String, String);

impl Pencil<'_> {
    fn control(&mut self, control: &Control, dice: &mut Dice) {
        let body = match control {
            Control::Seal { epoch, run } => format!(r#"{{"seal":{{"epoch":{epoch},"run":"{run}"}}}}"#),
            Control::Open { epoch, holder, run } if dice.one_in(3) => {
                format!(r#"{{ "open" : {{"run":"{run}","holder":"{holder}","epoch":{epoch}}} }}"#)
            }
            Control::Open { epoch, holder, run } => {
                format!(r#"{{"open":{{"epoch":{epoch},"holder":"{holder}","run":"{run}"}}}}"#)
            }
        };
        let name = self.format.control.clone().expect("a governed stream's format has control entries");
        self.entry(vec![(quoted(&name), body)], dice);
    }

    fn data(&mut self, epoch: Option<u64>, dice: &mut Dice) {
        let mut fields = Vec::new();
        if let Some(epoch) = epoch {
            let name = self.format.epoch.as_ref().expect("a governed stream's format has epochs");
            fields.push((quoted(name), epoch.to_string()));
        }
        self.entry(fields, dice);
    }

    fn entry(&mut self, last_reserved: Vec<Field>, dice: &mut Dice) {
        let number = self.lines.len();
        let format = self.format;
        let mut fields = vec![
            (quoted(&format.stream), quoted(&self.plot.stream)),
            (quoted(&format.seq), self.seq.to_string()),
        ];
        fields.extend(format.prev.as_ref().map(|name| (quoted(name), quoted(&hex::encode(self.head)))));
        fields.extend(last_reserved);
        let reserved = fields.len();
        for index in 0..dice.below(3) {
            fields.push((quoted(&format!("f{index}")), value(dice, 0)));
        }
        if self.plot.differs_from.is_some_and(|from| number >= from) {
            fields.push((quoted("other"), number.to_string()));
        }
        let forgery = self.plot.forged.filter(|(line, _)| *line == number).map(|(_, forgery)| forgery);
        if let Some(forgery) = forgery {
            self.forge_fields(forgery, &mut fields);
        }
        let mut bytes = layout(fields, reserved, format.entry_bytes_max, dice);
        if let Some(forgery) = forgery {
            self.forge_line(forgery, &mut bytes);
        }
        self.head = Sha256::digest(&bytes).into();
        self.lines.push(Line { seq: self.seq, bytes });
        self.seq = match forgery {
            Some(Forgery::SkipsASequence) => self.seq + 2,
            Some(Forgery::StepsBack) => self.seq,
            _ => self.seq + 1,
        };
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A value of the application's own.
fn value(dice: &mut Dice, depth: usize) -> String {
    match dice.below(if depth < 2 { 14 } else { 12 }) {
        0..=3 => dice.below(100_000).to_string(),
        4 => dice
            .pick(&["-1", "-0", "0.5", "1e5", "1E-7", "-3.25e+2", "18446744073709551615", "1e-999"])
            .to_string(),
        5 => dice.pick(&["null", "true", "false"]).to_string(),
        6 => dice.pick(&[r#""a\"b\\c\/\b\f\n\r\t""#, r#""\u00e9\ud83d\ude00""#, r#""ünï™😀""#]).to_string(),
        7..=11 => {
            quoted(dice.pick::<&str>(&["BUY", "SELL", "AAPL", "", "a longer text, with stops; and more"]))
        }
        12 => {
            let items: Vec<String> = (0..dice.below(3)).map(|_| value(dice, depth + 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let items: Vec<String> =
                (0..dice.below(3)).map(|index| format!(r#""k{index}":{}"#, value(dice, depth + 1))).collect();
            format!("{{{}}}", items.join(", "))
        }
    }
}

/// Puts the fields into a line: mostly as a writer of this house does, sometimes as any other may.
fn layout(mut fields: Vec<Field>, reserved: usize, bytes_max: usize, dice: &mut Dice) -> Vec<u8> {
    let style = dice.below(12);
    if style == 0 {
        dice.shuffle(&mut fields);
    }
    if style == 1 {
        // The same key, with one letter escaped.
        let at = dice.below(reserved.min(fields.len()));
        let key = &mut fields[at].0;
        if let Some(first) = key.chars().nth(1).filter(|first| first.is_ascii_alphabetic()) {
            *key = format!("\"\\u{:04X}{}", first as u32, &key[2..]);
        }
    }
    let (colon, comma) = match style {
        2 => (" : ", " , "),
        3 => (":\t", ",\t"),
        _ => (":", ","),
    };
    let fields: Vec<String> = fields.into_iter().map(|(key, value)| format!("{key}{colon}{value}")).collect();
    let mut line = format!("{{{}}}", fields.join(comma));
    match style {
        4 => line.push('\r'),
        5 => line = format!(" {line}  "),
        // The longest line that there may be.
        6 if dice.one_in(if bytes_max > 10_000 { 100 } else { 4 }) => {
            line.push_str(&" ".repeat(bytes_max.saturating_sub(line.len())))
        }
        _ => {}
    }
    line.into_bytes()
}
