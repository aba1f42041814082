//! The ledger's format and its proof, without I/O, clock or network.
//!
//! A ledger has streams, each a contiguous sequence of entries. An entry is one line of NDJSON that names its
//! stream, its sequence number and, in `prev`, the SHA-256 of the line before it. The module [`chain`] verifies
//! such lines, [`control`] holds the rule by which the pen changes hands inside the chain, [`slot`] names the
//! objects that hold them, and [`writer`] is the protocol that an application follows so that a seal fences it.

pub mod chain;
pub mod control;
pub mod entry;
mod finding;
mod hash;
pub mod lease;
pub mod proof;
pub mod slot;
pub mod writer;

pub use chain::{Run, StreamProof, Tail};
pub use control::{Control, Holder, Pen, PenState};
pub use entry::{Entry, Fault};
pub use finding::{Finding, Verdict};
pub use hash::Hash;
pub use proof::{Fold, Proof};
