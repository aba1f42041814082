//! What a stream will hold, object by object, before any of it is written.

use super::{Layout, Spec, SpecError, random::Random};

/// One thing to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Gives the pen to the side whose turn it is, under this epoch.
    Open { epoch: u64 },
    /// Closes the stream under this epoch.
    Seal { epoch: u64 },
    /// So many entries of data.
    Data { entries: u64 },
}

/// The steps of one stream. Each group holds one step of data, the last in it but for a closing seal: in segments a step is
/// an object, in firehose a group is the stream's share of an object.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) groups: Vec<Vec<Step>>,
}

impl Schedule {
    pub(super) fn new(spec: &Spec, stream: usize) -> Result<Schedule, SpecError> {
        let stream_count = spec.streams.len() as u64;
        let share = |all: u64| all / stream_count + u64::from((stream as u64) < all % stream_count);
        let opens = u64::from(spec.names.control.is_some());
        let controls = opens + 2 * spec.hand_overs + u64::from(spec.seal);
        let (data, objects) = match spec.layout {
            Layout::Segments => {
                (share(spec.entries).checked_sub(controls), share(spec.objects).checked_sub(controls))
            }
            Layout::Firehose => (share(spec.entries).checked_sub(controls), Some(spec.objects)),
        };
        let objects_min = 1 + spec.hand_overs;
        let (Some(data), Some(objects)) = (data, objects.filter(|objects| *objects >= objects_min)) else {
            return Err(SpecError(format!(
                "{} entries in {} objects are too few: each of {stream_count} streams has {controls} control entries and \
                 at least {objects_min} objects of data",
                spec.entries, spec.objects
            )));
        };
        if data < objects {
            return Err(SpecError(format!(
                "{} entries are too few for {} objects: each holds one at least",
                spec.entries, spec.objects
            )));
        }
        let mut random = Random::new(spec.seed ^ (stream as u64).rotate_left(32) ^ 0x5c4e_d01e);
        let sizes = sizes(data, objects, &mut random);
        Ok(Schedule { groups: groups(spec, &sizes) })
    }
}

/// `objects` sizes around the mean that add up to `data`, as commits of a busy and of an idle moment do.
fn sizes(data: u64, objects: u64, random: &mut Random) -> Vec<u64> {
    let (width, mut before, mut sizes) = (data / objects, 0, Vec::new());
    for index in 1..=objects {
        let even = (u128::from(data) * u128::from(index) / u128::from(objects)) as u64;
        // A quarter of the width to either side: two boundaries never meet.
        let quarter = width / 4;
        let boundary = if index == objects { data } else { even - quarter + random.below(2 * quarter + 1) };
        sizes.push(boundary - before);
        before = boundary;
    }
    sizes
}

fn groups(spec: &Spec, sizes: &[u64]) -> Vec<Vec<Step>> {
    let hands = spec.hand_overs + 1;
    let (mut epoch, mut groups) = (1, Vec::with_capacity(sizes.len()));
    for (index, entries) in sizes.iter().enumerate() {
        let mut group = Vec::new();
        if index == 0 && spec.names.control.is_some() {
            group.push(Step::Open { epoch });
        }
        while epoch < hands && index as u64 >= epoch * sizes.len() as u64 / hands {
            epoch += 1;
            group.extend([Step::Seal { epoch }, Step::Open { epoch }]);
        }
        group.push(Step::Data { entries: *entries });
        groups.push(group);
    }
    if spec.seal
        && let Some(last) = groups.last_mut()
    {
        last.push(Step::Seal { epoch: epoch + 1 });
    }
    groups
}
