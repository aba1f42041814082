//! The failover rules, without I/O: what a run may do is decided here, and the Lambdas observe, call a rule, execute.
//!
//! Invariant: nothing in this crate depends on an AWS SDK or on tokio, and nothing reads a clock. Every decision is a
//! function of its arguments, so that a past run can be replayed from its evidence.

pub mod admission;
pub mod approval;
pub mod decided;
pub mod dns;
pub mod epoch;
mod error;
pub mod evidence;
pub mod notices;
pub mod notification;
pub mod outage;
mod outcome;
pub mod plan;
pub mod recovered;
pub mod replay;
mod run;
pub mod stacks;
pub mod word;

pub use error::{ErrorName, StepError};
pub use outcome::Outcome;
pub use plan::Plan;
pub use run::{Mode, PlanRef, Request, Run, Step, Trigger, TriggerKind};
