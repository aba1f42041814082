//! AEX, a small exchange that survives its Region: the example of how an application links the ledger.
//!
//! Read [`sequencer`] first: it is the writer's protocol of [`lifeboat_ledger::writer`] put to work. [`engine`] is the
//! business that it serves, pure and deterministic; [`replica`] is what the stored entries amount to, and all that the
//! public sees; [`client`] is a client that trades without pause and remembers each acknowledgement.

pub mod app;
mod backoff;
pub mod book;
pub mod client;
mod clock;
pub mod commit;
pub mod config;
pub mod engine;
pub mod event;
pub mod fence;
pub mod gateway;
pub mod ids;
mod log;
pub mod order;
pub mod replica;
pub mod sequencer;
pub mod status;
pub mod store;
pub mod witness;
