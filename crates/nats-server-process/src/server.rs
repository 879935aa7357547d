//! One server: built, started, steered, ended.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{NatsServerError, binary, keeper::Keeper};

const READY_WITHIN: Duration = Duration::from_secs(10);
const STOP_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a server is to be like.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    binary: Option<PathBuf>,
    jetstream: bool,
    store_dir: Option<PathBuf>,
    config_text: String,
    environment: Vec<(String, String)>,
    port: u16,
}

impl Builder {
    /// This executable instead of the one that is found.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// With JetStream, in a folder that ends with the server unless [`Builder::store_dir`] names one.
    #[must_use]
    pub fn jetstream(mut self, on: bool) -> Self {
        self.jetstream = on;
        self
    }

    /// Where JetStream keeps its files; they outlive the server.
    #[must_use]
    pub fn store_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.store_dir = Some(path.into());
        self
    }

    /// Further configuration in nats-server's own syntax (accounts, TLS, limits).
    #[must_use]
    pub fn config_text(mut self, text: impl Into<String>) -> Self {
        self.config_text = text.into();
        self
    }

    /// A variable of its environment, to which its configuration may refer by `$NAME`.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// This port; 0, the default, takes a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the server and waits until it accepts connections.
    ///
    /// # Errors
    /// [`NatsServerError`]; nothing is left running.
    pub fn start(self) -> Result<NatsServer, NatsServerError> {
        let binary = match &self.binary {
            Some(path) if path.is_file() => path.clone(),
            Some(path) => return Err(NatsServerError::NotFound { places: vec![path.clone()] }),
            None => binary::find()?,
        };
        let scratch = tempfile::Builder::new()
            .prefix("nats-server-")
            .tempdir()
            .map_err(NatsServerError::io("no temporary folder for nats-server"))?;
        let store = self.store_dir.clone().unwrap_or_else(|| scratch.path().join("store"));
        let mut server = NatsServer { binary, settings: self, scratch, store, keeper: None, port: 0, monitor_port: 0, asked: (0, 0) };
        server.launch()?;
        Ok(server)
    }
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct NatsServer {
    binary: PathBuf,
    settings: Builder,
    scratch: TempDir,
    store: PathBuf,
    keeper: Option<Keeper>,
    port: u16,
    monitor_port: u16,
    /// What its configuration asked for, 0 for a free one: a server that runs takes no other configuration than one that asks for the same.
    asked: (u16, u16),
}

