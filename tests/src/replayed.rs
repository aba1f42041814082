//! What a world's runs decided, decided again from the evidence that they have left.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lifeboat_rules::evidence::prefix;
use lifeboat_rules::replay::{Evidence, Replay, Replayed, is_needed, replay};

use crate::drill::Stage;
use crate::world::World;
use crate::world::error::{Doing as _, WorldError};

/// What a run may lack and still be replayed: a step that was cut off, or ended before it looked at anything. Everything else
/// that a run of today has decided, its evidence has to hold.
const MAY_LACK: [&str; 2] = ["it has left no outcome", "it ended with "];

/// Reads what a run has left, as far as a replay needs it.
///
/// # Errors
/// Where the emulator does not answer.
pub async fn evidence(world: &World, stage: &Stage, run: &str) -> Result<Evidence, WorldError> {
    let s3 = world.clients(world.recovery()).s3;
    let what = || format!("read the evidence of {run}");
    let of_run = prefix(&stage.plan.name, run);
    let mut objects = BTreeMap::new();
    let list = s3.list_objects_v2().bucket(&stage.evidence_bucket).prefix(&of_run);
    let mut pages = list.into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.doing(what)?.contents() {
            let key = object.key().unwrap_or_default();
            let below = key[of_run.len()..].to_owned();
            if is_needed(&below) {
                let get = s3.get_object().bucket(&stage.evidence_bucket).key(key).send();
                let bytes = get.await.doing(what)?.body.collect().await.doing(what)?.to_vec();
                objects.insert(below, bytes);
            }
        }
    }
    Ok(Evidence { run: run.to_owned(), objects })
}

/// What is wrong with the replay of `run`; nothing where all of its decisions come out as they did. The evidence is kept beside
/// the logs, for `lifeboat replay`.
///
/// # Errors
/// Where the emulator does not answer, or the folder cannot be written.
pub async fn wrongs(world: &World, stage: &Stage, run: &str) -> Result<Vec<String>, WorldError> {
    let evidence = evidence(world, stage, run).await?;
    keep(&world.run().path().join("evidence").join(run), &evidence)?;
    Ok(judge(&replay(&evidence, None)))
}

fn keep(folder: &Path, evidence: &Evidence) -> Result<(), WorldError> {
    for (key, bytes) in &evidence.objects {
        let path = folder.join(key);
        let parent = path.parent().unwrap_or(folder);
        let write = fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes));
        write.doing(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn judge(replayed: &Replayed) -> Vec<String> {
    let run = &replayed.run;
    let mut wrongs: Vec<String> =
        replayed.damage.iter().map(|damage| format!("the evidence of {run}: {damage}")).collect();
    if !replayed.is_replayable() {
        wrongs.push(format!("the run {run} cannot be replayed"));
    }
    for decision in &replayed.decisions {
        let what = match &decision.replay {
            Replay::Agrees => continue,
            Replay::NotReplayable { why } if MAY_LACK.iter().any(|may| why.starts_with(may)) => continue,
            Replay::NotReplayable { why } => why.clone(),
            Replay::Differs { recorded, today, .. } => format!("recorded {recorded}, replayed {today}"),
        };
        let rule = decision.rule.as_deref().unwrap_or("no rule");
        wrongs.push(format!("the replay of {run}, {} ({rule}): {what}", decision.state));
    }
    wrongs
}
