//! The server configurations in configs/nats: each role can do its work, and not what it may not.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex},
};

use async_nats::{Client, ConnectOptions, Event, ServerError};
use futures::StreamExt;
use nats_server_process::NatsServer;
use serde_json::{Value, json};

use super::{gets_in, is_refused};
use crate::support::{Agent, Backend, JetStream, Spec, WITHIN, runtime};

const LOGINS: [&str; 7] = ["AGENTS", "WORKERS", "OPERATOR", "DASHBOARD", "ANALYTICS", "AGENT_A", "AGENT_B"];

fn password(user: &str) -> String {
    format!("secret-of-{}", user.to_lowercase().replace('_', "-"))
}

/// A server with these accounts and the streams of the design.
fn house(accounts: &str) -> NatsServer {
    let read = |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/nats").join(name)).unwrap();
    // The server looks for what is included beside its own configuration, which lies elsewhere here.
    let config = read(accounts).replace("include \"roles.conf\"", &read("roles.conf"));
    let builder = NatsServer::builder().jetstream(true).config_text(config);
    let builder = LOGINS.iter().fold(builder, |b, name| b.env(format!("DOOM_{name}_PASSWORD"), password(name)));
    let server = builder.start().unwrap();
    JetStream::of(Member::of(&server, "operator", "_INBOX.operator.1").client).create_all();
    server
}

/// Somebody who has logged in, and what the server has refused him.
struct Member {
    client: Client,
    refused: Arc<(Mutex<Vec<String>>, Condvar)>,
    tries: usize,
}

impl Member {
    fn of(server: &NatsServer, user: &str, inbox: &str) -> Self {
        let refused = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let keep = Arc::clone(&refused);
        let options = ConnectOptions::with_user_and_password(user.to_owned(), password(user)).custom_inbox_prefix(inbox);
        let options = options.event_callback(move |event| {
            if let Event::ServerError(ServerError::Other(text)) = event {
                keep.0.lock().unwrap().push(text.to_lowercase());
                keep.1.notify_all();
            }
            std::future::ready(())
        });
        Self { client: runtime().block_on(options.connect(server.url())).unwrap(), refused, tries: 0 }
    }

    /// Waits until the server has judged everything before, and says whether it has refused `what`.
    fn is_refused(&mut self, what: &str) -> bool {
        // The server judges in order, and this it refuses everybody.
        self.tries += 1;
        let last = format!("nobody.may.{}", self.tries);
        runtime().block_on(self.client.publish(last.clone(), "".into())).unwrap();
        let refused = self.refused.0.lock().unwrap();
        let judged = |list: &mut Vec<String>| !list.iter().any(|text| text.contains(&format!("\"{last}\"")));
        let (refused, late) = self.refused.1.wait_timeout_while(refused, WITHIN, judged).unwrap();
        assert!(!late.timed_out(), "the server has not judged {what}: {refused:?}");
        refused.iter().any(|text| text.contains(&what.to_lowercase()))
    }

    fn may_publish(&mut self, subject: &str) -> bool {
        runtime().block_on(self.client.publish(subject.to_owned(), "".into())).unwrap();
        !self.is_refused(&format!("publish to \"{subject}\""))
    }

    fn may_hear(&mut self, subject: &str) -> bool {
        let _subscriber = runtime().block_on(self.client.subscribe(subject.to_owned())).unwrap();
        !self.is_refused(&format!("subscription to \"{subject}\""))
    }

    fn request(&self, subject: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = async_nats::Request::new().payload(body.into()).timeout(Some(WITHIN));
        let answer = runtime().block_on(self.client.send_request(subject.to_owned(), request));
        serde_json::from_slice(&answer.unwrap_or_else(|e| panic!("{subject}: {e}")).payload).unwrap()
    }

    /// Asks for the answer to go somewhere else.
    fn publish_with_reply(&self, subject: &str, reply: &str, body: &str) {
        let (subject, reply, body) = (subject.to_owned(), reply.to_owned(), body.to_owned());
        runtime().block_on(self.client.publish_with_reply(subject, reply, body.into())).unwrap();
    }
}

/// Does not care who hears it.
const COMMANDS: [&str; 3] = ["clau-doom.agent.A.control.pause", "clau-doom.system.control.shutdown", "clau-doom.system.control.pause"];
const CHANGES: [&str; 4] =
    ["$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.UPDATE.AGENT_EVENTS", "$JS.API.STREAM.DELETE.X", "$JS.API.STREAM.PURGE.X"];

