//! Logs: one line an event, to standard error; JSON on request.

use std::{fmt, io::IsTerminal, str::FromStr};

use tracing::Level;
use tracing_subscriber::{EnvFilter, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    cli::Options,
    exit::{self, Failure},
    terminal::LogWriter,
};

/// What is logged while playing.
const USUAL: &str = "info,async_nats=warn";
/// What is logged by commands that answer on standard output.
const QUIET: &str = "warn,async_nats=error";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("unknown log format `{other}`; valid are text, json")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Sets up logging for the process; where nothing is said about it, only a playing agent tells what goes well.
///
/// # Errors
/// Exit code 2, where the filter does not parse.
pub fn init(options: &Options, playing: bool) -> Result<(), Failure> {
    let filter = options.log.as_deref().unwrap_or(if playing { USUAL } else { QUIET });
    let no_filter = |e| Failure::new(exit::USAGE, format!("--log {filter:?} is no filter: {e}; write a level such as debug, or {USUAL}"));
    let filter = EnvFilter::builder().parse(filter).map_err(no_filter)?;
    // What the NATS client says below info has URLs and logins in it; what it says of each try to connect, the bus says once.
    let secrets = filter_fn(|line| {
        let target = line.target();
        !target.starts_with("async_nats") || *line.level() <= Level::INFO && !target.starts_with("async_nats::connector")
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| LogWriter).with_ansi(std::io::stderr().is_terminal());
    // Complaining at standard error about a standard error that nobody reads any more would panic.
    let builder = builder.log_internal_errors(false);
    let done = match options.log_format {
        LogFormat::Text => builder.finish().with(secrets).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().with(secrets).try_init(),
    };
    done.map_err(|e| Failure::new(exit::INTERNAL, e))
}
