//! What has to be so after each kind of drill.

use std::time::Duration;

use aws_sdk_cloudformation::types::StackStatus;
use lifeboat_ledger::{entry, slot};

use super::summary::logged_at;
use super::{Check, Sabotage, Seen, region};
use crate::replayed;
use crate::world::error::{Doing as _, WorldError};
use crate::world::proxy::Scope;
use crate::world::{ContainerState, Signal};

/// Where the open of `lifeboat init` stands.
const GENESIS_SEQ: u64 = 1;
/// For the exchange to acknowledge again.
const NEW_ACK_WITHIN: Duration = Duration::from_secs(60);
/// Between two orders sent to the zombie.
const PESTER_EVERY: Duration = Duration::from_millis(5);
/// For one order sent to the zombie.
const PESTER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long orders go on being sent to a zombie that has found out.
const PESTER_ON: Duration = Duration::from_secs(1);
/// For the zombie to find out.
const ZOMBIE_STOPS_WITHIN: Duration = Duration::from_secs(30);
/// How long the client goes on trading after a failover, so that more than the first order is tried.
const ORDERS_AFTERWARDS: usize = 500;

/// Checks what the drill came to. Waits where it must: for new acknowledgements, for the zombie to find out.
pub(crate) async fn judge(
    seen: &Seen<'_>,
    sabotage: Option<Sabotage>,
    report: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Check>, WorldError> {
    let mut checks = Vec::new();
    let outcome = match sabotage {
        None | Some(Sabotage::Zombie) => "Recovered",
        Some(Sabotage::LedgerGap) => "Broken",
        Some(Sabotage::StackFails) => "Halted",
        Some(Sabotage::FalseAlarm) => "StoodDown",
    };
    let execution = &seen.execution;
    checks.push(Check::new(
        &format!("the run ends as {outcome}"),
        execution.outcome == outcome,
        &execution.outcome,
    ));
    let wrongs = replayed::wrongs(seen.world, seen.stage, &execution.name).await?;
    let found = if wrongs.is_empty() { "all decisions agree".to_owned() } else { wrongs.join("; ") };
    checks.push(Check::new("its evidence, decided again, says the same", wrongs.is_empty(), found));
    match sabotage {
        None => recovered(seen, &mut checks).await,
        Some(Sabotage::Zombie) => {
            recovered(seen, &mut checks).await;
            zombie(seen, &mut checks, report).await?;
        }
        Some(Sabotage::LedgerGap) => ledger_gap(seen, &mut checks, report).await?,
        Some(Sabotage::StackFails) => stack_fails(seen, &mut checks, report).await?,
        Some(Sabotage::FalseAlarm) => false_alarm(seen, &mut checks, report).await?,
    }
    Ok(checks)
}

async fn recovered(seen: &Seen<'_>, checks: &mut Vec<Check>) {
    let ack = seen.client.wait_for_new_ack(NEW_ACK_WITHIN).await;
    let found = ack.map_or("none".to_owned(), |ack| format!("{} by {}", ack.client_order_id, ack.by));
    checks.push(Check::new("the client finds the recovered exchange by DNS", found != "none", found));
    let before = seen.client.counts();
    let more = seen.client.wait_for_count(before.acknowledged + ORDERS_AFTERWARDS, NEW_ACK_WITHIN).await;
    checks.push(Check::new("the client trades on", more, format!("{:?}", seen.client.counts())));
    let (primary, recovery) = (seen.world.primary(), seen.world.recovery());
    let needed = region::needed(&seen.world.proxy().calls(), seen.struck_at, primary, recovery);
    checks.push(Check::new(
        "no Lambda needed us-east-1 or the primary Region, and the recovered exchange neither",
        needed.nothing(),
        needed.to_string(),
    ));
}

async fn zombie(
    seen: &Seen<'_>,
    checks: &mut Vec<Check>,
    report: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), WorldError> {
    let primary = seen.world.primary().to_owned();
    let of_primary = |container: &ContainerState| container.region == primary;
    let refused_before = refused_puts(seen, &primary);
    seen.world.standin().signal(Signal::Continue, of_primary)?;
    report("sabotage: the old primary wakes up");
    let address = seen.stage.primary_address().to_string();
    let (enough, over) = tokio::sync::oneshot::channel();
    let pestering = tokio::spawn(pester(address.clone(), over));
    let waiting = waits_for_the_pen(&address).await;
    checks.push(Check::new(
        "the old primary stops serving by itself",
        waiting.is_ok(),
        waiting.unwrap_or_else(|last| last),
    ));
    let refused = refused_puts(seen, &primary) - refused_before;
    checks.push(Check::new("its put is refused", refused > 0, format!("{refused} answers with status 412")));
    let reason = seen
        .world
        .standin()
        .containers()
        .iter()
        .filter(|container| container.region == primary)
        .find_map(|container| last_event(container, "lost_pen"));
    checks.push(Check::new("it says why", reason.is_some(), reason.unwrap_or_default()));
    // Orders go straight to the old primary's address from the moment that it wakes up, and on for a while once it waits.
    tokio::time::sleep(PESTER_ON).await;
    let _ = enough.send(());
    let (sent, acknowledged) = pestering.await.doing(|| "send orders to the old primary".to_owned())?;
    checks.push(Check::new(
        "it acknowledges nothing",
        sent > 0 && acknowledged.is_empty(),
        format!("{sent} orders sent to it, acknowledged: {acknowledged:?}"),
    ));
    Ok(())
}

/// Waits until the exchange at `address` says that it waits for the pen, and does not serve. What it said last, otherwise.
async fn waits_for_the_pen(address: &str) -> Result<String, String> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
    let deadline = tokio::time::Instant::now() + ZOMBIE_STOPS_WITHIN;
    let mut last = "it was never asked".to_owned();
    while tokio::time::Instant::now() < deadline {
        let answer = http.get(format!("http://{address}/health")).timeout(PESTER_TIMEOUT).send().await;
        match answer {
            Ok(answer) => {
                let serves = answer.status().is_success();
                last = answer.text().await.unwrap_or_default();
                if !serves && last.contains(r#""mode":"waiting_for_open""#) {
                    return Ok(last);
                }
            }
            Err(err) => last = err.to_string(),
        }
        tokio::time::sleep(PESTER_EVERY).await;
    }
    Err(last)
}

