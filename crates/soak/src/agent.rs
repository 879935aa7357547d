//! The agents: started, killed, told to end, and looked after; and what each process had promised when it ended.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Write},
    mem::take,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;

/// What is waited for that ought to happen soon.
const WITHIN: Duration = Duration::from_secs(40);
/// Until every record is stored in the end.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// All of them; each is used by one at a time.
pub(crate) struct Agents(Vec<Mutex<Agent>>);

impl Agents {
    pub(crate) fn start(program: &Path, folder: &Path, url: String, mocks: u16, engine: bool) -> Result<Self> {
        let ids = (1..=mocks).map(|n| (format!("mock-{n}"), "mock")).chain(engine.then(|| ("engine".to_owned(), "vizdoom")));
        let agents = ids.map(|(id, backend)| {
            let home = folder.join(&id);
            std::fs::create_dir_all(&home).with_context(|| format!("{} cannot be made", home.display()))?;
            let (program, url) = (program.to_owned(), url.clone());
            let mut agent =
                Agent { id, backend, program, home, url, child: None, starts: 0, promised: BTreeSet::new(), complaints: Vec::new() };
            agent.start()?;
            Ok(Mutex::new(agent))
        });
        Ok(Self(agents.collect::<Result<_>>()?))
    }

    pub(crate) fn pick(&self, dice: &mut ChaCha8Rng) -> MutexGuard<'_, Agent> {
        self.0[dice.random_range(0..self.0.len())].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until they owe nothing, and ends them.
    pub(crate) fn finish(self) -> Vec<End> {
        let agents = self.0.into_iter().map(|agent| agent.into_inner().unwrap_or_else(PoisonError::into_inner));
        agents.map(Agent::finish).collect()
    }
}

/// What is known of an agent after all of its processes.
pub(crate) struct End {
    pub(crate) id: String,
    /// How many processes there were.
    pub(crate) starts: u32,
    /// Message ids of scores and deaths that were committed to its disk when a process was killed: each must be in the stream.
    pub(crate) promised: BTreeSet<String>,
    /// What it did that it must not.
    pub(crate) complaints: Vec<String>,
}

/// One agent, in its present process.
pub(crate) struct Agent {
    pub(crate) id: String,
    backend: &'static str,
    program: PathBuf,
    home: PathBuf,
    url: String,
    child: Option<Child>,
    starts: u32,
    promised: BTreeSet<String>,
    complaints: Vec<String>,
}

