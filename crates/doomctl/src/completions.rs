//! `doomctl completions`: a script by which a shell completes our command line.

use clap::Args;
use cli_common::exit;

use crate::cli;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments) -> i32 {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut cli::command(), "doomctl", &mut script);
    cli_common::output::say(String::from_utf8_lossy(&script).trim_end());
    exit::DONE
}
