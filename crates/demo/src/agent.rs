//! The agent's process: started in a process group of its own, listened to, and ended with us.

use std::{fmt, os::unix::process::ExitStatusExt, path::Path, process::Stdio};

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

/// See the module.
pub(super) struct Agent {
    child: Child,
    logs: Lines<BufReader<ChildStderr>>,
}

impl Agent {
    /// Starts it; its log comes as JSON, so that the server's URL can be read out of it.
    pub(super) fn start(program: &Path, arguments: &[&str], state: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
        command.env("DOOM_AGENT_LOG_FORMAT", "json").env("DOOM_AGENT_STATE_DIR", state);
        // Ctrl-C reaches us alone, and the agent once, through us: at the second one it would quit at once.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let stderr = child.stderr.take().context("the agent has no standard error")?;
        Ok(Self { child, logs: BufReader::new(stderr).lines() })
    }

    /// The next line of its log; `None` at its end.
    pub(super) async fn log(&mut self) -> Option<Log> {
        self.logs.next_line().await.ok().flatten().map(|line| Log::read(&line))
    }

    /// Tells it to stop; the second time it quits at once.
    pub(super) fn interrupt(&self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended a moment ago; then there is nobody to tell.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
    }

    /// Its exit code, as a shell would give it.
    pub(super) async fn wait(&mut self) -> Result<u8> {
        let status = self.child.wait().await.context("cannot wait for the agent")?;
        let code = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
        Ok(u8::try_from(code).unwrap_or(u8::MAX))
    }
}

/// A line of the agent's log: JSON, or a text where it had no log yet.
pub(super) enum Log {
    Fields(Map<String, Value>),
    Text(String),
}

impl Log {
    fn read(line: &str) -> Self {
        serde_json::from_str(line).map_or_else(|_| Self::Text(line.to_owned()), Self::Fields)
    }

    /// The embedded server's, in the one line that says it.
    pub(super) fn server_url(&self) -> Option<&str> {
        let Self::Fields(fields) = self else { return None };
        let listening = fields.get("message")?.as_str()?.starts_with("nats-server listening");
        fields.get("url")?.as_str().filter(|_| listening)
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = match self {
            Self::Fields(fields) => fields,
            Self::Text(text) => return f.write_str(text),
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        write!(f, "{} {}", text("level"), text("message"))?;
        for (name, value) in fields.iter().filter(|(name, _)| !["timestamp", "level", "message", "target"].contains(&name.as_str())) {
            write!(f, "  {name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_url_is_read_from_the_line_that_says_it_alone() {
        let url = |line| Log::read(line).server_url().map(str::to_owned);
        let line = r#"{"level":"INFO","message":"nats-server listening (embedded; it ends with the agent)","url":"nats://127.0.0.1:1"}"#;
        assert_eq!(url(line).unwrap(), "nats://127.0.0.1:1");
        assert_eq!(url(r#"{"level":"INFO","message":"connecting to NATS","url":"nats://127.0.0.1:1"}"#), None);
        assert_eq!(url("doom-agent: the embedded nats-server cannot start"), None);
    }

    #[test]
    fn a_log_line_is_shown_with_its_fields() {
        let line = r#"{"timestamp":"2026-01-02T03:04:05Z","level":"INFO","message":"stopped","code":0,"target":"doom_agent::run"}"#;
        assert_eq!(Log::read(line).to_string(), "INFO stopped  code=0");
        assert_eq!(Log::read("plain").to_string(), "plain");
    }
}
