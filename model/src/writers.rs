//! The applications' writers: [`lifeboat_ledger::writer::Writer`] decides, and clients are told.
//!
//! A writer that sleeps is one that does nothing for a while, so nobody has to be put to sleep here.

use lifeboat_ledger::{Holder, PenState};

use crate::action::Fault;
use crate::failover::Failover;
use crate::ledger;
use crate::memo::Blob;
use crate::mutant::Mutant;
use crate::request::{Acknowledged, Author, Request, Writing};
use crate::stores::{Reply, serve, stack};
use crate::world::World;

/// A writer's side, the epoch that it was launched under, and the number of the order that it is at.
fn identity(world: &World, author: Author) -> (Holder, Option<u64>, u8) {
    match author {
        Author::Recovery(epoch) => (Holder::Recovery, Some(epoch), world.recovery_orders),
        _ => (Holder::Primary, None, world.primary_orders),
    }
}

fn writing(world: &World, author: Author, stream: usize) -> Option<Writing> {
    match author {
        Author::Recovery(epoch) => world.recovery.get(&epoch).map(|writers| writers[stream]),
        _ => Some(world.primary[stream]),
    }
}

fn writing_mut(world: &mut World, author: Author, stream: usize) -> &mut Writing {
    match author {
        Author::Recovery(epoch) => {
            let writers = world.recovery.get_mut(&epoch).expect("a writer that has begun");
            &mut writers[stream]
        }
        _ => &mut world.primary[stream],
    }
}

/// How many orders a side gets.
fn orders(model: &Failover, author: Author) -> u8 {
    match author {
        Author::Recovery(_) => model.bounds.recovery_orders,
        _ => model.bounds.primary_orders,
    }
}

fn answered(world: &mut World, author: Author) {
    match author {
        Author::Recovery(_) => world.recovery_orders += 1,
        _ => world.primary_orders += 1,
    }
}

/// The put that a writer has in flight, or will send next; `None` where it has no pen as far as it knows, or no order.
pub(crate) fn request(model: &Failover, world: &World, author: Author, stream: usize) -> Option<Request> {
    let (side, epoch, order) = identity(world, author);
    let Writing { read, out } = writing(world, author, stream)?;
    if out || order >= orders(model, author) {
        return None;
    }
    let objects = known(world, stream, read)?;
    let blob = ledger::segment(stream, &objects, side, epoch, order)?;
    Some(Request::Put(stream, read, blob, author))
}

/// The objects that a writer has read, as they lie there now.
fn known(world: &World, stream: usize, read: usize) -> Option<Vec<Blob>> {
    world.log[stream].get(..read)?.iter().copied().collect()
}

/// The put is served, and the writer told, as `fault` has it.
pub(crate) fn write(
    model: &Failover,
    world: &mut World,
    author: Author,
    stream: usize,
    fault: Fault,
) -> Option<()> {
    let request = request(model, world, author, stream)?;
    let Request::Put(_, at, blob, _) = request else { return None };
    match fault {
        Fault::None => {}
        Fault::AnswerLost => {
            // It sends the same again.
            serve(model, world, &request);
            return Some(());
        }
        Fault::Late => {
            // It dies with the put under way, and reads the stream again when it is back.
            world.late.push(request);
            writing_mut(world, author, stream).out = true;
            answered(world, author);
            return Some(());
        }
        Fault::Twice => world.late.push(request.clone()),
    }
    match serve(model, world, &request) {
        Reply::Done => stored(world, author, stream, at, blob),
        Reply::Taken(found) => {
            let (side, epoch, order) = identity(world, author);
            let objects = known(world, stream, at)?;
            let mine = model.mutant != Some(Mutant::TakenIsLost)
                && ledger::is_mine(stream, &objects, side, epoch, order, found);
            if mine {
                stored(world, author, stream, at, blob);
            } else {
                world.refused.push(blob);
                writing_mut(world, author, stream).out = true;
                answered(world, author);
            }
        }
        Reply::Held(_) | Reply::Rejected => return None,
    }
    Some(())
}

/// The client is told.
fn stored(world: &mut World, author: Author, stream: usize, at: usize, blob: Blob) {
    writing_mut(world, author, stream).read = at + 1;
    world.acknowledged.push(Acknowledged { stream, at, blob, by: author });
    world.acknowledged.sort();
    answered(world, author);
}

/// Mutant: the second of two puts in flight arrives, before the first.
pub(crate) fn write_ahead(model: &Failover, world: &mut World, stream: usize) -> Option<()> {
    let author = Author::Primary;
    let Request::Put(_, at, first, _) = request(model, world, author, stream)? else { return None };
    let (side, epoch, order) = identity(world, author);
    let mut objects = known(world, stream, at)?;
    objects.push(first);
    let second = ledger::segment(stream, &objects, side, epoch, order + 1)?;
    if serve(model, world, &Request::Put(stream, at + 1, second, author)) != Reply::Done {
        return None;
    }
    world.acknowledged.push(Acknowledged { stream, at: at + 1, blob: second, by: author });
    world.late.push(Request::Put(stream, at, first, author));
    writing_mut(world, author, stream).out = true;
    world.primary_orders = orders(model, author);
    Some(())
}

/// A writer that has lost the pen or its memory reads on, and finds that it may write.
pub(crate) fn resume(world: &mut World, author: Author, stream: usize) -> Option<()> {
    let (side, epoch, _) = identity(world, author);
    let writing = writing(world, author, stream)?;
    let objects = world.stream(stream);
    if !writing.out || !ledger::has_pen(stream, &objects, side, epoch) {
        return None;
    }
    *writing_mut(world, author, stream) = Writing { read: objects.len(), out: false };
    Some(())
}

/// The application that was launched under `epoch` has replayed every stream, and begins to serve.
pub(crate) fn begin(model: &Failover, world: &mut World, epoch: u64) -> Option<()> {
    let launched = world.stacks.contains_key(&stack(model, epoch));
    if !launched || world.recovery.contains_key(&epoch) {
        return None;
    }
    let writers = (0..world.log.len()).map(|stream| {
        let objects = world.stream(stream);
        let open = ledger::has_pen(stream, &objects, Holder::Recovery, Some(epoch));
        open.then_some(Writing { read: objects.len(), out: false })
    });
    let writers = writers.collect::<Option<Vec<_>>>()?;
    world.recovery.insert(epoch, writers);
    Some(())
}

/// The writers whose next put would be stored, and so acknowledged.
pub(crate) fn could_acknowledge(model: &Failover, world: &World) -> Vec<(usize, Author)> {
    let authors =
        [Author::Primary].into_iter().chain(world.recovery.keys().map(|epoch| Author::Recovery(*epoch)));
    let mut able = Vec::new();
    for author in authors {
        for stream in 0..world.log.len() {
            if let Some(Request::Put(_, at, ..)) = request(model, world, author, stream) {
                let beside = model.mutant == Some(Mutant::CompressionInKey) && author == Author::Primary;
                if beside || !matches!(world.log[stream].get(at), Some(Some(_))) {
                    able.push((stream, author));
                }
            }
        }
    }
    able
}

/// Who may write the next entry of a stream.
pub(crate) fn holder(world: &World, stream: usize) -> Option<(Holder, u64)> {
    match ledger::pen(stream, &world.stream(stream)).state() {
        PenState::Open { holder, epoch } => Some((*holder, *epoch)),
        _ => None,
    }
}
