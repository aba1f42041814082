//! Generated ledgers, most of them damaged, through the crate and through a second verifier that shares no code with it
//! (`reference/`): 20,000 of them, or as many as `LIFEBOAT_CASES` says. The same number is the same ledger, for ever;
//! `LIFEBOAT_SEED` runs one alone and shows it.
//!
//! Each is judged twice by the crate, over different splits into folds, orders and pieces of bytes, and must give the same
//! proof. Both verifiers must agree on the verdict, on the streams that are not whole and the sequence at which that first
//! shows, and on the counts. What the generator itself knows of the verdict is held against both.

mod ledgers;
mod reference;

use std::collections::{BTreeMap, BTreeSet};

use ledgers::case::{self, Case, Damage, Known};
use ledgers::dice::Dice;
use ledgers::history::Forgery;
use ledgers::ours::{self, Ours};
use lifeboat_ledger::format::ENTRY_BYTES_MAX;
use lifeboat_ledger::{Finding, Proof, Tail, decode};
use reference::{Judgement, Verdict};

/// How many ledgers are judged, unless `LIFEBOAT_CASES` says otherwise.
const ALL: u64 = 20_000;

/// More than the objects of any ledger here decode to.
const DECODED_BYTES_MAX: usize = 16 << 20;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is `{value}`, which is no number")))
}

/// How often a damage was done alone, and what came of it.
#[derive(Default)]
struct Outcomes {
    proven: u64,
    unproven: u64,
    broken: u64,
}

#[test]
fn both_verifiers_agree_on_every_ledger() {
    let alone = number("LIFEBOAT_SEED");
    let numbers = match alone {
        Some(number) => number..number + 1,
        None => 0..number("LIFEBOAT_CASES").unwrap_or(ALL),
    };
    let all = numbers.end - numbers.start;
    let mut seen: BTreeMap<(String, bool), Outcomes> = BTreeMap::new();
    let (mut splits, mut questions, mut repeated) = (0, 0, 0);
    for number in numbers {
        let case = case::generate(number);
        let judgement = reference::judge(&case.format, &case.objects, &case.expected);
        let fails = |why: String| -> ! {
            panic!("ledger {number} (LIFEBOAT_SEED={number}): {why}\n{judgement:#?}\n{case}")
        };
        if alone.is_some() {
            println!("{judgement:#?}\n{case}");
        }
        let ours = Ours::new(&case);
        let mut dice = Dice::new(!number);
        let (proof, tails, asked) = ours.prove(&mut dice);
        let (other, ..) = ours.prove(&mut dice);
        if proof != other {
            fails(format!("another split gives another proof\n{proof:#?}\n{other:#?}"));
        }
        let agreed = compare(&case, &judgement, &proof).and_then(|()| places(&ours, &proof));
        if let Err(why) = agreed.and_then(|()| replays(&case, &ours, &judgement)) {
            fails(format!("{why}\n{proof:#?}"));
        }
        let ends = tails.iter().map(|tail| (tail.stream(), tail.next_seq(), tail.head()));
        if !ends.eq(proof.streams.iter().map(|whole| (whole.stream.as_str(), whole.through + 1, whole.head)))
        {
            fails(format!("the tails are not the ends of the streams: {tails:?}"));
        }
        splits += u64::from(case.objects.len() > 1);
        questions += asked as u64;
        repeated += u64::from(case.known == Known::Proven && judgement.repeated > 0);
        let name = match case.damages.as_slice() {
            [] => "none".to_owned(),
            [Damage::Forge(forgery)] => format!("forged: {forgery:?}"),
            [damage] => format!("{damage:?}"),
            _ => "several".to_owned(),
        };
        let outcomes = seen.entry((name, case.delivered)).or_default();
        match judgement.verdict {
            Verdict::Proven => outcomes.proven += 1,
            Verdict::Unproven => outcomes.unproven += 1,
            Verdict::Broken => outcomes.broken += 1,
        }
    }
    print(all, &seen);
    println!(
        "{splits} of more than one object; {repeated} undamaged with entries repeated; {questions} questions"
    );
    if all >= ALL {
        covers(all, &seen);
        assert!(splits > all / 2 && repeated > all / 50 && questions > all / 50, "too little was tried");
    }
}