#[test]
fn a_dashboard_sees_and_asks_and_commands_nobody() {
    let server = house("population-accounts.conf");
    let mut dashboard = Member::of(&server, "dashboard", "_INBOX.dashboard");
    for subject in ["clau-doom.agent.*.observe", "clau-doom.system.doom_agent.health", "clau-doom.metrics.>", "_INBOX.dashboard.x"] {
        assert!(dashboard.may_hear(subject), "{subject}");
    }
    for subject in ["clau-doom.agent.A.health", "$JS.API.STREAM.INFO.AGENT_EVENTS"] {
        assert!(dashboard.may_publish(subject), "{subject}");
    }
    let events = ["clau-doom.agent.A.score", "clau-doom.experiment.e.run.1", "clau-doom.system.doom_agent.error"];
    let others = ["$SRV.PING", "$JS.API.CONSUMER.CREATE.AGENT_EVENTS", "_INBOX.doom-agent.A.x", "clau-doom.generation.g.evaluate"];
    for subject in COMMANDS.iter().chain(&CHANGES).chain(&events).chain(&others) {
        assert!(!dashboard.may_publish(subject), "{subject}");
    }
    for subject in [">", "clau-doom.>", "_INBOX.>", "_INBOX.*.>", "_INBOX.*.doomctl.>", "clau-doom.agent.*.control.*"] {
        assert!(!dashboard.may_hear(subject), "{subject}");
    }
    for other in ["doom-agent.A", "analytics", "operator", "operator.doomctl.1", "doomctl", "doomctl.1"] {
        assert!(!dashboard.may_hear(&format!("_INBOX.{other}.>")), "{other}");
    }
}

#[test]
fn analytics_reads_streams_and_changes_and_commands_nothing() {
    let server = house("population-accounts.conf");
    let mut analytics = Member::of(&server, "analytics", "_INBOX.analytics");
    for subject in ["$JS.API.CONSUMER.CREATE.AGENT_RECORDS.reader", "$JS.API.CONSUMER.MSG.NEXT.AGENT_RECORDS.reader", "$JS.ACK.x"] {
        assert!(analytics.may_publish(subject), "{subject}");
    }
    for subject in COMMANDS.iter().chain(&CHANGES).chain(&["clau-doom.agent.A.score", "clau-doom.agent.A.health", "$SRV.PING"]) {
        assert!(!analytics.may_publish(subject), "{subject}");
    }
    for subject in [">", "clau-doom.>", "_INBOX.>", "_INBOX.*.>", "_INBOX.*.doomctl.>"] {
        assert!(!analytics.may_hear(subject), "{subject}");
    }
    for other in ["doom-agent.A", "dashboard", "operator", "operator.doomctl.1", "doomctl", "doomctl.1"] {
        assert!(!analytics.may_hear(&format!("_INBOX.{other}.>")), "{other}");
    }
    let records = JetStream::of(analytics.client.clone());
    assert!(records.stored("AGENT_EVENTS", "clau-doom.agent.A.score").is_empty());
}

#[test]
fn an_agent_with_a_login_of_its_own_is_nobody_else() {
    let server = house("strict-accounts.conf");
    let mut agent = Member::of(&server, "agent-A", "_INBOX.doom-agent.A");
    for leaf in ["action", "observe", "score", "death", "frame", "health"] {
        let (own, other) = (format!("clau-doom.agent.A.{leaf}"), format!("clau-doom.agent.B.{leaf}"));
        assert!(agent.may_publish(&own) && !agent.may_publish(&other), "{leaf}");
    }
    for subject in ["clau-doom.generation.g.agent.A.score", "clau-doom.metrics.agent.A.steps", "clau-doom.system.doom_agent.lifecycle"] {
        assert!(agent.may_publish(subject), "{subject}");
    }
    let others = ["clau-doom.generation.g.agent.B.score", "clau-doom.metrics.agent.B.steps", "clau-doom.generation.g.evaluate", "_INBOX.x"];
    for subject in COMMANDS.iter().chain(&CHANGES).chain(&others).chain(&["$SRV.PING", "$JS.API.CONSUMER.CREATE.AGENT_EVENTS"]) {
        assert!(!agent.may_publish(subject), "{subject}");
    }
    assert!(agent.may_hear("clau-doom.agent.A.control.*") && agent.may_hear("_INBOX.doom-agent.A.>"));
    let others = [
        "_INBOX.doom-agent.B.>",
        "_INBOX.doom-agent.*.>",
        "_INBOX.operator.>",
        "_INBOX.doomctl.>",
        "_INBOX.>",
        "clau-doom.agent.B.control.*",
    ];
    for subject in others.iter().chain(&["clau-doom.agent.*.health", "clau-doom.>", ">"]) {
        assert!(!agent.may_hear(subject), "{subject}");
    }
}

