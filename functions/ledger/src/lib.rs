//! The ledger's format and its proof, without I/O, clock or network.
//!
//! A ledger has streams, each a contiguous sequence of entries. An entry is one line of NDJSON that names its
//! stream, its sequence number and, in `prev`, the SHA-256 of the line before it. The module [`chain`] verifies
//! such lines, [`control`] holds the rule by which the pen changes hands inside the chain, [`slot`] names the
//! objects that hold them, and [`writer`] is the protocol that an application follows so that a seal fences it.

pub mod append;
pub mod chain;
pub mod checkpoint;
pub mod control;
pub mod copies;
pub mod decode;
pub mod entry;
pub mod fast;
mod finding;
pub mod format;
mod hash;
pub mod lease;
mod lines;
pub mod object;
pub mod proof;
#[cfg(test)]
mod sample;
pub mod slot;
pub mod writer;

pub use chain::{Place, Run, StreamProof, Tail};
pub use control::{Control, Holder, Pen, PenState};
pub use entry::{Entry, Fault};
pub use finding::{Finding, ObjectId, Verdict};
pub use format::{Format, Names};
pub use hash::Hash;
pub use object::{Layout, Reader};
pub use proof::{Counts, End, Expect, Fold, Proof};
