//! The second reading of what the witness holds: the same version of the same object, for its lines.

use std::ops::RangeInclusive;

use lifeboat_ledger::copies::{self, Line};
use lifeboat_ledger::{Format, ObjectId, Run, decode};
use lifeboat_rules::{ErrorName, StepError};
use lifeboat_runtime::Log;

use crate::read::patiently;

/// The most that one object of the witness decodes to; Firehose buffers 128 MiB.
const DELIVERED_BYTES_MAX: usize = 512 * 1024 * 1024;

/// An object of the witness, read whole.
pub(super) struct Object {
    decoded: Vec<u8>,
}

impl Object {
    /// Reads the version that `id` names. The inner error says why it cannot be read.
    ///
    /// # Errors
    /// `Transient`.
    pub(super) async fn read(log: &Log<'_>, id: &ObjectId) -> Result<Result<Object, String>, StepError> {
        let got = patiently(|| log.store().get(log.bucket(), &id.key, id.version.as_deref())).await;
        let bytes = match got {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Err("it is gone".into())),
            Err(err) if err.name == ErrorName::Transient => return Err(err),
            Err(err) => return Ok(Err(err.to_string())),
        };
        Ok(decode::decoded(&bytes, DELIVERED_BYTES_MAX)
            .map(|decoded| Object { decoded: decoded.into_owned() })
            .map_err(|fault| fault.to_string()))
    }

    /// Its lines of `stream` with a sequence in `range`, in the order in which they stand there.
    pub(super) fn lines(&self, stream: &str, range: &RangeInclusive<u64>) -> Vec<Line> {
        copies::lines(&Format::default(), &self.decoded, stream, range)
    }

    /// The lines of one of its pieces, in order. Another piece may hold other lines for the same places.
    ///
    /// # Errors
    /// It does not hold the piece, which is another object than was read the first time.
    pub(super) fn piece(&self, piece: &Run) -> Result<Vec<Line>, String> {
        let mut lines = self.lines(&piece.stream, &(piece.first_seq..=piece.last_seq));
        let (mut next, mut before) = (piece.first_seq, piece.first_prev);
        lines.retain(|line| {
            let follows =
                line.offset >= piece.at.offset && line.entry.seq == next && line.entry.prev == before;
            if follows {
                (next, before) = (next + 1, Some(line.entry.hash));
            }
            follows
        });
        if next == piece.last_seq + 1 && before == Some(piece.last_hash) {
            Ok(lines)
        } else {
            Err(format!("it holds other entries than it did, from {next} on"))
        }
    }
}
