//! The local world that Lifeboat is drilled and tested in, and what the drill is made of.

pub mod definition;
pub mod diagram;
pub mod drill;
pub mod template;
pub mod world;
