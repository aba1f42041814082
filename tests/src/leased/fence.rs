//! Watches for fence objects: whoever takes a lease over puts one first, so that a holder which is quicker stops by itself.

use std::time::Duration;

use lifeboat_runtime::Store;
use run_control::newest_fence;
use tokio::sync::watch;
use tokio::time::sleep;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells `newest` of each newer fence in `bucket`, for as long as somebody listens. An answer that does not come changes
/// nothing: the fence is a courtesy, and the put of the lease fences without it.
pub async fn watch(store: Store, bucket: String, newest: watch::Sender<u64>) {
    while !newest.is_closed() {
        if let Ok(epoch) = newest_fence(&store, &bucket).await {
            newest.send_replace(epoch);
        }
        sleep(LOOK_EVERY).await;
    }
}
