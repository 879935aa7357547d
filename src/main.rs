//! `doom-agent`: reads the command line, wires the signals, runs.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use doom_agent::{
    ask, check,
    cli::{Cli, Command},
    config::Config,
    exit::{self, Failure},
    file_flags, logging, run,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    match start() {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(failure) => {
            eprintln!("doom-agent: {failure}");
            ExitCode::from(u8::try_from(failure.code).unwrap_or(u8::MAX))
        }
    }
}

fn start() -> Result<i32, Failure> {
    let cli = Cli::parse_from(file_flags::arguments(std::env::args_os())?);
    logging::init(cli.options.log_format, &cli.options.log).map_err(|e| Failure::new(exit::USAGE, e))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(exit::INTERNAL, format!("the I/O runtime cannot start: {e}")))?;
    match cli.command {
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "doom-agent", &mut std::io::stdout());
            Ok(exit::DONE)
        }
        Some(Command::Health) => runtime.block_on(ask::health(&cli.options)),
        Some(Command::Check) => runtime.block_on(check::check(&cli.options)),
        None => {
            let config = Config::resolve(&cli.options)?;
            runtime.block_on(async {
                let fail = |e| Failure::new(exit::INTERNAL, format!("signals cannot be received: {e}"));
                let signals = (signal(SignalKind::interrupt()).map_err(fail)?, signal(SignalKind::terminate()).map_err(fail)?);
                run(config, told_to_stop(signals)).await.map(|outcome| outcome.code)
            })
        }
    }
}

/// Completes at the first SIGINT or SIGTERM; the second one ends the process at once.
async fn told_to_stop((mut interrupt, mut terminate): (Signal, Signal)) {
    let first = tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    };
    tracing::info!(signal = first, "stopping; a second signal quits at once");
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(exit::KILLED)
    });
}
