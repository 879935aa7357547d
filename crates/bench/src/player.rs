//! Processes that play.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use async_nats::Subscriber;
use doom_protocol::{Codec, Envelope, LedgerSummary, payload::Lifecycle};
use futures::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
};

/// How long an end may take; a loop ends with its episode.
const END_WITHIN: Duration = Duration::from_secs(30);
/// One agent's last word may come so long after another's.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// A finished episode.
#[derive(Debug, Clone, Copy)]
pub struct Episode {
    /// Who played it.
    pub player: usize,
    /// How many it took.
    pub steps: f64,
    /// When it ended, in seconds since 1970.
    pub at: f64,
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A loop that writes a line for each episode, and ends where nobody reads them: also where we are killed, so that it can end its
/// engine properly.
pub struct Loop {
    child: Child,
    reader: JoinHandle<()>,
}

impl Loop {
    /// Starts it; its episodes are sent as those of `player`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(mut command: Command, player: usize, episodes: mpsc::Sender<Episode>) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        let mut lines = BufReader::new(child.stdout.take().context("the loop has no standard output")?).lines();
        let reader = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let numbers = line.split_once(' ').and_then(|(steps, at)| Some((steps.parse().ok()?, at.parse().ok()?)));
                // What is no episode is for the person who reads.
                let Some((steps, at)) = numbers else {
                    eprintln!("{line}");
                    continue;
                };
                if episodes.send(Episode { player, steps, at }).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, reader })
    }

    /// Lets it end, and waits for that.
    ///
    /// # Errors
    /// Where it failed, or had to be killed.
    pub async fn end(mut self) -> Result<()> {
        self.reader.abort();
        // Its end of the pipe is closed when the task is gone.
        let _ = self.reader.await;
        if let Ok(status) = tokio::time::timeout(END_WITHIN, self.child.wait()).await {
            let status = status.context("cannot wait for a loop")?;
            return if status.success() { Ok(()) } else { bail!("a loop failed ({status})") };
        }
        self.child.kill().await.context("cannot kill a loop")?;
        bail!("a loop did not end within {END_WITHIN:?}; it was killed")
    }
}

/// A `doom-agent`.
pub struct Agent {
    /// As it was told.
    pub id: String,
    child: Child,
    log: PathBuf,
}

impl Agent {
    /// Its state and its log go below `directory`. It ends after `limit` whatever becomes of us.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(program: &Path, id: String, arguments: &[String], directory: &Path, limit: Duration) -> Result<Self> {
        let log = directory.join(format!("{id}.log"));
        let written = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command.args(["--id", &id, "--log", "warn", "--time-limit", &format!("{}s", limit.as_secs())]);
        command.arg("--state-dir").arg(directory.join("state")).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(written).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { id, child, log })
    }

    /// Its process.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().with_context(|| format!("agent {} has ended{}", self.id, self.said()))
    }

    /// The end of its log.
    #[must_use]
    pub fn said(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        last.into_iter().rev().map(|line| format!("\n  {line}")).collect()
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            // It may have ended a moment ago; then there is nobody to tell.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for its end, after [`Agent::stop`].
    ///
    /// # Errors
    /// Where it failed, or had to be killed.
    pub async fn ended(mut self) -> Result<()> {
        let Ok(status) = tokio::time::timeout(END_WITHIN, self.child.wait()).await else {
            bail!("agent {} did not stop within {END_WITHIN:?}; it was killed{}", self.id, self.said());
        };
        let status = status.context("cannot wait for the agent")?;
        if status.success() { Ok(()) } else { bail!("agent {} failed ({status}){}", self.id, self.said()) }
    }
}

/// The ledgers of so many agents that have stopped, added up.
///
/// # Errors
/// Where one of them does not say its last word.
pub async fn ledgers(last_words: &mut Subscriber, agents: usize) -> Result<LedgerSummary> {
    let mut sum = LedgerSummary::default();
    let mut stopped = 0;
    while stopped < agents {
        let message = tokio::time::timeout(LAST_WORDS, last_words.next()).await;
        let message = message.ok().flatten().context("an agent stopped without a last word")?;
        let event: Envelope<'_, Lifecycle<'_>> = Codec::Json.decode(&message.payload)?;
        if let Some(ledger) = event.payload.ledger {
            stopped += 1;
            sum.produced += ledger.produced;
            sum.dropped += ledger.dropped;
            sum.unconfirmed += ledger.unconfirmed;
            sum.stored += ledger.stored;
        }
    }
    Ok(sum)
}
