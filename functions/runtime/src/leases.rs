//! The leases of a log whose application cannot write slots: which streams there are, and how each of them stands.

use lifeboat_ledger::lease::{self, LEASE_BYTES_MAX, LEASE_PREFIX, Lease};
use lifeboat_rules::{ErrorName, StepError};

use crate::log::{Head, Log, STREAMS_MAX};
use crate::tagged::Tagged;

impl Log<'_> {
    /// The lease of `stream` and the object that holds it; `None` where there is none.
    ///
    /// # Errors
    /// As [`crate::aws_error`]; `Defect` where the object is no lease of the stream.
    pub async fn lease(&self, stream: &str) -> Result<Option<(Lease, Tagged)>, StepError> {
        let (bucket, key) = (self.bucket(), lease::key(stream));
        let Some(tagged) = self.store().get_tagged(bucket, &key).await? else { return Ok(None) };
        let lease = Lease::parse(stream, &tagged.bytes)
            .map_err(|bad| StepError::caused(ErrorName::Defect, format!("read s3://{bucket}/{key}"), bad))?;
        Ok(Some((lease, tagged)))
    }

    /// The streams that have a lease.
    pub(crate) async fn leased(&self) -> Result<Vec<String>, StepError> {
        let found = self.store().list(self.bucket(), LEASE_PREFIX, STREAMS_MAX).await?;
        let too_large = found.iter().find(|object| object.bytes > LEASE_BYTES_MAX as u64);
        if let Some(object) = too_large {
            let what =
                format!("{} is {} bytes long; the limit is {LEASE_BYTES_MAX}", object.key, object.bytes);
            return Err(StepError::defect(what));
        }
        let streams = found.iter().filter_map(|object| object.key.strip_prefix(LEASE_PREFIX));
        // The prefix itself is the folder that a console makes, and no stream's.
        Ok(streams.filter(|stream| !stream.is_empty()).map(str::to_owned).collect())
    }

    /// The lease as the newest object of its stream: every acknowledgement advances it.
    pub(crate) async fn leased_head(&self, stream: &str) -> Result<Option<Head>, StepError> {
        let found = self.lease(stream).await?;
        Ok(found.map(|(lease, tagged)| Head {
            slot: lease.watermark,
            stored_at: tagged.stored_at,
            read_at: tagged.read_at,
        }))
    }
}
