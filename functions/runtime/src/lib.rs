//! What every Lambda needs and is no rule: clients, retries and time limits, reading the plan, the one wrapper that
//! writes evidence before and after each step, and the errors that Step Functions matches.

mod aws;
mod chain;
mod claim;
mod clock;
mod deciding;
mod error;
mod flips;
mod leases;
mod leave;
mod log;
mod names;
mod numbered;
mod serve;
mod store;
mod tagged;

pub use aws::{load_config, required_env};
pub use claim::claimed_epochs;
pub use clock::now;
pub use deciding::decide;
pub use error::aws_error;
pub use flips::{FoundFlip, NewestFlip, StoredFlip, find_newest_flip, newest_flip};
pub use leave::Left;
pub use log::{Head, Log};
pub use names::records;
pub use numbered::Found;
pub use serve::{Context, function_error, parse, serve};
pub use store::{Listed, Page, Put, Store, Streamed};
pub use tagged::{Replace, Tagged};
