//! The whole workflow at once: a server with the streams, workers on the real engine, an experiment of two factors, a live watcher, an
//! analytics consumer that meets a poisoned message, two services that wait for the experiment's end; and a ledger in which all must agree.

mod ledger;
mod listeners;
mod workers;

use std::{io::Write, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use doom_bus::{ConnectSettings, Link};
use doom_protocol::SubjectRoot;
use nats_server_process::NatsServer;
use serde_json::json;
use tokio::process::Command;

use self::{
    ledger::Ledger,
    listeners::{Analytics, Service, Watcher},
    workers::Workers,
};

/// The experiment of the demo.
pub(crate) const EXPERIMENT: &str = "demo";
/// Where the poisoned message goes; no agent has this id.
pub(crate) const POISONED: &str = "clau-doom.agent.nobody.score";
/// How long anything may take that ought to happen soon.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Two factors with two levels, two replicates, two episodes a run: sixteen episodes.
const DESIGN: &str = r#"experiment = "demo"
scenario = "basic"
policy = "random"
episodes = 2
replicates = 2
seed = 1
order_seed = 11
response = ["total_reward", "kills"]

[[factor]]
name = "skip"
sets = "frame_skip"
levels = [2, 8]

[[factor]]
name = "timeout"
sets = "set.episode_timeout"
levels = [150, 300]
"#;
/// Of the design.
const EPISODES: u64 = 16;

/// What it is run with.
#[derive(Debug)]
pub(crate) struct Full {
    pub(crate) agent: PathBuf,
    pub(crate) doomctl: PathBuf,
    pub(crate) state_dir: PathBuf,
    pub(crate) backend: String,
    pub(crate) workers: usize,
}

/// 0 where everything agrees.
pub(crate) async fn run(full: &Full) -> Result<u8> {
    let step = |text: &str| writeln!(anstream::stdout(), "{}● {text}{}", crate::show::BOLD, crate::show::PLAIN);
    // What an earlier demo left unsent would be counted with this one's.
    for ours in ["agents", "results"] {
        let folder = full.state_dir.join(ours);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be cleared", folder.display()))?;
        }
    }
    std::fs::create_dir_all(&full.state_dir)?;
    step("a nats-server, and the streams of clau-doom")?;
    let server = NatsServer::builder().jetstream(true).start().context("nats-server; cargo xtask setup fetches it")?;
    let url = server.url();
    let root = SubjectRoot::default();
    let link = doom_bus::connect(&ConnectSettings { url: url.clone(), name: "demo".to_owned(), ..ConnectSettings::default() }).await?;
    link.connected_within(SOON).await.map_err(anyhow::Error::msg)?;
    doom_bus::create_streams(&link, root.as_str()).await.map_err(anyhow::Error::msg)?;

    step("a live watcher, an analytics consumer, two services that wait for the end of the experiment")?;
    let watcher = Watcher::start(&link).await?;
    let analytics = Analytics::start(&link, &root).await?;
    let services = [Service::start(&link, "dashboard").await?, Service::start(&link, "archive").await?];

    step(&format!("{} workers on {}", full.workers, if full.backend == "vizdoom" { "the real engine" } else { "the mock" }))?;
    let workers = Workers::start(full, &url, &link).await?;

    step("a poisoned message among the scores")?;
    link.client().publish(POISONED, "{ this is no score".into()).await?;

    step("doomctl experiment run: two factors, two levels each, two replicates, two episodes a run")?;
    experiment(full, &url).await?;

    step("the poisoned message is a dead letter; its reader is mended, and it is given back")?;
    analytics.wait_buried().await?;
    analytics.mend();
    redrive(&link, &root).await?;

    step("the experiment's completion is seen by both services; then the workers are told to stop")?;
    for service in services {
        service.wait().await?;
    }
    let produced = workers.stop(&link).await?;
    let ledger = Ledger::close(&link, produced, &watcher, &analytics, &full.state_dir.join("results/episodes.csv")).await?;
    writeln!(anstream::stdout(), "\n{ledger}")?;
    analytics.end().await?;
    link.close().await;
    drop(server);
    Ok(u8::from(!ledger.agrees()))
}

/// The command, as an operator gives it.
async fn experiment(full: &Full, url: &str) -> Result<()> {
    let design = full.state_dir.join("demo.toml");
    std::fs::write(&design, DESIGN)?;
    let mut command = Command::new(&full.doomctl);
    command
        .args(["--nats", url, "experiment", "run"])
        .arg(&design)
        .arg("--out")
        .arg(full.state_dir.join("results"))
        .args(["--timeout", "10m"]);
    let status = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("cannot start {}", full.doomctl.display()))?;
    if !status.success() {
        bail!("doomctl experiment run ended with {status}");
    }
    Ok(())
}

/// Gives every dead letter back to its subject.
async fn redrive(link: &Link, root: &SubjectRoot) -> Result<()> {
    use doom_bus::dead_letters::{Filter, Letters, redrive};
    let mut letters = Letters::open(link, root, Filter::default()).await?;
    while let Some(letter) = letters.next().await? {
        let what = json!({"subject": letter.subject, "deliveries": letter.deliveries, "error": letter.error});
        writeln!(anstream::stdout(), "  dead letter {what}: {:?}", redrive(link, &letter).await?)?;
    }
    Ok(())
}

/// Asks again and again until there is an answer; what is asked for has no event of its own.
pub(crate) async fn until<T, F: Future<Output = Result<Option<T>>>>(what: &str, mut ask: impl FnMut() -> F) -> Result<T> {
    let deadline = tokio::time::Instant::now() + SOON;
    while tokio::time::Instant::now() < deadline {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{what}: not within {} s", SOON.as_secs())
}
