//! Which persons a run asks.

use super::{Problems, bounds};
use crate::plan::{Needed, Plan};

pub(super) fn check(plan: &Plan, found: &mut Problems) {
    let Some(approval) = &plan.approval else { return };
    found.count("approval.approvers", approval.approvers.len(), &bounds::APPROVERS, "approvers");
    for (index, approver) in approval.approvers.iter().enumerate() {
        if !is_principal(approver) {
            found.add(
                format!("approval.approvers[{index}]"),
                format!(
                    "{approver:?} is neither arn:aws:iam::<account>:user/<name> nor \
                     arn:aws:sts::<account>:assumed-role/<role>/<session>, with or without a closing `*`"
                ),
            );
        }
    }
    let one = approval.approvers.len() == 1 && !approval.approvers[0].ends_with('*');
    if one && approval.needed == Needed::Two {
        found.add("approval.approvers", "names one person, and `approval.needed` is two");
    }
    let wait = approval.wait_seconds;
    found.within("approval.wait_seconds", wait, &bounds::APPROVAL_WAIT_SECONDS, " s");
    let rto = plan.objectives.rto_seconds;
    let judged = bounds::APPROVAL_WAIT_SECONDS.contains(&wait) && bounds::RTO_SECONDS.contains(&rto);
    if judged && wait >= rto {
        found.add(
            "approval.wait_seconds",
            format!("is {wait} s, and the objective for recovery {rto} s: a run past it seals nothing"),
        );
    }
}

/// A user or a role of one account, as STS names it. An account that is left open would let anybody's in.
fn is_principal(arn: &str) -> bool {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, region, account, resource] = fields[..] else { return false };
    let of = match service {
        "iam" => "user/",
        "sts" => "assumed-role/",
        _ => return false,
    };
    let name = resource.strip_prefix(of).unwrap_or_default();
    let inner = name.strip_suffix('*').unwrap_or(name);
    arn.starts_with("arn:aws:")
        && region.is_empty()
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
        && !inner.contains('*')
        && (service == "iam" || inner.contains('/'))
}
