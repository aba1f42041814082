//! One put that advances a lease: the same again until its outcome is known.

use std::time::Duration;

use lifeboat_ledger::Hash;
use lifeboat_ledger::lease::{Advance, LeaseWriter, Refused};
use lifeboat_rules::StepError;
use lifeboat_runtime::{Replace, Store};
use tokio::time::sleep;

/// Between two tries.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What became of one try.
enum Put {
    Stored(String),
    Refused(Option<(Vec<u8>, String)>),
}

/// Advances the lease of `writer` to `through`, the place of the entry whose hash is `head`. While the store does not answer this
/// goes on.
///
/// # Errors
/// The lease is lost, or never was this writer's: why.
pub async fn advance(
    store: &Store,
    bucket: &str,
    writer: &mut LeaseWriter,
    through: u64,
    head: Hash,
) -> Result<(), String> {
    let Some(advance) = writer.advance(through, head).map_err(|why| why.to_string())? else {
        return Ok(());
    };
    loop {
        match put(store, bucket, &advance).await {
            Ok(Put::Stored(etag)) => {
                writer.stored(advance, etag);
                return Ok(());
            }
            Ok(Put::Refused(found)) => {
                let found = found.as_ref().map(|(bytes, etag)| (bytes.as_slice(), etag.as_str()));
                return match writer.refused(advance, found) {
                    Refused::Mine => Ok(()),
                    Refused::Lost(why) => Err(why),
                };
            }
            // Stored or not, nobody knows: the same put tells.
            Err(_) => sleep(AGAIN_AFTER).await,
        }
    }
}

async fn put(store: &Store, bucket: &str, advance: &Advance) -> Result<Put, StepError> {
    let Advance { key, bytes, if_match, .. } = advance;
    Ok(match store.replace(bucket, key, if_match, bytes).await? {
        Replace::Replaced => {
            let found = store.get_tagged(bucket, key).await?;
            // Taken over since: it was stored all the same, and the next put is refused.
            let own = found.filter(|found| found.bytes == *bytes);
            Put::Stored(own.map_or_else(|| if_match.clone(), |own| own.etag))
        }
        Replace::Differs(found) => Put::Refused(found.map(|found| (found.bytes, found.etag))),
    })
}
