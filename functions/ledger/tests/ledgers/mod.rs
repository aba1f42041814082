//! Ledgers by the number: written, damaged, put into objects, and handed to the crate.

pub mod case;
pub mod dice;
pub mod history;
pub mod ours;

use crate::reference;
