//! An agent in a container, told everything by its environment.

use std::time::Duration;

use serde_json::Value;

use super::{Cluster, Container, MOCK, World, docker_tells, wait_for};

/// What an agent is to be started with.
#[derive(Clone)]
pub(crate) struct AgentSpec {
    image: &'static str,
    environment: Vec<(String, String)>,
    more: Vec<String>,
}

impl AgentSpec {
    /// As an orchestrator spawns it: a read-only root file system, no privileges, no arguments. Episodes of a second, in real time.
    pub(crate) fn new(image: &'static str, cluster: &Cluster) -> Self {
        let environment = [
            ("NATS_URL", cluster.url.as_str()),
            ("SCENARIO", "basic.cfg"),
            ("SEED", "42"),
            ("DOOM_AGENT_PACE", "realtime"),
            ("DOOM_AGENT_SET", "episode_timeout=35"),
        ];
        let hardening = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--stop-timeout", "10"];
        Self {
            image,
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            more: hardening.map(str::to_owned).to_vec(),
        }
    }

    /// The mock.
    pub(crate) fn mock(cluster: &Cluster) -> Self {
        Self::new(&MOCK, cluster)
    }

    /// A variable; a later one wins.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Keeps its state on this volume.
    pub(crate) fn volume(mut self, volume: &str) -> Self {
        self.more.extend(["--volume".to_owned(), format!("{volume}:/var/lib/doom-agent")]);
        self
    }

    /// Starts it under a name in the network, without waiting.
    pub(crate) fn start(&self, world: &World, name: &str) -> Agent {
        let variables = self.environment.iter().flat_map(|(name, value)| ["--env".to_owned(), format!("{name}={value}")]);
        let more: Vec<String> = self.more.iter().cloned().chain(variables).collect();
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        Agent { container: world.start(self.image, name, &more, &[]) }
    }

    /// Starts agent `id` and waits until it plays and its broker knows it.
    pub(crate) fn start_ready(&self, world: &World, id: &str) -> Agent {
        let agent = self.clone().env("AGENT_ID", id).start(world, id);
        agent.wait("ready", |health| health["state"] == "running" && health["nats"]["state"] == "connected");
        agent
    }
}

/// An agent's container.
pub(crate) struct Agent {
    pub(crate) container: Container,
}

impl Agent {
    /// The health reply, asked within the container, so that the network does not matter; `None` while nobody answers.
    pub(crate) fn health(&self) -> Option<Value> {
        // Ends with 1 where the agent is not healthy, and says why on standard output all the same; then there is nothing to read here.
        serde_json::from_str(&docker_tells(&["exec", self.container.name(), "doom-agent", "health"]).ok()?).ok()
    }

    /// Waits until the health reply fits.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(what, || {
                last = self.health();
                last.clone().filter(|health| fits(health))
            })
        }));
        found.unwrap_or_else(|_| panic!("not {what}: {last:?}\n{}", self.container.logs()))
    }

    /// Waits until it has played so many more tics.
    #[track_caller]
    pub(crate) fn play(&self, cluster_time: Duration) {
        let produced = |health: &Value| health["ledger"]["produced"].as_u64();
        let before = self.wait("playing", |health| produced(health).is_some());
        // Two events a step, 35 steps a second.
        let enough = produced(&before).unwrap() + cluster_time.as_secs() * 70;
        let until = std::time::Instant::now() + cluster_time * 3 + super::WITHIN;
        while self.health().as_ref().and_then(produced).is_none_or(|now| now < enough) {
            assert!(std::time::Instant::now() < until, "the agent does not play on: {:?}\n{}", self.health(), self.container.logs());
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Stops it as `docker stop` does; it must end in order, within the grace of a container.
    #[track_caller]
    pub(crate) fn stop(&self) {
        let code = self.container.stop(Duration::from_secs(10));
        assert_eq!(code, 0, "{}", self.container.logs());
    }
}
