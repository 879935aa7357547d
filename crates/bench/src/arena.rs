//! Where contenders play: their server, their processes, and the window in which they are measured.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use async_nats::Client;
use bench::{
    machine::{Others, cpus},
    player::{Agent, Episode, Loop, ledgers, now},
};
use doom_protocol::{Codec, Envelope, LedgerSummary, SubjectRoot, payload::Score};
use futures::StreamExt;
use nats_server_process::NatsServer;
use tempfile::TempDir;
use tokio::{process::Command, sync::mpsc};

use super::setting::{Contender, Setting};

/// After everybody's first episode, and before the window.
const WARM_UP: Duration = Duration::from_millis(500);
/// Episodes that a player must have finished in the window at least; it is prolonged for slow ones.
const LEAST_EPISODES: usize = 3;
/// How long a run may take beyond its window.
const PATIENCE: Duration = Duration::from_secs(90);
/// A server that has just started answers within this time.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// What one run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Played {
    /// Of all players together.
    pub(crate) steps_per_second: f64,
    /// Of all agents together.
    pub(crate) ledger: LedgerSummary,
    /// CPU time that others used meanwhile, of all CPUs together, 0 to 1.
    pub(crate) others: f64,
}

/// The executables of the contenders, and what they play.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) agent: PathBuf,
    /// Another agent to compare with.
    pub(crate) against: Option<PathBuf>,
    pub(crate) bare_loop: PathBuf,
    /// The interpreter that has the stock package and nats-py.
    pub(crate) python: PathBuf,
    pub(crate) python_loop: PathBuf,
    /// ViZDoom's own scenario files.
    pub(crate) scenarios: PathBuf,
}

/// The place and its programs.
pub(crate) struct Arena {
    pub(crate) programs: Programs,
    /// Agents play the mock, to try the bench itself.
    pub(crate) mock: bool,
    directory: PathBuf,
    _lock: File,
}

/// A server with the design's streams on disk, in a folder that goes with it.
pub(crate) struct Server {
    pub(crate) process: NatsServer,
    pub(crate) client: Client,
    pub(crate) folder: TempDir,
}

impl Arena {
    pub(crate) fn new(programs: Programs, directory: &Path, mock: bool) -> Result<Self> {
        let lock = directory.join(".lock");
        let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
        if lock.try_lock().is_err() {
            bail!("another bench is running in {}; two at once would measure each other", directory.display());
        }
        // An interrupted run leaves its folder.
        for left in std::fs::read_dir(directory).context("cannot list the bench's folder")?.flatten() {
            if left.file_name().to_string_lossy().starts_with("run-") {
                std::fs::remove_dir_all(left.path()).with_context(|| format!("cannot remove {}", left.path().display()))?;
            }
        }
        Ok(Self { programs, mock, directory: directory.to_owned(), _lock: lock })
    }

    /// How long something takes: much less where the bench itself is tried.
    pub(crate) fn span(&self, whole: Duration) -> Duration {
        if self.mock { whole / 30 } else { whole }
    }

    /// Who plays.
    pub(crate) fn present(&self, contenders: &[Contender]) -> Vec<Contender> {
        contenders.iter().copied().filter(|contender| contender.is_agent() || !self.mock).collect()
    }

