//! How the plan stands, read from the log, the buckets, the zone and CloudFormation themselves: no Lambda is asked, and nothing
//! passes the proxy.

use std::collections::BTreeMap;

use hickory_proto::rr::RecordType;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use lifeboat_ledger::{Expect, Fold, PenState, Run, Verdict, slot};
use lifeboat_rules::dns::switch::{self, FlipObject};
use lifeboat_rules::dns::{Fence, spell};
use lifeboat_rules::evidence::verify::{MANIFEST, Object, Verdict as Evidence};
use lifeboat_rules::evidence::{Manifest, manifest_key};
use lifeboat_rules::plan::{Side, Strategy};

use super::ground::Ground;
use super::primary::Primary;
use crate::light::{Replica, Stage};
use crate::world::World;
use crate::world::error::{Doing as _, WorldError};

/// How the plan stands.
#[derive(Debug)]
pub(super) struct Seen {
    /// What the ledger's own proof says of the log.
    pub(super) proof: Verdict,
    /// What it found.
    pub(super) findings: Vec<String>,
    /// Segments that the primary was told are stored, and that are not there, or not as it put them.
    pub(super) lost: Vec<String>,
    /// Who may write to each stream.
    pub(super) pens: Vec<PenState>,
    /// Where traffic belongs, by what says so: the newest flip, or the fence and the records. None where these contradict
    /// each other.
    pub(super) traffic: Option<Side>,
    /// The epoch that has moved it; 0 where none has.
    pub(super) moved_by: u64,
    /// Where every name answers from; none where they answer otherwise.
    pub(super) answers: Option<Side>,
    /// The stacks of runs: name and run.
    pub(super) stacks: Vec<(String, String)>,
}

impl Seen {
    pub(super) async fn look(ground: &Ground, stage: &Stage, primary: &Primary) -> Result<Seen, WorldError> {
        let (proof, findings, objects) = read_log(stage).await?;
        let lost = primary.acknowledged().iter();
        let lost = lost.filter(|(key, bytes)| objects.get(*key) != Some(*bytes)).map(|(key, _)| key.clone());
        let pens = pens(stage).await?;
        let (traffic, moved_by) = traffic(stage).await?;
        let stacks = stage.stacks().await?.into_iter().map(|(name, _, run)| (name, run)).collect();
        let answers = answers(&ground.world, stage).await?;
        Ok(Seen { proof, findings, lost: lost.collect(), pens, traffic, moved_by, answers, stacks })
    }
}

/// The manifest of a run, where it has left one.
pub(super) async fn manifest(stage: &Stage, run: &str) -> Result<Option<Manifest>, WorldError> {
    let key = manifest_key(&stage.plan.name, run);
    let there = stage.keys(&stage.evidence_bucket, &key).await?.contains(&key);
    if there { stage.json(&stage.evidence_bucket, &key).await.map(Some) } else { Ok(None) }
}

/// What `lifeboat evidence verify` finds wrong with what any run or person of the plan has left, by the run. A run with a
/// manifest must be signed, but one that `may_be_unsigned`, and a command of a person.
pub(super) async fn evidence(
    stage: &Stage,
    may_be_unsigned: Option<&str>,
) -> Result<Vec<String>, WorldError> {
    let prefix = format!("{}/", stage.plan.name);
    let mut runs: BTreeMap<String, BTreeMap<String, Object>> = BTreeMap::new();
    for key in stage.keys(&stage.evidence_bucket, &prefix).await? {
        let Some((run, below)) = key.strip_prefix(&prefix).and_then(|rest| rest.split_once('/')) else {
            return Ok(vec![format!("{key} is of no run")]);
        };
        let object = Object::new(below, stage.bytes(&stage.evidence_bucket, &key).await?);
        runs.entry(run.to_owned()).or_default().insert(below.to_owned(), object);
    }
    let mut wrongs = Vec::new();
    for (run, objects) in runs {
        let verified = lifeboat::evidence::judge(&objects, None);
        let mut must = |holds: bool, what: String| {
            if !holds {
                wrongs.push(format!("the evidence of {run}: {what}"));
            }
        };
        must(verified.wrong.is_empty(), format!("{:?}", verified.wrong));
        must(
            (verified.verdict == Evidence::Open) != objects.contains_key(MANIFEST),
            "open with a manifest".to_owned(),
        );
        let signed = verified.signed_by.is_some() || !objects.contains_key(MANIFEST);
        must(signed || verified.records == 0 || may_be_unsigned == Some(&run), "it is not signed".to_owned());
    }
    Ok(wrongs)
}

