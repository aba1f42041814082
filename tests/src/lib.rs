//! The local world that Lifeboat is drilled and tested in, and what the drill is made of.

pub mod command;
pub mod definition;
pub mod diagram;
pub mod drill;
pub mod given;
pub mod independence;
pub mod leased;
pub mod light;
pub mod matrix;
pub mod page;
pub mod replayed;
pub mod scale;
pub mod scenario;
pub mod template;
pub mod world;

/// The six packages of Lambdas. run-control comes first: whoever asks them in this order claims the epoch before anything bears its
/// number.
pub const FUNCTIONS: [&str; 6] =
    ["run-control", "alarm-trigger", "dns-flip", "health-check", "ledger-verify", "stack-launch"];

/// The seven Lambdas as they are deployed: dns-flip's package runs outside the network to act, and as dns-ask within it to
/// ask.
pub const DEPLOYED: [&str; 7] =
    ["run-control", "alarm-trigger", "dns-flip", "dns-ask", "health-check", "ledger-verify", "stack-launch"];
