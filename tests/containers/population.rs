//! The compose files as they stand: a broker, its streams, agents that are scaled.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, jetstream};

use super::support::{DOOMCTL, ENGINE, MOCK, docker, docker_tells, free_port, runtime, wait_for};

/// A compose project of its own, which ends with the test.
struct Project {
    name: String,
    files: Vec<&'static str>,
    variables: Vec<(&'static str, String)>,
    port: u16,
}

/// Begins the names of the projects; the test's process follows.
const PROJECT: &str = "doomtest";

impl Project {
    fn new(files: &[&'static str], image: &str) -> Self {
        let (port, monitor) = (free_port(), free_port());
        let variables = vec![
            ("DOOM_AGENT_IMAGE", image.to_owned()),
            ("DOOMCTL_IMAGE", (*DOOMCTL).to_owned()),
            ("NATS_PORT", port.to_string()),
            ("NATS_MONITOR_PORT", monitor.to_string()),
            ("DOOM_OPERATOR_PASSWORD", "tests".to_owned()),
        ];
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // What a test that was killed left behind; the process is in the name.
        let left = docker(&[
            "ps",
            "--all",
            "--filter",
            "label=com.docker.compose.project",
            "--format",
            "{{.Label \"com.docker.compose.project\"}}",
        ]);
        for project in left.lines().collect::<BTreeSet<_>>() {
            let process = project.strip_prefix(PROJECT).and_then(|rest| rest.split('-').next());
            if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                let old = Self { name: project.to_owned(), files: files.to_vec(), variables: variables.clone(), port };
                drop(old);
            }
        }
        Self {
            name: format!("{PROJECT}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)),
            files: files.to_vec(),
            variables,
            port,
        }
    }

    fn try_compose(&self, arguments: &[&str]) -> Result<String, String> {
        let plugin = docker_tells(&["compose", "version"]).is_ok();
        let mut command = if plugin { Command::new("docker") } else { Command::new("docker-compose") };
        if plugin {
            command.arg("compose");
        }
        for file in &self.files {
            command.args(["--file", file]);
        }
        command.args(["--project-name", &self.name]).args(arguments).envs(self.variables.iter().map(|(k, v)| (k, v)));
        let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    #[track_caller]
    fn compose(&self, arguments: &[&str]) -> String {
        self.try_compose(arguments).unwrap_or_else(|why| panic!("compose {arguments:?}: {why}"))
    }

    /// Brings it up with so many agents, and waits until the streams are made and all agents are healthy; their ids.
    #[track_caller]
    fn up(&self, agents: usize) -> BTreeSet<String> {
        self.compose(&["up", "--detach", "--scale", &format!("agent={agents}")]);
        let doomctl = self.containers("doomctl");
        let code = docker(&["wait", &doomctl[0]]);
        assert_eq!(code, "0", "{}", docker(&["logs", &doomctl[0]]));
        let containers = self.containers("agent");
        assert_eq!(containers.len(), agents);
        for container in &containers {
            let health = || docker(&["inspect", "--format", "{{.State.Health.Status}}", container]);
            wait_for("a healthy agent", || (health() == "healthy").then_some(()));
        }
        containers.iter().map(|container| docker(&["inspect", "--format", "{{.Config.Hostname}}", container])).collect()
    }

    fn containers(&self, service: &str) -> Vec<String> {
        self.compose(&["ps", "--quiet", service]).lines().map(str::to_owned).collect()
    }

    fn operator(&self) -> Client {
        let options = ConnectOptions::new().user_and_password("operator".to_owned(), "tests".to_owned()).retry_on_initial_connect();
        runtime().block_on(options.connect(format!("nats://127.0.0.1:{}", self.port))).unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if let Err(why) = self.try_compose(&["down", "--volumes", "--timeout", "10"]) {
            eprintln!("{}: {why}", self.name);
        }
    }
}

/// Each of these ids answers for itself.
fn assert_answering(client: &Client, ids: &BTreeSet<String>) {
    for id in ids {
        let request = async_nats::Request::new().timeout(Some(Duration::from_secs(20)));
        let reply = runtime().block_on(client.send_request(format!("clau-doom.agent.{id}.health"), request)).unwrap();
        let reply: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
        assert_eq!((&reply["agent_id"], &reply["healthy"]), (&id.as_str().into(), &true.into()), "{reply}");
    }
}

fn stream(client: &Client, name: &str) -> jetstream::stream::Info {
    let _inside = runtime().enter();
    let context = jetstream::new(client.clone());
    runtime().block_on(async { context.get_stream(name).await.unwrap().get_info().await.unwrap() })
}

#[test]
fn compose_scales_a_population_whose_records_are_kept() {
    let project = Project::new(&["compose.yaml"], &ENGINE);
    let ids = project.up(2);
    let client = project.operator();
    let scaled = project.up(8);
    assert!(scaled.len() == 8 && ids.is_subset(&scaled), "{ids:?} {scaled:?}");
    assert_answering(&client, &scaled);
    wait_for("a score of each", || (stream(&client, "AGENT_RECORDS").state.subjects_count >= 8).then_some(()));
    let agents = project.containers("agent");
    project.compose(&["stop", "agent"]);
    for agent in agents {
        assert_eq!(docker(&["inspect", "--format", "{{.State.ExitCode}}", &agent]), "0", "{}", docker(&["logs", "--tail", "20", &agent]));
    }
}

#[test]
fn compose_with_three_servers_keeps_each_stream_three_times() {
    let project = Project::new(&["compose.yaml", "compose.cluster.yaml"], &MOCK);
    let ids = project.up(3);
    let client = project.operator();
    assert_answering(&client, &ids);
    for name in ["AGENT_EVENTS", "AGENT_RECORDS", "SYSTEM_EVENTS"] {
        let info = stream(&client, name);
        assert_eq!((info.config.num_replicas, info.cluster.unwrap().replicas.len()), (3, 2), "{name}");
    }
    wait_for("a score of each", || (stream(&client, "AGENT_RECORDS").state.subjects_count >= 3).then_some(()));
}
