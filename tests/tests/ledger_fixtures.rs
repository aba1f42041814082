//! Every folder of `tests/fixtures/ledger`, three times: by the ledger crate, by the command `lifeboat ledger verify`, and by
//! `tests/verifiers/verify.py`, which was written from `functions/ledger/FORMAT.md` by itself. All must say what
//! `expected.json` says: `cargo test -p lifeboat-tests --test ledger_fixtures -- gzip`.
//!
//! What this does not prove: that the three agree on ledgers that nobody thought of (`functions/ledger/tests` has those).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Failed, Trial};
use lifeboat_ledger::checkpoint::{Boundary, Checkpoint, Covered};
use lifeboat_ledger::format::Format;
use lifeboat_ledger::lease::Lease;
use lifeboat_ledger::object::{Asker, Layout, Question, Reader};
use lifeboat_ledger::proof::{End, Expect};
use lifeboat_ledger::{Finding, Fold, Hash, ObjectId, Proof, Verdict, slot};
use lifeboat_tests::drill;
use lifeboat_tests::world::{explain, places};
use serde::Deserialize;
use serde_json::{Value, json};

/// Bytes handed to the reader at a time: small, so that lines and compressed blocks are cut.
const CHUNK_BYTES: usize = 100;

/// What `expected.json` says of the objects beside it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// For people.
    #[allow(dead_code, reason = "for people")]
    says: String,
    layout: Layout,
    #[serde(default)]
    watermarks: BTreeMap<String, u64>,
    #[serde(default)]
    streams: Vec<String>,
    /// What the fields are called, where it is not the default.
    #[serde(default)]
    names: BTreeMap<String, String>,
    #[serde(default)]
    no_prev: bool,
    #[serde(default)]
    no_control: bool,
    entry_bytes_max: Option<usize>,
    /// `zstd`: a program that verify.py needs for it.
    needs: Option<String>,
    verdict: Verdict,
    /// Of the first finding.
    stream: Option<String>,
    seq: Option<u64>,
    /// Where the page says which object and byte it is.
    object: Option<String>,
    offset: Option<u64>,
    repeated: Option<u64>,
    linked: Option<bool>,
}

struct Fixture {
    folder: PathBuf,
    expected: Expected,
}

