use jiff::Timestamp;

/// The edge at which Lambdas read the clock; everything further in takes the time as an argument.
#[expect(clippy::disallowed_methods, reason = "this is the edge")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
