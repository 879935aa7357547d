//! What is said of an experiment on the bus: acknowledged, and not twice over a restart.

use cli_common::exit::{self, Failure};
use doom_bus::{
    Link,
    work::{Announcer, announce_within},
};
use doom_protocol::{
    Instance, SubjectRoot, Timestamp,
    payload::{ExperimentComplete, ExperimentError, ExperimentRunState, ExperimentStart, RunProgress},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{design::Design, plan::Run};

/// What the stream has of the experiment, by whoever ran it before.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// The design that it was begun with.
    pub(crate) design: Option<String>,
    /// Whether its completion is stored.
    pub(crate) complete: bool,
    /// Runs whose completion is stored.
    pub(crate) runs: Vec<u64>,
}

/// The experiment's voice.
pub(crate) struct Events<'a> {
    announcer: Announcer,
    link: Link,
    root: &'a SubjectRoot,
    design: &'a Design,
    until: Instant,
}

impl<'a> Events<'a> {
    pub(crate) fn new(link: &Link, root: &'a SubjectRoot, design: &'a Design, until: Instant) -> Self {
        Self { announcer: Announcer::new(link.clone(), "doomctl", Instance::new()), link: link.clone(), root, design, until }
    }

    /// Looks at what is stored.
    ///
    /// # Errors
    /// Exit code 69 where no stream has the experiment's events, or it does not answer.
    pub(crate) async fn before(&self) -> Result<Before, Failure> {
        let experiment = &self.design.experiment;
        let mut before = Before::default();
        for event in
            doom_bus::work::stored_on(&self.link, &self.root.experiment_stage(experiment, ">")).await.map_err(crate::work::refused)?
        {
            let payload = &event["payload"];
            match event["type"].as_str() {
                Some("experiment.start") => before.design = payload["design_sha256"].as_str().map(str::to_owned),
                Some("experiment.complete") => before.complete = true,
                // Those of agents have an episode.
                Some("experiment.run") if payload["episode_id"].is_null() && payload["status"] == "complete" => {
                    before.runs.extend(payload["metadata"]["run_id"].as_u64());
                }
                _ => {}
            }
        }
        Ok(before)
    }

    pub(crate) async fn start(&self, runs: u64, resumed: bool) -> Result<(), Failure> {
        let at = Timestamp::now();
        let design = self.design;
        let payload = ExperimentStart {
            experiment_id: design.experiment.clone(),
            timestamp: at,
            phase: "planning".to_owned(),
            status: "in_progress".to_owned(),
            design_sha256: design.sha256.clone(),
            factors: design.factors.iter().map(|f| (f.name.clone(), f.levels.clone())).collect(),
            runs_total: runs,
            episodes_total: runs * design.episodes,
            resumed,
        };
        self.say("start", &format!("start-{}", at.as_micros()), payload, at).await
    }

    /// A run was handed out (`in_progress`), is `complete`, or came to nothing (`error`).
    pub(crate) async fn run(&self, run: &Run, status: &str, completed: u64) -> Result<(), Failure> {
        let at = Timestamp::now();
        let payload = ExperimentRunState {
            experiment_id: self.design.experiment.clone(),
            timestamp: at,
            phase: "execution".to_owned(),
            status: status.to_owned(),
            metadata: RunProgress {
                run_id: run.number,
                condition: run.condition as u64 + 1,
                replicate: run.replicate + 1,
                evaluation_id: format!("run-{}", run.number).parse().map_err(|e| Failure::new(exit::INTERNAL, e))?,
                factors: self.design.levels(run.condition),
                episodes_completed: completed,
                episodes_total: self.design.episodes,
            },
        };
        self.say(&format!("run.{}", run.number), &format!("run-{}-{status}", run.number), payload, at).await
    }

    pub(crate) async fn complete(&self, runs: u64, episodes: u64) -> Result<(), Failure> {
        let at = Timestamp::now();
        let payload = ExperimentComplete {
            experiment_id: self.design.experiment.clone(),
            timestamp: at,
            phase: "analysis".to_owned(),
            status: "complete".to_owned(),
            runs_total: runs,
            episodes_total: episodes,
        };
        self.say("complete", "complete", payload, at).await
    }

    pub(crate) async fn error(&self, error: &str, completed: u64, runs: u64) -> Result<(), Failure> {
        let at = Timestamp::now();
        let payload = ExperimentError {
            experiment_id: self.design.experiment.clone(),
            timestamp: at,
            phase: "execution".to_owned(),
            status: "error".to_owned(),
            error: error.to_owned(),
            runs_completed: completed,
            runs_total: runs,
        };
        self.say("error", &format!("error-{}", at.as_micros()), payload, at).await
    }

    async fn say<P: doom_protocol::Payload + Clone>(&self, stage: &str, name: &str, payload: P, at: Timestamp) -> Result<(), Failure> {
        let subject = self.root.experiment_stage(&self.design.experiment, stage);
        let id = format!("{}-{name}", self.design.experiment);
        // The last word may come when the time is up.
        let until = self.until.max(Instant::now() + std::time::Duration::from_secs(5));
        let said = announce_within(&self.announcer, &subject, payload, at, &id, until).await;
        said.map_err(|why| Failure::new(exit::UNAVAILABLE, why))
    }
}

/// Why an experiment cannot be gone on with.
pub(crate) fn other_design(design: &Design, before: &Before) -> Option<Failure> {
    let other = before.design.as_ref().filter(|sha| **sha != design.sha256)?;
    Some(Failure::new(
        exit::DATA,
        format!(
            "experiment {} was begun with another design (sha256 {}…, this one {}…); give this one another name",
            design.experiment,
            other.get(..12).unwrap_or(other),
            &design.sha256[..12]
        ),
    ))
}

/// For tables.
pub(crate) fn number(value: Option<&Value>) -> Option<f64> {
    value.and_then(Value::as_f64)
}
