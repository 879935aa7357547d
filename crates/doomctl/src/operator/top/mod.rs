//! `doomctl top`: the population, live on the terminal.

mod keys;
mod view;

use std::{io::IsTerminal, time::Duration};

use clap::Args;
use cli_common::{
    exit::{self, Failure},
    values,
};
use doom_bus::{
    Link,
    operator::{self, Member},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use self::{
    keys::{Key, Keys},
    view::View,
};
use super::{agents, failure};
use crate::{cli::Global, connection};

const NOTES: &str = "\
Keys: q or Ctrl-C quits, arrows and page keys move, s sorts by the next column (agent, steps/s, drops).

Agents are looked for again at every --every; one that is gone leaves the table. While the connection is lost the last figures stay, with a note.
--once prints them as text and ends, for scripts and logs; with --json as `doomctl agents --json` does.";

/// How long one look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(after_long_help = NOTES)]
pub(crate) struct Arguments {
    /// Between two looks
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = values::duration)]
    every: Duration,
    /// Print one table as text and end
    #[arg(long)]
    once: bool,
}

/// Shows the table until told to quit.
///
/// # Errors
/// Exit code 2 where standard output is no terminal; those of the connection; 77 where the server does not permit to ask.
pub(crate) async fn run(global: &Global, arguments: &Arguments) -> Result<i32, Failure> {
    if arguments.once || global.json {
        return once(global).await;
    }
    if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        return Err(Failure::new(exit::USAGE, "top needs a terminal; `doomctl top --once` prints one table"));
    }
    let link = connection::open(global).await?;
    // The first look is taken before the screen is: what the server does not permit is said on an ordinary terminal.
    let members = operator::survey(&link, &global.subject_root, LOOK_WITHIN).await.map_err(failure)?;
    let broken = |e: std::io::Error| Failure::new(exit::INTERNAL, format!("the terminal cannot be used: {e}"));
    let mut terminal = ratatui::try_init().map_err(broken)?;
    let shown = show(global, arguments, &link, members, &mut terminal).await;
    // Whatever happened, the terminal is as it was; a panic restores it by ratatui's own hook.
    ratatui::restore();
    link.close().await;
    shown.map_err(broken)?;
    Ok(exit::DONE)
}

async fn once(global: &Global) -> Result<i32, Failure> {
    let link = connection::open(global).await?;
    let members = operator::survey(&link, &global.subject_root, LOOK_WITHIN).await;
    link.close().await;
    agents::say_members(global, &members.map_err(failure)?)?;
    Ok(exit::DONE)
}

/// Draws, looks again, obeys keys and signals.
async fn show(
    global: &Global,
    arguments: &Arguments,
    link: &Link,
    members: Vec<Member>,
    terminal: &mut ratatui::DefaultTerminal,
) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut view = View::new(global.nats.to_string(), members);
    let mut keys = Keys::read()?;
    // Looks are taken beside, so that keys are obeyed while one is under way.
    let (looked_in, mut looked) = mpsc::channel(1);
    let looking = tokio::spawn(look(link.clone(), global.subject_root.clone(), arguments.every, looked_in));
    loop {
        terminal.draw(|frame| view.draw(frame))?;
        tokio::select! {
            seen = looked.recv() => match seen {
                Some(Ok(members)) => view.see(members),
                Some(Err(why)) => view.note(why),
                None => break,
            },
            key = keys.next() => match key {
                None | Some(Key::Quit) => break,
                Some(key) => view.obey(key),
            },
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
        }
    }
    looking.abort();
    Ok(())
}

async fn look(link: Link, root: doom_protocol::SubjectRoot, every: Duration, looked: mpsc::Sender<Result<Vec<Member>, String>>) {
    let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let seen = operator::survey(&link, &root, LOOK_WITHIN).await.map_err(|e| e.to_string());
        if looked.send(seen).await.is_err() {
            return;
        }
    }
}
