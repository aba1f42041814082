//! Control entries: how the pen changes hands inside the chain itself.
//!
//! Invariant: a control entry counts only if its epoch is greater than that of every control entry before it in
//! its stream; an `open` may also match the seal that its own run put. One that does not count is inert: writers
//! and verifiers chain past it, so a stale run can write, and nothing follows from it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The side that may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// The side in the primary Region.
    Primary,
    /// The side in the recovery Region.
    Recovery,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Holder::Primary => "primary",
            Holder::Recovery => "recovery",
        })
    }
}

/// An entry that the orchestrator writes into the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// Closes the stream: nobody may write until a counting `open`.
    Seal(#[serde(deserialize_with = "strict::object")] Seal),
    /// Gives the pen to a side.
    Open(#[serde(deserialize_with = "strict::object")] Open),
}

/// The body of a seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The epoch under which the run acts; greater than zero.
    pub epoch: u64,
    /// The run that sealed.
    pub run: String,
}

/// The body of an open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The epoch under which the holder writes; greater than zero.
    pub epoch: u64,
    /// The side that may write from here on.
    #[serde(deserialize_with = "strict::holder")]
    pub holder: Holder,
    /// The run that opened.
    pub run: String,
}

/// Derived readers take a sequence for a structure, and a map for a name. The format does not, and a reader in another
/// language would not: two readers must not differ on who has the pen.
mod strict {
    use std::fmt;
    use std::marker::PhantomData;

    use serde::de::value::{MapAccessDeserializer, StrDeserializer};
    use serde::de::{IntoDeserializer, MapAccess, Visitor};
    use serde::{Deserialize, Deserializer};

    use super::Holder;

    pub(super) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(de: D) -> Result<T, D::Error> {
        struct Object<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        de.deserialize_map(Object(PhantomData))
    }

    pub(super) fn holder<'de, D: Deserializer<'de>>(de: D) -> Result<Holder, D::Error> {
        let name = String::deserialize(de)?;
        let name: StrDeserializer<'_, D::Error> = name.as_str().into_deserializer();
        Holder::deserialize(name)
    }
}

impl Control {
    /// The epoch that this entry claims to act under.
    pub fn epoch(&self) -> u64 {
        match self {
            Control::Seal(seal) => seal.epoch,
            Control::Open(open) => open.epoch,
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Control::Seal(Seal { epoch, run }) => write!(f, "the seal of epoch {epoch} by run {run}"),
            Control::Open(Open { epoch, holder, run }) => {
                write!(f, "the open of epoch {epoch} for the {holder} by run {run}")
            }
        }
    }
}

/// Who may write, as the control entries read so far have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PenState {
    /// No control entry counts yet: a new stream, or a foreign ledger that knows none.
    #[default]
    Unopened,
    /// `holder` may write, under `epoch`.
    Open {
        /// The epoch that every entry from here on carries.
        epoch: u64,
        /// The side that may write.
        holder: Holder,
    },
    /// Nobody may write.
    Sealed {
        /// The epoch that sealed.
        epoch: u64,
        /// The run that sealed.
        run: String,
    },
}

/// Whether a control entry has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It changes who may write.
    Counts,
    /// It is chained past, without effect.
    Inert,
}

/// The pen of one stream: the fold of its control entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pen {
    newest_epoch: u64,
    state: PenState,
}

impl Pen {
    /// Applies the next control entry of the stream and says whether it counts.
    pub fn apply(&mut self, control: &Control) -> Weight {
        let weight = self.weigh(control);
        if weight == Weight::Counts {
            self.newest_epoch = control.epoch();
            self.state = match control {
                Control::Seal(seal) => PenState::Sealed { epoch: seal.epoch, run: seal.run.clone() },
                Control::Open(open) => PenState::Open { epoch: open.epoch, holder: open.holder },
            };
        }
        weight
    }

    /// Whether `control` would count if it came next.
    pub fn weigh(&self, control: &Control) -> Weight {
        let own_seal = match (control, &self.state) {
            (Control::Open(open), PenState::Sealed { epoch, run }) => {
                open.epoch == *epoch && open.run == *run
            }
            _ => false,
        };
        if control.epoch() > self.newest_epoch || own_seal { Weight::Counts } else { Weight::Inert }
    }

    /// Who may write now.
    pub fn state(&self) -> &PenState {
        &self.state
    }

    /// The greatest epoch of any control entry so far; zero before the first.
    pub fn newest_epoch(&self) -> u64 {
        self.newest_epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(epoch: u64, run: &str) -> Control {
        Control::Seal(Seal { epoch, run: run.into() })
    }

    fn open(epoch: u64, holder: Holder, run: &str) -> Control {
        Control::Open(Open { epoch, holder, run: run.into() })
    }

    #[test]
    fn a_seal_counts_only_when_newer() {
        let mut pen = Pen::default();
        assert_eq!(pen.apply(&open(1, Holder::Primary, "genesis")), Weight::Counts);
        assert_eq!(pen.apply(&seal(42, "new")), Weight::Counts);
        assert_eq!(pen.apply(&seal(41, "stale")), Weight::Inert);
        assert_eq!(pen.apply(&seal(42, "twin")), Weight::Inert);
        assert_eq!(pen.state(), &PenState::Sealed { epoch: 42, run: "new".into() });
    }

    #[test]
    fn an_open_may_match_its_own_seal_and_no_other() {
        let mut pen = Pen::default();
        pen.apply(&open(1, Holder::Primary, "genesis"));
        pen.apply(&seal(2, "run-a"));
        assert_eq!(pen.apply(&open(2, Holder::Recovery, "run-b")), Weight::Inert);
        assert_eq!(pen.apply(&open(1, Holder::Primary, "genesis")), Weight::Inert);
        assert_eq!(pen.apply(&open(2, Holder::Recovery, "run-a")), Weight::Counts);
        // The pen has been given: a second open of the same epoch changes nothing.
        assert_eq!(pen.apply(&open(2, Holder::Primary, "run-a")), Weight::Inert);
        assert_eq!(pen.state(), &PenState::Open { epoch: 2, holder: Holder::Recovery });
    }
}
