//! Watches for fence objects: a run puts one before it seals, so that a fast writer stops by itself.

use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use crate::log;
use crate::store::Store;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells `newest` of each newer fence, for as long as somebody listens. An answer that does not come changes nothing:
/// the fence is a courtesy, and the seal fences without it.
pub async fn watch(store: Store, newest: watch::Sender<u64>) {
    let mut reachable = true;
    while !newest.is_closed() {
        let seen = *newest.borrow();
        match store.fence_after(seen).await {
            Ok(found) => {
                reachable = true;
                if let Some(epoch) = found {
                    newest.send_replace(epoch);
                }
            }
            Err(err) => {
                if reachable {
                    log::event("fences_unreachable", &json!({ "detail": err.to_string() }));
                }
                reachable = false;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
