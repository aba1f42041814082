//! Ids of orders that are under way, so that one id cannot be taken by two streams at once. Each engine knows its own
//! stored orders; what two of them are deciding at this moment only the gateway can know.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

type Claims = Mutex<HashMap<String, (usize, usize)>>;

/// The claims, shared by all requests.
#[derive(Clone, Debug, Default)]
pub struct Ids(Arc<Claims>);

/// One request's claim on its id. It ends when the request is answered or given up, whoever does it.
#[derive(Debug)]
pub struct Claim {
    claims: Arc<Claims>,
    id: String,
}

impl Ids {
    /// Claims `id` for `stream`; `None` while another stream has it. The same stream may claim it again: its engine
    /// will find the duplicate.
    pub fn claim(&self, id: &str, stream: usize) -> Option<Claim> {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match claims.entry(id.to_owned()) {
            Entry::Occupied(claimed) if claimed.get().0 != stream => return None,
            Entry::Occupied(mut claimed) => claimed.get_mut().1 += 1,
            Entry::Vacant(free) => {
                free.insert((stream, 1));
            }
        }
        Some(Claim { claims: Arc::clone(&self.0), id: id.to_owned() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, holders)) = claims.get_mut(&self.id) {
            *holders -= 1;
            if *holders == 0 {
                claims.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_belongs_to_one_stream_until_its_last_request_is_done() {
        let ids = Ids::default();
        let (first, again) = (ids.claim("a", 0).unwrap(), ids.claim("a", 0).unwrap());
        drop(first);
        assert!(ids.claim("a", 1).is_none());
        drop(again);
        assert!(ids.claim("a", 1).is_some());
    }
}