/// Sends orders to `address` until it is `over`, and returns how many were sent and which were acknowledged.
async fn pester(address: String, mut over: tokio::sync::oneshot::Receiver<()>) -> (usize, Vec<String>) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
    let (mut sent, mut acknowledged) = (0_usize, Vec::new());
    while over.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
        let id = format!("to-the-zombie-{sent}");
        let order = serde_json::json!({ "client_order_id": id, "symbol": "AAPL", "side": "buy", "price": 100, "quantity": 1 });
        match http.post(format!("http://{address}/orders")).json(&order).timeout(PESTER_TIMEOUT).send().await
        {
            Ok(answer) if answer.status().is_success() => acknowledged.push(id),
            Ok(_) | Err(_) => {}
        }
        sent += 1;
        tokio::time::sleep(PESTER_EVERY).await;
    }
    (sent, acknowledged)
}

/// Puts of the exchange in `origin` that S3 answered with 412.
fn refused_puts(seen: &Seen<'_>, origin: &str) -> usize {
    let calls = seen.world.proxy().calls_in(&Scope::origin(origin));
    calls.iter().filter(|record| record.call.method == "PUT" && record.status == Some(412)).count()
}

fn last_event(container: &ContainerState, event: &str) -> Option<String> {
    logged_at(&container.log, event)?;
    let text = std::fs::read_to_string(&container.log).ok()?;
    text.lines().rev().find(|line| line.contains(event)).map(str::to_owned)
}

async fn ledger_gap(
    seen: &Seen<'_>,
    checks: &mut Vec<Check>,
    report: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), WorldError> {
    let reason = &seen.execution.reason;
    let (stream, slot) =
        seen.removed.as_ref().ok_or_else(|| WorldError::failed("judge the gap", "nothing was removed"))?;
    checks.push(Check::new(
        "the reason names the stream and the sequence",
        reason.contains(&format!("stream {stream}, sequence {slot},")) && reason.contains("missing"),
        reason,
    ));
    nothing_was_done(seen, checks).await?;
    primary_goes_on(seen, checks, report).await
}

/// Nothing fenced the primary: let go on, it acknowledges as before.
async fn primary_goes_on(
    seen: &Seen<'_>,
    checks: &mut Vec<Check>,
    report: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), WorldError> {
    let primary = seen.world.primary().to_owned();
    let at = crate::world::now();
    seen.world.standin().signal(Signal::Continue, |container| container.region == primary)?;
    report("the primary is let go on");
    let before = seen.client.counts().acknowledged;
    let trades = seen.client.wait_for_count(before + ORDERS_AFTERWARDS, NEW_ACK_WITHIN).await;
    let by_primary = seen
        .client
        .acks()
        .into_iter()
        .filter(|ack| ack.wall > at)
        .all(|ack| ack.by.ip().to_string() == seen.stage.plan.dns.records[0].primary[0]);
    checks.push(Check::new(
        "the primary is not fenced: it acknowledges again",
        trades && by_primary,
        format!("{:?}", seen.client.counts()),
    ));
    Ok(())
}

