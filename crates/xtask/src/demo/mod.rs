//! `cargo xtask demo`: the main job, seen from the other side of NATS.
//!
//! The agent starts a nats-server of its own. We learn its URL from the agent's log, and read the streams from their first message on,
//! so nothing is missed however long we took to connect. Only the bytes on the wire are used, as a client in any language would.

mod agent;
mod feed;
mod show;
mod table;

use std::{io::Write, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
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
use crate::{
    progress::on_terminal,
    setup::{Scope, setup},
    workspace::Workspace,
};

/// The main job.
const ARGUMENTS: [&str; 10] = ["--id", "A", "--scenario", "basic.cfg", "--nats", "embedded", "--pace", "realtime", "--episodes", "3"];
/// How long the end of the events may take after the agent's end.
const LAST_EVENTS_WITHIN: Duration = Duration::from_secs(2);
/// Events between the reader and the screen.
const CHANNEL: usize = 1024;

/// Sets up, builds, plays; returns the agent's exit code. `more` arguments go to the agent after the demo's own.
pub(crate) fn demo(workspace: &Workspace, every_step: bool, more: &[String]) -> Result<ExitCode> {
    setup(workspace, Scope::Play)?;
    let program = agent::build(workspace)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the I/O runtime cannot start")?;
    let code = runtime.block_on(async {
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain(more.iter().map(String::as_str)).collect();
        writeln!(anstream::stdout(), "{}$ doom-agent {}{}", show::BOLD, arguments.join(" "), show::PLAIN)?;
        let agent = Agent::start(&program, &arguments, &workspace.root.join("target/demo"))?;
        Demo { agent, show: Show::new(every_step), table: Table::default() }.run().await
    })?;
    Ok(ExitCode::from(code))
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
    if on_terminal() {
        anstream::eprintln!("{}agent: {log}{}", show::DIM, show::PLAIN);
    } else {
        eprintln!("agent: {log}");
    }
}
