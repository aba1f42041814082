//! The proof of a stream with a lease: the chain back from its head.
//!
//! The lease names the last acknowledged entry by its hash, and each entry names the one before. So there is one chain from the
//! head back to the first entry, and it is everything that was acknowledged. Whatever else was delivered is void: sent by a
//! process that stopped, or that lost the lease, before it was told that it may acknowledge.
//!
//! Where an entry of the chain is missing it may still be delivered, so the stream is never `Broken` for it. What can be
//! said then is how far it is whole: through the newest head of an older holder whose chain is complete, and from there on as
//! long as everything that was delivered agrees.

use super::End;
use super::pieces::{Chain, Held, Pieces, Position, Stretch, start};
use crate::chain::{Run, Span};
use crate::finding::Finding;
use crate::lease::{Closed, Lease};
use crate::object::Question;

/// What is to be said of a stream with a lease.
pub(super) struct Leased {
    pub(super) findings: Vec<Finding>,
    pub(super) questions: Vec<Question>,
    /// How far it is whole.
    pub(super) through: Position,
    /// How many entries were read that are neither void nor there twice.
    pub(super) distinct: u64,
    /// How many were delivered and are on no chain back from the head.
    pub(super) void: u64,
    /// The pieces that begin behind a hole, as [`Leased::find_holes`] does.
    pub(super) behind_holes: Vec<usize>,
}

/// Judges the pieces of the stream of `lease`.
pub(super) fn judge(lease: &Lease, pieces: &Pieces<'_>, end: End) -> Leased {
    let mut leased = Leased {
        findings: Vec::new(),
        questions: Vec::new(),
        through: Position::GENESIS,
        distinct: pieces.runs.iter().fold(0, |sum: u64, run| sum.saturating_add(run.entries())),
        void: 0,
        behind_holes: Vec::new(),
    };
    let rooted = pieces.hanging_on(Position::GENESIS, |_| true);
    // From the newest head back: the first whose chain is complete. Of the others, what each of them lacks first.
    let (mut below, mut lacks) = (u64::MAX, None);
    for anchor in anchors(lease).into_iter().rev() {
        if anchor.seq >= below {
            continue;
        }
        let is_rooted = pieces.holder(anchor, |piece| rooted[piece]).is_some();
        let chain = pieces.back(anchor, Position::GENESIS, |piece| rooted[piece] || !is_rooted);
        leased.on_chain(lease, pieces, &chain);
        let Some(missing) = chain.lacks.or_else(|| begins_late(pieces, &chain)) else {
            leased.through = anchor;
            if lacks.is_none() {
                leased.count(lease, pieces, &chain);
            }
            break;
        };
        below = missing.seq;
        lacks.get_or_insert((missing, names(pieces, &chain)));
    }
    if let Some((missing, named_by)) = lacks {
        leased.find_holes(lease, pieces, below, &rooted);
        leased.reach(lease, pieces, below);
        if end == End::Closed {
            leased.findings.push(not_delivered(lease, leased.through.seq, missing, named_by));
        }
    }
    // What is asked beyond that is asked once it is known which piece holds what.
    if !pieces.questions.is_empty() {
        leased.questions.clone_from(&pieces.questions);
    }
    leased
}

/// What the lease says was acknowledged, in the order of the sequences, from before the first entry on.
pub(super) fn anchors(lease: &Lease) -> Vec<Position> {
    let closed = lease.closed.iter().map(|Closed { watermark, head, .. }| (*watermark, *head));
    let heads = closed.chain([(lease.watermark, lease.head)]).map(|(seq, hash)| Position { seq, hash });
    let mut anchors: Vec<Position> = [Position::GENESIS].into_iter().chain(heads).collect();
    anchors.dedup();
    anchors
}

impl Leased {
    /// Everything on a chain back from a head was acknowledged: so it goes through what each older holder has acknowledged,
    /// and each entry is of the epoch that held the lease there.
    fn on_chain(&mut self, lease: &Lease, pieces: &Pieces<'_>, chain: &Chain) {
        for Stretch { piece, through } in &chain.stretches {
            self.entitled(lease, pieces, *piece, through.seq);
        }
        // Where a chain of entitled entries goes through an older head it changes its epoch, and so its piece: the hash is known.
        let known = chain.stretches.iter().map(|stretch| stretch.through).chain(chain.lacks);
        for at in known {
            let others = lease.closed_at(at.seq).filter(|closed| closed.head != at.hash);
            for Closed { epoch, watermark, head } in others {
                let what = format!(
                    "the chain back from the watermark {} goes through {}, but epoch {epoch} was closed at {watermark} with the head {head}: what it had acknowledged is not on the chain",
                    lease.watermark, at.hash
                );
                self.findings.push(Finding::broken(&lease.stream, Some(*watermark), what));
            }
        }
        let begins = chain.stretches.first().map(|first| pieces.runs[first.piece]);
        if let Some(run) = begins.filter(|_| chain.lacks.is_none_or(is_no_entry))
            && start(run) != Some(Position::GENESIS)
        {
            let what = format!(
                "the chain back from the watermark {} begins at {}; the first entry of a stream with a lease is 1 and names 64 zeros",
                lease.watermark, run.first_seq
            );
            let finding = Finding::broken(&lease.stream, Some(run.first_seq), what);
            self.findings.push(finding.at(&run.at.object, run.at.offset));
        }
    }

