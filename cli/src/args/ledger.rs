//! What can be typed behind `lifeboat ledger`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use lifeboat_ledger::Format;

use super::examples::{LEDGER_GENERATE_EXAMPLES, LEDGER_TAIL_EXAMPLES, LEDGER_VERIFY_EXAMPLES};
use super::{AwsArgs, help_of};
use crate::ledger::generate::{Compression, Fault, Layout};

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Prove a ledger by itself, in a folder or a bucket: every entry there, in order, unchanged, through its stated end.
    #[command(after_help = help_of("ledger verify", LEDGER_VERIFY_EXAMPLES))]
    Verify(VerifyArgs),
    /// The last entries of one stream, checked against each other, without reading the rest.
    #[command(after_help = help_of("ledger tail", LEDGER_TAIL_EXAMPLES))]
    Tail(TailArgs),
    /// Make up a ledger, of any size and with faults on request, to try a verifier on.
    #[command(after_help = help_of("ledger generate", LEDGER_GENERATE_EXAMPLES))]
    Generate(GenerateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A folder, or s3://<bucket>/<prefix>: what lies below it is the ledger.
    #[arg(value_name = "PATH")]
    pub(crate) place: String,
    /// How the objects are laid out.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) layout: Layout,
    /// The last sequence of a stream that was acknowledged to anybody. Ending before it is broken; where a stream has no
    /// seal at its end, this is what its end is proven by. May be given for several streams.
    #[arg(long = "watermark", value_name = "STREAM=SEQ", value_parser = watermark)]
    pub(crate) watermarks: Vec<(String, u64)>,
    /// A stream that has to be there. May be given several times; streams that are found besides are proven as well.
    #[arg(long = "stream", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) streams: Vec<String>,
    /// How many threads read and hash [default: one for each processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,
    /// A plan in YAML, with its templates beside it: its streams have to be there. Where its ledger has leases, what was
    /// delivered is read under them, through their watermarks.
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// A folder, or s3://<bucket>/<prefix>, with segments below it.
    #[arg(value_name = "PATH")]
    pub(crate) place: String,
    /// The stream.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) stream: String,
    /// How many entries.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) entries: u32,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The folder, which is made, or is there and empty.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The same seed and options make the same ledger, byte for byte.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many entries all streams have together, e.g. 5M [default: 10,000].
    #[arg(long, value_name = "N", value_parser = size, conflicts_with = "bytes")]
    pub(crate) entries: Option<u64>,
    /// About how many bytes all objects have together before compression, e.g. 1G or 512Mi, in place of --entries.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) bytes: Option<u64>,
    /// How many streams; they are called ME1, ME2 and so on.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) streams: u16,
    /// How many objects in all.
    #[arg(long, value_name = "N", value_parser = size, conflicts_with = "object_entries")]
    pub(crate) objects: Option<u64>,
    /// About how many entries an object holds, in place of --objects.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), default_value_t = 1_000)]
    pub(crate) object_entries: u64,
    /// How the objects are laid out.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) layout: Layout,
    /// What each object is compressed with.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) compress: Compression,
    /// About how long a line is, in bytes.
    #[arg(long, value_name = "N", default_value_t = 220)]
    pub(crate) entry_bytes: usize,
    /// How often the pen changes hands in each stream: a seal and an open each time.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) hand_overs: u64,
    /// End each stream with a seal.
    #[arg(long)]
    pub(crate) seal: bool,
    /// How many records in a hundred a delivery stream delivers twice.
    #[arg(long, value_name = "PERCENT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) repeats: u8,
    /// Something to be wrong, at a place that the seed decides and the command tells. May be given several times.
    #[arg(long = "fault", value_name = "KIND", value_enum)]
    pub(crate) faults: Vec<Fault>,
    #[command(flatten)]
    pub(crate) names: NamesArgs,
}

/// How a ledger writes its lines.
#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    #[command(flatten)]
    pub(crate) names: NamesArgs,
    /// The longest line that is taken, in bytes.
    #[arg(long, value_name = "N", default_value_t = lifeboat_ledger::format::ENTRY_BYTES_MAX)]
    pub(crate) entry_bytes_max: usize,
}