type Log = (Verdict, Vec<String>, BTreeMap<String, Vec<u8>>);

async fn read_log(stage: &Stage) -> Result<Log, WorldError> {
    let (ledger, mut fold, mut objects) = (&stage.plan.ledger, Fold::default(), BTreeMap::new());
    for key in stage.keys(&ledger.bucket, &ledger.prefix).await? {
        let Some((stream, first)) = slot::parse(&ledger.prefix, &key) else { continue };
        let bytes = stage.bytes(&ledger.bucket, &key).await?;
        fold.add(Run::of_segment(stream, first, &key, &bytes));
        objects.insert(key, bytes);
    }
    let proof = fold.finish(&Expect::streams(&ledger.streams)).0;
    Ok((proof.verdict, proof.findings.iter().map(ToString::to_string).collect(), objects))
}

/// Who may write to each stream.
pub(super) async fn pens(stage: &Stage) -> Result<Vec<PenState>, WorldError> {
    let mut pens = Vec::new();
    for stream in &stage.plan.ledger.streams {
        let mut replica = Replica::new(stage.store(), stream);
        replica.read_on().await?;
        pens.push(replica.tail().pen().state().clone());
    }
    Ok(pens)
}

async fn traffic(stage: &Stage) -> Result<(Option<Side>, u64), WorldError> {
    let (plan, dns) = (&stage.plan.name, &stage.plan.dns);
    if dns.strategy == Strategy::Switch {
        // Twenty digits: the last key is that of the newest epoch.
        let newest = stage.keys(&stage.control_bucket, &switch::prefix(plan)).await?.pop();
        let Some(key) = newest else { return Ok((Some(Side::Primary), 0)) };
        let flip: FlipObject = stage.json(&stage.control_bucket, &key).await?;
        return Ok((Some(flip.side), flip.epoch));
    }
    let sets = stage.record_sets().await?;
    let values = |name: &str, kind: &str| -> Vec<String> {
        let of_name =
            sets.iter().filter(|set| spell(set.name()) == spell(name) && set.r#type().as_str() == kind);
        of_name
            .flat_map(|set| set.resource_records().iter().map(|record| record.value().to_owned()))
            .collect()
    };
    let fence = values(&stage.plan.epoch_record(), "TXT").iter().find_map(|txt| Fence::parse(txt));
    let points_to = |side: Side| {
        dns.records.iter().all(|record| values(&record.name, &record.kind.to_string()) == record.values(side))
    };
    let side = [Side::Primary, Side::Recovery].into_iter().find(|side| points_to(*side));
    Ok((side, fence.map_or(0, |fence| fence.epoch)))
}

async fn answers(world: &World, stage: &Stage) -> Result<Option<Side>, WorldError> {
    world.dns().settled().await;
    let resolver = resolver(world)?;
    let mut sides = Vec::new();
    for record in &stage.plan.dns.records {
        let asked = resolver.lookup(format!("{}.", record.name), RecordType::A).await;
        let asked = asked.doing(|| format!("ask for {}", record.name))?;
        let values: Vec<String> = asked.answers().iter().map(|answer| answer.data.to_string()).collect();
        sides.push([Side::Primary, Side::Recovery].into_iter().find(|side| record.values(*side) == values));
    }
    sides.dedup();
    Ok(if let [side] = sides[..] { side } else { None })
}

fn resolver(world: &World) -> Result<TokioResolver, WorldError> {
    let (at, mut connection) = (world.dns_address(), ConnectionConfig::udp());
    connection.port = at.port();
    let server = NameServerConfig::new(at.ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().cache_size = 0;
    builder.build().doing(|| "make a resolver".to_owned())
}
