//! Lines. The quick reader reads a line as the strict one does or leaves it alone, and the strict one takes exactly what the
//! second verifier takes, and reads it as that does.
#![no_main]

#[allow(dead_code)]
#[path = "../../../functions/ledger/tests/reference/mod.rs"]
mod reference;

use libfuzzer_sys::fuzz_target;
use lifeboat_ledger::fast::LineReader;
use lifeboat_ledger::{Control, Entry, Format, Hash, Holder, entry};

fuzz_target!(|bytes: &[u8]| {
    let format = Format::default();
    let names = format.names.clone();
    let theirs = reference::Format {
        stream: names.stream,
        seq: names.seq,
        prev: names.prev,
        epoch: names.epoch,
        control: names.control,
        entry_bytes_max: format.entry_bytes_max,
    };
    // One reader for all lines: it remembers the keys of the line before.
    let mut quick = LineReader::new(&format);
    for line in bytes.split(|byte| *byte == b'\n') {
        let strict = entry::parse(line);
        if let Some(read) = quick.read(line) {
            let strict = strict.as_ref().expect("what the quick reader takes, the strict one takes");
            assert_eq!(read.stream, strict.stream);
            assert_eq!((read.seq, read.prev, read.epoch), (strict.seq, strict.prev, strict.epoch));
            assert_eq!(strict.control, None, "a control entry is the strict reader's");
        }
        match (strict, reference::read_entry(&theirs, line)) {
            (Ok(ours), Ok(theirs)) => assert_same(&ours, &theirs),
            (Err(_), Err(_)) => {}
            (ours, theirs) => panic!("ours: {ours:?}; the reference's: {theirs:?}"),
        }
    }
});

fn assert_same(ours: &Entry, theirs: &reference::Entry) {
    assert_eq!((&ours.stream, ours.seq, ours.epoch), (&theirs.stream, theirs.seq, theirs.epoch));
    let hash = |bytes: [u8; 32]| Hash::from_hex(&hex::encode(bytes));
    assert_eq!((ours.prev, Some(ours.hash)), (theirs.prev.and_then(hash), hash(theirs.hash)));
    let control = ours.control.clone().map(|control| match control {
        Control::Seal(seal) => reference::Control::Seal { epoch: seal.epoch, run: seal.run },
        Control::Open(open) => {
            let holder = match open.holder {
                Holder::Primary => "primary",
                Holder::Recovery => "recovery",
            };
            reference::Control::Open { epoch: open.epoch, holder: holder.into(), run: open.run }
        }
    });
    assert_eq!(control, theirs.control);
}
