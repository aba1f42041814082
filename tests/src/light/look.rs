//! What there is on the stage, and what its owner does to it: straight to the emulator.

use std::borrow::Borrow;

use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use lifeboat_rules::dns::RecordSet;
use lifeboat_rules::epoch;
use serde::de::DeserializeOwned;

use super::Stage;
use crate::world::error::{Doing as _, WorldError};

impl Stage {
    /// The newest epoch that is claimed; none before `lifeboat init`.
    ///
    /// # Errors
    /// Where the emulator does not answer.
    pub async fn newest_epoch(&self) -> Result<Option<u64>, WorldError> {
        let keys = self.keys(&self.control_bucket, &epoch::prefix(&self.plan.name)).await?;
        Ok(keys.iter().filter_map(|key| epoch::parse_key(&self.plan.name, key)).max())
    }

    /// Every stack of the plan's that is there: its name, its status, and the run that it says it is of.
    ///
    /// # Errors
    /// Where the emulator does not answer.
    pub async fn stacks(&self) -> Result<Vec<(String, String, String)>, WorldError> {
        let of_runs = format!("{}-cell-", self.plan.name);
        let mut found = Vec::new();
        let mut pages = self.clients.cloudformation.describe_stacks().into_paginator().send();
        while let Some(page) = pages.next().await {
            for stack in page.doing(|| "list the stacks".to_owned())?.stacks() {
                let name = stack.stack_name().unwrap_or_default();
                let status = stack.stack_status().map_or("none", |status| status.as_str());
                if !name.starts_with(&of_runs) || status == "DELETE_COMPLETE" {
                    continue;
                }
                let of = stack.tags().iter().find(|tag| tag.key() == Some("lifeboat-run"));
                let run = of.and_then(|tag| tag.value()).unwrap_or("nobody").to_owned();
                found.push((name.to_owned(), status.to_owned(), run));
            }
        }
        Ok(found)
    }

    /// The zone's record sets but its own NS and SOA.
    ///
    /// # Errors
    /// Where the emulator does not answer.
    pub async fn record_sets(&self) -> Result<Vec<ResourceRecordSet>, WorldError> {
        let listed = self.route53.list_resource_record_sets().hosted_zone_id(&self.zone_id).send().await;
        let mut sets = listed.doing(|| "list the records of the zone".to_owned())?.resource_record_sets;
        sets.retain(|set| !matches!(set.r#type(), RrType::Ns | RrType::Soa));
        Ok(sets)
    }

    /// The same, a line each, sorted.
    ///
    /// # Errors
    /// As [`Self::record_sets`].
    pub async fn zone(&self) -> Result<Vec<String>, WorldError> {
        Ok(lines(self.record_sets().await?.iter().map(|set| {
            let values = set.resource_records().iter().map(|record| record.value().to_owned());
            let ttl = u32::try_from(set.ttl().unwrap_or(0)).unwrap_or_default();
            RecordSet::new(set.name(), set.r#type().as_str(), ttl, values)
        })))
    }

    /// The exchange's owner sets up its records; Lifeboat only ever moves them.
    ///
    /// # Errors
    /// Where they are there already.
    pub async fn put_primary_records(&self) -> Result<(), WorldError> {
        let what = || "put the primary's records".to_owned();
        let mut changes = Vec::new();
        for record in &self.plan.dns.records {
            let values = record.primary.iter().map(|value| ResourceRecord::builder().value(value).build());
            let values: Result<Vec<_>, _> = values.collect();
            let set = ResourceRecordSet::builder()
                .name(&record.name)
                .r#type(RrType::from(record.kind.to_string().as_str()))
                .ttl(i64::from(record.ttl))
                .set_resource_records(Some(values.doing(what)?))
                .build()
                .doing(what)?;
            changes.push((ChangeAction::Create, set));
        }
        self.change_records(changes).await.doing(what)
    }

    /// Changes records as their owner, in one batch.
    ///
    /// # Errors
    /// Where the emulator refuses the batch.
    pub async fn change_records(
        &self,
        changes: Vec<(ChangeAction, ResourceRecordSet)>,
    ) -> Result<(), WorldError> {
        let what = || "change records".to_owned();
        let mut batch = ChangeBatch::builder();
        for (action, set) in changes {
            batch =
                batch.changes(Change::builder().action(action).resource_record_set(set).build().doing(what)?);
        }
        let change = self.route53.change_resource_record_sets().hosted_zone_id(&self.zone_id);
        change.change_batch(batch.build().doing(what)?).send().await.doing(what).map(drop)
    }

    /// Reads a JSON object.
    ///
    /// # Errors
    /// Where it is not there, or is not what is asked for.
    pub async fn json<T: DeserializeOwned>(&self, bucket: &str, key: &str) -> Result<T, WorldError> {
        let bytes = self.bytes(bucket, key).await?;
        serde_json::from_slice(&bytes).doing(|| format!("read s3://{bucket}/{key}"))
    }

    /// Reads an object.
    ///
    /// # Errors
    /// Where it is not there.
    pub async fn bytes(&self, bucket: &str, key: &str) -> Result<Vec<u8>, WorldError> {
        let what = || format!("read s3://{bucket}/{key}");
        let object = self.clients.s3.get_object().bucket(bucket).key(key).send().await.doing(what)?;
        Ok(object.body.collect().await.doing(what)?.to_vec())
    }

    /// Every key below `prefix`.
    ///
    /// # Errors
    /// Where the emulator does not answer.
    pub async fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, WorldError> {
        let mut keys = Vec::new();
        let list = self.clients.s3.list_objects_v2().bucket(bucket).prefix(prefix);
        let mut pages = list.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.doing(|| format!("list s3://{bucket}/{prefix}"))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        Ok(keys)
    }
}

/// Record sets, a line each, sorted.
pub fn lines(sets: impl IntoIterator<Item = impl Borrow<RecordSet>>) -> Vec<String> {
    let mut lines: Vec<_> = sets.into_iter().map(|set| format!("{:?}", set.borrow())).collect();
    lines.sort();
    lines
}
