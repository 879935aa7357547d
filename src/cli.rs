//! The command line; its help is the documentation of every setting.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use doom_policy::PolicySpec;
use doom_protocol::{Codec, Id, SubjectRoot};

use crate::{config::NatsChoice, frames::FrameEncoding, game_loop::Pace, logging::LogFormat, placement::CpuChoice};

/// One Doom-playing agent: drives a ViZDoom game loop and publishes its events over NATS.
#[derive(Debug, Parser)]
#[command(
    name = "doom-agent",
    version = crate::config::VERSION,
    args_override_self = true,
    args_conflicts_with_subcommands = false,
    disable_help_subcommand = true,
    after_help = "Examples:\n  doom-agent --id A --scenario basic.cfg\n  doom-agent --id A --scenario basic --backend mock --nats off --events - --episodes 3\n  doom-agent check --id A --scenario deadly_corridor --policy rules:corridor.toml\n\nExit codes: 0 done or told to stop; 2 command line; 65 scenario, policy or configuration data;\n69 NATS required and absent, or the id is in use; 70 internal; 71 the engine cannot start or\nkeeps failing; 130 quit by a second signal."
)]
pub struct Cli {
    /// What to do instead of playing.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings.
    #[command(flatten)]
    pub options: Options,
}

/// What to do instead of playing.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Validate scenario, policy, configuration, engine and NATS, say what was found, and do not play.
    Check,
    /// Ask an agent for its health over NATS; exit 0 where it is healthy, else 1 (for container health checks).
    Health,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Which game is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendKind {
    /// The real engine.
    Vizdoom,
    /// A deterministic game without an engine; its data say so in every message.
    Mock,
}

impl BackendKind {
    /// The wire's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vizdoom => "vizdoom",
            Self::Mock => "mock",
        }
    }
}

#[cfg(feature = "vizdoom")]
const DEFAULT_BACKEND: &str = "vizdoom";
#[cfg(not(feature = "vizdoom"))]
const DEFAULT_BACKEND: &str = "mock";

