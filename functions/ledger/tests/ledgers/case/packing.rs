//! Lines on their way into objects.

use std::collections::BTreeSet;
use std::io::Write;

use super::super::dice::Dice;
use super::super::reference::{Object, Place};
use super::{Builder, Placed};

impl Builder {
    pub(super) fn object(&self, index: usize, lines: &[Placed]) -> Object {
        let place = match (self.delivered, lines.first()) {
            (false, Some(first)) => {
                Place::Slot { stream: self.plots[index].stream.clone(), first_seq: first.seq }
            }
            _ => Place::Delivered,
        };
        Object { place, bytes: Some(concat(lines)) }
    }

    pub(super) fn segments(&self, dice: &mut Dice) -> Vec<Object> {
        let mut objects: Vec<Object> = Vec::new();
        for (index, lines) in self.streams.iter().enumerate() {
            let size_max = *dice.pick(&[1, 3, 10, 100]);
            let beside = self.beside.iter().filter_map(|object| match &object.place {
                Place::Slot { stream, first_seq } if *stream == self.plots[index].stream => Some(*first_seq),
                _ => None,
            });
            let (mut rest, mut taken): (_, BTreeSet<u64>) = (lines.as_slice(), beside.collect());
            while let Some(first) = rest.first() {
                taken.insert(first.seq);
                let mut end = dice.between(1, size_max.min(rest.len()));
                // No slot is created twice.
                while rest.get(end).is_some_and(|next| taken.contains(&next.seq)) {
                    end += 1;
                }
                let (segment, behind) = rest.split_at(end);
                objects.push(self.object(index, segment));
                rest = behind;
            }
        }
        objects
    }

    /// At least once, in any order, streams mixed.
    pub(super) fn deliver(&self, dice: &mut Dice) -> Vec<Object> {
        let mut lines: Vec<&Placed> = match dice.below(3) {
            // In turn, as several writers are heard at once.
            0 => {
                let longest = self.streams.iter().map(Vec::len).max().unwrap_or_default();
                (0..longest)
                    .flat_map(|at| self.streams.iter().filter_map(move |lines| lines.get(at)))
                    .collect()
            }
            _ => self.streams.iter().flatten().collect(),
        };
        if dice.one_in(2) {
            for _ in 0..dice.between(1, 4) {
                let Some(last) = lines.len().checked_sub(1) else { break };
                let from = dice.between(0, last);
                let again = lines[from..=dice.between(from, last.min(from + 8))].to_vec();
                let place = dice.between(0, lines.len());
                lines.splice(place..place, again);
            }
        }
        if dice.one_in(3) {
            dice.shuffle(&mut lines);
        }
        let mut objects = Vec::new();
        let size_max = *dice.pick(&[1, 4, 20, 200]);
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            let (object, behind) = rest.split_at(dice.between(1, size_max.min(rest.len())));
            objects.push(Object { place: Place::Delivered, bytes: Some(concat(object.iter().copied())) });
            rest = behind;
        }
        objects
    }
}

/// Compresses no object, all, or some; in one piece or in several behind one another.
pub(super) fn compress(objects: &mut [Object], dice: &mut Dice) {
    let how = dice.below(5);
    for object in objects {
        let Some(bytes) = &mut object.bytes else { continue };
        let way = if how == 4 { dice.below(3) } else { how };
        let (first, second) = bytes.split_at(if dice.one_in(3) { dice.below(bytes.len() + 1) } else { 0 });
        let parts = if first.is_empty() { vec![second] } else { vec![first, second] };
        *bytes = match way {
            1 => parts.into_iter().flat_map(gzip).collect(),
            2 => parts.into_iter().flat_map(zstd).collect(),
            _ => continue,
        };
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes what is written")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("memory takes what is written")
}

fn concat<'a>(lines: impl IntoIterator<Item = &'a Placed>) -> Vec<u8> {
    lines.into_iter().flat_map(|line| line.bytes.iter().copied()).collect()
}
