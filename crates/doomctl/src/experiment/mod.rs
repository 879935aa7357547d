//! `doomctl experiment`: designed experiments, from a file to a table that a statistician can use.

mod analysis;
mod design;
mod events;
mod factorial;
mod plan;
mod run;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use cli_common::{exit::Failure, values::duration};

use crate::cli::Global;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the runs of a design, in the order in which they are handed out; nothing is sent
    Plan {
        /// The design (TOML)
        #[arg(value_name = "DESIGN")]
        design: PathBuf,
    },
    /// Run a design: hand out its runs, wait, and save episodes, means and effects
    Run(RunArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Publishes start, run.{n}, complete or error of the experiment, with acknowledgements. What is recorded is never played again: the same
command goes on where it was interrupted. In --out there are afterwards episodes.csv (a row an episode, every column of the score
record), conditions.csv (means and confidence intervals) and effects.csv (main effects). Ends with 0 where every run is complete, with
1 where one failed or the time was up. docs/EXPERIMENTS.md describes designs; configs/experiments has two.")]
struct RunArguments {
    /// The design (TOML)
    #[arg(value_name = "DESIGN")]
    design: PathBuf,
    /// Where the tables go; by default a folder of the experiment's name
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Ask the queue group of idle workers instead of the JetStream work queue
    #[arg(long)]
    core: bool,
    /// How long all of it may take
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// Runs it.
///
/// # Errors
/// Exit code 65 for the design, 69 for the server.
pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<i32, Failure> {
    match arguments.what {
        What::Plan { design } => plan::show(global, &design::Design::read(&design)?),
        What::Run(arguments) => {
            let design = design::Design::read(&arguments.design)?;
            run::run(global, &design, arguments).await
        }
    }
}