/// Every setting; each has an environment variable, and a key of the same name in `--config`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The agent's id: 1 to 64 characters of A-Z a-z 0-9 _ - (also AGENT_ID).
    #[arg(long, env = "DOOM_AGENT_ID", global = true, help_heading = "What is played")]
    pub id: Option<Id>,
    /// A scenario file, or the name of one of ours or of ViZDoom's, such as basic or basic.cfg (also SCENARIO).
    #[arg(long, env = "DOOM_AGENT_SCENARIO", global = true, help_heading = "What is played", value_name = "FILE|NAME")]
    pub scenario: Option<String>,
    /// The real engine, or the mock.
    #[arg(long, env = "DOOM_AGENT_BACKEND", global = true, help_heading = "What is played", default_value = DEFAULT_BACKEND)]
    pub backend: BackendKind,
    /// Who picks the action: random, cycle:ATTACK,MOVE_LEFT+ATTACK,…, or rules:FILE.
    #[arg(long, env = "DOOM_AGENT_POLICY", global = true, help_heading = "What is played", default_value = "random")]
    pub policy: PolicySpec,
    /// A parameter of the policy; may be given several times.
    #[arg(long, env = "DOOM_AGENT_POLICY_PARAM", global = true, help_heading = "What is played", value_name = "NAME=NUMBER", value_parser = parameter, value_delimiter = ',')]
    pub policy_param: Vec<(String, f64)>,
    /// A setting of the scenario, such as episode_timeout=2100; may be given several times.
    #[arg(long, env = "DOOM_AGENT_SET", global = true, help_heading = "What is played", value_name = "KEY=VALUE", value_parser = pair, value_delimiter = ';')]
    pub set: Vec<(String, String)>,
    /// How many episodes; 0 is until told to stop. With --seeds the default is one for each seed.
    #[arg(long, env = "DOOM_AGENT_EPISODES", global = true, help_heading = "What is played", value_name = "N")]
    pub episodes: Option<u64>,
    /// Seed of the first episode; without it one is drawn, and logged (also SEED).
    #[arg(long, env = "DOOM_AGENT_SEED", global = true, help_heading = "What is played", value_name = "N")]
    pub seed: Option<u32>,
    /// Added to the seed from one episode to the next, modulo 2^32.
    #[arg(long, env = "DOOM_AGENT_SEED_STEP", global = true, help_heading = "What is played", value_name = "K", default_value_t = 1)]
    pub seed_step: u32,
    /// A seed for each episode.
    #[arg(
        long,
        env = "DOOM_AGENT_SEEDS",
        global = true,
        help_heading = "What is played",
        value_name = "N,N,…",
        value_delimiter = ',',
        conflicts_with = "seed"
    )]
    pub seeds: Vec<u32>,
    /// Tics that an action is held for, 1 to 1000.
    #[arg(long, env = "DOOM_AGENT_FRAME_SKIP", global = true, help_heading = "What is played", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub frame_skip: u32,
    /// max, realtime (35 tics a second), or tics a second.
    #[arg(long, env = "DOOM_AGENT_PACE", global = true, help_heading = "What is played", default_value_t = Pace::Max)]
    pub pace: Pace,
    /// Record every episode to DIR/episode-NNNNNN.lmp.
    #[arg(long, env = "DOOM_AGENT_RECORD", global = true, help_heading = "What is played", value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Begin paused, and wait for a resume command.
    #[arg(long, env = "DOOM_AGENT_START_PAUSED", global = true, help_heading = "What is played")]
    pub start_paused: bool,
    /// End after this long, as if told to.
    #[arg(long, env = "DOOM_AGENT_TIME_LIMIT", global = true, help_heading = "What is played", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub time_limit: Option<Duration>,
    /// Faults that the mock injects, such as hang@tic=100,crash@episode=3,slow=20ms.
    #[arg(long, env = "DOOM_AGENT_MOCK_FAULT", global = true, help_heading = "What is played", value_name = "FAULTS")]
    pub mock_fault: Option<doom_game::Faults>,

    /// Where the events go: a URL (or several, separated by commas), embedded (a server of our own), or off (also NATS_URL).
    #[arg(
        long,
        env = "DOOM_AGENT_NATS",
        global = true,
        help_heading = "Where events go",
        value_name = "URL|embedded|off",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true
    )]
    pub nats: NatsChoice,
    /// Fail where NATS does not answer at the start, instead of playing on and retrying.
    #[arg(long, env = "DOOM_AGENT_REQUIRE_NATS", global = true, help_heading = "Where events go")]
    pub require_nats: bool,
    /// Credentials file (JWT and nkey seed).
    #[arg(long, env = "DOOM_AGENT_NATS_CREDS", global = true, help_heading = "Where events go", value_name = "FILE")]
    pub nats_creds: Option<PathBuf>,
    /// File with an nkey seed.
    #[arg(long, env = "DOOM_AGENT_NATS_NKEY", global = true, help_heading = "Where events go", value_name = "FILE")]
    pub nats_nkey: Option<PathBuf>,
    /// User name.
    #[arg(long, env = "DOOM_AGENT_NATS_USER", global = true, help_heading = "Where events go", requires = "nats_password")]
    pub nats_user: Option<String>,
    /// Password; better given by the environment.
    #[arg(long, env = "DOOM_AGENT_NATS_PASSWORD", global = true, help_heading = "Where events go", hide_env_values = true)]
    pub nats_password: Option<String>,
    /// Token; better given by the environment.
    #[arg(long, env = "DOOM_AGENT_NATS_TOKEN", global = true, help_heading = "Where events go", hide_env_values = true)]
    pub nats_token: Option<String>,
    /// Root certificate for TLS.
    #[arg(long, env = "DOOM_AGENT_NATS_CA", global = true, help_heading = "Where events go", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// Our certificate for mutual TLS.
    #[arg(long, env = "DOOM_AGENT_NATS_CERT", global = true, help_heading = "Where events go", value_name = "FILE", requires = "nats_key")]
    pub nats_cert: Option<PathBuf>,
    /// Our certificate's key.
    #[arg(long, env = "DOOM_AGENT_NATS_KEY", global = true, help_heading = "Where events go", value_name = "FILE")]
    pub nats_key: Option<PathBuf>,
    /// Also write the events as JSON Lines to a file, or - for standard output.
    #[arg(long, env = "DOOM_AGENT_EVENTS", global = true, help_heading = "Where events go", value_name = "FILE|-")]
    pub events: Option<PathBuf>,
    /// json or msgpack.
    #[arg(long, env = "DOOM_AGENT_CODEC", global = true, help_heading = "Where events go", default_value_t = Codec::Json)]
    pub codec: Codec,
    /// Publish pictures of the screen for whoever watches live: off, png, jpeg, or raw (the engine's own bytes).
    #[arg(long, env = "DOOM_AGENT_FRAMES", global = true, help_heading = "Where events go", default_value = "off")]
    pub frames: FrameEncoding,
    /// With --frames: only those of every N-th step; 4 is about nine pictures a second in real time.
    #[arg(long, env = "DOOM_AGENT_FRAME_EVERY", global = true, help_heading = "Where events go", value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    pub frame_every: u64,
    /// The first tokens of every subject.
    #[arg(long, env = "DOOM_AGENT_SUBJECT_ROOT", global = true, help_heading = "Where events go", default_value_t = SubjectRoot::default())]
    pub subject_root: SubjectRoot,
    /// The experiment that the episodes belong to.
    #[arg(long, env = "DOOM_AGENT_EXPERIMENT", global = true, help_heading = "Where events go", value_name = "ID")]
    pub experiment: Option<Id>,
    /// The experiment's run.
    #[arg(long, env = "DOOM_AGENT_RUN", global = true, help_heading = "Where events go", value_name = "N")]
    pub run: Option<u64>,
    /// The generation that the agent belongs to (also GENERATION).
    #[arg(long, env = "DOOM_AGENT_GENERATION", global = true, help_heading = "Where events go", value_name = "ID")]
    pub generation: Option<Id>,
    /// Between two publications of the metrics.
    #[arg(long, env = "DOOM_AGENT_METRICS_INTERVAL", global = true, help_heading = "Where events go", value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub metrics_interval: Duration,

    /// A file with settings (keys as the flags are called); flags and environment win.
    #[arg(long, env = "DOOM_AGENT_CONFIG", global = true, help_heading = "How it runs", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Serve /livez, /readyz and /metrics here.
    #[arg(long, env = "DOOM_AGENT_HTTP", global = true, help_heading = "How it runs", value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Put game thread and engine on one CPU, which doubles the speed of small games, and the publisher on others: auto (an idle
    /// CPU, another one when it is contended; only for the real engine at --pace max), off, or a CPU's number.
    #[arg(long, env = "DOOM_AGENT_CPU", global = true, help_heading = "How it runs", value_name = "auto|off|N", default_value_t = CpuChoice::Auto)]
    pub cpu: CpuChoice,
    /// An engine that does not answer a step within this time is replaced.
    #[arg(long, env = "DOOM_AGENT_STEP_TIMEOUT", global = true, help_heading = "How it runs", value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    pub step_timeout: Duration,
    /// An engine that has not started within this time has failed.
    #[arg(long, env = "DOOM_AGENT_START_TIMEOUT", global = true, help_heading = "How it runs", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub start_timeout: Duration,
    /// How long the end may take: closing the episode, delivering what is owed.
    #[arg(long, env = "DOOM_AGENT_SHUTDOWN_TIMEOUT", global = true, help_heading = "How it runs", value_name = "DURATION", default_value = "8s", value_parser = humantime::parse_duration)]
    pub shutdown_timeout: Duration,
    /// Engine failures in a row (without a finished episode between) before the agent gives up.
    #[arg(
        long,
        env = "DOOM_AGENT_MAX_ENGINE_RESTARTS",
        global = true,
        help_heading = "How it runs",
        value_name = "N",
        default_value_t = 5
    )]
    pub max_engine_restarts: u32,
    /// Where the agent keeps its lock and its engine's files; by default $XDG_STATE_HOME/doom-agent, or ~/.local/state/doom-agent.
    #[arg(long, env = "DOOM_AGENT_STATE_DIR", global = true, help_heading = "How it runs", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// text or json.
    #[arg(long, env = "DOOM_AGENT_LOG_FORMAT", global = true, help_heading = "How it runs", default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged: a level, or directives as tracing's EnvFilter takes them.
    #[arg(long, env = "DOOM_AGENT_LOG", global = true, help_heading = "How it runs", default_value = "info,async_nats=warn")]
    pub log: String,
}

fn pair(s: &str) -> Result<(String, String), String> {
    match s.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("`{s}` is not of the form KEY=VALUE")),
    }
}

fn parameter(s: &str) -> Result<(String, f64), String> {
    let (name, value) = pair(s)?;
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((name, number)),
        _ => Err(format!("`{value}` is not a finite number")),
    }
}
