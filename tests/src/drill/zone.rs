//! The records of the stage: made beforehand, and looked at afterwards.

use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use lifeboat_rules::dns::switch::{self, FlipObject};
use lifeboat_rules::plan::{Record, Strategy};

use super::Stage;
use super::stage::succeeded;
use crate::world::World;
use crate::world::error::{Doing as _, WorldError};

impl Stage {
    /// The exchange's owner sets up its records; under the switch a person makes failover pairs of them.
    ///
    /// # Errors
    /// Where the emulator does not take them, or the `lifeboat` command fails; its output is in the error.
    pub(super) async fn put_records(&self, world: &World) -> Result<(), WorldError> {
        let what = || "create the primary's records".to_owned();
        let mut batch = ChangeBatch::builder();
        for record in &self.plan.dns.records {
            let set = primary(record).doing(what)?;
            let change = Change::builder().action(ChangeAction::Create).resource_record_set(set).build();
            batch = batch.changes(change.doing(what)?);
        }
        let batch = batch.build().doing(what)?;
        let change = world.clients("us-east-1").route53.change_resource_record_sets();
        change.hosted_zone_id(&self.zone_id).change_batch(batch).send().await.doing(what)?;
        if self.plan.dns.strategy == Strategy::Switch {
            let prepare = ["dns", "prepare", "--plan", &self.plan.name, "--yes"];
            succeeded("lifeboat dns prepare", &self.lifeboat(world, &prepare).await?)?;
        }
        world.dns().settled().await;
        Ok(())
    }

    /// Every record set of the zone, one line each, sorted.
    ///
    /// # Errors
    /// Where the emulator does not answer.
    pub async fn zone(&self, world: &World) -> Result<Vec<String>, WorldError> {
        let sets = self.record_sets(world).await?;
        let mut zone: Vec<String> = sets
            .iter()
            .map(|set| {
                let values: Vec<_> = set.resource_records().iter().map(|record| record.value()).collect();
                let half = set.failover().map_or("", |half| half.as_str());
                let check = set.health_check_id().unwrap_or_default();
                format!("{} {} {half} {check} {}", set.name(), set.r#type().as_str(), values.join(" "))
            })
            .collect();
        zone.sort();
        Ok(zone)
    }

    /// Every record set of the zone, which is a small one.
    ///
    /// # Errors
    /// Where the emulator does not answer, or has more than it tells at once.
    pub async fn record_sets(&self, world: &World) -> Result<Vec<ResourceRecordSet>, WorldError> {
        let what = || "list the zone".to_owned();
        let list = world.clients("us-east-1").route53.list_resource_record_sets();
        let listed = list.hosted_zone_id(&self.zone_id).send().await.doing(what)?;
        match listed.is_truncated() {
            false => Ok(listed.resource_record_sets),
            true => Err(WorldError::failed(what(), "it has more than one page")),
        }
    }

    /// Every flip that was ever put, in the order of their epochs.
    ///
    /// # Errors
    /// Where the emulator does not answer, or one is no flip.
    pub async fn flips(&self, world: &World) -> Result<Vec<FlipObject>, WorldError> {
        let s3 = world.clients(world.recovery()).s3;
        let what = || "read the flips".to_owned();
        let prefix = switch::prefix(&self.plan.name);
        let listed =
            s3.list_objects_v2().bucket(&self.control_bucket).prefix(prefix).send().await.doing(what)?;
        let mut flips = Vec::new();
        for key in listed.contents().iter().filter_map(|object| object.key()) {
            let object = s3.get_object().bucket(&self.control_bucket).key(key).send().await.doing(what)?;
            let bytes = object.body.collect().await.doing(what)?.to_vec();
            flips.push(serde_json::from_slice(&bytes).doing(what)?);
        }
        Ok(flips)
    }
}

/// The record as it is while the primary serves, and nothing has prepared it for anything else.
fn primary(record: &Record) -> Result<ResourceRecordSet, aws_sdk_route53::error::BuildError> {
    let values = record.primary.iter().map(|value| ResourceRecord::builder().value(value).build());
    ResourceRecordSet::builder()
        .name(&record.name)
        .r#type(RrType::from(record.kind.to_string().as_str()))
        .ttl(i64::from(record.ttl))
        .set_resource_records(Some(values.collect::<Result<_, _>>()?))
        .build()
}
