//! Where answers go: standard output; everything else goes to standard error.

use std::io::Write;

/// Writes an answer and the end of its line. Who reads may have heard enough (`| head -1`); the exit code is meant for others.
pub fn say(answer: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(answer.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}
