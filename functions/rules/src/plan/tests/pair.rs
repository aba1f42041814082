//! The largest pair, held against what makes it.

use serde_json::json;

use super::{addresses, good, problems};
use crate::dns::prepare::{To, prepare};
use crate::dns::switch::pair;
use crate::dns::{Found, RecordSet};
use crate::plan::Dns;

/// What the plan accepts as a pair, `lifeboat dns prepare` can make in one batch, and undo in one; and what it refuses, not.
#[test]
fn a_pair_fits_the_batch_that_makes_it() {
    // Of 38 characters each: 842 of them have 31,996.
    let long = |net: u8, count: usize| -> Vec<String> {
        (0..count).map(|v| format!("2001:db8:1111:1111:1111:1111:{}111:{}", net + 1, 1_000 + v)).collect()
    };
    assert!(long(0, 400).iter().all(|value| value.len() == 38));
    let record = |at: usize, primary: &[String], recovery: &[String]| {
        let mut plan = good();
        plan["dns"]["records"][at]["primary"] = json!(primary);
        plan["dns"]["records"][at]["recovery"] = json!(recovery);
        plan
    };
    for (at, primary, recovery, fits) in [
        (0, addresses(0, 400), addresses(1, 200), true),
        (0, addresses(0, 400), addresses(1, 201), false),
        (0, addresses(0, 300), addresses(1, 400), true),
        (0, addresses(0, 301), addresses(1, 400), false),
        (2, long(0, 300), long(1, 242), true),
        (2, long(0, 300), long(1, 243), false),
    ] {
        let plan = record(at, &primary, &recovery);
        let mut found = problems(plan.clone());
        let counts = (primary.len(), recovery.len());
        if !fits {
            let one = found.pop().expect("a problem");
            assert_eq!(one.field, format!("dns.records[{at}]"));
            assert!(one.message.contains("1000 of 32000"), "{one}");
        }
        assert_eq!(found, [], "{counts:?}");

        let dns: Dns = serde_json::from_value(plan["dns"].clone()).expect("the section");
        let record = std::slice::from_ref(&dns.records[at]);
        let values = record[0].primary.iter().cloned();
        let (name, kind) = (&record[0].name, record[0].kind.to_string());
        let zone = [Found::Set(RecordSet::new(name, &kind, record[0].ttl, values))];
        let made = prepare(To::Pairs { health_check: "gate" }, record, &zone);
        assert_eq!(
            (made.batches.len(), made.left_alone.len()),
            if fits { (1, 0) } else { (0, 1) },
            "{counts:?}"
        );
        let zone = pair(&record[0], "gate").map(Found::Set);
        let undone = prepare(To::Plain, record, &zone);
        assert_eq!(
            (undone.batches.len(), undone.left_alone.len()),
            if fits { (1, 0) } else { (0, 1) },
            "{counts:?}"
        );
    }

    // A rule makes pairs as large.
    let mut plan = good();
    plan["dns"]["names"][0]["primary"] = json!(addresses(0, 301));
    plan["dns"]["names"][0]["recovery"] = json!(addresses(1, 400));
    let found = problems(plan);
    assert_eq!(found.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["dns.names[0]"], "{found:?}");
}
