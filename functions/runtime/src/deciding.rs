//! What the step under way has decided by, kept for the record of its outcome.

use std::cell::RefCell;
use std::future::Future;

use lifeboat_rules::decided::{Decided, Observed};
use serde_json::{Value, json};

tokio::task_local! {
    static DECIDING: RefCell<Deciding>;
}

/// What one call has decided so far.
#[derive(Debug, Default)]
pub(crate) struct Deciding {
    plan_sha256: Option<String>,
    decided: Vec<Decided>,
}

/// Asks the rule about what was observed, once. Within a step ([`crate::Context::step`]) its record keeps both, and nothing of
/// it is handed to the state machine; elsewhere, at the command line, nobody keeps them.
pub fn decide<O: Observed>(by: &O::By, observed: &O) -> O::Decision {
    let decision = observed.decide(by);
    note(|deciding| Decided::of(observed, &decision).keep(&mut deciding.decided));
    decision
}

/// Says which plan is decided by, by the digest of its bytes.
pub(crate) fn by_plan(sha256: &str) {
    note(|deciding| deciding.plan_sha256 = Some(sha256.to_owned()));
}

fn note(what: impl FnOnce(&mut Deciding)) {
    // Outside of any step there is no record to keep it in.
    let _ = DECIDING.try_with(|deciding| what(&mut deciding.borrow_mut()));
}

/// Runs a step, and gives back what it has decided by besides its result.
pub(crate) async fn within<T>(step: impl Future<Output = T>) -> (T, Deciding) {
    let deciding = RefCell::new(Deciding::default());
    DECIDING.scope(deciding, async { (step.await, DECIDING.with(RefCell::take)) }).await
}

impl Deciding {
    /// Adds it to the body of an outcome's record.
    pub(crate) fn tell(self, body: &mut Value) {
        if let Some(sha256) = self.plan_sha256 {
            body["plan_sha256"] = json!(sha256);
        }
        if !self.decided.is_empty() {
            body["decided"] = json!(self.decided);
        }
    }
}
