//! From the command line to a checked configuration: everything that can be known to be wrong is refused here, before anything starts.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use doom_bus::ConnectSettings;
use doom_game::{Needs, Scenario, SearchPaths};
use doom_policy::PolicyProgram;
use doom_protocol::{Codec, Id, SubjectRoot};
use serde_json::Value;

use crate::{
    cli::{BackendKind, Options},
    engine_files,
    exit::{self, Failure},
    frames::FramePlan,
    game_loop::{Pace, Plan, Seeds, score_needs},
    nats_choice::NatsChoice,
    outputs,
    placement::CpuChoice,
};

/// For `--version`: the agent's version, commit and what it was built with.
pub const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("DOOM_AGENT_COMMIT"), ", ", env!("DOOM_AGENT_FEATURES"), ")");

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who we are.
    pub id: Id,
    /// The first tokens of every subject.
    pub root: SubjectRoot,
    /// The checked scenario.
    pub scenario: Scenario,
    /// Where the engine and its scenarios are.
    pub search: SearchPaths,
    /// Which game.
    pub backend: BackendKind,
    /// The checked policy.
    pub policy: PolicyProgram,
    /// Everything the policy and the score want of the game.
    pub(crate) needs: Needs,
    pub(crate) plan: Plan,
    pub(crate) faults: Option<doom_game::Faults>,
    /// Where NATS is.
    pub nats: NatsChoice,
    /// How to connect, where there is a URL.
    pub connect: ConnectSettings,
    pub(crate) require_nats: bool,
    pub(crate) events: Option<PathBuf>,
    /// `None` where no frames are published.
    pub(crate) frames: Option<FramePlan>,
    pub(crate) codec: Codec,
    pub(crate) experiment: Option<Id>,
    pub(crate) run: Option<u64>,
    pub(crate) generation: Option<Id>,
    pub(crate) factors: BTreeMap<String, Value>,
    pub(crate) metrics_interval: Duration,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) cpu: CpuChoice,
    pub(crate) step_timeout: Duration,
    pub(crate) start_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) start_paused: bool,
    pub(crate) state_dir: PathBuf,
}

impl Config {
    /// Checks and loads everything.
    ///
    /// # Errors
    /// Exit code 2 for the command line, 65 for scenario, policy and the files that settings name, 71 where there is no engine.
    pub fn resolve(options: &Options) -> Result<Self, Failure> {
        let id = required_id(options)?;
        if id.is_long() {
            tracing::warn!(%id, "the id has more than 20 characters; subjects and tables become hard to read");
        }
        let scenario_name = options.scenario.as_deref().ok_or_else(|| missing("--scenario", "basic.cfg"))?;
        #[cfg(not(feature = "vizdoom"))]
        if options.backend == BackendKind::Vizdoom {
            return Err(Failure::new(
                exit::USAGE,
                "this doom-agent was built without the engine; use --backend mock, or build it with the feature `vizdoom`",
            ));
        }
        let search = engine_files::search_paths();
        let scenario = Scenario::load(scenario_name, &search, &options.set).map_err(|e| Failure::new(exit::DATA, e))?;
        if scenario.buttons.is_empty() {
            let text = format!(
                "scenario {scenario_name} lists no available_buttons: an agent without buttons can do nothing; list some, or --set available_buttons='{{ ATTACK }}'"
            );
            return Err(Failure::new(exit::DATA, text));
        }
        if options.backend == BackendKind::Vizdoom {
            engine_files::require_engine(&search)?;
            scenario.check_files(&search).map_err(|e| Failure::new(exit::DATA, e))?;
        }
        let policy = options.policy.load(&options.policy_param).map_err(|e| Failure::new(exit::DATA, e))?;
        let mut needs = merge(score_needs(), policy.needs());
        let frames = FramePlan::check(options.frames, options.frame_every, &scenario, &options.nats)?;
        needs.frames |= frames.is_some();
        bind_check(&policy, &scenario, &needs)?;
        if options.run.is_some() != options.experiment.is_some() {
            return Err(Failure::new(exit::USAGE, "--experiment and --run belong together: give both or none"));
        }
        if options.mock_fault.is_some() && options.backend != BackendKind::Mock {
            return Err(Failure::new(exit::USAGE, "--mock-fault needs --backend mock"));
        }
        options.cpu.check()?;
        if let Some(path) = options.events.as_deref().filter(|p| p.as_os_str() != "-") {
            outputs::check_file("events file", path)?;
        }
        if let Some(path) = &options.record {
            outputs::check_folder("recordings' folder", path)?;
        }
        let plan = Plan {
            episodes: options.episodes.unwrap_or(options.seeds.len() as u64),
            seeds: seeds(options, &scenario),
            frame_skip: options.frame_skip,
            pace: options.pace,
            record: options.record.clone(),
            max_engine_restarts: options.max_engine_restarts,
        };
        Ok(Self {
            connect: connect_settings(options, &id)?,
            id,
            root: options.subject_root.clone(),
            scenario,
            search,
            backend: options.backend,
            policy,
            needs,
            plan,
            faults: options.mock_fault.clone(),
            nats: options.nats.clone(),
            require_nats: options.require_nats,
            events: options.events.clone(),
            frames,
            codec: options.codec,
            experiment: options.experiment.clone(),
            run: options.run,
            generation: options.generation.clone(),
            factors: factors(options),
            metrics_interval: options.metrics_interval,
            http: options.http,
            cpu: cpu(options),
            step_timeout: options.step_timeout,
            start_timeout: options.start_timeout,
            shutdown_timeout: options.shutdown_timeout,
            time_limit: options.time_limit,
            start_paused: options.start_paused,
            state_dir: options.state_dir.clone().unwrap_or_else(default_state_dir),
        })
    }
}

