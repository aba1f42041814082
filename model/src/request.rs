//! What is sent to a store, by whom, and what clients were told.

use crate::acting::Actor;
use crate::memo::Blob;

/// An application's writer of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Writing {
    /// How much of the stream it has read or written.
    pub read: usize,
    /// Whether it has lost the pen, or its memory, and has to read on before it writes.
    pub out: bool,
}

/// A request to a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// Create the epoch's object.
    Claim(u64, Actor),
    /// Create the epoch's stack.
    Launch(u64, Actor),
    /// Delete the epoch's stack, which has been seen to be the actor's.
    Undo(u64, Actor),
    /// Create the epoch's fence.
    Fence(u64),
    /// Create an object of a stream: the control entry of an actor, or a side's data.
    Put(usize, usize, Blob, Author),
    /// Create the epoch's flip.
    Flip(u64, Actor),
    /// Change the zone.
    Batch(u64, Actor, Blob),
    /// Create the manifest.
    Manifest(Actor, u8),
}

/// Whose object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Author {
    /// A run's or a person's, under this epoch.
    Actor(u64, Actor),
    /// The primary's writer.
    Primary,
    /// The recovery side's writer of this epoch.
    Recovery(u64),
}

/// An entry that a client was told is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acknowledged {
    /// The stream.
    pub stream: usize,
    /// How many objects come before it.
    pub at: usize,
    /// The entry.
    pub blob: Blob,
    /// Who told.
    pub by: Author,
}
