//! The project's chores: `cargo xtask setup`, `demo`, `test`, `bench`, `scale`, `soak`, `image`, `fuzz`, `memcheck`.

mod bench;
mod demo;
mod fuzz;
mod image;
mod memcheck;
mod progress;
mod scale;
mod schemas;
mod setup;
mod soak;
mod test;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use self::{setup::Scope, workspace::Workspace};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's chores.", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Bring what this machine lacks: system packages, ViZDoom, nats-server, and what the tests need.
    Setup {
        /// Only what it takes to build the agent and to play.
        #[arg(long, conflicts_with = "gate")]
        play: bool,
        /// Also the tools of the gate (cargo-deny, which takes minutes to build).
        #[arg(long)]
        gate: bool,
    },
    /// Set up what is missing, build, and watch agent A play basic.cfg on the real engine, as another NATS client sees it.
    Demo {
        /// Show every step.
        #[arg(long)]
        every_step: bool,
        /// The whole workflow instead: four workers, an experiment of two factors, listeners, a dead letter, a ledger in which all agree.
        #[arg(long, conflicts_with_all = ["every_step", "more"])]
        full: bool,
        /// More arguments for the agent, after the demo's own, such as `-- --episodes 1`.
        #[arg(last = true, value_name = "ARGUMENT")]
        more: Vec<String>,
    },
    /// Set up what is missing, and run every test: the workspace on the real engine, the mock-only build, the bindings.
    Test {
        /// Only those that need a Docker engine: build the images, then spawn, break and count agents in containers.
        #[arg(long)]
        containers: bool,
        /// With --containers: on images around the programs that the other tests build (`cargo xtask image --quick`).
        #[arg(long, requires = "containers")]
        quick: bool,
        /// Arguments for the test harness, such as `-- parity`.
        #[arg(last = true, value_name = "ARGUMENT")]
        filter: Vec<String>,
    },
    /// Build the container images doom-agent:latest, doom-agent:mock, doomctl:latest, and say how large they are.
    ///
    /// The bases are those of the Dockerfile, or yours; where they cannot be pulled they are made from Debian's mirror and this machine's
    /// Rust, once: `docker image rm doom-agent-builder-base:bookworm doom-agent-runtime-base:bookworm` has them made anew.
    Image(image::Image),
    /// Feed hostile bytes to every decoder of bytes from outside; first a planted defect must be found.
    Fuzz {
        /// How long each target runs; all run at once.
        #[arg(long, default_value_t = 15, value_name = "N")]
        seconds: u64,
        /// Only this target, such as control; may be repeated.
        #[arg(long, value_name = "TARGET")]
        target: Vec<String>,
        /// Add inputs that reach new code to fuzz/corpus.
        #[arg(long)]
        keep: bool,
    },
    /// Run the tests of the engine's binding under valgrind; a finding that is not the engine's own library's fails.
    Memcheck {
        /// Arguments for the test harness, such as `-- play`, in the place of what is chosen for the gate.
        #[arg(last = true, value_name = "ARGUMENT")]
        filter: Vec<String>,
    },
    /// Write the JSON Schemas in docs/schemas from the types.
    Schemas,
    /// Set up what is missing, build for release, and measure the agent beside bare loops and Python; --quick takes about a minute.
    #[command(disable_help_flag = true)]
    Bench {
        /// Arguments for the bench; --help lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Set up what is missing, build for release, and play with more and more agents on a cluster of three nats-servers until it bends.
    #[command(disable_help_flag = true)]
    Scale {
        /// Arguments for it; --help lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Set up what is missing, and let random faults loose on real agents: --minutes N, --seed N. Prints what became of every record; 1 where one was lost or doubled.
    #[command(disable_help_flag = true)]
    Soak {
        /// Arguments for the soak; --help lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().chore) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Setup { play, gate } => {
            let scope = if gate {
                Scope::Gate
            } else if play {
                Scope::Play
            } else {
                Scope::Test
            };
            let changed = setup::setup(&workspace, scope)?;
            eprintln!("{}", if changed { "Everything is in place now." } else { "Everything is in place; nothing to do." });
            Ok(ExitCode::SUCCESS)
        }
        Chore::Demo { full: true, .. } => {
            demo::full(&workspace)?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::Demo { every_step, more, .. } => {
            demo::demo(&workspace, every_step, &more)?;
            Ok(ExitCode::SUCCESS)
        }
        Chore::Test { containers: true, quick, filter } => test::containers(&workspace, quick, &filter),
        Chore::Test { containers: false, filter, .. } => test::test(&workspace, &filter),
        Chore::Image(settings) => image::image(&workspace, &settings).map(|()| ExitCode::SUCCESS),
        Chore::Soak { arguments } => soak::soak(&workspace, &arguments).map(|()| ExitCode::SUCCESS),
        Chore::Fuzz { seconds, target, keep } => fuzz::fuzz(&workspace, seconds, &target, keep),
        Chore::Memcheck { filter } => memcheck::memcheck(&workspace, &filter),
        Chore::Schemas => schemas::schemas(&workspace).map(|()| ExitCode::SUCCESS),
        Chore::Scale { arguments } => scale::scale(&workspace, &arguments).map(|()| ExitCode::SUCCESS),
        Chore::Bench { arguments } => bench::bench(&workspace, &arguments).map(|()| ExitCode::SUCCESS),
    }
}
