//! Which fault meets which call: a rule book, without any I/O.

use std::time::Duration;

use super::call::Call;

/// Which calls a rule is about. What is not said matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    origin: Option<String>,
    region: Option<String>,
    service: Option<String>,
    operation: Option<String>,
    method: Option<String>,
    path_prefix: Option<String>,
}

impl Scope {
    /// Every call.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Calls to a Region.
    pub fn region(region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..Self::default() }
    }

    /// Calls from an origin.
    pub fn origin(origin: &str) -> Self {
        Self { origin: Some(origin.to_owned()), ..Self::default() }
    }

    /// And only from this origin.
    pub fn from(self, origin: &str) -> Self {
        Self { origin: Some(origin.to_owned()), ..self }
    }

    /// And only to this service.
    pub fn service(self, service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..self }
    }

    /// And only for this operation (where the protocol names one).
    pub fn operation(self, operation: &str) -> Self {
        Self { operation: Some(operation.to_owned()), ..self }
    }

    /// And only by this method.
    pub fn method(self, method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..self }
    }

    /// And only at paths that begin so: `/<bucket>/<key prefix>` for S3.
    pub fn path_prefix(self, prefix: &str) -> Self {
        Self { path_prefix: Some(prefix.to_owned()), ..self }
    }

    /// Whether a call is in the scope. A call that does not say its Region is in no Region's scope.
    pub fn covers(&self, call: &Call) -> bool {
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        same(&self.origin, Some(&call.origin))
            && same(&self.region, call.region.as_deref())
            && same(&self.service, call.service.as_deref())
            && same(&self.operation, call.operation.as_deref())
            && same(&self.method, Some(&call.method))
            && self.path_prefix.as_ref().is_none_or(|prefix| call.path.starts_with(prefix.as_str()))
    }
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is dropped without an answer, before the call reaches anything: a Region that is gone answers
    /// no 503, it answers nothing.
    Refuse,
    /// The call waits before it goes on.
    Delay(Duration),
    /// The call is answered with the service's own throttling error.
    Throttle,
    /// The call is done, and its answer is lost: the caller cannot know.
    LoseAnswer,
}

/// Names a rule, to lift it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(u64);

/// What the rules say about one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Waited first; the delays of several rules add up.
    pub(super) delay: Duration,
    /// Then this, if anything.
    pub(super) fault: Option<Fault>,
}

#[derive(Debug)]
struct Rule {
    id: RuleId,
    scope: Scope,
    fault: Fault,
    times_left: Option<u32>,
}

/// The rules in force, oldest first.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    given: u64,
}

impl Rules {
    pub(super) fn add(&mut self, scope: Scope, fault: Fault, times: Option<u32>) -> RuleId {
        self.given += 1;
        let id = RuleId(self.given);
        self.rules.push(Rule { id, scope, fault, times_left: times });
        id
    }

    pub(super) fn lift(&mut self, id: RuleId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    pub(super) fn lift_all(&mut self) {
        self.rules.clear();
    }

    /// Judges a call, and counts it against the rules that it met.
    pub(super) fn judge(&mut self, call: &Call) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &mut self.rules {
            if rule.times_left == Some(0) || !rule.scope.covers(call) {
                continue;
            }
            match rule.fault {
                Fault::Delay(more) => verdict.delay += more,
                // The oldest rule that ends the call is the one that counts, and the only one that is used up.
                other if verdict.fault.is_none() => verdict.fault = Some(other),
                _ => continue,
            }
            rule.times_left = rule.times_left.map(|left| left.saturating_sub(1));
        }
        self.rules.retain(|rule| rule.times_left != Some(0));
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(origin: &str, region: Option<&str>, service: &str, path: &str) -> Call {
        Call {
            origin: origin.to_owned(),
            region: region.map(str::to_owned),
            service: Some(service.to_owned()),
            operation: None,
            method: "PUT".to_owned(),
            path: path.to_owned(),
        }
    }

    #[test]
    fn a_scope_covers_what_it_says_and_nothing_else() {
        let scope = Scope::region("eu-west-1").service("s3").path_prefix("/log/log/ME1/").method("PUT");
        assert!(scope.covers(&call("a", Some("eu-west-1"), "s3", "/log/log/ME1/1")));
        assert!(!scope.covers(&call("a", Some("eu-west-1"), "s3", "/log/log/ME2/1")));
        assert!(!scope.covers(&call("a", Some("eu-central-1"), "s3", "/log/log/ME1/1")));
        assert!(!scope.covers(&call("a", Some("eu-west-1"), "ecs", "/log/log/ME1/1")));
        assert!(!scope.covers(&call("a", None, "s3", "/log/log/ME1/1")));
        assert!(Scope::everything().covers(&call("a", None, "s3", "/")));
        assert!(!Scope::origin("b").covers(&call("a", None, "s3", "/")));
    }

    #[test]
    fn delays_add_up_and_the_oldest_end_counts() {
        let mut rules = Rules::default();
        let second = Duration::from_secs(1);
        rules.add(Scope::everything(), Fault::Delay(second), None);
        rules.add(Scope::region("r"), Fault::Throttle, None);
        rules.add(Scope::everything(), Fault::Delay(second), None);
        rules.add(Scope::everything(), Fault::Refuse, None);
        let verdict = rules.judge(&call("a", Some("r"), "s3", "/"));
        assert_eq!(verdict, Verdict { delay: 2 * second, fault: Some(Fault::Throttle) });
    }

    #[test]
    fn a_counted_rule_is_used_up_and_a_lifted_one_is_gone() {
        let mut rules = Rules::default();
        let one = call("a", Some("r"), "s3", "/");
        rules.add(Scope::everything(), Fault::LoseAnswer, Some(2));
        let faults: Vec<_> = (0..3).map(|_| rules.judge(&one).fault).collect();
        assert_eq!(faults, [Some(Fault::LoseAnswer), Some(Fault::LoseAnswer), None]);

        let rule = rules.add(Scope::everything(), Fault::Refuse, None);
        assert!(rules.lift(rule));
        assert!(!rules.lift(rule));
        assert_eq!(rules.judge(&one), Verdict::default());
    }
}
