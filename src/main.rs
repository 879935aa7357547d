//! `doom-agent`: reads the command line, wires the signals, runs.

use std::process::ExitCode;

use doom_agent::{
    ask, check,
    cli::{self, Command},
    config::Config,
    exit::{self, Failure},
    logging,
    outputs::complain,
    run, serve,
    settings::{self, Invocation},
    signals,
};

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
    logging::init(&options, matches!(command, None | Some(Command::Serve { .. })))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(exit::INTERNAL, format!("the I/O runtime cannot start: {e}")))?;
    match command {
        Some(Command::Completions { shell }) => Ok(cli::completions(shell)),
        Some(Command::Health) => runtime.block_on(ask::health(&options)),
        Some(Command::Check) => runtime.block_on(check::check(&options, &given)),
        Some(Command::Serve { most_episodes }) => {
            runtime.block_on(async { serve::serve(&options, most_episodes, signals::told_to_stop()?).await.map(|outcome| outcome.code) })
        }
        None => {
            let config = Config::resolve(&options)?;
            runtime.block_on(async { run(config, signals::told_to_stop()?).await.map(|outcome| outcome.code) })
        }
    }
}
