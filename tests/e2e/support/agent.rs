//! One agent process: started with a state directory of its own, its output kept, ended at the latest when it is dropped.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use nats_server_process::NatsServer;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use super::{Backend, WITHIN};

/// Variables that reach the agent; everything else of the test's environment is kept from it.
const PASSED_ON: [&str; 4] = ["PATH", "VIZDOOM_DIR", "NATS_SERVER", "LD_LIBRARY_PATH"];

/// What an agent is to be started with.
#[derive(Debug)]
pub(crate) struct Spec {
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    state_dir: Option<PathBuf>,
    wrapper: Vec<OsString>,
    own_group: bool,
}

impl Spec {
    /// Exactly these arguments, without any of our own but `--state-dir`.
    pub(crate) fn bare<I: Into<OsString>>(arguments: impl IntoIterator<Item = I>) -> Self {
        Self {
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            state_dir: None,
            wrapper: Vec::new(),
            own_group: false,
        }
    }

    /// An agent `id` that plays a scenario with seed 1, without NATS.
    pub(crate) fn new(backend: Backend, id: &str, scenario: &str) -> Self {
        Self::bare(["--id", id, "--scenario", scenario, "--backend", backend.name(), "--seed", "1", "--nats", "off"])
    }

    /// Connects to this server.
    pub(crate) fn nats(self, server: &NatsServer) -> Self {
        let url = server.url();
        self.with(&["--nats", &url])
    }

    /// Further arguments; a later one wins.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(OsString::from));
        self
    }

    /// A variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// This state directory instead of one of its own.
    pub(crate) fn state_dir(mut self, path: &Path) -> Self {
        self.state_dir = Some(path.to_owned());
        self
    }

    /// Started by this program, which replaces itself by what its last arguments say.
    pub(crate) fn wrapped<I: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = I>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// In a process group of its own, as a shell starts it.
    pub(crate) fn own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Starts it.
    pub(crate) fn spawn(self) -> Agent {
        let home = TempDir::new().unwrap();
        const AGENT: &str = env!("CARGO_BIN_EXE_doom-agent");
        let mut command = Command::new(self.wrapper.first().map_or(AGENT.as_ref(), OsString::as_os_str));
        if !self.wrapper.is_empty() {
            command.args(&self.wrapper[1..]).arg(AGENT);
        }
        if self.own_group {
            command.process_group(0);
        }
        command.env_clear();
        command.envs(PASSED_ON.iter().filter_map(|name| std::env::var_os(name).map(|value| (*name, value))));
        command.env("HOME", home.path()).env("DOOM_AGENT_STATE_DIR", self.state_dir.as_deref().unwrap_or(home.path()));
        command.envs(self.environment).args(&self.arguments).current_dir(home.path());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let output = Arc::new(Output::default());
        let readers = [
            follow(child.stdout.take().unwrap(), &output, |kept| &mut kept.out),
            follow(child.stderr.take().unwrap(), &output, |kept| &mut kept.err),
        ];
        let waiter = std::thread::spawn({
            let output = Arc::clone(&output);
            move || {
                // Sees the end without reaping, so that the id stays ours for as long as anybody may send it a signal.
                waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
                readers.into_iter().for_each(|r| r.join().unwrap());
                output.kept.lock().unwrap().status = Some(child.wait().unwrap());
                output.changed.notify_all();
            }
        });
        Agent { pid, output, waiter: Some(waiter), home }
    }

    /// Starts it and waits until it can be reached: the server has its subscriptions.
    pub(crate) fn spawn_ready(self) -> Agent {
        let agent = self.spawn();
        agent.wait_log("the NATS server has our subscriptions");
        agent
    }

    /// Starts it and waits for its end: the exit code and everything it wrote.
    pub(crate) fn run(self) -> (i32, String, String) {
        let mut agent = self.spawn();
        let code = agent.wait_exit(WITHIN);
        let kept = agent.output.kept.lock().unwrap();
        (code, kept.out.join("\n"), kept.err.join("\n"))
    }
}

#[derive(Debug, Default)]
struct Kept {
    out: Vec<String>,
    err: Vec<String>,
    status: Option<ExitStatus>,
}

#[derive(Debug, Default)]
struct Output {
    kept: Mutex<Kept>,
    changed: Condvar,
}

fn follow(
    pipe: impl Read + Send + 'static,
    output: &Arc<Output>,
    lines: impl Fn(&mut Kept) -> &mut Vec<String> + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            lines(&mut output.kept.lock().unwrap()).push(line.unwrap());
            output.changed.notify_all();
        }
    })
}

/// A running (or ended) agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pid: Pid,
    output: Arc<Output>,
    waiter: Option<std::thread::JoinHandle<()>>,
    home: TempDir,
}

impl Agent {
    /// Its working directory and state directory.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.output.kept.lock().unwrap().err.clone()
    }

    /// What it has written to standard output so far.
    pub(crate) fn out(&self) -> Vec<String> {
        self.output.kept.lock().unwrap().out.clone()
    }

    /// Waits for a log line that contains `text`.
    pub(crate) fn wait_log(&self, text: &str) -> String {
        self.look(WITHIN, |kept| kept.err.iter().find(|line| line.contains(text)).cloned())
            .unwrap_or_else(|| panic!("the agent did not log {text:?}"))
    }

    /// Waits for this many log lines that contain `text`.
    pub(crate) fn wait_lines(&self, text: &str, count: usize) {
        let enough = |kept: &Kept| (kept.err.iter().filter(|line| line.contains(text)).count() >= count).then_some(());
        self.look(WITHIN, enough).unwrap_or_else(|| panic!("the agent did not log {text:?} {count} times"));
    }

    /// Where `--http` listens, from the log.
    pub(crate) fn http(&self) -> String {
        let line = self.wait_log("serving /livez");
        line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.output.kept.lock().unwrap().status.is_some()
    }

    /// Waits for its end: the exit code, or minus the signal that ended it.
    pub(crate) fn wait_exit(&mut self, bound: Duration) -> i32 {
        let status = self.look(bound, |kept| kept.status).unwrap_or_else(|| panic!("the agent did not end within {bound:?}"));
        status.code().unwrap_or_else(|| -status.signal().unwrap())
    }

    /// Sends it a signal, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let kept = self.output.kept.lock().unwrap();
        if kept.status.is_none() {
            kill_process(self.pid, signal).unwrap();
        }
    }

    fn look<T>(&self, bound: Duration, mut what: impl FnMut(&Kept) -> Option<T>) -> Option<T> {
        let until = Instant::now() + bound;
        let mut kept = self.output.kept.lock().unwrap();
        loop {
            if let Some(found) = what(&kept) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now()).filter(|_| kept.status.is_none())?;
            kept = self.output.changed.wait_timeout(kept, left).unwrap().0;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            eprintln!("--- the agent's log ---\n{}\n---", log[log.len().saturating_sub(60)..].join("\n"));
        }
        self.signal(Signal::CONT);
        self.signal(Signal::KILL);
        if let Some(waiter) = self.waiter.take() {
            // It panicked only where the test has failed already.
            let _ = waiter.join();
        }
    }
}
