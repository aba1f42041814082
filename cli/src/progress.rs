//! A sign of life on standard error while something takes long; nothing where that is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK_MILLISECONDS: u64 = 120;

/// Shown until it is dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn show(what: String) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("a fixed template");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(TICK_MILLISECONDS));
        Self(bar)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
