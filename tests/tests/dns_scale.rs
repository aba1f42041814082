//! What a flip takes for few names and for many, on the local world, at a size that a test has time for.
//!
//! It shows which calls a flip makes, and that every name is asked for. It does not show how fast AWS does it, nor that
//! Route 53 takes such batches: the emulator has no limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_rules::plan::Strategy;
use lifeboat_tests::scale::dns::{Measured, Options, complaints, run, table};

const FEW: usize = 10;
/// Two batches of records with two values each, and more than two pages of a listing.
const MANY: usize = 700;

async fn measured(strategy: Strategy) -> [Measured; 2] {
    let options = Options {
        names: vec![FEW, MANY],
        strategies: vec![strategy],
        report: Arc::new(|line| eprintln!("{line}")),
    };
    let measured = run(&options).await.unwrap();
    eprintln!("{}", table(&measured));
    measured.try_into().unwrap()
}

fn calls(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(call, times)| ((*call).to_owned(), *times)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn by_switch_many_names_take_the_calls_of_ten_and_none_to_route_53() {
    let measured = measured(Strategy::Switch).await;
    assert_eq!(complaints(&measured), Vec::<String>::new());
    for row in &measured {
        let flip = [
            ("cloudwatch:PutMetricData", 1),
            // The plan; the newest flip.
            ("s3:GetObject", 2),
            // Who holds the newest epoch; which flip is the newest.
            ("s3:ListObjectsV2", 2),
            ("s3:PutObject", 1),
        ];
        assert_eq!(row.flip.calls, calls(&flip), "{} names", row.names);
        // The plan and its list; the receipts.
        let confirm = [("s3:GetObject", 2), ("s3:PutObject", 1)];
        let again = usize::try_from(row.confirm.invocations).unwrap();
        assert_eq!(row.confirm.calls["s3:PutObject"], 1);
        if again == 1 {
            assert_eq!(row.confirm.calls, calls(&confirm), "{} names", row.names);
        }
    }
    let [few, mut many] = measured;
    many.flip.calls.insert("route53:ListResourceRecordSets".to_owned(), 1);
    let complaints = complaints(&[few, many]);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].contains("other calls") && complaints[1].contains("700 names"), "{complaints:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_records_the_calls_grow_with_the_names() {
    let measured = measured(Strategy::Records).await;
    let [few, many] = measured.each_ref().map(|row| &row.flip.calls);
    assert_eq!(few["route53:ChangeResourceRecordSets"], 1);
    assert_eq!(many["route53:ChangeResourceRecordSets"], 2);
    // Before and after: the fence, and the pages of what lies below.
    assert_eq!(few["route53:ListResourceRecordSets"], 4);
    assert_eq!(many["route53:ListResourceRecordSets"], 8);
    assert_eq!(complaints(&measured), Vec::<String>::new());
}
