//! How fast `doomctl` reads what a memory stream holds, beside a plain pull consumer of the client library that counts messages and does nothing else.
//!
//! Every contender is a process that reads the same stream from its first message to its last; its time is that from its start to its end. They
//! take turns, and ratios are made within a round. The events are those of an agent, headers and all.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use async_nats::{
    Client, HeaderMap,
    jetstream::{
        self,
        consumer::{AckPolicy, pull},
        stream,
    },
};
use doom_protocol::{
    Codec, Envelope, Instance, Payload, Timestamp, header,
    payload::{Action, DecisionTimes, Pressed, Score, TelemetryCounts, Values},
};
use futures::StreamExt;
use nats_server_process::NatsServer;
use tokio::process::Command;

use super::report::Report;

/// Messages of each stream.
const ACTIONS: u64 = 400_000;
const SCORES: u64 = 100_000;
/// How long one reader may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is read, and how.
struct Reader {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Acknowledges each message, as the plain one beside it does then.
    acknowledges: bool,
}

const READERS: [Reader; 6] = [
    Reader { name: "replay, a line each (as watch)", arguments: &["replay"], acknowledges: false },
    Reader { name: "replay --json", arguments: &["replay", "--json"], acknowledges: false },
    Reader { name: "watch --durable", arguments: &["watch", "--durable", "bench"], acknowledges: true },
    Reader { name: "export, JSON Lines", arguments: &["export", "--format", "jsonl"], acknowledges: false },
    Reader { name: "export, CSV", arguments: &["export", "--format", "csv"], acknowledges: false },
    Reader { name: "export, Parquet", arguments: &["export", "--format", "parquet"], acknowledges: false },
];

/// Measures all of them on actions and on scores.
pub(crate) async fn measure(doomctl: &Path, rounds: u32, report: &mut Report) -> Result<()> {
    println!();
    let server = NatsServer::builder().jetstream(true).start()?;
    let client = async_nats::ConnectOptions::new().client_capacity(65_536).connect(server.url()).await?;
    for (event, count) in [("action", ACTIONS), ("score", SCORES)] {
        fill(&client, event, count).await?;
        let contest = Contest { server: &server, client: &client, doomctl: doomctl.to_owned(), event, count };
        for reader in &READERS {
            contest.run(reader, rounds, report).await?;
        }
    }
    Ok(())
}

/// The plain reader's process: counts and ends.
pub(crate) async fn plain(url: &str, stream: &str, count: u64, acknowledge: bool) -> Result<()> {
    let client = async_nats::ConnectOptions::new().subscription_capacity(65_536).connect(url).await?;
    let ack_policy = if acknowledge { AckPolicy::Explicit } else { AckPolicy::None };
    let config = pull::Config { ack_policy, max_ack_pending: if acknowledge { 65_536 } else { 0 }, ..Default::default() };
    let consumer = jetstream::new(client).get_stream(stream).await?.create_consumer(config).await?;
    let mut messages = consumer.stream().max_messages_per_batch(4096).messages().await?;
    for _ in 0..count {
        let message = messages.next().await.context("the stream ends early")??;
        if acknowledge {
            message.ack().await.map_err(anyhow::Error::from_boxed)?;
        }
    }
    Ok(())
}

struct Contest<'a> {
    server: &'a NatsServer,
    client: &'a Client,
    doomctl: PathBuf,
    event: &'static str,
    count: u64,
}

impl Contest<'_> {
    fn stream(&self) -> String {
        format!("BENCH_{}", self.event.to_uppercase())
    }

    async fn run(&self, reader: &Reader, rounds: u32, report: &mut Report) -> Result<()> {
        let (mut ours, mut ratios) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let plain = self.plain(reader.acknowledges).await?;
            let own = self.own(reader).await.with_context(|| format!("{} of {}s", reader.name, self.event))?;
            ratios.push(own / plain);
            ours.push(own);
        }
        report.figure(format!("{} of {}s", reader.name, self.event), "messages/s", ours);
        report.figure(format!("{} of {}s, over a plain async-nats consumer", reader.name, self.event), "", ratios);
        Ok(())
    }

    /// Messages per second of a process.
    async fn rate(&self, mut command: Command) -> Result<f64> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let began = Instant::now();
        let status = tokio::time::timeout(PATIENCE, command.status()).await.context("the reader takes too long")??;
        let seconds = began.elapsed().as_secs_f64();
        ensure!(status.success(), "the reader ends with {status}");
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
        Ok(self.count as f64 / seconds)
    }

    async fn plain(&self, acknowledge: bool) -> Result<f64> {
        let mut command = Command::new(std::env::current_exe()?);
        let stream = self.stream();
        command.args(["--agent", "-", "--bare-loop", "-", "--doomctl", "-", "--root", ".", "--plain-reader", &self.server.url(), &stream]);
        command.arg(self.count.to_string()).arg(acknowledge.to_string());
        self.rate(command).await
    }

    async fn own(&self, reader: &Reader) -> Result<f64> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(&self.doomctl);
        let stream = self.stream();
        command.args(reader.arguments).args(["--nats", &self.server.url(), "--stream", &stream, "--event", self.event]);
        if reader.arguments.contains(&"export") {
            command.arg("--out").arg(folder.path().join("bench.out"));
        }
        if reader.acknowledges {
            command.args(["--count", &self.count.to_string()]);
            self.durable(&stream).await?;
        }
        self.rate(command).await
    }

    /// A durable consumer that begins with the first message, which `watch` alone would not make.
    async fn durable(&self, stream: &str) -> Result<()> {
        let stream = jetstream::new(self.client.clone()).get_stream(stream).await?;
        // It is not there in the first round.
        let _ = stream.delete_consumer("bench").await;
        let config = pull::Config {
            durable_name: Some("bench".to_owned()),
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: 65_536,
            filter_subject: format!("clau-doom.agent.*.{}", self.event),
            ..Default::default()
        };
        stream.create_consumer(config).await?;
        Ok(())
    }
}