    /// Finds the first entry of `piece` through `through` that its epoch was not entitled to.
    fn entitled(&mut self, lease: &Lease, pieces: &Pieces<'_>, piece: usize, through: u64) {
        let run = pieces.runs[piece];
        let Some((seq, wrote)) = not_entitled(lease, run, through) else { return };
        let offset = match pieces.line(piece, seq) {
            _ if seq == run.first_seq => run.at.offset,
            Held::Entry { offset: Some(offset), .. } => offset,
            Held::Ask(question) => {
                self.questions.push(question);
                run.at.offset
            }
            _ => run.at.offset,
        };
        let finding = Finding::broken(&lease.stream, Some(seq), wrote);
        self.findings.push(finding.at(&run.at.object, offset));
    }

    /// Counts what is void, where `chain` is everything that was acknowledged. Of a piece that leaves the chain it is what
    /// lies behind the last of its entries that is known to be on it. What the holder has sent behind the watermark is not
    /// void yet: he may still acknowledge it.
    fn count(&mut self, lease: &Lease, pieces: &Pieces<'_>, chain: &Chain) {
        let mut taken = vec![None; pieces.runs.len()];
        chain.stretches.iter().for_each(|stretch| taken[stretch.piece] = Some(stretch.through.seq));
        self.distinct = lease.watermark;
        for (piece, run) in pieces.runs.iter().enumerate() {
            let before = run.first_seq.saturating_sub(1);
            let last = run.last_seq.min(lease.watermark);
            let known = taken[piece].unwrap_or(before);
            let mut may_go_on = lease.holder.is_some() && epoch_of(run) == Some(lease.epoch);
            if known < last {
                match (pieces.held(piece, last), pieces.on(chain, last)) {
                    (Held::Entry { hash: own, .. }, Held::Entry { hash, .. }) if own != hash => {
                        let left = self.left(pieces, chain, piece, known, last);
                        self.void = self.void.saturating_add(last - left);
                        may_go_on = false;
                    }
                    (own, other) => self.ask([own, other]),
                }
            }
            let behind = run.last_seq - last.max(before).min(run.last_seq);
            let count = if may_go_on { &mut self.distinct } else { &mut self.void };
            *count = count.saturating_add(behind);
        }
    }

    /// The last entry of `piece` that is known to be on `chain`: `known`, or one behind it and before `last` at which a stretch
    /// of the chain ends, as one does wherever a process has gone on from what another had acknowledged.
    fn left(&mut self, pieces: &Pieces<'_>, chain: &Chain, piece: usize, known: u64, last: u64) -> u64 {
        let within = |stretch: &&Stretch| (known + 1..last).contains(&stretch.through.seq);
        let from = chain.stretches.partition_point(|stretch| stretch.through.seq <= known);
        let ends: Vec<Position> =
            chain.stretches[from..].iter().take_while(within).map(|stretch| stretch.through).collect();
        // They agree up to where the piece leaves the chain, and nowhere behind.
        let (mut agree, mut until) = (0, ends.len());
        while agree < until {
            let middle = agree + (until - agree) / 2;
            match pieces.held(piece, ends[middle].seq) {
                Held::Entry { hash, .. } if hash == ends[middle].hash => agree = middle + 1,
                Held::Entry { .. } => until = middle,
                other => {
                    self.ask([other]);
                    break;
                }
            }
        }
        agree.checked_sub(1).map_or(known, |at| ends[at].seq)
    }

    /// How far the stream is whole where the chain lacks an entry: from [`Self::through`] on, as far as what was delivered
    /// agrees. A piece that reaches to `below` holds another entry there than the one that is missing.
    fn reach(&mut self, lease: &Lease, pieces: &Pieces<'_>, below: u64) {
        let may_follow = |piece: usize| {
            let run = pieces.runs[piece];
            run.last_seq < below && not_entitled(lease, run, run.last_seq).is_none()
        };
        let live = pieces.hanging_on(self.through, may_follow);
        let live_pieces = || live.iter().enumerate().filter(|(_, live)| **live).map(|(piece, _)| piece);
        let Some(longest) = live_pieces().max_by_key(|piece| pieces.runs[*piece].last_seq) else { return };
        let run = pieces.runs[longest];
        let tip = Position { seq: run.last_seq, hash: run.last_hash };
        let chain = pieces.back(tip, self.through, |piece| live[piece]);
        for piece in live_pieces() {
            let run = pieces.runs[piece];
            match pieces.on(&chain, run.last_seq) {
                Held::Entry { hash, .. } if hash == run.last_hash => {}
                other => {
                    self.ask([other]);
                    // In the order of their first sequences: what the first of them goes on from is on the chain of all before.
                    self.through = start(run).unwrap_or(self.through);
                    return;
                }
            }
        }
        self.through = tip;
    }

