//! Rules of the ledger.

use super::super::{LeasePlan, Ledger, Witness};
use super::{Problems, bounds, syntax};

/// What the log bucket's policy guards: a slot below it can be put once and never deleted. Elsewhere the log would
/// be only as safe as its writers are careful. Two plans never share a bucket: fences carry epochs, and each plan
/// counts its own.
const GUARDED_PREFIX: &str = "log/";

/// Where the role of *ledger-verify* may read what Firehose delivered: the second copy, or with leases the ledger itself.
const WITNESS_PREFIX: &str = "witness/";

pub(super) fn check(ledger: &Ledger, found: &mut Problems) {
    if !syntax::is_bucket(&ledger.bucket) {
        found.add(
            "ledger.bucket",
            format!(
                "{:?} must be a bucket's name: 3 to 63 lower-case letters, digits or hyphens, a letter or digit \
                 at either end",
                ledger.bucket
            ),
        );
    }
    match ledger.lease {
        None => slots(&ledger.prefix, found),
        Some(_) => deliveries(&ledger.prefix, found),
    }
    found.count("ledger.streams", ledger.streams.len(), &bounds::STREAMS, "streams");
    for (index, stream) in ledger.streams.iter().enumerate() {
        let at = format!("ledger.streams[{index}]");
        if !syntax::is_stream(stream) {
            found.add(at, format!("{stream:?} must be 1 to 64 letters, digits, underscores or hyphens"));
        } else if ledger.streams[..index].contains(stream) {
            found.add(at, format!("{stream:?} is listed twice"));
        }
    }
    if let Some(section) = &ledger.witness {
        witness(section, found);
    }
    if let Some(section) = &ledger.lease {
        lease(section, ledger.witness.is_some(), found);
    }
}

fn lease(lease: &LeasePlan, has_witness: bool, found: &mut Problems) {
    if has_witness {
        found.add(
            "ledger.witness",
            "must be left out where `ledger.lease` stands: what Firehose delivers is then the ledger itself, and there is no \
             second copy to compare it with",
        );
    }
    found.within(
        "ledger.lease.delivery_wait_seconds_max",
        lease.delivery_wait_seconds_max,
        &bounds::DELIVERY_WAIT_SECONDS,
        " s",
    );
}

fn witness(witness: &Witness, found: &mut Problems) {
    if witness.prefix != WITNESS_PREFIX {
        found.add(
            "ledger.witness.prefix",
            format!(
                "{:?} must be `{WITNESS_PREFIX}`, which is all that the role of ledger-verify may read besides the log",
                witness.prefix
            ),
        );
    }
    found.within(
        "ledger.witness.objects_max",
        witness.objects_max,
        &bounds::WITNESS_OBJECTS,
        " delivered objects",
    );
}

fn deliveries(prefix: &str, found: &mut Problems) {
    if prefix != WITNESS_PREFIX {
        found.add(
            "ledger.prefix",
            format!(
                "{prefix:?} must be `{WITNESS_PREFIX}` where `ledger.lease` stands: the ledger is then what Firehose delivers"
            ),
        );
    }
}

fn slots(prefix: &str, found: &mut Problems) {
    if prefix != GUARDED_PREFIX {
        found.add(
            "ledger.prefix",
            format!(
                "{prefix:?} must be `{GUARDED_PREFIX}`, where the bucket's policy lets nobody write a slot twice, and beside \
                 which the fences of this plan's epochs lie"
            ),
        );
    }
}
