//! `doom-agent`: reads the command line, wires the signals, runs.

use std::process::ExitCode;

use doom_agent::{
    ask, check,
    cli::{self, Command},
    config::Config,
    exit::{self, Failure},
    logging,
    outputs::complain,
    run,
    settings::{self, Invocation},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

fn main() -> ExitCode {
    match start() {
        Ok(code) => exit::status(code),
        Err(failure) => {
            complain(&failure);
            failure.into()
        }
    }
}

fn start() -> Result<i32, Failure> {
    let Invocation { command, options, given } = settings::of_process()?;
    logging::init(&options, command.is_none())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(exit::INTERNAL, format!("the I/O runtime cannot start: {e}")))?;
    match command {
        Some(Command::Completions { shell }) => Ok(cli::completions(shell)),
        Some(Command::Health) => runtime.block_on(ask::health(&options)),
        Some(Command::Check) => runtime.block_on(check::check(&options, &given)),
        None => {
            let config = Config::resolve(&options)?;
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
