//! What takes a while says so: a spinner or a bar with elapsed time on a terminal, plain lines elsewhere. All of it on standard error.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// One thing under way; dropped without [`Step::done`] it vanishes, and the error speaks.
pub(crate) struct Step {
    bar: ProgressBar,
    what: String,
    began: Instant,
}

impl Step {
    /// `bytes` where the size is known beforehand.
    pub(crate) fn begin(what: impl Into<String>, bytes: Option<u64>) -> Self {
        let what = what.into();
        let (bar, template) = match bytes {
            Some(bytes) => (ProgressBar::new(bytes), "  {spinner} {msg}  {bar:24} {bytes}/{total_bytes}  {elapsed}"),
            None => (ProgressBar::new_spinner(), "  {spinner} {msg}  {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        if !on_terminal() {
            eprintln!("  {what} …");
        }
        Self { bar, what, began: Instant::now() }
    }

    /// Bytes that have arrived.
    pub(crate) fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// It came to a good end.
    pub(crate) fn done(self) {
        self.bar.finish_and_clear();
        eprintln!("  {}: done in {:.1} s", self.what, self.began.elapsed().as_secs_f64());
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A person is watching.
fn on_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Such as `38.9 MB`.
#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