impl NatsServer {
    /// How to make one.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `nats://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT` of the monitoring endpoint.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor_port)
    }

    /// The process's id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.keeper.as_ref().filter(|keeper| !keeper.has_ended()).map(Keeper::pid)
    }

    /// What the server has logged so far (over restarts).
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Ends it as an operator would (SIGTERM), by force after five seconds.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Ends it as a crash would (SIGKILL).
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Freezes it (SIGSTOP): connections stay open and nothing is answered. On return all of its threads have stopped (Linux).
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let until = Instant::now() + STOP_WITHIN;
        while let Some(pid) = self.pid()
            && !has_stopped(pid)
            && Instant::now() < until
        {
            std::thread::yield_now();
        }
    }

    /// Goes on after [`NatsServer::pause`].
    pub fn unpause(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again on the same port and store, killing it first where it still runs.
    ///
    /// # Errors
    /// [`NatsServerError`] where it does not come up.
    pub fn restart(&mut self) -> Result<(), NatsServerError> {
        self.kill();
        self.launch()
    }

    /// Changes what [`Builder::config_text`] said and has it read (SIGHUP), as an operator would who takes a user's permission away.
    ///
    /// # Errors
    /// [`NatsServerError`] where the file cannot be written, or the server does not say that it has read it.
    pub fn reload(&mut self, config_text: impl Into<String>) -> Result<(), NatsServerError> {
        const SIGN: &str = "Reloaded server configuration";
        self.settings.config_text = config_text.into();
        let before = self.log().matches(SIGN).count();
        self.write_config()?;
        self.signal(Signal::HUP);
        let until = Instant::now() + READY_WITHIN;
        while self.log().matches(SIGN).count() == before {
            if Instant::now() >= until || self.keeper.as_mut().is_none_or(|keeper| keeper.wait(LOOK_EVERY)) {
                return Err(NatsServerError::NotReady {
                    reason: "it did not take its new configuration".to_owned(),
                    log: self.last_lines(),
                });
            }
        }
        Ok(())
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|p| i32::try_from(p).ok()).and_then(Pid::from_raw) {
            // The process may have ended meanwhile, which is what a signal of ours wants at most.
            let _ = kill_process(pid, signal);
        }
    }

    fn end(&mut self, signal: Signal) {
        self.unpause();
        self.signal(signal);
        if let Some(mut keeper) = self.keeper.take()
            && !keeper.wait(STOP_WITHIN)
        {
            if let Some(pid) = i32::try_from(keeper.pid()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
            keeper.wait(STOP_WITHIN);
        }
    }

    /// The end of its log, on one line.
    fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    fn write_config(&self) -> Result<PathBuf, NatsServerError> {
        let dir = self.scratch.path();
        let (port, monitor_port) = self.asked;
        // nats-server takes -1 for "a free port".
        let number = |p: u16| if p == 0 { "-1".to_owned() } else { p.to_string() };
        let mut config =
            format!("host: 127.0.0.1\nport: {}\nhttp: \"127.0.0.1:{}\"\nports_file_dir: {:?}\n", number(port), number(monitor_port), dir);
        if self.settings.jetstream {
            fs::create_dir_all(&self.store).map_err(NatsServerError::io(format!("the store {} cannot be made", self.store.display())))?;
            config += &format!("jetstream {{ store_dir: {:?} }}\n", self.store);
        }
        config += &self.settings.config_text;
        let path = dir.join("nats.conf");
        fs::write(&path, config).map_err(NatsServerError::io("nats-server's configuration cannot be written"))?;
        Ok(path)
    }

    fn launch(&mut self) -> Result<(), NatsServerError> {
        self.asked = (if self.port != 0 { self.port } else { self.settings.port }, self.monitor_port);
        let path = self.write_config()?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .map_err(NatsServerError::io("nats-server's log cannot be written"))?;
        let errors = log.try_clone().map_err(NatsServerError::io("nats-server's log cannot be shared"))?;
        let keeper = Keeper::start(self.command(&path, log, errors))?;
        let pid = keeper.pid();
        self.keeper = Some(keeper);
        let dir = self.scratch.path().to_owned();
        let result = self.wait_ready(pid, &dir);
        if result.is_err() {
            self.kill();
        }
        result
    }

    /// Under `setpriv`, where there is one, so that the server ends with us; it replaces itself by the server, so the pid is the server's.
    fn command(&self, config: &Path, log: File, errors: File) -> Command {
        let setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].into_iter().find(|p| Path::new(p).is_file());
        let mut command = match setpriv {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        command.envs(self.settings.environment.iter().map(|(name, value)| (name, value)));
        command.arg("-c").arg(config).stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        command
    }

    /// The server writes its ports to a file of its own; then it must greet.
    fn wait_ready(&mut self, pid: u32, dir: &Path) -> Result<(), NatsServerError> {
        let name = self.binary.file_name().map_or("nats-server".into(), |n| n.to_string_lossy().into_owned());
        let ports = dir.join(format!("{name}_{pid}.ports"));
        let until = Instant::now() + READY_WITHIN;
        let mut reason = "it did not say its ports in time".to_owned();
        while Instant::now() < until {
            if let Some((port, monitor)) = read_ports(&ports) {
                match greets(port) {
                    Ok(()) => {
                        (self.port, self.monitor_port) = (port, monitor);
                        return Ok(());
                    }
                    Err(error) => reason = format!("it does not greet on port {port}: {error}"),
                }
            }
            // The pause between two looks ends at once where the server does.
            if self.keeper.as_mut().is_none_or(|keeper| keeper.wait(LOOK_EVERY)) {
                reason = "it ended".to_owned();
                break;
            }
        }
        Err(NatsServerError::NotReady { reason, log: self.last_lines() })
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether every thread of a process is stopped: a signal is obeyed a moment after it was sent. Where nothing tells, it is taken to be.
fn has_stopped(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name before the state may hold anything, a parenthesis too.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}

/// The client's and the monitor's port from a ports file; `None` while it is not (completely) written.
fn read_ports(path: &Path) -> Option<(u16, u16)> {
    let value: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let port = |key: &str| value[key][0].as_str()?.rsplit(':').next()?.trim_end_matches('/').parse().ok();
    Some((port("nats")?, port("monitoring")?))
}

/// A server that is ready sends INFO to whoever connects.
fn greets(port: u16) -> std::io::Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    if line.starts_with("INFO") { Ok(()) } else { Err(std::io::Error::other(format!("unexpected greeting {line:?}"))) }
}
