//! The rules of a plan's content. [`super::Plan::validate`] says what they are for.

mod approval;
pub mod bounds;
mod dns;
mod ledger;
mod probe;
mod stacks;
mod syntax;

use std::fmt::Display;
use std::ops::RangeInclusive;

pub(crate) use syntax::{is_dns_label, is_dns_name};

use super::{Limits, Plan, Problem, Regions, Strategy};

/// Regions outside the `aws` partition: other endpoints, and Route 53 is controlled from elsewhere.
const OTHER_PARTITIONS: [&str; 4] = ["cn-", "us-gov-", "us-iso", "eusc-"];

/// Every problem, in the order of the plan.
pub(super) fn plan(plan: &Plan) -> Vec<Problem> {
    let mut found = Problems::default();
    if plan.version != bounds::VERSION {
        found.add(
            "version",
            format!("is {}, but this Lifeboat reads version {}", plan.version, bounds::VERSION),
        );
    }
    name(&plan.name, &mut found);
    regions(&plan.regions, plan.dns.strategy, &mut found);
    found.within("objectives.rto_seconds", plan.objectives.rto_seconds, &bounds::RTO_SECONDS, " s");
    probe::check(plan, &mut found);
    stacks::check(plan, &mut found);
    ledger::check(&plan.ledger, &mut found);
    dns::check(&plan.dns, &mut found);
    found.within(
        "admission.anti_flap_seconds",
        plan.admission.anti_flap_seconds,
        &bounds::ANTI_FLAP_SECONDS,
        " s",
    );
    approval::check(plan, &mut found);
    limits(&plan.limits, &mut found);
    for (index, regime) in plan.regulation.iter().enumerate() {
        if plan.regulation[..index].contains(regime) {
            found.add(format!("regulation[{index}]"), "stands in the list already");
        }
    }
    found.0
}

/// What must hold besides, once a plan is uploaded: its templates and lists are in the control bucket, by their content.
pub(super) fn uploaded(plan: &Plan) -> Vec<Problem> {
    let mut found = Problems::default();
    for (index, stack) in plan.stacks.iter().enumerate() {
        if !syntax::is_uploaded_template(&stack.template) {
            found.add(
                format!("stacks[{index}].template"),
                format!(
                    "{:?} is no uploaded template (`templates/<sha256>.yaml`); `lifeboat plan upload` stores them",
                    stack.template
                ),
            );
        }
    }
    for (index, rule) in plan.dns.names.iter().enumerate() {
        if !syntax::is_uploaded_list(&rule.list) {
            found.add(
                format!("dns.names[{index}].list"),
                format!(
                    "{:?} is no uploaded list (`names/<sha256>.txt`); `lifeboat plan upload` stores them",
                    rule.list
                ),
            );
        }
    }
    found.0
}

fn name(name: &str, found: &mut Problems) {
    if !syntax::is_plan_name(name) {
        found.add(
            "name",
            format!(
                "{name:?} must be a lower-case letter and then up to 31 lower-case letters, digits or hyphens"
            ),
        );
    }
}

fn regions(regions: &Regions, strategy: Strategy, found: &mut Problems) {
    let sides = [("regions.primary", &regions.primary), ("regions.recovery", &regions.recovery)];
    for (field, region) in sides {
        if !syntax::is_region(region) {
            found.add(field, format!("{region:?} does not look like an AWS Region, such as eu-west-1"));
        } else if OTHER_PARTITIONS.iter().any(|prefix| region.starts_with(prefix)) {
            found.add(
                field,
                format!(
                    "{region:?} is in a partition of its own, such as China or GovCloud, unknown to Lifeboat"
                ),
            );
        }
    }
    if regions.primary == regions.recovery {
        found.add("regions.recovery", "must not be the primary Region: a Region cannot stand in for itself");
    }
    if regions.primary == "us-east-1" && strategy == Strategy::Records {
        found.add(
            "regions.primary",
            "must not be us-east-1: the strategy `records` moves traffic through Route 53's control plane, which is in \
             us-east-1 and fails with it; `dns.strategy: switch` does not need it",
        );
    }
}

fn limits(limits: &Limits, found: &mut Problems) {
    found.within(
        "limits.stack_wait_seconds_max",
        limits.stack_wait_seconds_max,
        &bounds::STACK_WAIT_SECONDS,
        " s",
    );
    found.within("limits.seal_tries_max", limits.seal_tries_max, &bounds::SEAL_TRIES, " tries");
    found.within("limits.shard_entries", limits.shard_entries, &bounds::SHARD_ENTRIES, " entries");
}

/// What has been found so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem::new(field, message));
    }

    /// `unit` follows the number, with its space: `" s"`.
    fn within<T: PartialOrd + Display>(
        &mut self,
        field: impl Into<String>,
        value: T,
        bounds: &RangeInclusive<T>,
        unit: &str,
    ) {
        if !bounds.contains(&value) {
            let (least, most) = (bounds.start(), bounds.end());
            self.add(field, format!("is {value}{unit}, but must be from {least} to {most}{unit}"));
        }
    }

    /// How many items a list has.
    fn count(&mut self, field: impl Into<String>, length: usize, bounds: &RangeInclusive<usize>, what: &str) {
        let (least, most) = (*bounds.start(), *bounds.end());
        if length < least {
            self.add(field, format!("needs at least {least} {what}"));
        } else if length > most {
            self.add(field, format!("has {length} {what}, but may have {most} at most"));
        }
    }
}
