//! `doomctl streams purge`.

use clap::Args;
use cli_common::exit::{self, Failure};
use doom_bus::{
    ApiError,
    streams::{purge, read},
};
use doom_protocol::pattern;
use serde_json::json;

use super::failure;
use crate::{ask::consent, cli::Global, connection, output};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The stream
    stream: String,
    /// Messages on this subject alone; wildcards are understood
    #[arg(long, value_name = "SUBJECT", value_parser = subject)]
    subject: Option<String>,
    /// All but the newest N
    #[arg(long, value_name = "N")]
    keep: Option<u64>,
    /// Without asking
    #[arg(long)]
    yes: bool,
}

/// A subject or a pattern.
pub(crate) fn subject(text: &str) -> Result<String, String> {
    pattern::check(text).map(|()| text.to_owned())
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<i32, Failure> {
    let Arguments { stream, subject, keep, yes } = arguments;
    let link = connection::open(global).await?;
    let there = read(&link).await.map_err(|e| failure(&e))?;
    let Some(found) = there.get(stream) else { return Err(failure(&ApiError::NoStream(stream.clone()))) };
    let of = subject.as_ref().map(|s| format!(" on {s}")).unwrap_or_default();
    let but = keep.map(|k| format!(", but for the newest {k}")).unwrap_or_default();
    if !consent(&format!("Erase the messages of {stream}{of}{but}? It has {} in all.", found.messages), *yes)? {
        output::complain("nothing is erased");
        return Ok(exit::NO);
    }
    let purged = purge(&link, stream, subject.as_deref(), *keep).await.map_err(|e| failure(&e))?;
    link.close().await;
    if global.json {
        output::say_json(&json!({ "stream": stream, "purged": purged }))?;
    } else {
        cli_common::output::say(&format!("{stream}: {purged} messages are erased"));
    }
    Ok(exit::DONE)
}