fn main() -> ExitCode {
    let mut trials = vec![
        Trial::test("page: the worked example", the_page_shows_the_example),
        Trial::test("page: the checkpoint", the_page_shows_the_checkpoint),
        Trial::test("page: the lease", the_page_shows_a_lease),
        Trial::test("verify.py without zstd", verify_py_without_zstd),
    ];
    for folder in fixtures() {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let trial = |by: &str, judge: fn(&Fixture) -> Result<Value, Failed>| {
            let folder = folder.clone();
            Trial::test(format!("{name}: {by}"), move || {
                let fixture = Fixture::read(&folder)?;
                fixture.compare(&judge(&fixture)?)
            })
        };
        trials.extend([
            trial("the crate", by_the_crate),
            trial("lifeboat ledger verify", by_the_command),
            trial("verify.py", by_python),
        ]);
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The folders, by name.
fn fixtures() -> Vec<PathBuf> {
    let root = places::repository().join("tests/fixtures/ledger");
    let entries = fs::read_dir(&root).expect("the fixtures").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() > 100, "only {} fixtures were found", folders.len());
    folders
}

impl Fixture {
    fn read(folder: &Path) -> Result<Fixture, Failed> {
        let expected = serde_json::from_slice(&fs::read(folder.join("expected.json"))?)?;
        Ok(Fixture { folder: folder.to_owned(), expected })
    }

    fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    /// The options that the command and verify.py have in common.
    fn arguments(&self) -> Vec<String> {
        let Expected { layout, watermarks, streams, names, no_prev, no_control, entry_bytes_max, .. } =
            &self.expected;
        let layout = if *layout == Layout::Firehose { "firehose" } else { "segments" };
        let mut arguments = vec!["--json".to_owned(), "--layout".to_owned(), layout.to_owned()];
        arguments.extend(watermarks.iter().map(|(stream, seq)| format!("--watermark={stream}={seq}")));
        arguments.extend(streams.iter().map(|stream| format!("--stream={stream}")));
        arguments.extend(names.iter().map(|(name, new)| format!("--field={name}={new}")));
        arguments.extend(no_prev.then(|| "--no-prev".to_owned()));
        arguments.extend(no_control.then(|| "--no-control".to_owned()));
        arguments.extend(entry_bytes_max.map(|bytes| format!("--entry-bytes-max={bytes}")));
        arguments
    }

    /// Holds an answer against what is expected: verdict, first finding, and what else `expected.json` names.
    fn compare(&self, answer: &Value) -> Result<(), Failed> {
        let expected = &self.expected;
        let first = &answer["findings"][0];
        // A program names the object by the path that it was given.
        let object = first["object"].as_str().map(|path| path.rsplit("/objects/").next().unwrap_or(path));
        let mut wanted = json!({
            "verdict": expected.verdict,
            "stream": expected.stream,
            "seq": expected.seq,
        });
        let mut found = json!({
            "verdict": answer["verdict"],
            "stream": first["stream"],
            "seq": first["seq"],
        });
        let named = [
            ("object", json!(expected.object), json!(object)),
            ("offset", json!(expected.offset), first["offset"].clone()),
            ("repeated", json!(expected.repeated), answer["repeated"].clone()),
            ("linked", json!(expected.linked), answer["linked"].clone()),
        ];
        for (name, want, got) in named.into_iter().filter(|(_, want, _)| !want.is_null()) {
            wanted[name] = want;
            found[name] = got;
        }
        if wanted == found {
            Ok(())
        } else {
            Err(format!("\n  wanted {wanted}\n  found  {found}\n  of {answer}").into())
        }
    }
}

/// By the crate: object by object, in pieces, each into a fold of its own, merged from the last to the first.
fn by_the_crate(fixture: &Fixture) -> Result<Value, Failed> {
    let (proof, _) = fold(fixture)?.finish(&fixture.expect());
    let Proof { verdict, findings, linked, counts, .. } = proof;
    Ok(json!({ "verdict": verdict, "findings": findings, "linked": linked, "repeated": counts.repeated }))
}

fn fold(fixture: &Fixture) -> Result<Fold, Failed> {
    let (expected, expect) = (&fixture.expected, fixture.expect());
    let format = fixture.format();
    let mut keys = Vec::new();
    keys_below(&fixture.objects(), "", &mut keys)?;
    let mut whole = Fold::new(expected.layout);
    for key in keys.iter().rev() {
        let object = ObjectId::new(key);
        let mut reader = match (expected.layout, slot::parse("", key)) {
            (Layout::Firehose, _) => Reader::delivery(&format, object),
            (Layout::Segments, Some((stream, first_seq))) => {
                Reader::segment(&format, stream, first_seq, object)
            }
            (Layout::Segments, None) => {
                let stream = key.split('/').next().unwrap_or_default();
                whole.add_finding(Finding::broken(stream, None, "an object that is no slot").at(&object, 0));
                continue;
            }
        };
        fs::read(fixture.objects().join(key))?.chunks(CHUNK_BYTES).for_each(|chunk| reader.push(chunk));
        whole.merge(reader.finish());
    }
    // Where two deliveries overlap, what the summaries cannot tell is read again.
    loop {
        let mut by_object: BTreeMap<ObjectId, Vec<Question>> = BTreeMap::new();
        for question in whole.questions(&expect) {
            by_object.entry(ObjectId::clone(&question.piece.object)).or_default().push(question);
        }
        if by_object.is_empty() {
            break;
        }
        for (object, questions) in by_object {
            let mut asker = Asker::new(&format, object.clone(), questions);
            fs::read(fixture.objects().join(&object.key))?
                .chunks(CHUNK_BYTES)
                .for_each(|chunk| asker.push(chunk));
            whole.answer(asker.finish());
        }
    }
    Ok(whole)
}

impl Fixture {
    /// Every stream has to end in a seal or to have a watermark.
    fn expect(&self) -> Expect {
        let Expected { streams, watermarks, .. } = &self.expected;
        Expect {
            streams: streams.clone(),
            watermarks: watermarks.clone(),
            end: End::Closed,
            ..Expect::default()
        }
    }

    fn format(&self) -> Format {
        let mut format = Format::default();
        let names = &mut format.names;
        for (name, new) in &self.expected.names {
            match name.as_str() {
                "stream" => names.stream.clone_from(new),
                "seq" => names.seq.clone_from(new),
                "prev" => names.prev = Some(new.clone()),
                "epoch" => names.epoch = Some(new.clone()),
                "control" => names.control = Some(new.clone()),
                other => panic!("{other} is no field of the format"),
            }
        }
        if self.expected.no_prev {
            names.prev = None;
        }
        if self.expected.no_control {
            (names.epoch, names.control) = (None, None);
        }
        format.entry_bytes_max = self.expected.entry_bytes_max.unwrap_or(format.entry_bytes_max);
        format
    }
}

/// Every file below `folder`, as a key with `/` between its parts, in order.
fn keys_below(folder: &Path, prefix: &str, keys: &mut Vec<String>) -> std::io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            keys_below(&entry.path(), &format!("{key}/"), keys)?;
        } else {
            keys.push(key);
        }
    }
    Ok(())
}

fn by_the_command(fixture: &Fixture) -> Result<Value, Failed> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    BUILT.get_or_init(|| drill::build().map_err(|err| explain(&err))).clone()?;
    let mut answer = fixture.ask(Command::new(places::binary("lifeboat")?).args(["ledger", "verify"]))?;
    answer["repeated"] = answer["counts"]["repeated"].clone();
    Ok(answer)
}

