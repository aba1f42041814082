//! A case: a generated ledger, what was done to it, and what is expected of it. The number of a case is the whole case.

mod damage;
mod packing;

use super::dice::Dice;
use super::history::{self, Forgery, History, Life, Line, Plot};
use super::reference::{Expected, Format, Object, Pen, Place, Prefix, decode, read_entry};
use damage::compressed;
pub use damage::{DAMAGES, Damage};
use packing::compress;

/// What the generator itself knows of the verdict, so that no error which both verifiers share goes unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Proven,
    /// At the least `Unproven`.
    NotProven,
    Broken,
    Nothing,
}

#[derive(Debug)]
pub struct Case {
    pub format: Format,
    pub delivered: bool,
    pub objects: Vec<Object>,
    pub expected: Expected,
    /// What was done, in order. A damage that found nothing to damage is not here.
    pub damages: Vec<Damage>,
    pub known: Known,
}

/// The case with this number.
pub fn generate(number: u64) -> Case {
    let mut dice = Dice::new(number);
    let mut wanted = Vec::new();
    if !dice.one_in(4) {
        wanted.push(pick(&mut dice));
        if dice.one_in(5) {
            wanted.push(pick(&mut dice));
        }
    }
    Builder::begin(&wanted, &mut dice).build(&wanted, &mut dice)
}

fn pick(dice: &mut Dice) -> Damage {
    if dice.one_in(3) { Damage::Forge(*dice.pick(Forgery::ALL)) } else { *dice.pick(DAMAGES) }
}

/// A line on its way into an object, with its newline if it kept it.
#[derive(Clone, Debug)]
struct Placed {
    seq: u64,
    bytes: Vec<u8>,
}

struct Builder {
    format: Format,
    delivered: bool,
    plots: Vec<Plot>,
    /// From which each history is written, so that another of the same beginning can be.
    seeds: Vec<u64>,
    streams: Vec<Vec<Placed>>,
    sealed: Vec<bool>,
    /// Entries and objects beside those of the streams.
    beside: Vec<Object>,
    expected: Expected,
    damages: Vec<Damage>,
    known: Known,
}

impl Builder {
    fn begin(wanted: &[Damage], dice: &mut Dice) -> Builder {
        let format = pick_format(dice);
        let count = *dice.pick(&[1, 1, 2, 3]);
        let mut plots: Vec<Plot> = (0..count)
            .map(|index| Plot {
                stream: format!("ME{}", index + 1),
                life: match format.control {
                    Some(_) if !dice.one_in(5) => Life::Governed,
                    _ => Life::Foreign,
                },
                first_seq: match dice.below(8) {
                    0 => dice.below(1_000) as u64,
                    1 if dice.one_in(4) => u64::MAX - 1_000,
                    _ => 1,
                },
                entries: *dice.pick(&[1, 2, 3, 5, 8, 13, 21]),
                sealed: dice.one_in(2),
                forged: None,
                differs_from: None,
            })
            .collect();
        let (mut damages, mut known) = (Vec::new(), Known::Proven);
        for damage in wanted {
            if let Damage::Forge(forgery) = damage
                && forgery.fits(&format)
            {
                let plot = dice.below(plots.len());
                plots[plot].forged = Some((dice.below(plots[plot].entries), *forgery));
                damages.push(*damage);
                known = Known::Nothing;
            }
        }
        let seeds: Vec<u64> = plots.iter().map(|_| dice.next()).collect();
        let mut builder = Builder {
            delivered: dice.one_in(2),
            expected: Expected::default(),
            streams: Vec::new(),
            sealed: Vec::new(),
            beside: Vec::new(),
            format,
            plots,
            seeds,
            damages,
            known,
        };
        for index in 0..builder.plots.len() {
            let History { stream, lines, sealed } = builder.write(index, None);
            builder.known_of_forgery(index, lines.len());
            builder.streams.push(lines.into_iter().map(placed).collect());
            builder.sealed.push(sealed);
            builder.expected.streams.insert(stream);
        }
        builder
    }

    fn write(&self, index: usize, differs_from: Option<usize>) -> History {
        let plot = Plot { differs_from, ..self.plots[index].clone() };
        history::write(&self.format, &plot, &mut Dice::new(self.seeds[index]))
    }

    fn known_of_forgery(&mut self, index: usize, lines: usize) {
        let Some((line, forgery)) = self.plots[index].forged else { return };
        self.known = match forgery {
            // It shows in what follows.
            Forgery::SkipsASequence | Forgery::StepsBack if line + 1 == lines => Known::Nothing,
            // Without links it may be the same entry again.
            Forgery::StepsBack if self.format.prev.is_none() => Known::Nothing,
            // An entry like those of a foreign ledger, as the beginning; the next ones may be, too.
            Forgery::NoEpoch if line == 0 => Known::Nothing,
            // What was delivered need not hold the control entries, so where there is none it says nothing of the pen.
            Forgery::NoEpoch | Forgery::WrongEpoch
                if self.delivered && (line == 0 || self.plots[index].life == Life::Foreign) =>
            {
                Known::Nothing
            }
            // A delivery may hold any stream.
            Forgery::OtherStream if self.delivered => Known::Nothing,
            _ => Known::Broken,
        };
    }

