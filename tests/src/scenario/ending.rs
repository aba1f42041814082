//! How the world stands when a timeline has been played: read from the log, the zone and the buckets themselves.

mod leases;

use std::collections::{BTreeMap, BTreeSet};

use aex::client::Client;
use aws_sdk_cloudformation::types::StackStatus;
use aws_sdk_route53::types::ResourceRecordSet;
use lifeboat_ledger::chain::Span;
use lifeboat_ledger::control::Weight;
use lifeboat_ledger::{Control, Expect, Fold, Holder, Pen, PenState, Proof, Run, Verdict, slot};
use lifeboat_rules::dns::switch::{FlipObject, pair};
use lifeboat_rules::dns::{Fence, spell};
use lifeboat_rules::epoch;
use lifeboat_rules::plan::{Record, Strategy};
use serde_json::Value;

use super::file::Side;
use super::play::health;
use crate::drill::Stage;
use crate::world::World;
use crate::world::delivery::DeliveryStream;
use crate::world::error::{Doing as _, WorldError};

/// Questions that the client has in flight when it compares its memory with the exchange.
const QUERIES_IN_FLIGHT: usize = 32;

/// How the world stands.
#[derive(Debug)]
pub struct Ending {
    /// Every epoch that was claimed: its number, the run, and the cause.
    pub epochs: Vec<(u64, String, String)>,
    /// Every epoch that has a fence object.
    pub fences: Vec<u64>,
    /// What the ledger's own proof says of the log; with leases, what its chains of hashes say.
    pub proof: Proof,
    /// Each stream.
    pub streams: BTreeMap<String, Stream>,
    /// How many records the delivery stream was told to lose, and has.
    pub lost_records: usize,
    /// Each record of the plan, and what of it is in the zone.
    pub records: Vec<(String, String)>,
    /// What says where traffic belongs.
    pub traffic: Traffic,
    /// The stacks of runs that stand: name, and the run of the tag.
    pub stacks: Vec<(String, String)>,
    /// What each exchange that was ever started says, or how it ended.
    pub exchanges: Vec<String>,
    /// What became of the members' orders; none where nobody traded.
    pub orders: Option<Orders>,
}

/// What says where traffic belongs.
#[derive(Debug)]
pub enum Traffic {
    /// By the switch: every flip that was put, the newest of which counts.
    Flips(Vec<FlipObject>),
    /// Where records are edited: the epoch of the fence in the zone.
    Fence(Option<u64>),
}

/// One stream, as its entries have it.
#[derive(Debug, Default)]
pub struct Stream {
    /// Who may write.
    pub pen: Pen,
    /// Its control entries, and whether each counts.
    pub controls: Vec<(Control, Weight)>,
    /// Of a lease: the epochs that it has closed.
    pub closed: Vec<u64>,
    /// Of a lease: whether two lines of one place and one epoch were delivered, by a process and by the one that followed it.
    pub branched: bool,
    /// Which side every epoch was open for.
    holders: BTreeMap<u64, Holder>,
    /// The orders, by sequence: id and writer's epoch.
    orders: BTreeMap<u64, (String, Option<u64>)>,
}

/// What became of the orders that the members have an acknowledgement for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Not in the log where they were acknowledged.
    pub lost: Vec<String>,
    /// In the log more than once.
    pub duplicated: Vec<String>,
    /// Acknowledged by a side that did not have the pen there.
    pub without_pen: Vec<String>,
    /// What the exchange's public query says of the same orders; none where no side serves.
    pub by_query: Option<ByQuery>,
}

/// What the exchange's public query says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ByQuery {
    /// Not found, or at another place.
    pub lost: Vec<String>,
    /// Taken more than once.
    pub duplicated: Vec<String>,
    /// No answer.
    pub unanswered: Vec<String>,
}

