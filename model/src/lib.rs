//! Every interleaving of failover, within bounds: the rules that the Lambdas and the writers call, between stores that do
//! what AWS documents, and processes that are slow, die, repeat themselves and hear nothing.
//!
//! The README of this package says what that shows and what it does not.

mod acting;
mod action;
mod answer;
mod dns;
mod explore;
mod failover;
mod ledger;
mod look;
mod memo;
mod mutant;
mod order;
mod properties;
mod request;
mod rescue;
mod start;
mod steps;
mod stores;
mod world;
mod writers;

pub use acting::{Actor, Step};
pub use explore::{Explored, explore, explore_mutant};
pub use failover::{Bounds, Moves};
pub use mutant::Mutant;
pub use order::{OF_A_HAND_BACK, OF_A_RUN};
pub use properties::names as always;
