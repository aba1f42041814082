//! Bytes by number, and rules asked once.
//!
//! A state of the model holds numbers in place of bytes, so that millions of states are small and quickly compared. The rules
//! are pure functions, so each is asked once for each argument; what it said is kept.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

/// Bytes by their number: the same bytes have the same number for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob(u32);

#[derive(Default)]
struct Interned {
    numbers: HashMap<Arc<[u8]>, u32>,
    bytes: Vec<Arc<[u8]>>,
}

static INTERNED: LazyLock<Mutex<Interned>> = LazyLock::new(Mutex::default);

fn interned() -> MutexGuard<'static, Interned> {
    INTERNED.lock().expect("nothing panics while it holds this lock")
}

impl Blob {
    /// The number of `bytes`.
    pub fn of(bytes: &[u8]) -> Blob {
        let mut interned = interned();
        if let Some(number) = interned.numbers.get(bytes) {
            return Blob(*number);
        }
        let number = u32::try_from(interned.bytes.len()).expect("fewer objects than states");
        let bytes: Arc<[u8]> = bytes.into();
        interned.bytes.push(Arc::clone(&bytes));
        interned.numbers.insert(bytes, number);
        Blob(number)
    }

    /// The bytes.
    pub fn bytes(self) -> Arc<[u8]> {
        Arc::clone(&interned().bytes[self.0 as usize])
    }
}

/// What a rule said, by its arguments.
pub(crate) struct Asked<K, V>(Mutex<HashMap<K, V>>);

impl<K: Eq + Hash, V: Clone> Asked<K, V> {
    pub(crate) fn new() -> Asked<K, V> {
        Asked(Mutex::new(HashMap::new()))
    }

    /// What `rule` says of `arguments`.
    pub(crate) fn ask(&self, arguments: K, rule: impl FnOnce(&K) -> V) -> V {
        let found = self.0.lock().expect("no rule is asked while this lock is held").get(&arguments).cloned();
        if let Some(said) = found {
            return said;
        }
        let said = rule(&arguments);
        let mut asked = self.0.lock().expect("no rule is asked while this lock is held");
        asked.insert(arguments, said.clone());
        said
    }
}