    fn build(mut self, wanted: &[Damage], dice: &mut Dice) -> Case {
        if self.damages.is_empty() {
            self.expect(dice);
        }
        let wanted: Vec<Damage> =
            wanted.iter().copied().filter(|damage| !matches!(damage, Damage::Forge(_))).collect();
        for damage in &wanted {
            let known = self.damage_entries(*damage, dice).or_else(|| self.damage_expectation(*damage, dice));
            self.note(*damage, known);
        }
        let mut objects = if self.delivered { self.deliver(dice) } else { self.segments(dice) };
        objects.append(&mut self.beside);
        let mut slots = Vec::new();
        objects.retain(|object| {
            let created = object.place == Place::Delivered || !slots.contains(&object.place);
            slots.push(object.place.clone());
            created
        });
        for damage in &wanted {
            let known = self.damage_plain_objects(*damage, &mut objects, dice);
            self.note(*damage, known);
        }
        compress(&mut objects, dice);
        for damage in &wanted {
            let known = self.damage_objects(*damage, &mut objects, dice);
            self.note(*damage, known);
        }
        dice.shuffle(&mut objects);
        if self.damages.len() > 1 {
            self.known = Known::Nothing;
        }
        Case {
            format: self.format,
            delivered: self.delivered,
            objects,
            expected: self.expected,
            damages: self.damages,
            known: self.known,
        }
    }

    fn note(&mut self, damage: Damage, known: Option<Known>) {
        if let Some(known) = known {
            self.damages.push(damage);
            self.known = known;
        }
    }

    /// What an auditor expects of a ledger that is as it should be: sometimes watermarks, an end, a proven beginning.
    fn expect(&mut self, dice: &mut Dice) {
        let closed = dice.one_in(2);
        for index in 0..self.streams.len() {
            let (name, last) = (self.plots[index].stream.clone(), self.last_seq(index));
            let needed = closed && !self.sealed[index];
            if needed || dice.one_in(3) {
                let below = if dice.one_in(2) { 0 } else { dice.below(self.streams[index].len()) as u64 };
                self.expected.watermarks.insert(name, last - below);
            }
            if dice.one_in(4) {
                self.prove_the_beginning(index, dice);
            }
        }
        self.expected.closed = closed;
    }

    fn last_seq(&self, index: usize) -> u64 {
        self.streams[index].last().expect("every stream has an entry").seq
    }

    /// Leaves out the first entries, which were proven before.
    fn prove_the_beginning(&mut self, index: usize, dice: &mut Dice) {
        let name = self.plots[index].stream.clone();
        let lines = &mut self.streams[index];
        let (mut pen, mut head) = (Pen::default(), [0; 32]);
        let proven: Vec<Placed> = lines.drain(..dice.below(lines.len() + 1)).collect();
        let Some((first, last)) = proven.first().zip(proven.last()) else { return };
        for line in &proven {
            let entry = read_entry(&self.format, &line.bytes[..line.bytes.len() - 1]).expect("it is whole");
            entry.control.iter().for_each(|control| {
                pen.take(control);
            });
            head = entry.hash;
        }
        let prefix =
            Prefix { first_seq: first.seq, through: last.seq, head, entries: proven.len() as u64, pen };
        self.expected.from.insert(name, prefix);
    }
}

fn placed(line: Line) -> Placed {
    let mut bytes = line.bytes;
    bytes.push(b'\n');
    Placed { seq: line.seq, bytes }
}

fn pick_format(dice: &mut Dice) -> Format {
    let name = |name: &str| Some(name.to_owned());
    let entry_bytes_max = *dice.pick(&[1_500, 1_500, 65_536]);
    match dice.below(8) {
        0 => Format {
            stream: "book".into(),
            seq: "no".into(),
            prev: name("before"),
            epoch: name("term"),
            control: name("order"),
            entry_bytes_max,
        },
        1 => Format {
            stream: "stream".into(),
            seq: "seq".into(),
            prev: None,
            epoch: None,
            control: None,
            entry_bytes_max,
        },
        _ => Format {
            stream: "stream".into(),
            seq: "seq".into(),
            prev: name("prev"),
            epoch: name("epoch"),
            control: name("control"),
            entry_bytes_max,
        },
    }
}

/// The ledger as a person can read it.
impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?}; {:?}; the generator knows: {:?}", self.damages, self.format, self.known)?;
        writeln!(f, "{:#?}", self.expected)?;
        for (index, object) in self.objects.iter().enumerate() {
            let Some(bytes) = &object.bytes else {
                writeln!(f, "--- {index} {:?}: unreadable", object.place)?;
                continue;
            };
            let what = if compressed(bytes) { " compressed" } else { "" };
            writeln!(f, "--- {index} {:?}: {} bytes{what}", object.place, bytes.len())?;
            let decoded = decode(bytes);
            let text = String::from_utf8_lossy(decoded.as_deref().unwrap_or(b"(it does not decompress)"));
            text.split_inclusive('\n').take(30).try_for_each(|line| {
                let shown: String = line.chars().take(400).collect();
                writeln!(f, "{}", shown.escape_debug())
            })?;
        }
        Ok(())
    }
}
