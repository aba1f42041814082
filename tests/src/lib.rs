//! The local world that Lifeboat is drilled and tested in, and what the drill is made of.

pub mod drill;
pub mod world;
