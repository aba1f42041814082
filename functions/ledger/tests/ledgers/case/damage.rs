//! Damage: to lines, to objects, to what is expected.

use super::super::dice::Dice;
use super::super::history::Forgery;
use super::super::reference::{Object, Place};
use super::{Builder, Known, Placed, placed};

/// What was done to a ledger, or to what is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    Forge(Forgery),
    DropEntry,
    DropEntries,
    CutTheEnd,
    RepeatEntry,
    SwapEntries,
    FlipABit,
    DeleteAByte,
    InsertAByte,
    CutALine,
    Fork,
    Splice,
    DropObject,
    EmptyObject,
    TruncateObject,
    AnotherSlot,
    SlotWithinASlot,
    FlipABitOfTheObject,
    GarbageBehindTheObject,
    UnreadableObject,
    WatermarkBeyond,
    StreamThatIsNot,
    NoEnd,
    OtherHeadBefore,
    OtherPlaceBefore,
}

pub const DAMAGES: &[Damage] = &[
    Damage::DropEntry,
    Damage::DropEntries,
    Damage::CutTheEnd,
    Damage::RepeatEntry,
    Damage::SwapEntries,
    Damage::FlipABit,
    Damage::DeleteAByte,
    Damage::InsertAByte,
    Damage::CutALine,
    Damage::Fork,
    Damage::Splice,
    Damage::DropObject,
    Damage::EmptyObject,
    Damage::TruncateObject,
    Damage::AnotherSlot,
    Damage::SlotWithinASlot,
    Damage::FlipABitOfTheObject,
    Damage::GarbageBehindTheObject,
    Damage::UnreadableObject,
    Damage::WatermarkBeyond,
    Damage::StreamThatIsNot,
    Damage::NoEnd,
    Damage::OtherHeadBefore,
    Damage::OtherPlaceBefore,
];

impl Builder {
    /// Damage to the lines of one stream. `None`: this damage is of another kind, or finds nothing to damage.
    pub(super) fn damage_entries(&mut self, damage: Damage, dice: &mut Dice) -> Option<Known> {
        let (linked, delivered) = (self.format.prev.is_some(), self.delivered);
        let index = dice.below(self.streams.len());
        let begun = self.expected.from.contains_key(&self.plots[index].stream);
        let count = self.streams[index].len();
        let at = if count > 0 { dice.below(count) } else { return None };
        // A change of this line shows in the next, if the next names its hash.
        let changed = if linked && at + 1 < count { Known::Broken } else { Known::Nothing };
        // Its absence shows between two others, or at a beginning that the rest of the chain refers to.
        let absent = match at {
            _ if at + 1 == count => Known::Nothing,
            0 if !linked && !begun => Known::Nothing,
            _ => Known::Broken,
        };
        let lines = &mut self.streams[index];
        let known = match damage {
            Damage::DropEntry => {
                lines.remove(at);
                absent
            }
            Damage::DropEntries => {
                let behind = dice.between(at + 1, count);
                lines.drain(at..behind);
                if behind == count { Known::Nothing } else { absent }
            }
            Damage::CutTheEnd => {
                lines.truncate(at);
                // Whether anything can tell is the watermark's and the seal's affair.
                let watermark = self.expected.watermarks.get(&self.plots[index].stream);
                match lines.last().zip(watermark) {
                    Some((last, watermark)) if last.seq < *watermark => Known::Broken,
                    _ => Known::Nothing,
                }
            }
            Damage::RepeatEntry => {
                let again = lines[at].clone();
                let place = dice.between(0, count);
                lines.insert(place, again);
                if delivered { Known::Proven } else { Known::Broken }
            }
            Damage::SwapEntries if count > 1 => {
                let other = (at + 1) % count;
                // The slots stay where they are.
                let bytes = std::mem::take(&mut lines[at].bytes);
                lines[at].bytes = std::mem::replace(&mut lines[other].bytes, bytes);
                if delivered { Known::Proven } else { Known::Broken }
            }
            Damage::FlipABit => {
                let bytes = &mut lines[at].bytes;
                let byte = dice.below(bytes.len());
                bytes[byte] ^= 1 << dice.below(8);
                changed
            }
            Damage::DeleteAByte => {
                let bytes = &mut lines[at].bytes;
                bytes.remove(dice.below(bytes.len()));
                changed
            }
            Damage::InsertAByte => {
                let bytes = &mut lines[at].bytes;
                let byte = *dice.pick(b" \n\r\"\\,:{}[]0a\0\xff");
                // Behind the newline it would belong to the next line, or begin one.
                bytes.insert(dice.below(bytes.len()), byte);
                changed
            }
            Damage::CutALine => {
                let bytes = &mut lines[at].bytes;
                bytes.truncate(dice.below(bytes.len()));
                // The first bytes of the next line end it; an empty one leaves no trace but its absence.
                changed
            }
            Damage::Fork | Damage::Splice if self.expected.from.is_empty() && count > 1 => {
                return self.mix_histories(damage, index, dice);
            }
            _ => return None,
        };
        Some(known)
    }