async fn stack_fails(
    seen: &Seen<'_>,
    checks: &mut Vec<Check>,
    report: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), WorldError> {
    let reason = &seen.execution.reason;
    checks.push(Check::new(
        "the reason names the first resource that failed",
        reason.contains("FeedIsUp (AWS::CloudFormation::WaitCondition)"),
        reason,
    ));
    nothing_was_done(seen, checks).await?;
    primary_goes_on(seen, checks, report).await
}

async fn false_alarm(
    seen: &Seen<'_>,
    checks: &mut Vec<Check>,
    report: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), WorldError> {
    let key = lifeboat_rules::evidence::manifest_key("aex", &seen.execution.name);
    let manifest = seen.stage.evidence(seen.world, &key).await?;
    let recorded = manifest["facts"]["outage"]["verdict"].as_str().unwrap_or_default().to_owned();
    checks.push(Check::new("what was seen is recorded", recorded == "PrimaryHealthy", recorded));
    checks.push(Check::new(
        "no epoch was claimed",
        manifest["admitted"]["epoch"].is_null(),
        manifest["admitted"]["epoch"].to_string(),
    ));
    nothing_was_done(seen, checks).await?;
    primary_goes_on(seen, checks, report).await
}

/// No seal, no fence, no stack of a run, no flip, and the zone as it was.
async fn nothing_was_done(seen: &Seen<'_>, checks: &mut Vec<Check>) -> Result<(), WorldError> {
    let zone = seen.stage.zone(seen.world).await?;
    checks.push(Check::new(
        "DNS is unchanged",
        zone == seen.zone_before,
        format!("{} record sets", zone.len()),
    ));

    let flips = seen.stage.flips(seen.world).await?;
    checks.push(Check::new("nobody has moved the traffic", flips.is_empty(), format!("{flips:?}")));

    let recovery = seen.world.clients(seen.world.recovery());
    let mut stacks = Vec::new();
    let mut pages = recovery.cloudformation.describe_stacks().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.doing(|| "describe the stacks".to_owned())?;
        let left = page.stacks().iter().filter(|stack| {
            stack.tags().iter().any(|tag| tag.key() == Some("lifeboat-run"))
                && stack.stack_status() != Some(&StackStatus::DeleteComplete)
        });
        stacks.extend(left.filter_map(|stack| stack.stack_name()).map(str::to_owned));
    }
    checks.push(Check::new("no stack of the run is left", stacks.is_empty(), format!("{stacks:?}")));

    let fences =
        recovery.s3.list_objects_v2().bucket(&seen.stage.log_bucket).prefix(slot::FENCE_PREFIX).send().await;
    let fences = fences.doing(|| "list the fences".to_owned())?.contents().len();
    checks.push(Check::new("no fence was put", fences == 0, format!("{fences} fences")));
    let mut seals = Vec::new();
    for stream in &seen.stage.plan.ledger.streams {
        seals.extend(controls_after_genesis(seen, stream).await?);
    }
    checks.push(Check::new("no stream was sealed", seals.is_empty(), format!("{seals:?}")));
    Ok(())
}

/// The control entries of a stream but for its first entry, read from the log itself.
async fn controls_after_genesis(seen: &Seen<'_>, stream: &str) -> Result<Vec<String>, WorldError> {
    let s3 = seen.world.clients(seen.world.recovery()).s3;
    let ledger = &seen.stage.plan.ledger;
    let prefix = slot::stream_prefix(&ledger.prefix, stream);
    let what = || format!("read the log of {stream}");
    let mut found = Vec::new();
    let mut pages = s3.list_objects_v2().bucket(&ledger.bucket).prefix(&prefix).into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.doing(what)?.contents() {
            let key = object.key().unwrap_or_default();
            // A control entry is a segment of its own and a short one; only those need to be read.
            if object.size().unwrap_or(0) > 1_024 {
                continue;
            }
            let object = s3.get_object().bucket(&ledger.bucket).key(key).send().await.doing(what)?;
            let bytes = object.body.collect().await.doing(what)?.to_vec();
            let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let entry = entry::parse(line).doing(what)?;
            found
                .extend(entry.control.filter(|_| entry.seq > GENESIS_SEQ).map(|control| control.to_string()));
        }
    }
    Ok(found)
}
