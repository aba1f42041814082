//! The light stage: all that a run needs, by the project's own templates and its own command, and no process of an exchange. A
//! run takes seconds on it, so it can be played hundreds of times.
//!
//! What is real: the templates, the state machine, the Lambdas, the `lifeboat` command. What stands in: the primary's entries
//! are whoever's who plays, and its health is what the same says ([`PrimaryHealth`]); the recovered exchange is a server in this process ([`exchange`]) that replays the log and says how far it
//! came, so nothing on this stage shows that a stack's application comes up; the plan has one stack with a topic in it, and
//! one record; AWS is the emulator.

pub mod exchange;
pub mod lambda;
mod look;
pub mod person;
mod plan;
mod primary;
mod replica;
pub mod runs;
mod stage;

pub use look::lines;
pub use primary::PrimaryHealth;
pub use replica::Replica;
pub use stage::{Setting, Stage};
