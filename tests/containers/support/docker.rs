//! Docker by its command line. A test's containers, networks and volumes bear its label and are removed with its [`World`], or, where the test
//! was killed, by the next one.

use std::{
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// On everything that a test makes; the value begins with the test's process.
const LABEL: &str = "clau-doom.test";

/// Runs `docker` with these arguments; what it said on standard output, or on standard error where it fails.
pub(crate) fn docker_tells(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Runs `docker` with these arguments, which must succeed.
#[track_caller]
pub(crate) fn docker(arguments: &[&str]) -> String {
    docker_tells(arguments).unwrap_or_else(|why| panic!("docker {}: {why}", arguments.join(" ")))
}

/// What one test has on the Docker engine.
pub(crate) struct World {
    label: String,
    name: String,
}

impl World {
    /// A network for this test alone.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        sweep();
        let name = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let world = Self { label: format!("{LABEL}={name}"), name: format!("doom-test-{name}") };
        docker(&["network", "create", "--label", &world.label, &world.name]);
        world
    }

    /// The network's name.
    pub(crate) fn network(&self) -> &str {
        &self.name
    }

    /// `LABEL=VALUE` of all that is this test's.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// A volume; `options` as `docker volume create --opt` takes them.
    pub(crate) fn volume(&self, name: &str, options: &[&str]) -> String {
        let name = format!("{}-{name}", self.name);
        let mut arguments = vec!["volume", "create", "--label", &self.label];
        options.iter().for_each(|option| arguments.extend(["--opt", option]));
        arguments.push(&name);
        docker(&arguments)
    }

    /// Starts a container that others reach by `name`; `more` are arguments of `docker run`, `arguments` the program's.
    #[track_caller]
    pub(crate) fn start(&self, image: &str, name: &str, more: &[&str], arguments: &[&str]) -> Container {
        let full = format!("{}-{name}", self.name);
        let own = ["run", "--detach", "--label", &self.label, "--name", &full, "--network", &self.name, "--network-alias", name];
        docker(&[&own[..], more, &[image], arguments].concat());
        Container { name: full, alias: name.to_owned(), network: self.name.clone() }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        remove(&self.label);
    }
}

/// Removes what bears a label: containers first, since they hold the others.
fn remove(label: &str) {
    let filter = format!("label={label}");
    for (list, remove) in [
        (&["ps", "--all", "--quiet"][..], &["rm", "--force", "--volumes"][..]),
        (&["network", "ls", "--quiet"], &["network", "rm"]),
        (&["volume", "ls", "--quiet"], &["volume", "rm", "--force"]),
    ] {
        let found = docker_tells(&[list, &["--filter", &filter]].concat()).unwrap_or_default();
        let found: Vec<&str> = found.lines().collect();
        if !found.is_empty()
            && let Err(why) = docker_tells(&[remove, &found].concat())
        {
            eprintln!("docker {}: {why}", remove.join(" "));
        }
    }
}

/// Removes what tests that were killed left behind.
fn sweep() {
    let format = format!("{{{{.Label \"{LABEL}\"}}}}");
    let filter = format!("label={LABEL}");
    let mut values: Vec<String> = Vec::new();
    for list in [&["ps", "--all"][..], &["network", "ls"], &["volume", "ls"]] {
        values.extend(docker(&[list, &["--filter", &filter, "--format", &format]].concat()).lines().map(str::to_owned));
    }
    values.sort();
    values.dedup();
    for value in values {
        let process = value.split('-').next().unwrap_or_default();
        if !std::path::Path::new("/proc").join(process).exists() {
            remove(&format!("{LABEL}={value}"));
        }
    }
}

/// One container.
pub(crate) struct Container {
    name: String,
    alias: String,
    network: String,
}

impl Container {
    /// The name by which docker knows it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A value of `docker inspect`.
    #[track_caller]
    pub(crate) fn inspect(&self, template: &str) -> String {
        docker(&["inspect", "--format", template, &self.name])
    }

    /// Everything that it has logged.
    pub(crate) fn logs(&self) -> String {
        let output = Command::new("docker").args(["logs", &self.name]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Tells it to stop and waits, up to `grace` before it is killed; its exit code.
    #[track_caller]
    pub(crate) fn stop(&self, grace: Duration) -> i32 {
        docker(&["stop", "--time", &grace.as_secs().to_string(), &self.name]);
        self.exit_code()
    }

    /// The exit code of a container that has ended.
    #[track_caller]
    pub(crate) fn exit_code(&self) -> i32 {
        self.inspect("{{.State.ExitCode}}").parse().unwrap()
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    pub(crate) fn wait(&self) -> i32 {
        super::wait_for(&format!("the end of {}", self.alias), || (self.inspect("{{.State.Running}}") == "false").then_some(()));
        self.exit_code()
    }

    /// Sends a signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: &str) {
        docker(&["kill", "--signal", signal, &self.name]);
    }

    /// Starts it again.
    #[track_caller]
    pub(crate) fn start(&self) {
        docker(&["start", &self.name]);
    }

    /// Removes it, running or not, and keeps its named volumes.
    #[track_caller]
    pub(crate) fn remove(self) {
        docker(&["rm", "--force", "--volumes", &self.name]);
    }

    /// Takes its network away.
    #[track_caller]
    pub(crate) fn cut(&self) {
        docker(&["network", "disconnect", &self.network, &self.name]);
    }

    /// Gives its network back.
    #[track_caller]
    pub(crate) fn mend(&self) {
        docker(&["network", "connect", "--alias", &self.alias, &self.network, &self.name]);
    }
}
