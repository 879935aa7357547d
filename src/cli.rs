//! The command line; its help is the documentation of every setting.
//!
//! A flag needs no more than its field here: `settings` gives each of them its environment variable and its key in `--config`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, builder::BoolishValueParser};
use cli_common::{
    login::{HEADING as NATS, Login},
    values::{address, agent_id, duration, pair, parameter, whole},
};
use doom_policy::PolicySpec;
use doom_protocol::{Codec, Id, SubjectRoot};

use crate::{frames::FrameEncoding, game_loop::Pace, logging::LogFormat, nats_choice::NatsChoice, placement::CpuChoice};

const GAME: &str = "The agent and its game";
const EPISODES: &str = "Episodes";
const PUBLISHED: &str = "What is published";
const PROCESS: &str = "The process";

const EXAMPLES: &str = "\
Examples:
  doom-agent --id A --scenario basic.cfg
      plays the real engine and publishes to the NATS server at 127.0.0.1:4222
  doom-agent --id A --scenario basic --nats embedded --pace realtime --episodes 3
      the same with a NATS server of its own, as fast as a person plays, three times
  doom-agent --id A --scenario basic --backend mock --nats off --events - --episodes 3
      no engine, no NATS: the events as JSON Lines on standard output
  doom-agent check --id A --scenario deadly_corridor --config agent.toml
      says what it would play with, and what is wrong

Exit codes:
    0  all episodes played, or told to stop
    2  command line
   65  scenario, policy, configuration file, or another file that a setting names
   69  NATS is required and absent, or the id is in use by a live agent
   70  a fault of doom-agent itself
   71  the engine cannot start, or keeps failing
  130  quit by a second signal";

/// One Doom-playing agent: plays a ViZDoom game and publishes what happens in it over NATS.
///
/// Every setting is a flag, an environment variable and a key of a file: --frame-skip 4 is the same as DOOM_AGENT_FRAME_SKIP=4, and
/// as frame-skip = 4 in the file that --config names. A flag beats the environment, the environment beats the file. The variables
/// AGENT_ID, SCENARIO, SEED, NATS_URL and GENERATION are understood as well.
#[derive(Debug, Parser)]
#[command(
    name = "doom-agent",
    version = crate::config::VERSION,
    disable_help_subcommand = true,
    override_usage = "doom-agent --id <ID> --scenario <FILE|NAME> [OPTIONS]\n       doom-agent <COMMAND> [OPTIONS]",
    after_help = "doom-agent --help has the other settings, examples and exit codes.",
    after_long_help = EXAMPLES,
)]
pub struct Cli {
    /// What to do instead of playing.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings.
    #[command(flatten)]
    pub options: Options,
}

/// For the subcommands, which take every setting and need not list them.
const BRIEF: &str = "{about-with-newline}\n{usage-heading} {usage}\n{after-help}";

/// What to do instead of playing.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Say what would be played and with what, and what is wrong; do not play.
    #[command(help_template = BRIEF, after_help = "\
Takes every setting of doom-agent (see doom-agent --help). Says where each setting comes from, reads the scenario and the policy, \
starts the engine for a moment, takes the state directory, and asks NATS for its streams. Ends with 0 where the agent could play and \
be heard, else with the code that playing would end with.")]
    Check,
    /// Ask a running agent for its health; exit 0 where it is healthy, else 1.
    #[command(help_template = BRIEF, after_help = "\
