//! Which fault meets which call: a rule book, without any I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::call::Call;
use super::scope::Scope;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is dropped without an answer, before the call reaches anything: a Region that is gone answers
    /// no 503, it answers nothing.
    Refuse,
    /// The call waits before it goes on, which it does even when its caller has gone.
    Delay(Duration),
    /// The call waits until the rule is lifted, and then goes on, even when its caller has gone long since.
    Hold,
    /// The call is answered with the service's own throttling error.
    Throttle,
    /// The call is answered with S3's refusal for want of a permission, which nobody retries. A call to another service is
    /// dropped: it would have to be denied in that service's own protocol.
    Deny,
    /// The call is done, and its answer is lost: the caller cannot know.
    LoseAnswer,
}

/// Names a rule, to lift it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId(u64);

/// What the rules say about one call.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Waited first; the delays of several rules add up.
    pub(super) delay: Duration,
    /// Waited for next.
    pub(super) held: Option<Held>,
    /// Then this, if anything.
    pub(super) fault: Option<Fault>,
}

/// What a call needs that is held.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Says `true`, or that its sender is gone, once the rule is lifted.
    released: watch::Receiver<bool>,
    /// Told the status of the answer that came in the end.
    pub(super) answered: mpsc::UnboundedSender<u16>,
}

impl Held {
    /// Returns once the rule is lifted.
    pub(super) async fn released(&mut self) {
        // The sender is gone with the rule: released as well.
        let _ = self.released.wait_for(|released| *released).await;
    }
}

/// The other end of [`Held`].
#[derive(Debug)]
struct Gate {
    open: watch::Sender<bool>,
    answered: mpsc::UnboundedSender<u16>,
    answers: mpsc::UnboundedReceiver<u16>,
}

impl Gate {
    fn new() -> Self {
        let (answered, answers) = mpsc::unbounded_channel();
        Self { open: watch::channel(false).0, answered, answers }
    }

    fn hold(&self) -> Held {
        Held { released: self.open.subscribe(), answered: self.answered.clone() }
    }
}

/// Which of the calls in its scope a fault meets. Without more it is all of them, from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meets {
    /// None before a call in this scope has come by.
    pub after: Option<Scope>,
    /// Then so many pass.
    pub pass: u32,
    /// Then so many are met; all, where nothing is said.
    pub times: Option<u32>,
}

impl Meets {
    /// The next `times`.
    pub fn times(times: u32) -> Self {
        Self { times: Some(times), ..Self::default() }
    }
}

#[derive(Debug)]
struct Rule {
    id: RuleId,
    scope: Scope,
    fault: Fault,
    meets: Meets,
    gate: Option<Gate>,
}

impl Rule {
    /// Whether the rule meets a call, which is counted: towards what it waits for, what it lets pass, what it meets.
    fn meets(&mut self, call: &Call, body: Option<&[u8]>) -> bool {
        if let Some(after) = &self.meets.after {
            if after.covers(call) && after.covers_body(body) {
                self.meets.after = None;
            }
            return false;
        }
        if self.is_used_up() || !self.scope.covers(call) || !self.scope.covers_body(body) {
            return false;
        }
        let passes = self.meets.pass > 0;
        self.meets.pass = self.meets.pass.saturating_sub(1);
        !passes
    }

    fn is_used_up(&self) -> bool {
        self.meets.times == Some(0)
    }
}

/// The rules in force, oldest first.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    given: u64,
    met: BTreeMap<u64, u64>,
}

impl Rules {
    pub(super) fn add(&mut self, scope: Scope, fault: Fault, meets: Meets) -> RuleId {
        self.given += 1;
        let id = RuleId(self.given);
        let gate = (fault == Fault::Hold).then(Gate::new);
        self.rules.push(Rule { id, scope, fault, meets, gate });
        id
    }

    /// Lifts a rule and lets go what it holds. The answers come by the channel, which ends with the last of them.
    pub(super) fn release(&mut self, id: RuleId) -> Option<mpsc::UnboundedReceiver<u16>> {
        let index = self.rules.iter().position(|rule| rule.id == id)?;
        let Gate { open, answered: _, answers } = self.rules.remove(index).gate?;
        open.send_replace(true);
        Some(answers)
    }

    /// How many calls a rule has met so far, lifted or used up since or not.
    pub(super) fn met(&self, id: RuleId) -> u64 {
        self.met.get(&id.0).copied().unwrap_or_default()
    }

