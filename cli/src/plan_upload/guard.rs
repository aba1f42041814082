//! Refuses an upload that would leave traffic behind: while it is on the recovery side, the hand-back goes by the plan as it
//! is uploaded then, and moves the names of that one by its strategy.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use dns_flip::Zone;
use lifeboat_rules::dns::{Fence, left_behind, names, not_on_primary};
use lifeboat_rules::plan::{Record, Side, Strategy};
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::{Context, Store, find_newest_flip};

use crate::aws;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::uploaded::plan_key;

/// Compares `plan`, with its `lists` by their keys, with the one that is uploaded. Only where that would leave something
/// behind is it asked where the traffic is.
pub(super) async fn refuse_to_leave_behind(
    config: &SdkConfig,
    bucket: &str,
    plan: &Plan,
    lists: &BTreeMap<String, Vec<u8>>,
) -> Result<(), Failure> {
    let (store, key) = (Store::new(config), plan_key(&plan.name));
    let Some(before) = stored(&store, bucket, &key).await.map_err(|error| {
        aws::step_failure(format!("could not read s3://{bucket}/{key}; nothing was stored"), &error)
    })?
    else {
        return Ok(());
    };
    let now = records(plan, lists)?;
    let left = left_behind((&before.plan, &before.records), (plan, &now));
    if left.is_empty() {
        return Ok(());
    }
    let place = match before.plan.dns.strategy {
        Strategy::Switch => by_the_flips(&store, bucket, &plan.name).await,
        Strategy::Records => by_the_zone(config, &before).await,
    };
    let place = place.map_err(|error| {
        let what = format!("could not see where the traffic of {} is; nothing was stored", plan.name);
        let failure = aws::step_failure(what, &error);
        Failure {
            cause: failure.cause.map(|cause| format!("{cause}; asked because {}", left.join("; "))),
            ..failure
        }
    })?;
    let Some(place) = place else { return Ok(()) };
    let what = format!(
        "{place}, and by this plan a hand-back of {} would not move all of it back; nothing was stored",
        plan.name
    );
    let next = "bring the traffic back first, with `lifeboat handback`; then upload this plan";
    Err(Failure { cause: Some(left.join("; ")), ..Failure::new(Exit::Halted, what, next) })
}

/// The plan that is uploaded, with the records that it moves by the strategy `records`.
struct Stored {
    plan: Plan,
    records: Vec<Record>,
}

/// `None` where there is none, or none that can be read: what replaces it cannot be worse.
async fn stored(store: &Store, bucket: &str, key: &str) -> Result<Option<Stored>, StepError> {
    let Some(bytes) = store.get(bucket, key, None).await? else { return Ok(None) };
    let read = async {
        let plan = Context::read_plan(&bytes)?;
        let records = match plan.dns.strategy {
            Strategy::Switch => vec![],
            Strategy::Records => lifeboat_runtime::records(store, bucket, &plan).await?,
        };
        Ok::<_, StepError>(Stored { plan, records })
    };
    match read.await {
        Ok(stored) => Ok(Some(stored)),
        Err(error) if error.name == ErrorName::PlanInvalid => Ok(None),
        Err(error) => Err(error),
    }
}

fn records(plan: &Plan, lists: &BTreeMap<String, Vec<u8>>) -> Result<Vec<Record>, Failure> {
    let lists = lists.iter().map(|(key, bytes)| (key.clone(), String::from_utf8_lossy(bytes).into_owned()));
    names::expand(&plan.dns, &lists.collect())
        .map_err(|error| Failure::defect("a list that was checked cannot be read").because(&error))
}

/// Where the traffic is, for a sentence, unless it is with the primary.
async fn by_the_flips(store: &Store, bucket: &str, plan: &str) -> Result<Option<String>, StepError> {
    let Some(flip) = find_newest_flip(store, bucket, plan).await?.0 else { return Ok(None) };
    Ok(match flip.object {
        Ok(object) if object.side == Side::Primary => None,
        Ok(object) => {
            Some(format!("the traffic is on the recovery side since epoch {} ({})", object.epoch, object.run))
        }
        Err(error) => Some(format!("nobody knows where the traffic is: {error}")),
    })
}

async fn by_the_zone(config: &SdkConfig, before: &Stored) -> Result<Option<String>, StepError> {
    let Stored { plan, records } = before;
    let zone = Zone::new(aws::route53(config));
    // Where nobody has flipped there is no need to read ten thousand names.
    if Fence::find(plan, &zone.read(plan, &[]).await?)?.is_none() {
        return Ok(None);
    }
    // What a version of the plan has moved need not be what the one that is uploaded would have moved.
    let count = not_on_primary(records, &zone.read(plan, records).await?);
    Ok((count > 0).then(|| format!("{count} of {} records are not on the primary", records.len())))
}
