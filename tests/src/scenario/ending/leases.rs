//! The ledger of an application with leases, as its leases and its deliveries have it: read back by hashes, with no line of the
//! proof that it is compared with.

use std::collections::BTreeMap;

use lifeboat_ledger::{Expect, Finding, Fold, Holder, Proof, Verdict};
use lifeboat_runtime::{Log, Store};

use super::Stream;
use crate::drill::Stage;
use crate::leased::chain::Delivered;
use crate::world::World;
use crate::world::error::{Doing as _, WorldError};

/// Every stream, and whether all that was acknowledged was delivered. `epochs` as they were claimed: number, run and cause.
///
/// # Errors
/// Where the emulator does not answer, or a stream has no lease.
pub(super) async fn read(
    world: &World,
    stage: &Stage,
    epochs: &[(u64, String, String)],
) -> Result<(Proof, BTreeMap<String, Stream>), WorldError> {
    let store = Store::new(&world.clients(world.recovery()).config);
    let ledger = &stage.plan.ledger;
    let log = Log::new(&store, ledger);
    let mut leases = Vec::new();
    for name in &ledger.streams {
        let what = || format!("read the lease of {name}");
        let lease = log.lease(name).await.doing(what)?;
        let (lease, _) = lease.ok_or_else(|| WorldError::failed(what(), "there is none"))?;
        leases.push(lease);
    }
    // After the leases: what they name was accepted before, and is delivered now unless it was lost.
    if let Some(delivery) = &stage.delivery {
        delivery.flush().await?;
    }
    let mut delivered = Delivered::default();
    let read = delivered.read_on(&store, &ledger.bucket, &ledger.prefix).await;
    read.doing(|| "read what was delivered".to_owned())?;

    let mut proof = Fold::default().finish(&Expect::default()).0;
    proof.verdict = Verdict::Proven;
    let mut streams = BTreeMap::new();
    for lease in leases {
        let mut stream = Stream {
            pen: lease.pen(),
            holders: holders(epochs),
            closed: lease.closed.iter().map(|closed| closed.epoch).collect(),
            ..Stream::default()
        };
        match delivered.back(&lease.stream, lease.watermark, lease.head) {
            Ok(chain) => {
                stream.branched = delivered.is_branched(&lease.stream);
                let orders = chain
                    .iter()
                    .filter_map(|line| Some((line.seq, (line.client_order_id.clone()?, Some(line.epoch)))));
                stream.orders = orders.collect();
            }
            Err(missing) => {
                proof.verdict = Verdict::Unproven;
                proof.findings.push(Finding::unproven(&lease.stream, Some(missing.seq), missing.to_string()));
            }
        }
        streams.insert(lease.stream.clone(), stream);
    }
    Ok((proof, streams))
}

/// Which side each epoch was opened for, if it was.
fn holders(epochs: &[(u64, String, String)]) -> BTreeMap<u64, Holder> {
    let side = |cause: &str| match cause {
        "genesis" | "hand_back" => Holder::Primary,
        _ => Holder::Recovery,
    };
    epochs.iter().map(|(epoch, _, cause)| (*epoch, side(cause))).collect()
}
