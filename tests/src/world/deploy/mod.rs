//! Brings what is under test into the emulator: packages, buckets, objects, stacks.

mod bucket;
mod foundation;
mod gate;
mod package;
mod packages;
mod stack;

pub use bucket::{Bucket, create_bucket, lock_objects, upload};
pub use foundation::create_foundation;
pub use gate::create_gate;
pub use package::{Package, Packing, package};
pub use packages::upload_packages;
pub use stack::{Stack, StackFailure, StackSpec, create_stack};
