//! Agents, health, commands, lag and the live table, with real agents on the mock game.

mod agents;
mod control;
mod lag;
mod top;

use serde_json::Value;

use crate::support::Answer;

/// One line of JSON.
fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.out).unwrap_or_else(|e| panic!("{e}: {answer:?}"))
}

/// Users `all`, and `some` with what is given.
fn server_with_permissions(publish: &str, subscribe: &str) -> nats_server_process::NatsServer {
    let config = format!(
        r#"authorization {{ users = [
            {{ user: all, password: x }}
            {{ user: some, password: x, permissions: {{ publish: [{publish}], subscribe: [{subscribe}] }} }}
        ] }}"#
    );
    nats_server_process::NatsServer::builder().jetstream(true).config_text(config).start().expect("nats-server starts")
}

/// Logs in as `some`.
const SOME: [&str; 4] = ["--nats-user", "some", "--nats-password", "x"];