Needs --id and the settings as the agent has them (see doom-agent --help). With --http it asks the agent on this host at that address, \
whatever becomes of NATS; else it asks over NATS, by --nats and the other connection settings. Prints the reply as JSON. Ends with 0 where the agent is healthy, with 1 where it is not or does not answer within 3 seconds; made for the health check of a \
container.")]
    Health,
    /// Take evaluations from NATS and play them, one after the other, until told to stop.
    #[command(
        help_template = "{about-with-newline}\n{usage-heading} {usage}\n{after-help}",
        after_help = "\
Needs --id, and --nats and the other settings of connection and process as for playing (see doom-agent --help). What is played, how \
often and with which seeds is said by each evaluation: pulled from the work queue (stream EVALUATIONS, consumer eval-workers), or asked \
of the queue group eval-workers on {root}.generation.{gen}.evaluate. Answers with the scores of all episodes, and tells its progress; \
episodes that are recorded already are not played again. On SIGTERM the evaluation goes back to the queue. doomctl evaluate and doomctl \
experiment hand evaluations out; docs/EXPERIMENTS.md shows how.\n\n  \
--most-episodes <N>  an evaluation of more episodes is refused [default: 500]"
    )]
    Serve {
        /// An evaluation of more episodes is refused
        #[arg(long, value_name = "N", env = "DOOM_AGENT_MOST_EPISODES", default_value_t = doom_protocol::payload::DEFAULT_MOST_EPISODES, value_parser = whole::<u64>(1..=u64::MAX))]
        most_episodes: u64,
    },
    /// Print a completion script for a shell.
    #[command(
        help_template = "{about-with-newline}\n{usage-heading} {usage}\n\nArguments:\n{positionals}\n{after-help}",
        after_help = "\
For bash: doom-agent completions bash > ~/.local/share/bash-completion/completions/doom-agent"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Which game is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendKind {
    /// The real engine
    Vizdoom,
    /// A deterministic game without an engine; its data are invented, and say so in every message
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

/// Every setting.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The agent's id: 1 to 64 characters of A-Z a-z 0-9 _ -, or @hostname for this host's name, which is a container's own
    #[arg(long, global = true, help_heading = GAME, value_parser = agent_id)]
    pub id: Option<Id>,
    /// A scenario: a file, or the name of one of ours or of ViZDoom's, such as basic
    #[arg(long, global = true, help_heading = GAME, value_name = "FILE|NAME")]
    pub scenario: Option<String>,
    /// A setting of the scenario, such as episode_timeout=2100; may be given several times
    #[arg(long, global = true, help_heading = GAME, value_name = "KEY=VALUE", value_parser = pair, value_delimiter = ';')]
    pub set: Vec<(String, String)>,
    /// The game that is played
    #[arg(long, global = true, help_heading = GAME, default_value = DEFAULT_BACKEND)]
    pub backend: BackendKind,
    /// Who picks the action: random, cycle:ATTACK,MOVE_LEFT+ATTACK,…, or rules:FILE
    #[arg(long, global = true, help_heading = GAME, default_value = "random")]
    pub policy: PolicySpec,
    /// A parameter of the policy; may be given several times
    #[arg(long, global = true, help_heading = GAME, value_name = "NAME=NUMBER", value_parser = parameter, value_delimiter = ',', hide_short_help = true)]
    pub policy_param: Vec<(String, f64)>,
    /// Tics that an action is held for, 1 to 1000
    #[arg(long, global = true, help_heading = GAME, value_name = "N", default_value_t = 1, value_parser = whole::<u32>(1..=1000), allow_negative_numbers = true)]
    pub frame_skip: u32,
    /// How fast to play: max, realtime (35 tics a second), or tics a second
    #[arg(long, global = true, help_heading = GAME, default_value_t = Pace::Max, allow_negative_numbers = true)]
    pub pace: Pace,
    /// Record every episode to DIR/episode-NNNNNN.lmp
    #[arg(long, global = true, help_heading = GAME, value_name = "DIR", hide_short_help = true)]
    pub record: Option<PathBuf>,
    /// Faults for the mock to have, such as hang@tic=100,crash@episode=3,slow=20ms
    #[arg(long, global = true, help_heading = GAME, value_name = "FAULTS", hide_short_help = true)]
    pub mock_fault: Option<doom_game::Faults>,

    /// How many episodes to play; 0 is until told to stop, and the default unless --seeds gives a number
    #[arg(long, global = true, help_heading = EPISODES, value_name = "N", value_parser = whole::<u64>(0..=u64::MAX), allow_negative_numbers = true)]
    pub episodes: Option<u64>,
    /// Seed of the first episode; without it one is drawn, and logged
    #[arg(long, global = true, help_heading = EPISODES, value_name = "N", value_parser = whole::<u32>(0..=u32::MAX), allow_negative_numbers = true)]
    pub seed: Option<u32>,
    /// Added to the seed from one episode to the next, modulo 2^32
    #[arg(long, global = true, help_heading = EPISODES, value_name = "K", default_value_t = 1, value_parser = whole::<u32>(0..=u32::MAX), allow_negative_numbers = true, hide_short_help = true)]
    pub seed_step: u32,
    /// A seed for each episode, instead of --seed
    #[arg(long, global = true, help_heading = EPISODES, value_name = "N,N,…", value_delimiter = ',', value_parser = whole::<u32>(0..=u32::MAX), allow_negative_numbers = true, hide_short_help = true)]
    pub seeds: Vec<u32>,
    /// Begin paused, and wait for a resume command
    #[arg(long, global = true, help_heading = EPISODES, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", value_parser = BoolishValueParser::new(), hide_default_value = true, hide_possible_values = true, hide_short_help = true)]
    pub start_paused: bool,
    /// End after this long, as if told to stop
    #[arg(long, global = true, help_heading = EPISODES, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true, hide_short_help = true)]
    pub time_limit: Option<Duration>,

    /// Also write the events as JSON Lines to a file, or - for standard output
    #[arg(long, global = true, help_heading = PUBLISHED, value_name = "FILE|-")]
    pub events: Option<PathBuf>,
    /// How events are encoded for NATS: json or msgpack
    #[arg(long, global = true, help_heading = PUBLISHED, default_value_t = Codec::Json, hide_short_help = true)]
    pub codec: Codec,
    /// Publish pictures of the screen, for whoever watches live
    #[arg(long, global = true, help_heading = PUBLISHED, default_value = "off", hide_short_help = true)]
    pub frames: FrameEncoding,
    /// With --frames: those of every N-th step alone; 4 is about nine a second in real time
    #[arg(long, global = true, help_heading = PUBLISHED, value_name = "N", default_value_t = 4, value_parser = whole::<u64>(1..=u64::MAX), allow_negative_numbers = true, hide_short_help = true)]
    pub frame_every: u64,
    /// The experiment that the episodes belong to; goes with --run
    #[arg(long, global = true, help_heading = PUBLISHED, value_name = "ID", hide_short_help = true)]
    pub experiment: Option<Id>,
    /// The number of the experiment's run
    #[arg(long, global = true, help_heading = PUBLISHED, value_name = "N", value_parser = whole::<u64>(0..=u64::MAX), allow_negative_numbers = true, hide_short_help = true)]
    pub run: Option<u64>,
    /// The generation that the agent belongs to
    #[arg(long, global = true, help_heading = PUBLISHED, value_name = "ID", hide_short_help = true)]
    pub generation: Option<Id>,
    /// How often metrics are published
    #[arg(long, global = true, help_heading = PUBLISHED, value_name = "DURATION", default_value = "10s", value_parser = duration, allow_hyphen_values = true, hide_short_help = true)]
    pub metrics_interval: Duration,
    /// What every subject begins with
    #[arg(long, global = true, help_heading = PUBLISHED, value_name = "SUBJECT", default_value_t = SubjectRoot::default(), hide_short_help = true)]
    pub subject_root: SubjectRoot,

    /// Where NATS is: a URL (or several, separated by commas), embedded for a server of our own, or off
    #[arg(long, global = true, help_heading = NATS, value_name = "URL|embedded|off", default_value = "nats://127.0.0.1:4222")]
    pub nats: NatsChoice,
    /// Fail where NATS does not answer at the start, instead of playing on and trying again
    #[arg(long, global = true, help_heading = NATS, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", value_parser = BoolishValueParser::new(), hide_default_value = true, hide_possible_values = true, hide_short_help = true)]
    pub require_nats: bool,
    /// How to log in.
    #[command(flatten)]
    pub login: Login,

    /// A file with settings; configs/agent.toml has them all
    #[arg(long, global = true, help_heading = PROCESS, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the agent keeps its lock and its engine's files; by default $XDG_STATE_HOME/doom-agent, else ~/.local/state/doom-agent
    #[arg(long, global = true, help_heading = PROCESS, value_name = "DIR", hide_short_help = true)]
    pub state_dir: Option<PathBuf>,
    /// Serve /livez, /readyz and /metrics at this address, such as 127.0.0.1:8080
    #[arg(long, global = true, help_heading = PROCESS, value_name = "ADDR", value_parser = address, hide_short_help = true)]
    pub http: Option<SocketAddr>,
    /// Keep game and engine on one CPU, which doubles the speed of small games: auto (at --pace max; moves when others want it), off, or a CPU's number
    #[arg(long, global = true, help_heading = PROCESS, value_name = "auto|off|N", default_value_t = CpuChoice::Auto, allow_negative_numbers = true, hide_short_help = true)]
    pub cpu: CpuChoice,
    /// An engine that does not answer a step within this time is replaced
    #[arg(long, global = true, help_heading = PROCESS, value_name = "DURATION", default_value = "5s", value_parser = duration, allow_hyphen_values = true, hide_short_help = true)]
    pub step_timeout: Duration,
    /// An engine that has not started within this time has failed
    #[arg(long, global = true, help_heading = PROCESS, value_name = "DURATION", default_value = "30s", value_parser = duration, allow_hyphen_values = true, hide_short_help = true)]
    pub start_timeout: Duration,
    /// How long the end may take: closing the episode, delivering what is owed
    #[arg(long, global = true, help_heading = PROCESS, value_name = "DURATION", default_value = "8s", value_parser = duration, allow_hyphen_values = true, hide_short_help = true)]
    pub shutdown_timeout: Duration,
    /// Engine failures in a row, without a finished episode between them, before the agent gives up
    #[arg(long, global = true, help_heading = PROCESS, value_name = "N", default_value_t = 5, value_parser = whole::<u32>(0..=1000), allow_negative_numbers = true, hide_short_help = true)]
    pub max_engine_restarts: u32,
    /// What is logged to standard error: a level, or filters such as info,async_nats=warn; by default info while playing, else warn
    #[arg(long, global = true, help_heading = PROCESS, value_name = "FILTER", hide_short_help = true)]
    pub log: Option<String>,
    /// How log lines look: text or json
    #[arg(long, global = true, help_heading = PROCESS, default_value_t = LogFormat::Text, hide_short_help = true)]
    pub log_format: LogFormat,
}

/// The parser.
#[must_use]
pub fn command() -> clap::Command {
    // A setting given twice is the later one: scripts append to what others wrote.
    Cli::command().args_override_self(true)
}

/// Prints a shell's completion script; the exit code.
#[must_use]
pub fn completions(shell: clap_complete::Shell) -> i32 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "doom-agent", &mut script);
    let script = String::from_utf8_lossy(&script);
    // For bash, clap_complete (4.6.11) mistakes the hyphen of our name for a subcommand in one of two places, so that nothing completes
    // behind a subcommand.
    let script = script.replace("doom__subcmd__agent__subcmd__", "doom__agent__subcmd__");
    cli_common::output::say(script.trim_end());
    crate::exit::DONE
}