/// A stream in memory, full of events.
async fn fill(client: &Client, event: &str, count: u64) -> Result<()> {
    let context = jetstream::new(client.clone());
    let config = stream::Config {
        name: format!("BENCH_{}", event.to_uppercase()),
        subjects: vec![format!("clau-doom.agent.*.{event}")],
        storage: stream::StorageType::Memory,
        ..Default::default()
    };
    let mut stream = context.create_stream(config).await?;
    let instance = Instance::new();
    for seq in 1..=count {
        let mut headers = HeaderMap::new();
        let at = Timestamp::now();
        let trace = instance.trace(1);
        for (name, value) in [
            (header::SOURCE_AGENT, "A".to_owned()),
            (header::INSTANCE, instance.to_string()),
            (header::BACKEND, "mock".to_owned()),
            (header::TRACE_ID, trace.to_string()),
            (header::TIMESTAMP, at.to_string()),
            (header::CONTENT_TYPE, Codec::Json.content_type().to_owned()),
            (header::SEQ, seq.to_string()),
        ] {
            headers.insert(name, value.as_str());
        }
        let bytes = if event == "action" {
            encoded(action(instance, seq, at), instance, at)?
        } else {
            encoded(score(instance, seq, at), instance, at)?
        };
        client.publish_with_headers(format!("clau-doom.agent.A.{event}"), headers, bytes.into()).await?;
        if seq % 8192 == 0 {
            client.flush().await?;
        }
    }
    let until = Instant::now() + PATIENCE;
    while stream.info().await?.state.messages < count {
        if Instant::now() > until {
            bail!("the stream does not take {count} messages");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn encoded<P: Payload>(payload: P, instance: Instance, at: Timestamp) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Codec::Json.encode(&Envelope::new(payload, instance.trace(1), at), &mut bytes)?;
    Ok(bytes)
}

fn action(instance: Instance, step: u64, timestamp: Timestamp) -> Action<'static> {
    Action {
        agent_id: "A".into(),
        timestamp,
        episode_id: instance.episode(1),
        experiment_id: None,
        run_id: None,
        generation_id: None,
        step,
        tic: 4,
        action: Pressed { action_id: 4, buttons: vec![false, false, true].into(), action_type: "ATTACK".into(), values: None },
        frame_skip: 4,
        policy: "random".into(),
        decision_us: 3,
    }
}

fn score(instance: Instance, number: u64, timestamp: Timestamp) -> Score<'static> {
    const NAMES: [&str; 8] = ["AMMO2", "HEALTH", "KILLCOUNT", "HITCOUNT", "DAMAGECOUNT", "POSITION_X", "POSITION_Y", "ARMOR"];
    const VALUES: [f64; 8] = [44.0, 100.0, 1.0, 3.0, 30.0, -200.25, -8.125, 0.0];
    Score {
        agent_id: "A".into(),
        timestamp,
        episode_id: instance.episode(number),
        experiment_id: Some("e1".into()),
        run_id: Some(7),
        generation_id: None,
        evaluation_id: None,
        evaluation_episode: None,
        episode_number: number,
        seed: 42,
        scenario: "basic".into(),
        scenario_sha256: "2d169563a1a44da482e475e78392941a14b26922c37eabb7144e124e241ca927".into(),
        policy: "random".into(),
        policy_sha256: "a441b15fe9a3cf56661190a0b93b9dec7d04127288cc87250967cf3b52894d11".into(),
        backend: "mock".into(),
        engine_version: "mock-1".into(),
        end_reason: "timeout".into(),
        total_reward: -130.5,
        steps: 75,
        tics: 300,
        frame_skip: 4,
        survival_seconds: 300.0 / 35.0,
        kills: 1,
        kill_rate: 7.0,
        damage_dealt: 30.0,
        damage_taken: 12.0,
        hits: 3,
        items: 0,
        ammo_used: 6.0,
        ammo_efficiency: 0.5,
        cells_visited: 2,
        rule_match_rate: None,
        final_variables: Values::Borrowed(&NAMES, &VALUES),
        decision_us: DecisionTimes { p50: 1, p99: 2, max: 3 },
        wall_seconds: 0.25,
        telemetry: TelemetryCounts { produced: 151, dropped: 0, unconfirmed: 0 },
        started_at: timestamp,
        completed_at: timestamp,
    }
}
