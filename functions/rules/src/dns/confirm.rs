//! For how long a flip is waited for before it counts as not confirmed.

use crate::Plan;

/// What Route 53 is given to follow a flip, in seconds, generously: under `switch` one to two minutes are expected, though AWS
/// names no figure (`infra/DNS.md`); under `records` AWS says 60 s.
const FOLLOWS_SECONDS_MAX: i64 = 600;
/// Names that are asked for in a second, at the least: half of the pace that is kept.
const NAMES_A_SECOND_MIN: i64 = 400;

/// How many seconds names have to answer from the recovery side, from when they are first asked for: what Route 53 takes, the
/// longest time to live that resolvers may keep an old answer for, and two rounds of questions to `names` of them.
pub fn within(plan: &Plan, names: usize) -> i64 {
    let names = i64::try_from(names).unwrap_or(i64::MAX);
    FOLLOWS_SECONDS_MAX + i64::from(plan.dns.ttl_max()) + names / NAMES_A_SECOND_MIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::bounds;

    #[test]
    fn ten_thousand_names_of_the_longest_time_to_live_have_under_twelve_minutes() {
        let mut plan =
            Plan::from_json(include_bytes!("../../tests/plan.json")).expect("the test's plan is valid");
        plan.dns.names.clear();
        plan.dns.records.iter_mut().for_each(|record| record.ttl = 5);
        assert_eq!(within(&plan, 2), 605);
        plan.dns.records[0].ttl = *bounds::TTL_SECONDS.end();
        let longest = within(&plan, bounds::RECORDS_MAX);
        assert_eq!(longest, 600 + i64::from(*bounds::TTL_SECONDS.end()) + 25);
        assert!(longest < 12 * 60, "{longest} s");
    }
}
