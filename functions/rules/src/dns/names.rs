//! Names by a rule: each symbol of a list makes a record, so that ten thousand of them are a line of the plan and a file.
//!
//! A list is text: one symbol a line, blank lines and lines that begin with `#` left out. A symbol is one label of a DNS
//! name and is written in lower case, whatever its case in the list.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::plan::{Dns, EPOCH_RECORD, Names, Record, RecordType, bounds, is_dns_label, is_dns_name};
use crate::{ErrorName, StepError};

/// Faults that one error tells; it says how many more there are.
const TOLD_MAX: usize = 5;

/// What is wrong with a line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The list, as the plan names it.
    pub list: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: {}", self.list, self.line, self.message)
    }
}

/// Every record that the plan moves, in a fixed order: `records` as they stand, then what each rule makes, sorted.
///
/// `lists` has the text of each list by the name that the plan has for it.
///
/// # Errors
/// `PlanInvalid` with the first faults, each with its list and line; `Defect` where a list is not among `lists`.
pub fn expand(dns: &Dns, lists: &BTreeMap<String, String>) -> Result<Vec<Record>, StepError> {
    if let Some(rule) = dns.names.iter().find(|rule| !lists.contains_key(&rule.list)) {
        return Err(StepError::defect(format!("the list {} of {} was not read", rule.list, rule.name)));
    }
    judge(dns, lists).map_err(|faults| {
        let mut told: Vec<String> = faults.iter().take(TOLD_MAX).map(Fault::to_string).collect();
        if faults.len() > TOLD_MAX {
            told.push(format!("and {} more", faults.len() - TOLD_MAX));
        }
        StepError::new(ErrorName::PlanInvalid, format!("field `dns.names`: {}", told.join("; ")))
    })
}

/// As [`expand`], with every fault; a rule whose list is not there is passed over.
///
/// # Errors
/// The faults, in the order of the rules and of the lines.
pub fn judge(dns: &Dns, lists: &BTreeMap<String, String>) -> Result<Vec<Record>, Vec<Fault>> {
    let mut all = All::default();
    for (index, record) in dns.records.iter().enumerate() {
        all.taken
            .entry(record.name.clone())
            .or_default()
            .push((record.kind, format!("dns.records[{index}]")));
    }
    all.records.clone_from(&dns.records);
    for rule in &dns.names {
        if let Some(text) = lists.get(&rule.list) {
            all.apply(dns, rule, text);
        }
    }
    if all.faults.is_empty() { Ok(all.records) } else { Err(all.faults) }
}

/// What has been made so far.
#[derive(Default)]
struct All {
    records: Vec<Record>,
    /// By name: the types that it has, and where each comes from.
    taken: HashMap<String, Vec<(RecordType, String)>>,
    faults: Vec<Fault>,
}

impl All {
    fn apply(&mut self, dns: &Dns, rule: &Names, text: &str) {
        let mut made = Vec::new();
        let faults_before = self.faults.len();
        for (index, line) in text.lines().enumerate() {
            let symbol = line.trim();
            if symbol.is_empty() || symbol.starts_with('#') {
                continue;
            }
            let line = index + 1;
            let fault = |message| Fault { list: rule.list.clone(), line, message };
            if self.records.len() + made.len() == bounds::RECORDS_MAX {
                self.faults.push(fault(format!(
                    "is the first symbol beyond {} records, the most that one plan moves; point many names at few by \
                     CNAMEs that stay",
                    bounds::RECORDS_MAX
                )));
                break;
            }
            match self.record(dns, rule, &symbol.to_ascii_lowercase(), line) {
                Ok(record) => made.push(record),
                Err(message) => self.faults.push(fault(message)),
            }
        }
        if made.is_empty() && self.faults.len() == faults_before {
            let message = "has no symbol in it, and the rule makes no name".to_owned();
            self.faults.push(Fault { list: rule.list.clone(), line: 1, message });
        }
        made.sort_by(|one, other| one.name.cmp(&other.name));
        self.records.extend(made);
    }

