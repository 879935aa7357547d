//! A real agent on the mock game: the binary that stands beside `doomctl`.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use nats_server_process::NatsServer;
use tempfile::TempDir;

/// How long anything is waited for that ought to happen soon; the machine may be busy with other tests.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// A running agent; killed when dropped.
pub(crate) struct Agent {
    child: Child,
    _home: TempDir,
}

fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_doomctl")).with_file_name("doom-agent");
    assert!(path.is_file(), "no {}: build it by `cargo build -p doom-agent`; `cargo test --workspace` does", path.display());
    path
}

impl Agent {
    /// Starts agent `id` and waits until the server has its subscriptions.
    pub(crate) fn start(server: &NatsServer, id: &str, more: &[&str]) -> Self {
        let home = TempDir::new().expect("a temporary folder");
        let mut command = Command::new(binary());
        command.env_clear().env("HOME", home.path()).env("DOOM_AGENT_STATE_DIR", home.path()).current_dir(home.path());
        command.args(["--id", id, "--scenario", "basic.cfg", "--backend", "mock", "--pace", "350", "--nats", &server.url()]).args(more);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the agent starts");
        let log = BufReader::new(child.stderr.take().expect("its log"));
        let (ready, is_ready) = mpsc::channel();
        // Reads to the end, so that the agent never waits for us.
        std::thread::spawn(move || {
            let said: Vec<String> = log
                .lines()
                .map_while(Result::ok)
                .inspect(|line| {
                    if line.contains("the NATS server has our subscriptions") {
                        let _ = ready.send(());
                    }
                })
                .collect();
            drop(said);
        });
        let agent = Self { child, _home: home };
        is_ready.recv_timeout(WITHIN).expect("the agent is ready");
        agent
    }

    /// Its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + WITHIN;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < until, "the agent has not ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
