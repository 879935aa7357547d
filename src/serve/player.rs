//! An evaluation's request, made into something that the game thread plays: checked by the same code as the command line.

use std::sync::Arc;

use doom_bus::work::{Gate, Player, Playing};
use doom_policy::PolicySpec;
use doom_protocol::payload::EvaluationRequest;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Bench, Jobs, MOST_NUMBERS, thread::Job};
use crate::{
    cli::Options,
    config::Config,
    encode::EvaluationFacts,
    run::{factory, facts, width_of},
};

/// See the module.
pub(crate) struct GamePlayer {
    pub(super) options: Options,
    pub(super) most_episodes: u64,
    pub(super) bench: Bench,
    pub(super) jobs: Arc<Jobs>,
    pub(super) gate: watch::Receiver<Gate>,
}

impl GamePlayer {
    /// The request's settings over the worker's own.
    fn configure(&self, request: &EvaluationRequest, places: &[u64]) -> Result<Config, String> {
        if request.episodes() > self.most_episodes {
            return Err(format!(
                "{} episodes; this worker plays at most {} for one evaluation (--most-episodes)",
                request.episodes(),
                self.most_episodes
            ));
        }
        let mut options = self.options.clone();
        options.scenario = Some(request.scenario.clone());
        options.set = request.set.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        options.policy = self.policy(request)?;
        options.policy_param = request.policy_params.iter().map(|(name, value)| (name.clone(), *value)).collect();
        options.frame_skip = request.frame_skip;
        options.seeds = places.iter().map(|place| request.seed_of(*place)).collect();
        options.seed = None;
        options.episodes = Some(places.len() as u64);
        options.experiment = request.experiment_id.clone();
        options.run = request.run_id;
        options.generation = Some(request.generation_id.clone());
        // A failed engine is not replaced here: the evaluation goes back to the queue.
        options.max_engine_restarts = 0;
        let config = Config::resolve(&options).map_err(|failure| failure.message)?;
        let width = width_of(&config);
        if width > MOST_NUMBERS {
            return Err(format!("scenario {} has {width} variables; a worker takes at most {MOST_NUMBERS}", request.scenario));
        }
        Ok(config)
    }

    fn policy(&self, request: &EvaluationRequest) -> Result<PolicySpec, String> {
        let (Some(name), Some(rules)) = (request.policy.strip_prefix("rules:"), &request.policy_text) else {
            return request.policy.parse();
        };
        // The name is a plain one; the request has been checked.
        let folder = self.bench.run_dir.join("policies");
        let path = folder.join(name);
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&path, rules))
            .map_err(|e| format!("the rules cannot be kept at {}: {e}", path.display()))?;
        Ok(PolicySpec::Rules(path))
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Player for GamePlayer {
    fn begin(&mut self, request: &EvaluationRequest, places: Vec<u64>) -> Result<Playing, String> {
        let config = self.configure(request, &places)?;
        let factory = factory(&config, Some(self.bench.run_dir.clone())).map_err(|failure| failure.message)?;
        let (finished_in, finished) = mpsc::unbounded_channel();
        let (end_in, end) = oneshot::channel();
        let mut facts = facts(&config, self.bench.instance);
        facts.episodes_total = request.episodes();
        if !request.factors.is_empty() {
            facts.factors = request.factors.clone();
        }
        facts.evaluation = Some(EvaluationFacts {
            id: request.evaluation_id.clone(),
            generation: request.generation_id.clone(),
            places,
            finished: finished_in,
        });
        tracing::info!(
            evaluation = %request.evaluation_id,
            generation = %request.generation_id,
            scenario = config.scenario.name,
            policy = config.policy.name(),
            episodes = config.plan.episodes,
            "evaluation"
        );
        self.jobs.put(Job { plan: config.plan, factory, program: config.policy, facts, end: end_in });
        self.bench.snapshot.lifecycle.poke();
        Ok(Playing { finished, end })
    }

    fn give_up(&self) {
        // One that the game thread has not begun (a pause came first) ends by being dropped.
        drop(self.jobs.take());
        self.bench.snapshot.lifecycle.give_up();
    }

    fn steps_per_second(&self) -> f64 {
        self.bench.snapshot.steps_per_second()
    }

    fn gate(&self) -> watch::Receiver<Gate> {
        self.gate.clone()
    }
}