fn by_python(fixture: &Fixture) -> Result<Value, Failed> {
    if let Some(program) = fixture.expected.needs.as_deref().filter(|program| !starts(program)) {
        return Err(
            format!("verify.py needs the program `{program}` for this: apt-get install {program}").into()
        );
    }
    let script = places::repository().join("tests/verifiers/verify.py");
    fixture.ask(Command::new("python3").arg(script))
}

/// An honest answer where verify.py's means are missing: what cannot be read is not proven.
fn verify_py_without_zstd() -> Result<(), Failed> {
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output()?;
    let python = String::from_utf8(python.stdout)?;
    let fixture = Fixture::read(&places::repository().join("tests/fixtures/ledger/proven-zstd"))?;
    let script = places::repository().join("tests/verifiers/verify.py");
    let answer = fixture.ask(Command::new(python.trim()).arg(script).env("PATH", ""))?;
    let what = answer["findings"][0]["what"].as_str().unwrap_or_default();
    assert!(answer["verdict"] == "Unproven" && what.contains("no program `zstd`"), "{answer}");
    Ok(())
}

fn starts(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

impl Fixture {
    /// Starts a verifier and reads its answer; its exit code must be its verdict's.
    fn ask(&self, verifier: &mut Command) -> Result<Value, Failed> {
        let output = verifier.arg(self.objects()).args(self.arguments()).output()?;
        let code = output.status.code();
        let answer: Value = serde_json::from_slice(&output.stdout).map_err(|err| {
            format!("no JSON ({err}); {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
        })?;
        let verdict: Verdict = serde_json::from_value(answer["verdict"].clone())?;
        let wanted = match verdict {
            Verdict::Proven => 0,
            Verdict::Broken => 1,
            Verdict::Unproven => 2,
        };
        if code == Some(wanted) {
            Ok(answer)
        } else {
            Err(format!("{verdict:?} with {}", output.status).into())
        }
    }
}

/// The checkpoint on the page is the one that the crate makes of the example.
fn the_page_shows_the_checkpoint() -> Result<(), Failed> {
    let page = fs::read_to_string(places::repository().join("functions/ledger/FORMAT.md"))?;
    let fixture = Fixture::read(&places::repository().join("tests/fixtures/ledger/proven-example"))?;
    let (proof, _) = fold(&fixture)?.finish(&Expect::streams(&[]));
    let mut covered = Covered::NONE;
    (1..=3).for_each(|slot| covered.add(slot, Some(&format!("v{slot}"))));
    let last = Boundary { slot: 3, object_version: Some("v3".into()) };
    let made = Checkpoint::new(proof.streams[0].clone(), last, covered, None, "lifeboat").to_bytes();
    let made = String::from_utf8(made)?;
    if page.contains(&made) { Ok(()) } else { Err(format!("FORMAT.md does not show: {made}").into()) }
}

/// The lease on the page is one, and means what the page says.
fn the_page_shows_a_lease() -> Result<(), Failed> {
    let page = fs::read_to_string(places::repository().join("functions/ledger/FORMAT.md"))?;
    let (_, section) = page.split_once("## The lease").ok_or("the page has no lease")?;
    let line = section.lines().find(|line| line.starts_with('{')).ok_or("the lease has no example")?;
    let lease = Lease::parse("ME1", line.as_bytes())?;
    assert_eq!(String::from_utf8(lease.to_bytes())?, line);
    let heads = [&lease.closed[0].head, &lease.head].map(ToString::to_string);
    assert!(heads.iter().all(|head| line.matches(head.as_str()).count() == 1), "{heads:?}");
    assert_eq!([5, 6].map(|seq| lease.writer_of(seq)), [Some(1), Some(2)]);
    Ok(())
}

/// The lines and hashes of the worked example are those of the fixture.
fn the_page_shows_the_example() -> Result<(), Failed> {
    let page = fs::read_to_string(places::repository().join("functions/ledger/FORMAT.md"))?;
    let (_, example) = page.split_once("## A worked example").ok_or("the page has no worked example")?;
    let folder = places::repository().join("tests/fixtures/ledger/proven-example/objects/ME1");
    for seq in 1..=3 {
        let line = fs::read_to_string(folder.join(format!("{seq:020}.ndjson")))?;
        let line = line.trim_end_matches('\n');
        let row = format!("| {seq} | `{}` |", Hash::of(line.as_bytes()));
        for part in [line, &row] {
            if !example.contains(part) {
                return Err(format!("FORMAT.md does not show: {part}").into());
            }
        }
        if seq == 2 {
            let changed = Hash::of(line.replace("\"quantity\":5", "\"quantity\":6").as_bytes());
            assert!(example.contains(&format!("`{changed}`")), "FORMAT.md does not show {changed}");
        }
    }
    // The hash that a person gets by hand.
    let first = Hash::of(fs::read(folder.join(format!("{:020}.ndjson", 1)))?.trim_ascii_end());
    let (by_hand, _) = page.split_once("## The line").ok_or("the page has no lines")?;
    assert!(by_hand.contains(&first.to_string()), "FORMAT.md shows another hash to whoever checks by hand");
    Ok(())
}