    pub(crate) async fn server(&self) -> Result<Server> {
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&self.directory).context("no folder for a run")?;
        let process = NatsServer::builder().jetstream(true).store_dir(folder.path().join("store")).start()?;
        let settings = doom_bus::ConnectSettings { url: process.url(), name: "bench".to_owned(), ..Default::default() };
        let link = doom_bus::connect(&settings).await.context("cannot connect to the server")?;
        link.connected_within(CONNECTED_WITHIN).await.map_err(|e| anyhow!(e))?;
        doom_bus::create_streams(&link, &SubjectRoot::default().to_string()).await.map_err(|e| anyhow!(e))?;
        link.close().await;
        // What measures is the plain client, without anything of ours.
        let client = async_nats::connect(process.url()).await.context("cannot connect to the server")?;
        Ok(Server { process, client, folder })
    }

    /// Starts `count` agents at once; `more` comes after the arguments of the setting.
    pub(crate) fn agents(
        &self,
        server: &Server,
        contender: Contender,
        setting: &Setting,
        count: usize,
        more: &[&str],
    ) -> Result<Vec<Agent>> {
        let program = match (contender, &self.programs.against) {
            (Contender::Against, Some(other)) => other,
            _ => &self.programs.agent,
        };
        let mut arguments = vec!["--scenario".to_owned(), self.scenario(setting), "--nats".to_owned(), server.process.url()];
        for (key, value) in changes(setting) {
            arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        arguments.extend(["--frame-skip".to_owned(), setting.skip.to_string(), "--pace".to_owned(), "max".to_owned()]);
        arguments.extend(["--cpu".to_owned(), if contender == Contender::AgentCpuOff { "off" } else { "auto" }.to_owned()]);
        if self.mock {
            arguments.extend(["--backend".to_owned(), "mock".to_owned()]);
        }
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        // Far longer than anything here is measured.
        let limit = Duration::from_secs(900);
        let start = |i| Agent::start(program, format!("B{i}"), &arguments, server.folder.path(), limit);
        (0..count).map(start).collect()
    }

    /// Starts a loop, which is no agent.
    pub(crate) fn start_loop(
        &self,
        server: Option<&Server>,
        contender: Contender,
        setting: &Setting,
        player: usize,
        episodes: mpsc::Sender<Episode>,
    ) -> Result<Loop> {
        let cpus = cpus();
        // From the last one down: the first has the machine's interrupts.
        let own = cpus.get(cpus.len().saturating_sub(1 + player % cpus.len().max(1))).copied();
        let cpu = own.filter(|_| matches!(contender, Contender::Bare | Contender::PythonOneCpu));
        let mut command;
        if contender == Contender::Bare {
            command = Command::new(&self.programs.bare_loop);
            command.args([self.scenario(setting), setting.skip.to_string(), cpu.map_or("off".to_owned(), |cpu| cpu.to_string())]);
            command.args(changes(setting).map(|(key, value)| format!("{key}={value}")));
        } else {
            let settings = serde_json::json!({
                "scenario": self.scenario(setting),
                "resolution": format!("RES_{}", setting.resolution),
                "format": setting.format,
                "skip": setting.skip,
                "cpu": cpu,
                "nats": server.map(|server| server.process.url()),
                "id": format!("B{player}"),
            });
            command = Command::new(&self.programs.python);
            command.arg(&self.programs.python_loop).arg(settings.to_string());
        }
        // The engine writes its settings where it is started.
        command.current_dir(&self.directory);
        Loop::start(command, player, episodes)
    }

    /// Plays with `population` of a contender at once, and measures a window.
    pub(crate) async fn play(&self, contender: Contender, setting: &Setting, population: usize, window: Duration) -> Result<Played> {
        let server = if contender.needs_server() { Some(self.server().await?) } else { None };
        let (episodes_in, mut episodes) = mpsc::channel(4096);
        let (loops, agents, mut last_words) = match &server {
            Some(server) if contender.is_agent() => {
                tokio::spawn(forward_scores(server.client.subscribe("clau-doom.agent.*.score").await?, episodes_in));
                let last_words = server.client.subscribe("clau-doom.system.doom_agent.lifecycle").await?;
                server.client.flush().await?;
                (Vec::new(), self.agents(server, contender, setting, population, &[])?, Some(last_words))
            }
            server => {
                let start = |player| self.start_loop(server.as_ref(), contender, setting, player, episodes_in.clone());
                let loops = (0..population).map(start).collect::<Result<Vec<_>>>()?;
                drop(episodes_in);
                (loops, Vec::new(), None)
            }
        };
        let others = Others::look();
        let measured = tokio::time::timeout(window + PATIENCE, measure(&mut episodes, population, window)).await;
        let others = others.share_since();
        agents.iter().for_each(Agent::stop);
        // Each is told first, so that they end at once and not one after the other.
        let steps_per_second = match measured {
            Ok(Ok(rate)) => rate,
            Ok(Err(error)) => return Err(error),
            Err(_) => bail!("{} does not come to an end{}", contender.name(), agents.first().map_or(String::new(), Agent::said)),
        };
        let ledger = match &mut last_words {
            Some(last_words) => ledgers(last_words, population).await?,
            None => LedgerSummary::default(),
        };
        for agent in agents {
            agent.ended().await?;
        }
        drop(episodes);
        for ended in futures::future::join_all(loops.into_iter().map(Loop::end)).await {
            ended?;
        }
        Ok(Played { steps_per_second, ledger, others })
    }

    fn scenario(&self, setting: &Setting) -> String {
        if self.mock {
            // Of the agent's own, which are always there.
            return setting.scenario.to_owned();
        }
        self.programs.scenarios.join(format!("{}.cfg", setting.scenario)).display().to_string()
    }
}

