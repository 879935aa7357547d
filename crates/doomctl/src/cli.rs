//! The command line; its help is the documentation.
//!
//! A command is a module of its own with its arguments and a `run(&Global, Arguments) -> Result<i32, Failure>`; here it has one line.

use clap::{Args, CommandFactory, Parser, Subcommand};
use cli_common::{
    login::{HEADING as NATS, Login},
    servers::Servers,
};
use doom_protocol::SubjectRoot;

use crate::{completions, dlq, experiment, export, operator, replay, streams, watch, work::evaluate};

const CODES: &str = "\
Results go to standard output, everything else to standard error. The connection's settings are those of doom-agent: --nats-user is
the same as DOOM_AGENT_NATS_USER; NATS_URL is understood as well.

Exit codes:
    0  done; the answer is yes
    1  done; the answer is no (something would change, is not healthy, did not confirm, is above its threshold)
    2  command line
   65  a file or its data
   69  no NATS server, no JetStream, or the login is refused
   70  a fault of doomctl itself
   77  the server does not permit it
  130  interrupted";

/// The operator's side of a population of doom-agents.
#[derive(Debug, Parser)]
#[command(name = "doomctl", version, disable_help_subcommand = true, after_help = "doomctl --help has the exit codes.", after_long_help = CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// For machines: JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What every subject begins with
    #[arg(long, global = true, help_heading = NATS, value_name = "SUBJECT", default_value_t = SubjectRoot::default(), hide_short_help = true)]
    pub(crate) subject_root: SubjectRoot,
    /// Where NATS is: a URL, or several, separated by commas
    #[arg(long, global = true, help_heading = NATS, value_name = "URL", default_value = "nats://127.0.0.1:4222")]
    pub(crate) nats: Servers,
    #[command(flatten)]
    pub(crate) login: Login,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show, compare, make and purge the streams of a server
    Streams(streams::Arguments),
    /// Show, give back and drop messages that consumers gave up
    Dlq(dlq::Arguments),
    /// Say whether the server answers, how fast, and what it is
    Ping,
    /// Say which agents are there, one line each
    Agents(operator::agents::Arguments),
    /// Say how one agent is
    Health(operator::health::Arguments),
    /// Let agents stop between two steps
    Pause(operator::control::Arguments),
    /// Let paused agents go on
    Resume(operator::control::Arguments),
    /// Let agents close their episode, deliver what they owe, and end
    Shutdown(operator::control::Arguments),
    /// Show the agents live on the terminal
    Top(operator::top::Arguments),
    /// Say how far behind readers are, and how much is said
    Lag(operator::lag::Arguments),
    /// Hand evaluations out to workers, and print and save their scores
    Evaluate(evaluate::Arguments),
    /// Plan and run designed experiments over the workers
    Experiment(experiment::Arguments),
    /// Show events as they come, of all agents or of some: one line each
    Watch(watch::Arguments),
    /// Write what streams hold into a file: JSON Lines, CSV or Parquet
    Export(export::Arguments),
    /// Show once more what happened, from a time or a sequence on, at its own pace or faster
    Replay(replay::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
}

/// The parser.
#[must_use]
pub(crate) fn command() -> clap::Command {
    Cli::command().args_override_self(true)
}