impl Agent {
    /// Starts the next process.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.starts += 1;
        let log = File::options().create(true).append(true).open(self.home.join("log")).context("the agent's log cannot be written")?;
        let seed = self.starts.to_string();
        let mut command = Command::new(&self.program);
        command.args(["--id", &self.id, "--scenario", "basic.cfg", "--backend", self.backend, "--nats", &self.url, "--seed", &seed]);
        // Five episodes a second.
        command.args(["--set", "episode_timeout=35", "--pace", "175", "--frame-skip", "4", "--step-timeout", "3s"]);
        command.args(["--http", "127.0.0.1:0", "--max-engine-restarts", "20", "--log-format", "json"]);
        command.arg("--state-dir").arg(&self.home).current_dir(&self.home);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("{} cannot be started", self.program.display()))?);
        Ok(())
    }

    fn pid(&self) -> Option<Pid> {
        self.child.as_ref().and_then(|c| i32::try_from(c.id()).ok()).and_then(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // It has not been reaped, so the number is still its own.
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGKILL; notes what it had promised.
    pub(crate) fn kill(&mut self) {
        self.look_for_end();
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        let spool = self.home.join("clau-doom").join(&self.id).join("records.sqlite");
        match if spool.exists() { committed(&spool) } else { Ok(Vec::new()) } {
            Ok(ids) => self.promised.extend(ids),
            Err(error) => self.complaints.push(format!("{}'s spool cannot be read: {error}", self.id)),
        }
    }

    /// SIGTERM; it must end in time and well, whatever the broker does.
    pub(crate) fn end(&mut self) {
        // A signal that comes before the process listens for it ends it as any program.
        self.wait("its probes answer", WITHIN, |_| true);
        self.look_for_end();
        self.signal(Signal::TERM);
        let Some(mut child) = self.child.take() else { return };
        let until = Instant::now() + WITHIN;
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return,
                Ok(Some(status)) => return self.complaints.push(format!("{} ended with {status} after SIGTERM", self.id)),
                Ok(None) if Instant::now() < until => sleep(Duration::from_millis(20)),
                _ => {
                    self.complaints.push(format!("{} did not end within {WITHIN:?} of SIGTERM", self.id));
                    let _ = child.kill();
                    let _ = child.wait();
                    return;
                }
            }
        }
    }

    /// An agent that has ended by itself is a failure.
    fn look_for_end(&mut self) {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            self.complaints.push(format!("{} ended by itself with {status}", self.id));
        }
    }

    /// Its engine, where there is one that plays.
    pub(crate) fn signal_engine(&self, signal: Signal) {
        let pid = self.health().and_then(|h| h["engine"]["pid"].as_i64());
        if let Some(pid) = pid.and_then(|p| i32::try_from(p).ok()).and_then(Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, signal);
        }
    }

    /// Whether its process may write to files.
    pub(crate) fn limit_disk(&self, limited: bool) {
        let none = Rlimit { current: None, maximum: None };
        if let Ok(now) = prlimit(self.pid(), Resource::Fsize, none) {
            let maximum = now.maximum;
            let current = if limited { Some(0) } else { maximum };
            let _ = prlimit(self.pid(), Resource::Fsize, Rlimit { current, maximum });
        }
    }

    /// Waits until its disk has what it had in memory alone.
    pub(crate) fn wait_durable(&mut self) {
        self.wait("its disk is used again", WITHIN, |health| health["records"]["durable"] == true);
    }

    fn wait(&mut self, what: &str, bound: Duration, fits: impl Fn(&Value) -> bool) {
        let until = Instant::now() + bound;
        while Instant::now() < until {
            if self.health().is_some_and(|health| fits(&health)) {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        let health = self.health();
        self.complaints.push(format!("{}: not so within {bound:?}: {what}; {health:?}", self.id));
    }

    /// Where its probes are: the last address in its log.
    fn address(&self) -> Option<String> {
        let log = std::fs::read_to_string(self.home.join("log")).ok()?;
        let line = log.lines().rfind(|line| line.contains("serving /livez"))?;
        let line: Value = serde_json::from_str(line).ok()?;
        let fields = if line["fields"].is_object() { &line["fields"] } else { &line };
        fields["address"].as_str().map(str::to_owned)
    }

    fn health(&self) -> Option<Value> {
        let address = self.address()?;
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET /livez HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }

    fn finish(mut self) -> End {
        self.wait("no record waits", SETTLED_WITHIN, |health| health["records"]["spooled"].as_u64().is_some_and(|n| n < 4));
        self.end();
        let (id, promised, complaints) = (&mut self.id, &mut self.promised, &mut self.complaints);
        End { id: take(id), starts: self.starts, promised: take(promised), complaints: take(complaints) }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Message ids of the scores and deaths in a dead process's spool.
fn committed(spool: &Path) -> Result<Vec<String>> {
    let connection = rusqlite::Connection::open_with_flags(spool, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'records'", [], |row| row.get(0))?;
    if tables == 0 {
        // Killed while it made the file.
        return Ok(Vec::new());
    }
    let mut select = connection.prepare("SELECT subject, headers FROM records")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut ids = Vec::new();
    for row in rows {
        let (subject, headers) = row?;
        let headers: Vec<(String, String)> = serde_json::from_str(&headers).context("headers that are no pairs")?;
        let id = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("nats-msg-id"));
        if subject.starts_with("clau-doom.agent.") {
            ids.extend(id.map(|(_, id)| id));
        }
    }
    Ok(ids)
}