/// Looks at everything.
///
/// # Errors
/// Where the emulator does not answer, or an object is not what its name says.
pub async fn observe(
    world: &World,
    stage: &Stage,
    mut client: Option<&mut Client>,
) -> Result<Ending, WorldError> {
    // First: what is acknowledged after the log was read would seem to be lost.
    if let Some(client) = &mut client {
        client.stop().await;
    }
    let mut exchanges = Vec::new();
    let mut serves = false;
    for container in world.standin().containers() {
        let side = if container.region == world.primary() { Side::Primary } else { Side::Recovery };
        let name =
            format!("{} ({})", if side == Side::Primary { "primary" } else { "recovery" }, container.cluster);
        let says = match &container.ended {
            Some(how) => format!("has ended: {how}"),
            None => {
                let health = health(stage, side).await;
                serves |= health["mode"] == "serving";
                match (health["mode"].as_str(), health["epoch"].as_u64()) {
                    (Some("serving"), Some(epoch)) => format!("serves under epoch {epoch}"),
                    (Some(mode), _) => format!("is {mode}"),
                    (None, _) => "does not answer".to_owned(),
                }
            }
        };
        exchanges.push(format!("{name} {says}"));
    }
    let epochs = read_epochs(world, stage).await?;
    let (proof, streams) = match stage.plan.ledger.lease {
        None => read_log(world, stage).await?,
        Some(_) => leases::read(world, stage, &epochs).await?,
    };
    let orders = match client {
        None => None,
        Some(client) => {
            let mut orders = judge_orders(stage, client, &streams);
            if serves {
                let found = client.reconcile(QUERIES_IN_FLIGHT).await;
                let (lost, duplicated, unanswered) = (found.lost, found.duplicated, found.unanswered);
                orders.by_query = Some(ByQuery { lost, duplicated, unanswered });
            }
            Some(orders)
        }
    };
    let (records, traffic) = read_traffic(world, stage).await?;
    Ok(Ending {
        epochs,
        fences: read_fences(world, stage).await?,
        proof,
        streams,
        lost_records: stage.delivery.as_ref().map_or(0, DeliveryStream::lost),
        records,
        traffic,
        stacks: read_stacks(world).await?,
        exchanges,
        orders,
    })
}

impl Ending {
    /// What may never be, whatever a transcript says.
    pub fn wrongs(&self) -> Vec<String> {
        if self.lost_records > 0 {
            return self.wrongs_of_loss();
        }
        let mut wrongs = Vec::new();
        if self.proof.verdict != Verdict::Proven {
            let findings: Vec<_> = self.proof.findings.iter().map(ToString::to_string).collect();
            wrongs.push(format!("the proof of the log is {:?}: {}", self.proof.verdict, findings.join("; ")));
        }
        let mut wrong = |what: &str, orders: &[String]| {
            if let Some(first) = orders.first() {
                wrongs.push(format!("{} orders {what}, {first} among them", orders.len()));
            }
        };
        if let Some(orders) = &self.orders {
            wrong("acknowledged and not in the log", &orders.lost);
            wrong("taken more than once", &orders.duplicated);
            wrong("acknowledged by a side that did not have the pen", &orders.without_pen);
            if let Some(query) = &orders.by_query {
                wrong("acknowledged and unknown to the exchange that serves", &query.lost);
                wrong("taken more than once, says the exchange that serves", &query.duplicated);
                wrong("acknowledged, and the exchange that serves says nothing of them", &query.unanswered);
            }
        }
        wrongs
    }

    /// Where acknowledged records are gone for good, the one thing that may not be is to go on as if they were not.
    fn wrongs_of_loss(&self) -> Vec<String> {
        let mut wrongs = Vec::new();
        if self.proof.verdict == Verdict::Proven {
            wrongs.push("nothing acknowledged is missing: the record that was lost shows nothing".to_owned());
        }
        for (name, stream) in &self.streams {
            if let PenState::Open { epoch, holder: Holder::Recovery } = stream.pen.state() {
                wrongs.push(format!(
                    "{name} was opened under epoch {epoch}, and acknowledged records are lost"
                ));
            }
        }
        wrongs
    }
}

fn judge_orders(stage: &Stage, client: &Client, streams: &BTreeMap<String, Stream>) -> Orders {
    let mut orders = Orders::default();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, _) in streams.values().flat_map(|stream| stream.orders.values()) {
        *taken.entry(id).or_default() += 1;
    }
    orders.duplicated.extend(taken.iter().filter(|(_, times)| **times > 1).map(|(id, _)| (*id).to_owned()));
    for ack in client.acks() {
        let stream = streams.get(&ack.stream);
        let found = stream.and_then(|stream| stream.orders.get(&ack.seq));
        let Some((_, epoch)) = found.filter(|(id, _)| *id == ack.client_order_id) else {
            let (id, stream, seq) = (&ack.client_order_id, &ack.stream, ack.seq);
            orders.lost.push(format!("{id} (at {stream}, {seq}, where the log has {found:?})"));
            continue;
        };
        let side = if ack.by == stage.primary_address() { Holder::Primary } else { Holder::Recovery };
        let holder = epoch.and_then(|epoch| stream?.holders.get(&epoch).copied());
        // A duplicate's answer tells of an entry that another side may have written before.
        if !ack.duplicate && holder != Some(side) {
            orders.without_pen.push(ack.client_order_id);
        }
    }
    orders
}

