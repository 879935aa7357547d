//! `doom-agent check`: validates everything without playing, and says what it found.

use std::{path::PathBuf, time::Duration};

use doom_bus::{ApiError, find_stream, health_trap};
use doom_game::GameError;
use doom_protocol::Subjects;

use cli_common::output::say;

use crate::{
    cli::{BackendKind, Options},
    config::Config,
    exit::{self, Failure},
    fits,
    nats_choice::NatsChoice,
    run,
    settings::Given,
    state_dir::StateDir,
};

const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Prints a line for each thing it looked at; 0 where the agent could play and be heard.
///
/// # Errors
/// The first thing that would keep the agent from playing, with the exit code that playing would have had.
pub async fn check(options: &Options, given: &[Given]) -> Result<i32, Failure> {
    let config = Config::resolve(options)?;
    let scenario = &config.scenario;
    for setting in given {
        line("setting", format!("{setting} ({})", setting.place));
    }
    line("agent", config.id.to_string());
    let path = scenario.path.as_ref().map_or_else(|| "compiled in".to_owned(), |p| p.display().to_string());
    line(
        "scenario",
        format!(
            "{} ({path}; {} buttons, {} variables, sha256 {})",
            scenario.name,
            scenario.buttons.len(),
            scenario.variables.len(),
            &scenario.sha256[..12]
        ),
    );
    line("policy", format!("{} (sha256 {})", config.policy.name(), &config.policy.sha256()[..12]));
    // Taken for a moment: who has it would keep the agent from playing. The engine writes there, as it would when it plays.
    let state = StateDir::claim(&config.state_dir, &config.root, &config.id)?;
    line("state", format!("{} (the id is free on this host)", config.state_dir.display()));
    line("engine", engine(&config, state.run_dir().to_owned()).await?);
    drop(state);
    broker(&config).await
}

fn line(what: &str, found: String) {
    say(&format!("{what:<10} {found}"));
}

/// Starts the game's engine, as playing would, and ends it; what it is.
async fn engine(config: &Config, run_dir: PathBuf) -> Result<String, Failure> {
    let mut factory = run::factory(config, Some(run_dir))?;
    let version = tokio::task::spawn_blocking(move || factory.start().map(|game| game.info().engine_version.clone())).await;
    let version = version.map_err(|e| Failure::new(exit::INTERNAL, format!("the engine's start ended early: {e}")))?;
    let version = version.map_err(|error| {
        let code = if matches!(error, GameError::Scenario(_)) { exit::DATA } else { exit::ENGINE };
        Failure::new(code, error)
    })?;
    Ok(match (config.backend, &config.search.engine_dir) {
        (BackendKind::Mock, _) => format!("{version} (its data are invented)"),
        (BackendKind::Vizdoom, Some(dir)) => format!("ViZDoom {version} in {}", dir.display()),
        (BackendKind::Vizdoom, None) => format!("ViZDoom {version}"),
    })
}

/// Asks the server for what the agent would find there.
async fn broker(config: &Config) -> Result<i32, Failure> {
    let url = match &config.nats {
        NatsChoice::Url(url) => url,
        NatsChoice::Off => {
            line("nats", "off".to_owned());
            return Ok(exit::DONE);
        }
        NatsChoice::Embedded => {
            line("nats", "embedded: a server of its own, started with the agent".to_owned());
            return Ok(exit::DONE);
        }
    };
    let link = doom_bus::connect(&config.connect).await.map_err(|e| Failure::new(exit::UNAVAILABLE, e))?;
    let unreachable = |why| Failure::new(exit::UNAVAILABLE, format!("{}: {why}", url));
    link.connected_within(ANSWER_WITHIN).await.map_err(unreachable)?;
    let info = link.client().server_info();
    line("nats", format!("{} (nats-server {}, messages up to {} bytes)", url, info.version, info.max_payload));
    fits::check(config, &link).await?;
    if let Some(frames) = &config.frames {
        frames.check_fits(&link).await?;
    }
    let subjects = Subjects::new(&config.root, &config.id);
    for subject in [&subjects.score, &subjects.death, &subjects.lifecycle, &subjects.error] {
        let found = match find_stream(&link, subject).await {
            Ok(Some(name)) => format!("{subject} is stored by {name}"),
            Ok(None) => format!("{subject} is taken by no stream: records are published live and kept until one does"),
            Err(ApiError::NoJetStream) => format!("{subject}: JetStream is not enabled, records are published live only"),
            Err(why) => format!("{subject}: cannot be told ({why})"),
        };
        line("stream", found);
    }
    let trap = health_trap(&link, &subjects.health).await;
    link.close().await;
    match trap {
        Some(stream) => Err(Failure::new(
            exit::UNAVAILABLE,
            format!(
                "stream {stream} captures {} and would answer health requests in the agent's place; let it list action, observe, score and death instead",
                subjects.health
            ),
        )),
        None => Ok(exit::DONE),
    }
}