#[test]
fn an_agent_of_a_population_commands_nobody_and_reads_no_answer_of_others() {
    let server = house("population-accounts.conf");
    for user in ["agents", "workers"] {
        let mut agent = Member::of(&server, user, "_INBOX.doom-agent.A");
        for subject in ["clau-doom.agent.A.score", "clau-doom.agent.B.score", "clau-doom.experiment.e.run.1"] {
            assert!(agent.may_publish(subject), "{user}: {subject}");
        }
        for subject in COMMANDS.iter().chain(&CHANGES).chain(&["$SRV.PING", "$JS.API.CONSUMER.CREATE.AGENT_EVENTS", "_INBOX.doomctl.1"]) {
            assert!(!agent.may_publish(subject), "{user}: {subject}");
        }
        for subject in ["_INBOX.doomctl.>", "_INBOX.operator.>", "_INBOX.>", "clau-doom.agent.*.score", "clau-doom.>", ">"] {
            assert!(!agent.may_hear(subject), "{user}: {subject}");
        }
        let works = user == "workers";
        assert_eq!(agent.may_hear("clau-doom.generation.*.evaluate"), works, "{user}");
        assert_eq!(agent.may_publish("$JS.API.CONSUMER.MSG.NEXT.EVALUATIONS.workers"), works, "{user}");
        assert_eq!(agent.may_publish("clau-doom.generation.g.evaluation.e.result"), works, "{user}");
    }
}

#[test]
fn a_wrong_password_of_a_role_is_refused() {
    let server = house("population-accounts.conf");
    let url = server.url();
    gets_in(&["--nats", &url, "--nats-user", "agents", "--nats-password", &password("agents")], &[&password("agents")]);
    let wrong = ["--nats", &url, "--nats-user", "agents", "--nats-password", "hunter2"];
    is_refused(&wrong, "the NATS server refuses the login; check user", &["hunter2"]);
}

/// Under a login, everything on: an experiment, a generation, metrics, pictures.
fn at_work(server: &NatsServer, user: &str) -> Agent {
    let spec = Spec::new(Backend::Mock, "A", "basic.cfg").nats(server).with(&["--nats-user", user, "--nats-password", &password(user)]);
    let spec = spec.with(&["--experiment", "e", "--run", "1", "--generation", "g", "--metrics-interval", "1s", "--frames", "png"]);
    spec.with(&["--set", "episode_timeout=35", "--pace", "350", "--episodes", "0"]).spawn_ready()
}

#[test]
fn an_agent_does_all_of_its_work_under_its_role() {
    for (accounts, user) in
        [("population-accounts.conf", "agents"), ("population-accounts.conf", "workers"), ("strict-accounts.conf", "agent-A")]
    {
        let server = house(accounts);
        let mut agent = at_work(&server, user);
        let operator = Member::of(&server, "operator", "_INBOX.operator.1");
        let streams = JetStream::of(operator.client.clone());
        streams.wait_count("AGENT_EVENTS", "clau-doom.agent.A.score", 3);
        streams.wait_count("AGENT_RECORDS", "clau-doom.agent.A.score", 3);
        streams.wait_count("AGENT_EVENTS", "clau-doom.agent.A.observe", 3);
        streams.wait_count("GENERATION_EVENTS", "clau-doom.generation.g.agent.A.score", 3);
        streams.wait_count("EXPERIMENT_EVENTS", "clau-doom.experiment.e.run.1", 3);
        streams.wait_count("METRICS", "clau-doom.metrics.agent.A.*", 1);
        streams.wait_count("SYSTEM_EVENTS", "clau-doom.system.doom_agent.lifecycle", 1);
        assert_eq!(operator.request("clau-doom.agent.A.health", Value::Null)["state"], "running", "{user}");
        let dashboard = Member::of(&server, "dashboard", "_INBOX.dashboard");
        assert_eq!(dashboard.request("clau-doom.agent.A.health", Value::Null)["agent_id"], "A", "{user}");
        assert_eq!(operator.request("$SRV.PING.doom-agent", Value::Null)["metadata"]["id"], "A", "{user}");
        assert_eq!(operator.request("clau-doom.agent.A.control.pause", Value::Null)["state"], "paused", "{user}");
        assert_eq!(operator.request("clau-doom.system.control.resume", Value::Null)["ok"], true, "{user}");
        assert_eq!(operator.request("clau-doom.agent.A.control.shutdown", json!({"reason": "done"}))["ok"], true, "{user}");
        assert_eq!(agent.wait_exit(WITHIN), 0, "{user}");
        streams.wait_count("SYSTEM_EVENTS", "clau-doom.system.doom_agent.lifecycle", 2);
        let log = agent.log().join("\n");
        assert!(!log.to_lowercase().contains("permissions violation") && !log.contains(&password(user)), "{user}: {log}");
    }
}

