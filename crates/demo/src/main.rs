//! The main job, seen from the other side of NATS; `cargo xtask demo` builds and starts it.
//!
//! The agent starts a nats-server of its own. We learn its URL from the agent's log, and read the streams from their first message on,
//! so nothing is missed however long we took to connect. Only the bytes on the wire are used, as a client in any language would.

mod agent;
mod feed;
mod full;
mod show;
mod table;

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use self::{
    agent::{Agent, Log},
    feed::{Event, Feed},
    show::Show,
    table::Table,
};

/// The main job.
const ARGUMENTS: [&str; 10] = ["--id", "A", "--scenario", "basic.cfg", "--nats", "embedded", "--pace", "realtime", "--episodes", "3"];
/// How long the end of the events may take after the agent's end.
const LAST_EVENTS_WITHIN: Duration = Duration::from_secs(2);
/// Events between the reader and the screen.
const CHANNEL: usize = 1024;

/// Runs the main job and shows its events as another NATS client receives them.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Cli {
    /// The doom-agent to run.
    #[arg(long, value_name = "FILE")]
    agent: PathBuf,
    /// The agent's state directory.
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// Show every step.
    #[arg(long)]
    every_step: bool,
    /// The whole workflow: workers, an experiment, listeners, a dead letter, and a ledger in which all agree.
    #[arg(long, requires = "doomctl")]
    full: bool,
    /// With --full: the doomctl to run.
    #[arg(long, value_name = "FILE")]
    doomctl: Option<PathBuf>,
    /// With --full: the workers' game, vizdoom or mock.
    #[arg(long, default_value = "vizdoom")]
    backend: String,
    /// Arguments for the agent, after the demo's own.
    #[arg(last = true, value_name = "ARGUMENT")]
    more: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the agent's exit code.
fn run(cli: &Cli) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the I/O runtime cannot start")?;
    if let (true, Some(doomctl)) = (cli.full, &cli.doomctl) {
        let (agent, doomctl, state_dir, backend) = (cli.agent.clone(), doomctl.clone(), cli.state_dir.clone(), cli.backend.clone());
        return runtime.block_on(full::run(&full::Full { agent, doomctl, state_dir, backend, workers: 4 }));
    }
    runtime.block_on(async {
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain(cli.more.iter().map(String::as_str)).collect();
        writeln!(anstream::stdout(), "{}$ doom-agent {}{}", show::BOLD, arguments.join(" "), show::PLAIN)?;
        let agent = Agent::start(&cli.agent, &arguments, &cli.state_dir)?;
        Demo { agent, show: Show::new(cli.every_step), table: Table::default() }.run().await
    })
}

struct Demo {
    agent: Agent,
    show: Show,
    table: Table,
}

impl Demo {
    async fn run(mut self) -> Result<u8> {
        let (sender, mut events) = mpsc::channel(CHANNEL);
        // Given to the reader once the server is known.
        let mut sender = Some(sender);
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut feed = None;
        let mut logs_open = true;
        // Its log ends with the agent.
        while logs_open {
            tokio::select! {
                Some(event) = events.recv() => self.take(&event)?,
                log = self.agent.log() => match log {
                    Some(log) => {
                        if let Some(url) = log.server_url() && let Some(sender) = sender.take() {
                            self.show.intro(url)?;
                            feed = Some(tokio::spawn(Feed::connect(url.to_owned()).run(sender)));
                        }
                        show_log(&log);
                    }
                    None => logs_open = false,
                },
                _ = interrupt.recv() => self.agent.interrupt(),
                _ = terminate.recv() => self.agent.interrupt(),
            }
        }
        let code = self.agent.wait().await?;
        drop(sender);
        while !self.table.has_ended() {
            match tokio::time::timeout(LAST_EVENTS_WITHIN, events.recv()).await {
                Ok(Some(event)) => self.take(&event)?,
                _ => break,
            }
        }
        if let Some(feed) = feed {
            if feed.is_finished() {
                feed.await?.context("the events could not be read")?;
            } else {
                feed.abort();
            }
        }
        writeln!(anstream::stdout(), "\n{}", self.table)?;
        Ok(code)
    }

    fn take(&mut self, event: &Event) -> Result<()> {
        self.table.event(event);
        self.show.event(event).context("the events cannot be shown")
    }
}

/// What the agent says about itself goes where it would have gone.
fn show_log(log: &Log) {
    if std::io::stderr().is_terminal() {
        anstream::eprintln!("{}agent: {log}{}", show::DIM, show::PLAIN);
    } else {
        eprintln!("agent: {log}");
    }
}