/// What a setting changes of its scenario's file.
fn changes(setting: &Setting) -> impl Iterator<Item = (&'static str, String)> {
    [("screen_resolution", format!("RES_{}", setting.resolution)), ("screen_format", setting.format.to_owned())].into_iter()
}

/// Scores as episodes.
async fn forward_scores(mut scores: async_nats::Subscriber, episodes: mpsc::Sender<Episode>) {
    while let Some(message) = scores.next().await {
        let Ok(score) = Codec::Json.decode::<Envelope<'_, Score<'_>>>(&message.payload) else { continue };
        let player = score.payload.agent_id.strip_prefix('B').and_then(|number| number.parse().ok());
        let Some(player) = player.filter(|_| score.payload.end_reason != "aborted") else { continue };
        #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 and steps of an episode have less than 53 bits")]
        let (steps, at) = (score.payload.steps as f64, score.payload.completed_at.as_micros() as f64 / 1e6);
        if episodes.send(Episode { player, steps, at }).await.is_err() {
            return;
        }
    }
}

/// Waits until every player has warmed up, and for the window; the rate of all together.
async fn measure(episodes: &mut mpsc::Receiver<Episode>, players: usize, window: Duration) -> Result<f64> {
    let mut begun = vec![false; players];
    while begun.contains(&false) {
        let episode = episodes.recv().await.context("a player ended before its first episode did")?;
        begun.get_mut(episode.player).into_iter().for_each(|begun| *begun = true);
    }
    let from = now() + WARM_UP.as_secs_f64();
    let until = from + window.as_secs_f64();
    let mut seen: BTreeMap<usize, Vec<Episode>> = BTreeMap::new();
    while now() < until || seen.len() < players || seen.values().any(|of_one| of_one.len() < LEAST_EPISODES) {
        let left = Duration::try_from_secs_f64(until - now()).unwrap_or(PATIENCE);
        match tokio::time::timeout(left, episodes.recv()).await {
            Ok(Some(episode)) if episode.at >= from => seen.entry(episode.player).or_default().push(episode),
            Ok(Some(_)) | Err(_) => {}
            Ok(None) => bail!("a player ended while it was measured"),
        }
    }
    Ok(seen.values().filter_map(|of_one| rate(of_one)).sum())
}

/// Steps per second from the first end of an episode to the last; `None` where there are no two.
fn rate(episodes: &[Episode]) -> Option<f64> {
    let (first, rest) = episodes.split_first()?;
    let seconds = rest.last()?.at - first.at;
    Some(rest.iter().map(|episode| episode.steps).sum::<f64>() / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_from_the_end_of_an_episode_to_the_end_of_another() {
        let episode = |steps, at| Episode { player: 0, steps, at };
        assert_eq!(rate(&[episode(100.0, 5.0), episode(300.0, 6.0), episode(100.0, 7.0)]), Some(200.0));
        assert_eq!(rate(&[episode(100.0, 5.0)]), None);
    }

    #[tokio::test]
    async fn a_window_begins_when_every_player_has_finished_an_episode_and_is_warm() {
        let (sender, mut episodes) = mpsc::channel(16);
        let begun = now();
        for (player, steps, after) in [(0, 9e9, 0.0), (1, 9e9, 0.1), (0, 9e9, 0.2)] {
            sender.send(Episode { player, steps, at: begun + after }).await.unwrap();
        }
        for second in 1..=4 {
            for (player, steps) in [(0, 100.0), (1, 50.0)] {
                sender.send(Episode { player, steps, at: begun + f64::from(second) }).await.unwrap();
            }
        }
        let rate = measure(&mut episodes, 2, Duration::from_millis(10)).await.unwrap();
        assert!((rate - 150.0).abs() < 1e-3, "{rate}");
    }
}
