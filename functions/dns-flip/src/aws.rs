//! The calls to Route 53.

use aws_sdk_route53::Client;
use aws_sdk_route53::types::{
    Change as ApiChange, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use lifeboat_rules::dns::{Change, Found, RecordSet, fence_record, spell, wanted};
use lifeboat_rules::plan::Side;
use lifeboat_rules::{ErrorName, Plan, StepError};
use lifeboat_runtime::aws_error;

/// Pages of 300 record sets that a read takes at most.
const PAGES_MAX: usize = 200;

/// Route 53.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The client.
    pub route53: Client,
}

/// Why Route 53 refused a batch; nothing of it was applied.
#[derive(Clone, Debug)]
pub struct Rejected(pub String);

impl Zone {
    /// Everything in the zone under the names of the plan and of its fence.
    pub async fn read(&self, plan: &Plan) -> Result<Vec<Found>, StepError> {
        // Names and types are the same for either side and every epoch.
        let mut concerned = wanted(plan, Side::Recovery);
        concerned.push(fence_record(plan, Side::Recovery, 0));
        let what = || format!("list the records of {}", plan.dns.zone_id);
        let mut found = Vec::new();
        let mut from: Option<(String, Option<RrType>, Option<String>)> = None;
        for _ in 0..PAGES_MAX {
            let mut list = self.route53.list_resource_record_sets().hosted_zone_id(&plan.dns.zone_id);
            if let Some((name, kind, identifier)) = from.take() {
                list = list
                    .start_record_name(name)
                    .set_start_record_type(kind)
                    .set_start_record_identifier(identifier);
            }
            let page = list.send().await.map_err(|err| aws_error(what(), err))?;
            found.extend(page.resource_record_sets().iter().filter_map(|set| read_set(set, &concerned)));
            if !page.is_truncated() {
                return Ok(found);
            }
            let name = page.next_record_name().ok_or_else(|| {
                StepError::new(
                    ErrorName::Transient,
                    format!("{}: a truncated answer without a next name", what()),
                )
            })?;
            from = Some((
                name.to_owned(),
                page.next_record_type().cloned(),
                page.next_record_identifier().map(str::to_owned),
            ));
        }
        Err(StepError::defect(format!("{}: more than {PAGES_MAX} pages", what())))
    }

    /// Puts one batch: all of it or nothing.
    pub async fn change(
        &self,
        plan: &Plan,
        epoch: u64,
        changes: &[Change],
    ) -> Result<Result<(), Rejected>, StepError> {
        let what = || format!("change the records of {}", plan.dns.zone_id);
        let invalid = |err| StepError::caused(ErrorName::Defect, what(), err);
        let mut batch = ChangeBatch::builder().comment(format!("lifeboat {} epoch {epoch}", plan.name));
        for change in changes {
            let (action, record) = match change {
                Change::Delete(record) => (ChangeAction::Delete, record),
                Change::Create(record) => (ChangeAction::Create, record),
            };
            batch = batch.changes(
                ApiChange::builder()
                    .action(action)
                    .resource_record_set(write_set(record).map_err(invalid)?)
                    .build()
                    .map_err(invalid)?,
            );
        }
        let sent = self
            .route53
            .change_resource_record_sets()
            .hosted_zone_id(&plan.dns.zone_id)
            .change_batch(batch.build().map_err(invalid)?)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Ok(())),
            Err(err) => match err.as_service_error() {
                Some(service) if service.is_invalid_change_batch() => Ok(Err(Rejected(service.to_string()))),
                _ => Err(aws_error(what(), err)),
            },
        }
    }
}

fn read_set(set: &ResourceRecordSet, concerned: &[RecordSet]) -> Option<Found> {
    let name = spell(&set.name().replace("\\052", "*"));
    let kind = set.r#type().as_str();
    concerned.iter().find(|record| record.name == name && record.kind == kind)?;
    let values = set.resource_records().iter().map(|record| record.value().to_owned());
    let plain = set.set_identifier().is_none() && set.alias_target().is_none();
    Some(match set.ttl().and_then(|ttl| u32::try_from(ttl).ok()) {
        Some(ttl) if plain => Found::Plain(RecordSet::new(&name, kind, ttl, values)),
        _ => Found::Foreign { name, kind: kind.to_owned() },
    })
}

fn write_set(record: &RecordSet) -> Result<ResourceRecordSet, aws_sdk_route53::error::BuildError> {
    let values = record
        .values
        .iter()
        .map(|value| ResourceRecord::builder().value(value).build())
        .collect::<Result<Vec<_>, _>>()?;
    ResourceRecordSet::builder()
        .name(&record.name)
        .r#type(RrType::from(record.kind.as_str()))
        .ttl(i64::from(record.ttl))
        .set_resource_records(Some(values))
        .build()
}