    /// Two histories that begin alike: both in the ledger, or the end of one behind the beginning of the other.
    fn mix_histories(&mut self, damage: Damage, index: usize, dice: &mut Dice) -> Option<Known> {
        let linked = self.format.prev.is_some();
        let count = self.streams[index].len();
        let differs_from = dice.below(count - 1);
        let other: Vec<Placed> =
            self.write(index, Some(differs_from)).lines.into_iter().map(placed).collect();
        let from = dice.between(differs_from + 1, count - 1).min(other.len() - 1);
        if from <= differs_from || self.damages.iter().any(|damage| matches!(damage, Damage::Forge(_))) {
            return None;
        }
        if damage == Damage::Splice {
            self.streams[index].truncate(from);
            self.streams[index].extend_from_slice(&other[from..]);
            return Some(if linked { Known::Broken } else { Known::Nothing });
        }
        let through = dice.between(from, other.len() - 1);
        let forked: Vec<Placed> = other[from..=through].to_vec();
        let shared = forked.iter().any(|line| self.streams[index].iter().any(|own| own.seq == line.seq));
        self.beside.push(self.object(index, &forked));
        Some(if shared { Known::Broken } else { Known::Nothing })
    }

    pub(super) fn damage_expectation(&mut self, damage: Damage, dice: &mut Dice) -> Option<Known> {
        let index = dice.below(self.streams.len());
        let name = self.plots[index].stream.clone();
        let linked = self.format.prev.is_some();
        let left = self.streams[index].len();
        Some(match damage {
            Damage::WatermarkBeyond => {
                let last = match (self.streams[index].last(), self.expected.from.get(&name)) {
                    (Some(last), _) => last.seq,
                    (None, Some(prefix)) => prefix.through,
                    (None, None) => return None,
                };
                self.expected.watermarks.insert(name, last + dice.between(1, 3) as u64);
                Known::Broken
            }
            Damage::StreamThatIsNot => {
                self.expected.streams.insert("ME9".into());
                Known::NotProven
            }
            Damage::NoEnd => {
                self.expected.closed = true;
                self.expected.watermarks.remove(&name);
                if self.sealed[index] { Known::Nothing } else { Known::NotProven }
            }
            Damage::OtherHeadBefore => {
                self.expected.from.get_mut(&name)?.head[dice.below(32)] ^= 1 << dice.below(8);
                if linked && left > 0 { Known::Broken } else { Known::Nothing }
            }
            Damage::OtherPlaceBefore => {
                let prefix = self.expected.from.get_mut(&name)?;
                prefix.through =
                    if dice.one_in(2) { prefix.through + 1 } else { prefix.through.checked_sub(1)? };
                if left > 0 { Known::Broken } else { Known::Nothing }
            }
            _ => return None,
        })
    }

    pub(super) fn damage_plain_objects(
        &self,
        damage: Damage,
        objects: &mut Vec<Object>,
        dice: &mut Dice,
    ) -> Option<Known> {
        if objects.is_empty() {
            return None;
        }
        let at = dice.below(objects.len());
        Some(match damage {
            Damage::DropObject => {
                objects.remove(at);
                Known::Nothing
            }
            Damage::EmptyObject => {
                if self.delivered {
                    objects.push(Object { place: Place::Delivered, bytes: Some(Vec::new()) });
                    return Some(Known::Proven);
                }
                objects[at].bytes = Some(Vec::new());
                Known::Broken
            }
            Damage::TruncateObject => {
                let bytes = objects[at].bytes.as_mut()?;
                bytes.truncate(dice.below(bytes.len()));
                if bytes.last().is_some_and(|last| *last != b'\n') { Known::Broken } else { Known::Nothing }
            }
            Damage::AnotherSlot => {
                let taken = objects.clone();
                let Place::Slot { first_seq, .. } = &mut objects[at].place else { return None };
                *first_seq += dice.between(1, 3) as u64;
                if taken.iter().any(|other| other.place == objects[at].place) {
                    objects[at].place = taken[at].place.clone();
                    return None;
                }
                Known::Broken
            }
            Damage::SlotWithinASlot => {
                let Place::Slot { stream, first_seq } = objects[at].place.clone() else { return None };
                let bytes = objects[at].bytes.clone()?;
                let within = bytes.iter().position(|byte| *byte == b'\n')? + 1;
                if within == bytes.len() {
                    return None;
                }
                let place = Place::Slot { stream, first_seq: first_seq + 1 };
                if objects.iter().any(|other| other.place == place) {
                    return None;
                }
                objects.push(Object { place, bytes: Some(bytes[within..].to_vec()) });
                Known::Broken
            }
            Damage::UnreadableObject => {
                objects[at].bytes = None;
                if self.delivered { Known::Nothing } else { Known::NotProven }
            }
            _ => return None,
        })
    }

    /// Damage to objects as they are stored, compressed or not.
    pub(super) fn damage_objects(
        &self,
        damage: Damage,
        objects: &mut [Object],
        dice: &mut Dice,
    ) -> Option<Known> {
        if objects.is_empty() {
            return None;
        }
        let at = dice.below(objects.len());
        let bytes = objects[at].bytes.as_mut().filter(|bytes| !bytes.is_empty())?;
        match damage {
            Damage::FlipABitOfTheObject => {
                let byte = dice.below(bytes.len());
                bytes[byte] ^= 1 << dice.below(8);
            }
            Damage::GarbageBehindTheObject => match dice.below(3) {
                0 => bytes.extend_from_slice(b"\0\0\0\0"),
                1 => bytes.extend_from_slice(b"{}\n"),
                _ => bytes.extend_from_slice(&[0x1f, 0x8b, 8]),
            },
            Damage::TruncateObject if compressed(bytes) => {
                bytes.truncate(dice.below(bytes.len()));
            }
            _ => return None,
        }
        Some(match damage {
            Damage::GarbageBehindTheObject => Known::Broken,
            _ => Known::Nothing,
        })
    }
}

pub(super) fn compressed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}