/// The id, which every command needs.
///
/// # Errors
/// Exit code 2 where there is none.
pub fn required_id(options: &Options) -> Result<Id, Failure> {
    options.id.clone().ok_or_else(|| missing("--id", "A"))
}

fn missing(flag: &str, example: &str) -> Failure {
    Failure::new(exit::USAGE, format!("{flag} is missing; start with: doom-agent --id A --scenario basic.cfg ({flag} {example})"))
}

/// `auto` is for what it helps: an engine that plays as fast as it can.
fn cpu(options: &Options) -> CpuChoice {
    let hurried = options.backend == BackendKind::Vizdoom && options.pace == Pace::Max;
    if options.cpu == CpuChoice::Auto && !hurried { CpuChoice::Off } else { options.cpu }
}

/// How to connect, from the flags.
///
/// # Errors
/// Exit code 2 for contradictory flags, 65 for files that cannot be read.
pub fn connect_settings(options: &Options, id: &Id) -> Result<ConnectSettings, Failure> {
    let url = match &options.nats {
        NatsChoice::Url(servers) => servers.expose().to_owned(),
        NatsChoice::Embedded | NatsChoice::Off => String::new(),
    };
    let settings = ConnectSettings {
        url,
        name: format!("doom-agent {id}"),
        auth: options.login.auth()?,
        tls: options.login.tls()?,
        inbox_prefix: Some(format!("_INBOX.doom-agent.{id}")),
    };
    settings.check().map_err(|e| Failure::new(exit::DATA, e))?;
    Ok(settings)
}

fn seeds(options: &Options, scenario: &Scenario) -> Seeds {
    if !options.seeds.is_empty() {
        return Seeds::List(options.seeds.clone());
    }
    let first = options.seed.or(scenario.seed).unwrap_or_else(|| {
        let seed = rand::random();
        tracing::info!(seed, "no seed given; drew one (repeat the run with --seed {seed})");
        seed
    });
    Seeds::Steps { first, step: options.seed_step }
}

fn merge(mut needs: Needs, other: Needs) -> Needs {
    for variable in other.variables {
        if !needs.variables.contains(&variable) {
            needs.variables.push(variable);
        }
    }
    needs.labels |= other.labels;
    needs.frames |= other.frames;
    needs
}

/// Binds the policy to the scenario's schema once, so that an unknown button is refused before an engine starts.
fn bind_check(policy: &PolicyProgram, scenario: &Scenario, needs: &Needs) -> Result<(), Failure> {
    let mut variables = scenario.variables.clone();
    variables.extend(needs.variables.iter().filter(|v| !scenario.variables.contains(v)));
    let screen = (scenario.screen_resolution.width(), scenario.screen_resolution.height());
    let schema = doom_game::Schema { buttons: scenario.buttons.clone(), variables, scenario_variables: scenario.variables.len(), screen };
    policy.bind(&schema).map(drop).map_err(|e| Failure::new(exit::DATA, e))
}

/// What an experiment varies: settings of the scenario and parameters of the policy.
fn factors(options: &Options) -> BTreeMap<String, Value> {
    let settings = options.set.iter().map(|(k, v)| (k.clone(), Value::from(v.clone())));
    let parameters = options.policy_param.iter().map(|(k, v)| (k.clone(), Value::from(*v)));
    settings.chain(parameters).collect()
}

fn default_state_dir() -> PathBuf {
    let home = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = home("XDG_STATE_HOME").or_else(|| home("HOME").map(|h| h.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("doom-agent")
}