    /// The record of one symbol, or why it cannot be.
    fn record(&mut self, dns: &Dns, rule: &Names, symbol: &str, line: usize) -> Result<Record, String> {
        if !is_dns_label(symbol) {
            return Err(format!(
                "{symbol:?} is no label of a DNS name: one symbol a line, up to 63 letters, digits, `-` and `_`, no `-` \
                 at either end"
            ));
        }
        let record = rule.record(symbol);
        let name = &record.name;
        if !is_dns_name(name) {
            return Err(format!("{name:?} is too long for a DNS name: 63 characters a label, 253 in all"));
        }
        if name.strip_prefix(EPOCH_RECORD).and_then(|rest| rest.strip_prefix('.')) == Some(&dns.zone) {
            return Err(format!("{name} is reserved: Lifeboat keeps the epoch of the newest flip there"));
        }
        if record.kind == RecordType::Cname
            && [&record.primary, &record.recovery].iter().any(|side| side.contains(name))
        {
            return Err(format!("{name} would be a CNAME to itself"));
        }
        let taken = self.taken.entry(name.clone()).or_default();
        for (kind, by) in taken.iter() {
            if *kind == record.kind {
                return Err(format!("{name} {kind} is made by {by} already"));
            }
            if [*kind, record.kind].contains(&RecordType::Cname) {
                return Err(format!(
                    "a CNAME must be the only record of its name, but {by} makes {name} {kind}"
                ));
            }
        }
        taken.push((record.kind, format!("{} line {line}", rule.list)));
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    const LIST: &str = "symbols.txt";

    fn rule(name: &str, kind: RecordType) -> Names {
        let (primary, recovery) = match kind {
            RecordType::A => ("10.0.0.20", "10.1.0.20"),
            RecordType::Aaaa => ("2001:db8::1", "2001:db8::2"),
            RecordType::Cname => ("md.primary.aex.internal", "md.recovery.aex.internal"),
        };
        let (primary, recovery) = (vec![primary.to_owned()], vec![recovery.to_owned()]);
        Names { name: name.into(), list: LIST.into(), kind, ttl: 5, primary, recovery }
    }

    fn dns(rules: &[Names]) -> Dns {
        let plan =
            Plan::from_json(include_bytes!("../../tests/plan.json")).expect("the test's plan is valid");
        Dns { names: rules.to_vec(), ..plan.dns }
    }

    fn lists(text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(LIST.to_owned(), text.to_owned())])
    }

    fn names(records: &[Record]) -> Vec<&str> {
        records.iter().map(|record| record.name.as_str()).collect()
    }

    #[test]
    fn records_come_first_and_then_what_rules_make_sorted() {
        let dns = dns(&[rule("{symbol}.md.aex.internal", RecordType::A)]);
        let made = expand(&dns, &lists("# Nasdaq\nMSFT\r\n\n  aapl \nBRK-B\n")).unwrap();
        assert_eq!(
            names(&made),
            [
                "gateway.aex.internal",
                "aapl.aex.internal",
                "aapl.md.aex.internal",
                "brk-b.md.aex.internal",
                "msft.md.aex.internal"
            ]
        );
        assert_eq!(made[2], dns.names[0].record("aapl"));
        assert_eq!(made[2].primary, ["10.0.0.20"]);
    }

    #[test]
    fn a_plan_without_rules_needs_no_list() {
        let dns = dns(&[]);
        assert_eq!(expand(&dns, &BTreeMap::new()).unwrap(), dns.records);
    }

    #[test]
    fn a_list_that_was_not_read_is_a_defect() {
        let dns = dns(&[rule("{symbol}.md.aex.internal", RecordType::A)]);
        let err = expand(&dns, &BTreeMap::new()).unwrap_err();
        assert_eq!(err.name, ErrorName::Defect);
        assert!(err.to_string().contains("symbols.txt"), "{err}");
    }

    #[track_caller]
    fn refused(rules: &[Names], text: &str, line: usize, says: &str) {
        let faults = judge(&dns(rules), &lists(text)).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!((faults[0].list.as_str(), faults[0].line), (LIST, line), "{faults:?}");
        assert!(faults[0].message.contains(says), "{faults:?} does not say {says:?}");
    }

    #[test]
    fn what_is_no_symbol_is_named_with_its_line() {
        let rule = [rule("{symbol}.md.aex.internal", RecordType::A)];
        for bad in ["BRK.B", "AAPL,MSFT", "A B", "-a", "a-", "é", "*", &"a".repeat(64)] {
            refused(&rule, &format!("aapl\n\n{bad}\nmsft\n"), 3, "is no label of a DNS name");
        }
    }

    #[test]
    fn a_list_without_a_symbol_is_a_mistake() {
        refused(&[rule("{symbol}.md.aex.internal", RecordType::A)], "# nothing\n\n", 1, "has no symbol");
    }

    #[test]
    fn a_symbol_is_there_once_whatever_its_case() {
        let at = "{symbol}.md.aex.internal";
        refused(&[rule(at, RecordType::A)], "aapl\nmsft\nAAPL\n", 3, "symbols.txt line 1 already");
        // The same list may make two types, but not beside a CNAME.
        let two = [rule(at, RecordType::A), rule(at, RecordType::Aaaa)];
        assert_eq!(judge(&dns(&two), &lists("aapl\n")).unwrap().len(), 4);
        refused(
            &[rule(at, RecordType::A), rule(at, RecordType::Cname)],
            "aapl\n",
            1,
            "must be the only record",
        );
        // One of `records` has the name already.
        refused(&[rule("{symbol}.aex.internal", RecordType::A)], "msft\naapl\n", 2, "dns.records[1] already");
    }

    #[test]
    fn names_stay_names_and_leave_ours_alone() {
        let top = rule("{symbol}.aex.internal", RecordType::A);
        refused(&[top], "_lifeboat-epoch\n", 1, "reserved");
        let long = rule("md-{symbol}.aex.internal", RecordType::A);
        refused(&[long], &format!("{}\n", "a".repeat(61)), 1, "too long");
        let to_itself = rule("{symbol}.primary.aex.internal", RecordType::Cname);
        refused(&[to_itself], "nvda\nmd\n", 2, "to itself");
    }

    #[test]
    fn ten_thousand_are_the_most() {
        let rule = [rule("{symbol}.md.aex.internal", RecordType::A)];
        // Two are in `records`.
        let list = |count: usize| (0..count).map(|n| format!("s{n}\n")).collect::<String>();
        assert_eq!(judge(&dns(&rule), &lists(&list(9_998))).unwrap().len(), 10_000);
        refused(&rule, &list(12_000), 9_999, "beyond 10000 records");
        let longest: usize = list(10_000).len().max(64 * 10_000);
        assert!(longest <= bounds::LIST_BYTES_MAX);
    }

    #[test]
    fn one_error_tells_the_first_faults_and_how_many_more() {
        let dns = dns(&[rule("{symbol}.md.aex.internal", RecordType::A)]);
        let err = expand(&dns, &lists(&"a.b\n".repeat(9))).unwrap_err();
        assert_eq!(err.name, ErrorName::PlanInvalid);
        let text = err.to_string();
        assert!(text.contains("symbols.txt line 5: ") && !text.contains("line 6"), "{text}");
        assert!(text.ends_with("and 4 more"), "{text}");
    }
}