#[test]
fn nobody_commands_by_naming_a_command_as_the_place_of_an_answer_or_of_a_delivery() {
    let server = house("population-accounts.conf");
    let mut agent = at_work(&server, "agents");
    let operator = Member::of(&server, "operator", "_INBOX.operator.1");
    JetStream::of(operator.client.clone()).wait_count("AGENT_EVENTS", "clau-doom.agent.A.score", 3);
    let mut commands = runtime().block_on(operator.client.subscribe("clau-doom.*.control.>")).unwrap();
    let (all, one) = ("clau-doom.system.control.shutdown", "clau-doom.agent.A.control.shutdown");
    // The agent's answer.
    let dashboard = Member::of(&server, "dashboard", "_INBOX.dashboard");
    dashboard.publish_with_reply("clau-doom.agent.A.health", one, "");
    dashboard.publish_with_reply("clau-doom.agent.A.health", "$JS.API.STREAM.PURGE.AGENT_EVENTS", "");
    // The stream's acknowledgement; the API's answer; nothing found, which has no body and would be a command without a filter.
    let other = Member::of(&server, "agents", "_INBOX.doom-agent.B");
    other.publish_with_reply("clau-doom.agent.B.score", all, "{}");
    other.publish_with_reply("$JS.API.STREAM.NAMES", all, "");
    other.publish_with_reply("$JS.API.DIRECT.GET.AGENT_EVENTS", all, r#"{"seq":999999}"#);
    for _ in 0..3 {
        runtime().block_on(async { tokio::time::timeout(WITHIN, commands.next()).await.unwrap().unwrap() });
    }
    // What is stored, delivered: the server delivers to those who subscribed to this very subject, and agents subscribe by pattern.
    let analytics = Member::of(&server, "analytics", "_INBOX.analytics");
    let consumer = json!({"stream_name": "AGENT_EVENTS", "config": {"deliver_subject": one, "filter_subject": "clau-doom.agent.A.score",
        "deliver_policy": "all", "ack_policy": "none", "inactive_threshold": 5_000_000_000u64}});
    assert!(analytics.request("$JS.API.CONSUMER.CREATE.AGENT_EVENTS", consumer)["error"].is_null());
    // Each is heard in order, so what came before has been judged when these are answered.
    for subject in ["clau-doom.agent.A.control.unknown", "clau-doom.system.control.unknown"] {
        assert_eq!(operator.request(subject, Value::Null)["ok"], false);
    }
    assert_eq!(operator.request("clau-doom.agent.A.health", Value::Null)["state"], "running");
    agent.wait_log("a command was refused");
    assert_eq!(operator.request(one, Value::Null)["ok"], true);
    assert_eq!(agent.wait_exit(WITHIN), 0);
}

#[test]
fn the_whole_server_configuration_is_one_that_the_server_takes() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/nats");
    let binary = nats_server_process::find_binary().unwrap();
    let mut command = std::process::Command::new(binary);
    let command = command.args(["-t", "-c"]).arg(dir.join("server.conf"));
    let output = LOGINS.iter().fold(command, |c, name| c.env(format!("DOOM_{name}_PASSWORD"), password(name))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