async fn read_log(world: &World, stage: &Stage) -> Result<(Proof, BTreeMap<String, Stream>), WorldError> {
    let s3 = world.clients(world.recovery()).s3;
    let ledger = &stage.plan.ledger;
    let what = || "read the log".to_owned();
    let (mut fold, mut streams) = (Fold::default(), BTreeMap::<String, Stream>::new());
    let mut pages =
        s3.list_objects_v2().bucket(&ledger.bucket).prefix(&ledger.prefix).into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.doing(what)?.contents() {
            let key = object.key().unwrap_or_default();
            let Some((stream, first)) = slot::parse(&ledger.prefix, key) else { continue };
            let object = s3.get_object().bucket(&ledger.bucket).key(key).send().await.doing(what)?;
            let bytes = object.body.collect().await.doing(what)?.to_vec();
            let run = Run::of_segment(stream, first, key, &bytes);
            if let Ok(run) = &run {
                // A listing is in the order of the slots.
                streams.entry(stream.to_owned()).or_default().absorb(run, &bytes);
            }
            fold.add(run);
        }
    }
    Ok((fold.finish(&Expect::streams(&ledger.streams)).0, streams))
}

impl Stream {
    fn absorb(&mut self, run: &Run, bytes: &[u8]) {
        for span in &run.spans {
            if let Span::Control { control, .. } = span {
                if let Control::Open(open) = control {
                    self.holders.insert(open.epoch, open.holder);
                }
                let weight = self.pen.apply(control);
                self.controls.push((control.clone(), weight));
            }
        }
        for line in bytes.split(|byte| *byte == b'\n') {
            let entry: Value = serde_json::from_slice(line).unwrap_or_default();
            if let (Some(id), Some(seq)) = (entry["client_order_id"].as_str(), entry["seq"].as_u64()) {
                self.orders.insert(seq, (id.to_owned(), entry["epoch"].as_u64()));
            }
        }
    }
}

async fn read_epochs(world: &World, stage: &Stage) -> Result<Vec<(u64, String, String)>, WorldError> {
    let s3 = world.clients(world.recovery()).s3;
    let what = || "read the epochs".to_owned();
    let prefix = epoch::prefix(&stage.plan.name);
    let listed =
        s3.list_objects_v2().bucket(&stage.control_bucket).prefix(prefix).send().await.doing(what)?;
    let mut epochs = Vec::new();
    for object in listed.contents() {
        let key = object.key().unwrap_or_default();
        let object = s3.get_object().bucket(&stage.control_bucket).key(key).send().await.doing(what)?;
        let claim: epoch::Claim =
            serde_json::from_slice(&object.body.collect().await.doing(what)?.to_vec()).doing(what)?;
        let cause = serde_json::to_value(claim.cause).doing(what)?;
        epochs.push((claim.epoch, claim.run, cause.as_str().unwrap_or_default().to_owned()));
    }
    Ok(epochs)
}

async fn read_fences(world: &World, stage: &Stage) -> Result<Vec<u64>, WorldError> {
    let s3 = world.clients(world.recovery()).s3;
    let listed = s3.list_objects_v2().bucket(&stage.log_bucket).prefix(slot::FENCE_PREFIX).send().await;
    let listed = listed.doing(|| "list the fences".to_owned())?;
    Ok(listed.contents().iter().filter_map(|object| slot::parse_fence(object.key()?)).collect())
}

