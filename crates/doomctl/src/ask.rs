//! What commands need beside their own: the operator's consent, and an answer where the server permits something not.

use std::io::{BufRead, IsTerminal, Write};

use cli_common::exit::{self, Failure};
use doom_bus::Link;

/// Runs work that asks the server; ends with exit code 77 where the server says that it does not permit it.
///
/// # Errors
/// The server's words.
pub(crate) async fn permitted<T>(link: &Link, work: impl Future<Output = T>) -> Result<T, Failure> {
    let refused = link.refused("permissions violation");
    tokio::select! {
        done = work => Ok(done),
        words = refused => Err(Failure::new(exit::NO_PERMISSION, format!("the server does not permit it: {words}"))),
    }
}

/// Asks on the terminal; anything but yes is no. Without a terminal there is nobody to ask.
///
/// # Errors
/// Exit code 2 where nobody can be asked: `--yes` is missing.
pub(crate) fn consent(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(exit::USAGE, format!("{question} Nobody can be asked here; say so with --yes")));
    }
    let broken = |e: std::io::Error| Failure::new(exit::INTERNAL, format!("the terminal cannot be asked: {e}; say --yes"));
    let mut terminal = std::io::stderr().lock();
    write!(terminal, "{question} [y/N] ").and_then(|()| terminal.flush()).map_err(broken)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(broken)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
