//! `doomctl`: reads the command line, runs one command, says its result.

mod ask;
mod cli;
mod columns;
mod completions;
mod connection;
mod dlq;
mod events;
mod experiment;
mod export;
mod operator;
mod output;
mod replay;
mod settings;
mod streams;
mod watch;
mod work;

use std::process::ExitCode;

use cli_common::exit::{self, Failure};
use doom_protocol::control::Verb;

use self::cli::{Cli, Command};

fn main() -> ExitCode {
    match start() {
        Ok(code) => exit::status(code),
        Err(failure) => {
            output::complain(&failure);
            failure.into()
        }
    }
}

fn start() -> Result<i32, Failure> {
    let Cli { global, command } = settings::of_process();
    output::log_to_standard_error();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(exit::INTERNAL, format!("the I/O runtime cannot start: {e}")))?;
    // Each command is a module with its own arguments; it opens the connection itself, after it has refused what is wrong in them.
    runtime.block_on(async {
        match command {
            Command::Completions(arguments) => Ok(completions::run(&arguments)),
            Command::Streams(arguments) => streams::run(&global, &arguments).await,
            Command::Dlq(arguments) => dlq::run(&global, &arguments).await,
            Command::Evaluate(arguments) => work::evaluate::run(&global, arguments).await,
            Command::Experiment(arguments) => experiment::run(&global, arguments).await,
            Command::Ping => connection::ping(&global).await,
            Command::Watch(arguments) => watch::run(&global, arguments).await,
            Command::Export(arguments) => export::run(&global, arguments).await,
            Command::Replay(arguments) => replay::run(&global, arguments).await,
            Command::Agents(arguments) => operator::agents::run(&global, &arguments).await,
            Command::Health(arguments) => operator::health::run(&global, &arguments).await,
            Command::Pause(arguments) => operator::control::run(&global, Verb::Pause, &arguments).await,
            Command::Resume(arguments) => operator::control::run(&global, Verb::Resume, &arguments).await,
            Command::Shutdown(arguments) => operator::control::run(&global, Verb::Shutdown, &arguments).await,
            Command::Top(arguments) => operator::top::run(&global, &arguments).await,
            Command::Lag(arguments) => operator::lag::run(&global, &arguments).await,
        }
    })
}