    /// Finds the pieces that go on from an entry, at the watermark or before it, which no piece holds, and which, with what hangs
    /// on them, come further than all that is `rooted` in the first entry.
    ///
    /// What hangs on nothing need not hang behind a loss. The delivery stream may have accepted an entry and not the one before
    /// it when their process died: then both are void. But whoever goes on in its place comes further than it did, and what
    /// he sends is rooted, unless something of that is lost.
    fn find_holes(&mut self, lease: &Lease, pieces: &Pieces<'_>, below: u64, rooted: &[bool]) {
        // How far it may be on the chain: a piece that reaches to `below` holds another entry there than the one that is missing.
        let comes = |run: &Run| {
            let entitled =
                not_entitled(lease, run, run.last_seq).map_or(run.last_seq, |(seq, _)| seq.saturating_sub(1));
            let holds_another = (run.first_seq..=run.last_seq).contains(&below);
            if holds_another { entitled.min(below.saturating_sub(1)) } else { entitled }
        };
        // Of each piece the first of those that it hangs on, where that hangs on nothing; and how far all that hang there come.
        let mut first: Vec<Option<usize>> = vec![None; pieces.runs.len()];
        let (mut come, mut come_rooted) = (vec![0; pieces.runs.len()], self.through.seq);
        for (piece, run) in pieces.runs.iter().enumerate() {
            if rooted[piece] {
                come_rooted = come_rooted.max(comes(run));
                continue;
            }
            let Some(before) = start(run).filter(|before| before.seq > 0) else { continue };
            // A holder begins before the piece that goes on from it.
            first[piece] = match pieces.holder(before, |_| true) {
                Some(holder) => first[holder],
                None => (before.seq <= lease.watermark).then_some(piece),
            };
            if let Some(first) = first[piece].filter(|_| comes(run) >= run.first_seq) {
                come[first] = comes(run).max(come[first]);
            }
        }
        self.behind_holes = (0..pieces.runs.len()).filter(|piece| come[*piece] > come_rooted).collect();
    }

    fn ask<const N: usize>(&mut self, held: [Held; N]) {
        self.questions.extend(held.into_iter().filter_map(|held| match held {
            Held::Ask(question) => Some(question),
            _ => None,
        }));
    }
}

/// The first entry of `run` through `through` that its epoch was not entitled to, and what is said of it.
fn not_entitled(lease: &Lease, run: &Run, through: u64) -> Option<(u64, String)> {
    let control = run.spans.iter().find(|span| matches!(span, Span::Control { .. }));
    if let Some(control) = control.filter(|control| control.first_seq() <= through) {
        let what = "a control entry: nobody writes one into a stream with a lease";
        return Some((control.first_seq(), what.to_owned()));
    }
    let wrote = epoch_of(run);
    let is_holders = wrote.is_some() && lease.writer_of(run.first_seq) == wrote;
    let seq = match wrote.and_then(|epoch| lease.closed_of(epoch)).map_or(u64::MAX, |closed| closed.watermark)
    {
        _ if !is_holders => run.first_seq,
        last if last < through => last + 1,
        _ => return None,
    };
    let wrote = wrote.map_or("without an epoch".to_owned(), |epoch| format!("under epoch {epoch}"));
    Some((seq, format!("written {wrote}, which did not hold the lease there")))
}

/// The epoch of a piece's data entries: it has but one.
fn epoch_of(run: &Run) -> Option<u64> {
    run.spans.iter().find_map(|span| match span {
        Span::Written { epoch, .. } => *epoch,
        Span::Control { .. } => None,
    })
}

/// Whether no entry can be there: it has a number and no hash, or a hash and no number.
fn is_no_entry(at: Position) -> bool {
    (at.seq == 0) != (at.hash == Position::GENESIS.hash)
}

/// Where a chain that lacks nothing does not begin with the first entry, as it must.
fn begins_late(pieces: &Pieces<'_>, chain: &Chain) -> Option<Position> {
    let first = chain.stretches.first()?;
    (start(pieces.runs[first.piece]) != Some(Position::GENESIS)).then_some(first.through)
}

/// The piece whose first entry names what `chain` lacks.
fn names<'a>(pieces: &Pieces<'a>, chain: &Chain) -> Option<&'a Run> {
    chain.stretches.first().map(|first| pieces.runs[first.piece])
}

fn not_delivered(lease: &Lease, whole: u64, missing: Position, named_by: Option<&Run>) -> Finding {
    let Position { seq, hash } = missing;
    let what = format!(
        "the stream is whole through {whole}, but {} was acknowledged: entry {seq} with the hash {hash} was not delivered",
        lease.watermark
    );
    let finding = Finding::unproven(&lease.stream, Some(whole.saturating_add(1)), what);
    match named_by {
        Some(run) => finding.at(&run.at.object, run.at.offset),
        None => finding,
    }
}