/// What a ledger calls its fields.
#[derive(Debug, Args)]
pub(crate) struct NamesArgs {
    /// What the ledger calls one of the fields `stream`, `seq`, `prev`, `epoch` and `control`. May be given for several.
    #[arg(long = "field", value_name = "FIELD=NAME", value_parser = field)]
    pub(crate) fields: Vec<(Field, String)>,
    /// The entries do not name the hash of the entry before: only that none is missing can be shown, and it is said so.
    #[arg(long)]
    pub(crate) no_prev: bool,
    /// The ledger knows neither epochs nor control entries.
    #[arg(long)]
    pub(crate) no_control: bool,
}

/// A field of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Stream,
    Seq,
    Prev,
    Epoch,
    Control,
}

impl NamesArgs {
    /// The format that was asked for, with this limit; says why there is none.
    pub(crate) fn format(&self, entry_bytes_max: usize) -> Result<Format, String> {
        let mut format = Format { entry_bytes_max, ..Format::default() };
        let names = &mut format.names;
        for (field, name) in &self.fields {
            match field {
                Field::Stream => names.stream.clone_from(name),
                Field::Seq => names.seq.clone_from(name),
                Field::Prev => names.prev = Some(name.clone()),
                Field::Epoch => names.epoch = Some(name.clone()),
                Field::Control => names.control = Some(name.clone()),
            }
        }
        if self.no_prev {
            names.prev = None;
        }
        if self.no_control {
            (names.epoch, names.control) = (None, None);
        }
        match format.problem() {
            Some(problem) => Err(problem),
            None => Ok(format),
        }
    }
}

fn field(text: &str) -> Result<(Field, String), &'static str> {
    let (field, name) = text.split_once('=').ok_or("not FIELD=NAME")?;
    let field = match field {
        "stream" => Field::Stream,
        "seq" => Field::Seq,
        "prev" => Field::Prev,
        "epoch" => Field::Epoch,
        "control" => Field::Control,
        _ => return Err("the fields are stream, seq, prev, epoch and control"),
    };
    if name.is_empty() { Err("the name is missing") } else { Ok((field, name.to_owned())) }
}

fn watermark(text: &str) -> Result<(String, u64), &'static str> {
    let (stream, seq) = text.rsplit_once('=').ok_or("not STREAM=SEQ")?;
    if stream.is_empty() {
        return Err("the stream is missing");
    }
    Ok((stream.to_owned(), seq.parse().map_err(|_| "the sequence is no whole number")?))
}

/// A number with or without a unit: k, M, G and T are powers of 1,000, with an i behind them of 1,024; a B at the end is
/// taken too.
fn size(text: &str) -> Result<u64, &'static str> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim_start().trim_end_matches('B');
    let (unit, base) = match unit.strip_suffix('i') {
        Some(unit) => (unit, 1_024u64),
        None => (unit, 1_000),
    };
    let power = match unit {
        "" => 0,
        "k" | "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err("the units are k, M, G and T, or Ki, Mi, Gi and Ti"),
    };
    let number: u64 = digits.parse().map_err(|_| "not a whole number with or without a unit, e.g. 5M")?;
    number.checked_mul(base.pow(power)).ok_or("too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("220"), Ok(220));
        assert_eq!(size("5M"), Ok(5_000_000));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("2 Ki"), Ok(2_048));
        assert_eq!(size("1GB"), Ok(1_000_000_000));
        for wrong in ["", "M", "1.5G", "-1", "1X", "99999999T", "1M2"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_watermark_belongs_to_a_stream_of_any_name() {
        assert_eq!(watermark("ME1=7"), Ok(("ME1".into(), 7)));
        assert_eq!(watermark("a=b=7"), Ok(("a=b".into(), 7)));
        for wrong in ["ME1", "=7", "ME1=", "ME1=-1", "ME1=18446744073709551616"] {
            assert!(watermark(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fields_are_called_what_was_said() {
        let names = NamesArgs { fields: vec![field("seq=n").unwrap()], no_prev: true, no_control: false };
        let format = names.format(100).unwrap();
        assert_eq!((format.names.seq.as_str(), format.names.prev, format.entry_bytes_max), ("n", None, 100));
        let twice =
            NamesArgs { fields: vec![field("seq=stream").unwrap()], no_prev: false, no_control: false };
        assert!(twice.format(100).unwrap_err().contains("stream"));
        for wrong in ["seq", "seq=", "sequence=n"] {
            assert!(field(wrong).is_err(), "{wrong}");
        }
    }
}