/// The first thing on which the two do not agree.
fn compare(case: &Case, judgement: &Judgement, proof: &Proof) -> Result<(), String> {
    let verdict = verdict(proof.verdict);
    let known = match case.known {
        Known::Proven => verdict == Verdict::Proven,
        Known::NotProven => verdict != Verdict::Proven,
        Known::Broken => verdict == Verdict::Broken,
        Known::Nothing => true,
    };
    same("verdict", judgement.verdict, verdict)?;
    if !known {
        return Err(format!("both say {verdict:?}, but the generator knows better: {:?}", case.known));
    }
    for (name, stream) in &judgement.streams {
        let findings: Vec<&Finding> =
            proof.findings.iter().filter(|finding| finding.stream == *name).collect();
        let worst = findings.iter().map(|finding| self::verdict(finding.verdict)).max().unwrap_or_default();
        same(&format!("the verdict on {name}"), stream.verdict(), worst)?;
        let theirs = stream.defects.iter().filter_map(|defect| defect.seq).min();
        let ours = findings.iter().filter_map(|finding| finding.seq).min();
        same(&format!("where {name} shows a fault first"), theirs, ours)?;
    }
    let theirs: BTreeSet<&str> = judgement.streams.keys().map(String::as_str).collect();
    let ours = proof.findings.iter().map(|finding| finding.stream.as_str()).filter(|name| !name.is_empty());
    let ours: BTreeSet<&str> = ours.chain(proof.streams.iter().map(|whole| whole.stream.as_str())).collect();
    same("the streams", &theirs, &ours)?;
    let nameless = proof.findings.iter().filter(|finding| finding.stream.is_empty());
    let nameless = nameless.map(|finding| self::verdict(finding.verdict)).max();
    same("the objects", judgement.nameless.iter().map(|defect| defect.verdict).max(), nameless)?;
    let counts = [judgement.objects, judgement.bytes, judgement.entries, judgement.repeated];
    let ours = [proof.counts.objects, proof.counts.bytes, proof.counts.entries, proof.counts.repeated];
    same("objects, bytes, entries, repeated", counts, ours)?;
    // A stream is vouched for if nothing stands against it but that its end may have been cut off.
    let whole = judgement.streams.iter().filter(|(_, stream)| {
        stream.entries > 0
            && stream.verdict() != Verdict::Broken
            && stream.defects.iter().all(|defect| defect.seq.is_none())
    });
    let mut proofs = proof.streams.iter();
    for (name, stream) in whole {
        let whole = proofs.next().ok_or_else(|| format!("{name} is whole, and not vouched for"))?;
        same("the stream that is whole", name.as_str(), &whole.stream)?;
        let theirs = (stream.first_seq, stream.through, hex::encode(stream.head), stream.entries);
        let ours = (whole.first_seq, whole.through, whole.head.to_string(), whole.entries);
        same(name, theirs, ours)?;
        same(&format!("who may write {name}"), &ours::pen(&stream.pen), &whole.pen)?;
    }
    match proofs.next() {
        Some(whole) => Err(format!("{} is vouched for, and not whole", whole.stream)),
        None => Ok(()),
    }
}

/// A finding names an object that there is, the version that was read, and a byte at which a line begins or would.
fn places(ours: &Ours<'_>, proof: &Proof) -> Result<(), String> {
    for finding in &proof.findings {
        let Some(key) = &finding.object else { continue };
        let (object, version) = ours.object(key).ok_or_else(|| format!("there is no object {key}"))?;
        if finding.version.is_some() {
            same("the version", version.as_deref(), finding.version.as_deref())?;
        }
        let decoded = object.bytes.as_deref().map(reference::decode);
        let (Some(Ok(decoded)), Some(offset)) = (decoded, finding.offset) else { continue };
        let offset = offset as usize;
        if offset > decoded.len() || (offset > 0 && decoded[offset - 1] != b'\n') {
            return Err(format!("no line begins where this says: {finding}"));
        }
    }
    Ok(())
}

