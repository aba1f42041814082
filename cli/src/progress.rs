//! A sign of life on standard error while something takes long; nothing where that is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK_MILLISECONDS: u64 = 120;

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a fixed template")
}

/// Shown until it is dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn show(what: String) -> Self {
        let bar =
            ProgressBar::new_spinner().with_style(style("{spinner} {msg} {elapsed}")).with_message(what);
        bar.enable_steady_tick(Duration::from_millis(TICK_MILLISECONDS));
        Self(bar)
    }

    /// Shows this from now on, which tells its own time.
    pub(crate) fn say(&self, what: String) {
        self.0.set_style(style("{spinner} {msg}"));
        self.0.set_message(what);
    }

    /// Makes room for what `print` prints.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }
}

/// How many of the bytes are done, how fast, and how long it will take: shown until it is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn show(what: &str) -> Self {
        let template = "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} to go";
        // Nothing is drawn where standard error is no terminal.
        Self(ProgressBar::new(0).with_style(style(template)).with_message(what.to_owned()))
    }

    /// So many bytes more are to be done.
    pub(crate) fn expect(&self, bytes: u64) {
        self.0.inc_length(bytes);
    }

    /// So many bytes more are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

/// How many of so many things are done: shown until it is dropped.
pub(crate) struct Steps(ProgressBar);

impl Steps {
    pub(crate) fn show(what: &str, count: u64) -> Self {
        let template = "{msg} {wide_bar} {pos} of {len}, {eta} to go";
        Self(ProgressBar::new(count).with_style(style(template)).with_message(what.to_owned()))
    }

    /// So many more are done.
    pub(crate) fn advance(&self, count: u64) {
        self.0.inc(count);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