/// What the zone has of the plan's records, and what says where traffic belongs.
async fn read_traffic(world: &World, stage: &Stage) -> Result<(Vec<(String, String)>, Traffic), WorldError> {
    let zone = stage.record_sets(world).await?;
    let values = |name: &str, kind: &str, identifier: Option<&str>| -> BTreeSet<String> {
        let of_name = |set: &&ResourceRecordSet| {
            spell(set.name()) == spell(name)
                && set.r#type().as_str() == kind
                && set.set_identifier() == identifier
        };
        let sets = zone.iter().filter(of_name);
        sets.flat_map(|set| set.resource_records().iter().map(|record| record.value().to_owned())).collect()
    };
    let dns = &stage.plan.dns;
    let points = |record: &Record| {
        let found = values(&record.name, &record.kind.to_string(), None);
        let is = |side: &[String]| found == side.iter().cloned().collect();
        if is(&record.primary) {
            "point to primary".to_owned()
        } else if is(&record.recovery) {
            "point to recovery".to_owned()
        } else {
            format!("point to {found:?}")
        }
    };
    let is_a_pair = |record: &Record, gate: &str| {
        let halves = pair(record, gate);
        let whole = halves.iter().all(|half| {
            let identifier = half.half.as_ref().map(|half| half.identifier.as_str());
            let expected: BTreeSet<String> = half.values.iter().cloned().collect();
            values(&half.name, &half.kind, identifier) == expected
        });
        if whole { "are pairs behind the gate".to_owned() } else { "are no pairs any more".to_owned() }
    };
    let told = |record: &Record| match (dns.strategy, &dns.health_check) {
        (Strategy::Switch, Some(gate)) => is_a_pair(record, gate),
        _ => points(record),
    };
    let records = dns.records.iter().map(|record| (record.name.clone(), told(record))).collect();
    let traffic = match dns.strategy {
        Strategy::Switch => Traffic::Flips(stage.flips(world).await?),
        Strategy::Records => {
            let fence = values(&stage.plan.epoch_record(), "TXT", None);
            Traffic::Fence(fence.iter().find_map(|txt| Fence::parse(txt)).map(|fence| fence.epoch))
        }
    };
    Ok((records, traffic))
}

async fn read_stacks(world: &World) -> Result<Vec<(String, String)>, WorldError> {
    let mut stacks = Vec::new();
    let mut pages = world.clients(world.recovery()).cloudformation.describe_stacks().into_paginator().send();
    while let Some(page) = pages.next().await {
        for stack in page.doing(|| "describe the stacks".to_owned())?.stacks() {
            let run = stack.tags().iter().find(|tag| tag.key() == Some("lifeboat-run"));
            let stands = stack.stack_status() != Some(&StackStatus::DeleteComplete);
            if let (Some(name), Some(run), true) =
                (stack.stack_name(), run.and_then(|tag| tag.value()), stands)
            {
                stacks.push((name.to_owned(), run.to_owned()));
            }
        }
    }
    stacks.sort();
    Ok(stacks)
}

#[cfg(test)]
mod tests {
    use lifeboat_ledger::control::Open;

    use super::*;

    fn ending(proof: Proof) -> Ending {
        Ending {
            epochs: Vec::new(),
            fences: Vec::new(),
            proof,
            streams: BTreeMap::new(),
            lost_records: 0,
            records: Vec::new(),
            traffic: Traffic::Flips(Vec::new()),
            stacks: Vec::new(),
            exchanges: Vec::new(),
            orders: None,
        }
    }

    #[test]
    fn a_log_that_is_not_proven_is_wrong_though_nobody_traded() {
        let mut proof = Fold::default().finish(&Expect::default()).0;
        for (verdict, wrongs) in [(Verdict::Proven, 0), (Verdict::Unproven, 1), (Verdict::Broken, 1)] {
            proof.verdict = verdict;
            assert_eq!(ending(proof.clone()).wrongs().len(), wrongs, "{verdict:?}");
        }
    }

    #[test]
    fn what_was_lost_must_be_missed_and_nobody_may_go_on() {
        let mut ending = ending(Fold::default().finish(&Expect::default()).0);
        ending.lost_records = 1;
        for (verdict, wrongs) in [(Verdict::Proven, 1), (Verdict::Unproven, 0)] {
            ending.proof.verdict = verdict;
            assert_eq!(ending.wrongs().len(), wrongs, "{verdict:?}");
        }
        let mut stream = Stream::default();
        let open = Open { epoch: 2, holder: Holder::Recovery, run: "run".into() };
        stream.pen.apply(&Control::Open(open));
        ending.streams.insert("ME1".into(), stream);
        assert_eq!(ending.wrongs().len(), 1);
    }
}