/// An application that replays a stream from its first slot takes all of one that is whole, and nothing from the first fault
/// on of one that is not.
fn replays(case: &Case, ours: &Ours<'_>, judgement: &Judgement) -> Result<(), String> {
    // A replay knows the house's format alone, and begins at the beginning.
    let house = case.format.stream == "stream" && case.format.prev.is_some();
    if case.delivered
        || !house
        || case.format.entry_bytes_max != ENTRY_BYTES_MAX
        || !case.expected.from.is_empty()
    {
        return Ok(());
    }
    for (name, stream) in &judgement.streams {
        let mut slots = ours.slots(name);
        let begins = slots.contains_key(&1);
        let mut tail = Tail::new(name);
        while let Some(Some(bytes)) = slots.get(&tail.next_seq()) {
            let slot = tail.next_seq();
            let Ok(bytes) = decode::decoded(bytes, DECODED_BYTES_MAX) else { break };
            if tail.absorb_segment(slot, &bytes).is_err() {
                break;
            }
            slots.remove(&slot);
        }
        let reached = tail.next_seq();
        // It asks for the next slot alone, so it does not see one that begins inside another.
        let unseen = slots.range(..reached).next().is_some();
        match stream.defects.iter().filter_map(|defect| defect.seq).min() {
            _ if unseen || !begins => {}
            Some(fault) if reached > fault => {
                return Err(format!("a replay of {name} takes what is wrong at {fault}, through {reached}"));
            }
            None if reached != stream.through + 1 => {
                return Err(format!("{name} is whole, and a replay stops at {reached}"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, theirs: T, ours: T) -> Result<(), String> {
    match theirs == ours {
        true => Ok(()),
        false => Err(format!("{what}: the reference says {theirs:?}, the crate {ours:?}")),
    }
}

fn verdict(verdict: lifeboat_ledger::Verdict) -> Verdict {
    match verdict {
        lifeboat_ledger::Verdict::Proven => Verdict::Proven,
        lifeboat_ledger::Verdict::Unproven => Verdict::Unproven,
        lifeboat_ledger::Verdict::Broken => Verdict::Broken,
    }
}

fn print(all: u64, seen: &BTreeMap<(String, bool), Outcomes>) {
    println!("{all} ledgers{:>40}{:>10}{:>10}", "proven", "unproven", "broken");
    for ((name, delivered), Outcomes { proven, unproven, broken }) in seen {
        let layout = if *delivered { "firehose" } else { "segments" };
        println!("{name:36} {layout} {proven:>10}{unproven:>10}{broken:>10}");
    }
}

/// Every damage was done, and each came to what only it can come to: a property that nothing tries proves nothing.
fn covers(all: u64, seen: &BTreeMap<(String, bool), Outcomes>) {
    let total = |of: fn(&Outcomes) -> u64| seen.values().map(of).sum::<u64>();
    assert!(total(|outcomes| outcomes.proven) > all / 5, "hardly any ledger is proven");
    assert!(total(|outcomes| outcomes.broken) > all / 5, "hardly any ledger is broken");
    assert!(total(|outcomes| outcomes.unproven) > all / 200, "hardly any ledger is unproven");
    let damages = case::DAMAGES.iter().map(|damage| format!("{damage:?}"));
    let forgeries = Forgery::ALL.iter().map(|forgery| format!("forged: {forgery:?}"));
    for name in damages.chain(forgeries) {
        let of = |delivered| seen.get(&(name.clone(), delivered));
        let caught =
            [false, true].into_iter().filter_map(of).map(|found| found.unproven + found.broken).sum::<u64>();
        // Whoever delivers knows no slots, and whatever is delivered may come in any order.
        let least = all / 2_000;
        assert!(
            caught >= least,
            "{name}: found {caught} times in {all} ledgers, which is too seldom to prove anything"
        );
    }
}