    /// Whether a rule's say about the call depends on its body.
    pub(super) fn depend_on_body(&self, call: &Call) -> bool {
        self.rules.iter().any(|rule| {
            let scopes = [Some(&rule.scope), rule.meets.after.as_ref()];
            scopes.into_iter().flatten().any(|scope| scope.says.is_some() && scope.covers(call))
        })
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
    pub(super) fn judge(&mut self, call: &Call, body: Option<&[u8]>) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &mut self.rules {
            if !rule.meets(call, body) {
                continue;
            }
            match rule.fault {
                Fault::Delay(more) => verdict.delay += more,
                Fault::Hold => verdict.held = rule.gate.as_ref().map(Gate::hold),
                // The oldest rule that ends the call is the one that counts, and the only one that is used up.
                other if verdict.fault.is_none() => verdict.fault = Some(other),
                _ => continue,
            }
            *self.met.entry(rule.id.0).or_default() += 1;
            rule.meets.times = rule.meets.times.map(|left| left.saturating_sub(1));
        }
        // One that still holds calls stays until it is lifted.
        self.rules.retain(|rule| !rule.is_used_up() || rule.gate.is_some());
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
        rules.add(Scope::everything(), Fault::Delay(second), Meets::default());
        rules.add(Scope::region("r"), Fault::Throttle, Meets::default());
        rules.add(Scope::everything(), Fault::Delay(second), Meets::default());
        rules.add(Scope::everything(), Fault::Refuse, Meets::default());
        let verdict = rules.judge(&call("a", Some("r"), "s3", "/"), None);
        assert_eq!((verdict.delay, verdict.fault), (2 * second, Some(Fault::Throttle)));
    }

    #[test]
    fn a_counted_rule_is_used_up_and_a_lifted_one_is_gone() {
        let mut rules = Rules::default();
        let one = call("a", Some("r"), "s3", "/");
        rules.add(Scope::everything(), Fault::LoseAnswer, Meets::times(2));
        let faults: Vec<_> = (0..3).map(|_| rules.judge(&one, None).fault).collect();
        assert_eq!(faults, [Some(Fault::LoseAnswer), Some(Fault::LoseAnswer), None]);
        assert_eq!(rules.met(RuleId(1)), 2, "it is used up, and what it did is known");

        let rule = rules.add(Scope::everything(), Fault::Refuse, Meets::default());
        assert!(rules.lift(rule));
        assert!(!rules.lift(rule));
        let verdict = rules.judge(&one, None);
        assert_eq!((verdict.delay, verdict.fault), (Duration::ZERO, None));
    }

    #[test]
    fn a_rule_about_the_body_meets_only_calls_that_say_so() {
        let mut rules = Rules::default();
        let one = call("a", Some("r"), "s3", "/log/1");
        assert!(!rules.depend_on_body(&one));
        rules.add(
            Scope::everything().path_prefix("/log/").says("\"epoch\":2"),
            Fault::Refuse,
            Meets::default(),
        );
        assert!(rules.depend_on_body(&one));
        assert!(!rules.depend_on_body(&call("a", Some("r"), "s3", "/other")));
        assert_eq!(rules.judge(&one, Some(b"{\"epoch\":3}")).fault, None);
        assert_eq!(rules.judge(&one, None).fault, None);
        assert_eq!(rules.judge(&one, Some(b"{\"epoch\":2}")).fault, Some(Fault::Refuse));
    }

    #[tokio::test]
    async fn what_is_held_waits_for_the_rule_to_be_lifted_though_its_count_is_used_up() {
        let mut rules = Rules::default();
        let one = call("a", Some("r"), "s3", "/");
        let rule = rules.add(Scope::everything(), Fault::Hold, Meets::times(1));
        let mut held = rules.judge(&one, None).held.unwrap();
        assert!(rules.judge(&one, None).held.is_none());
        let waiting = tokio::time::timeout(Duration::from_millis(50), held.released()).await;
        assert!(waiting.is_err(), "it did not wait");
        let mut answers = rules.release(rule).unwrap();
        held.released().await;
        held.answered.send(412).unwrap();
        drop(held);
        assert_eq!((answers.recv().await, answers.recv().await), (Some(412), None));
        assert!(rules.release(rule).is_none());
    }

    #[test]
    fn a_rule_waits_for_its_time_lets_calls_pass_and_meets_as_many_as_it_says() {
        let mut rules = Rules::default();
        let after = Some(Scope::everything().path_like("/evidence/*"));
        let meets = Meets { after, pass: 1, times: Some(2) };
        let rule = rules.add(Scope::everything().path_prefix("/log/"), Fault::Refuse, meets);
        let met: Vec<u64> = ["/log/1", "/evidence/x", "/log/2", "/other", "/log/3", "/log/4", "/log/5"]
            .into_iter()
            .map(|path| {
                rules.judge(&call("o", None, "s3", path), None);
                rules.met(rule)
            })
            .collect();
        assert_eq!(met, [0, 0, 0, 0, 1, 2, 2]);
    }
}
