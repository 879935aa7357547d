//! How far behind readers are.

use futures::StreamExt;
use nats_server_process::NatsServer;

use super::{SOME, json, server_with_permissions};
use crate::support::{Agent, doomctl_at, server};

/// A stream of ten messages and a reader that has taken three and acknowledged one.
fn behind(server: &NatsServer) {
    use async_nats::jetstream::{self, consumer::pull, stream};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = async_nats::connect(server.url()).await.expect("it connects");
        let context = jetstream::new(client.clone());
        let config = stream::Config { name: "S".to_owned(), subjects: vec!["s.*".to_owned()], ..Default::default() };
        let stream = context.create_stream(config).await.expect("a stream");
        for n in 0..10 {
            context.publish(format!("s.{n}"), "x".into()).await.expect("sent").await.expect("stored");
        }
        let config = pull::Config { durable_name: Some("reader".to_owned()), ..Default::default() };
        let reader = stream.create_consumer(config).await.expect("a consumer");
        let mut batch = reader.fetch().max_messages(3).messages().await.expect("a batch");
        batch.next().await.expect("one").expect("a message").double_ack().await.expect("acknowledged");
        batch.next().await.expect("two").expect("a message");
        batch.next().await.expect("three").expect("a message");
        client.flush().await.expect("flushed");
    });
}

#[test]
fn lag_is_pending_and_unacknowledged_and_the_threshold_is_the_exit_code() {
    let server = server();
    behind(&server);
    let said = doomctl_at(&server, &["lag", "--json", "--threshold", "9"]);
    let report = json(&said);
    let reader = &report["streams"][0]["consumers"][0];
    assert_eq!((said.code, &report["streams"][0]["messages"]), (Some(0), &10.into()), "{said:?}");
    assert_eq!(
        (&reader["consumer"], &reader["pending"], &reader["unacknowledged"], &reader["lag"]),
        (&"reader".into(), &7.into(), &2.into(), &9.into())
    );
    let late = doomctl_at(&server, &["lag", "--threshold", "8"]);
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.err.contains("S/reader is 9 messages behind, more than 8"), "{late:?}");
    let row: Vec<_> = late.out.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(row[..2], ["S", "10"], "{late:?}");
    assert_eq!(row[4..10], ["reader", "durable", "pull", "7", "2", "9"], "{late:?}");
    let absent = doomctl_at(&server, &["lag", "--stream", "T"]);
    assert!(absent.code == Some(65) && absent.err.contains("no stream T; there are S"), "{absent:?}");
}

#[test]
fn the_monitoring_endpoint_is_read_where_it_is_given() {
    let server = server();
    let monitor = server.monitor_url();
    let said = doomctl_at(&server, &["lag", "--monitor", &monitor, "--json"]);
    let report = json(&said);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(report["server"]["version"].is_string() && report["server"]["jetstream"]["streams"] == 0, "{report}");
    let text = doomctl_at(&server, &["lag", "--monitor", &monitor]);
    assert!(text.code == Some(0) && text.out.contains("0 slow consumers") && text.out.contains("JetStream: 0 streams"), "{text:?}");
    let nobody = doomctl_at(&server, &["lag", "--monitor", "http://127.0.0.1:1"]);
    assert!(nobody.code == Some(69) && nobody.err.contains("http://127.0.0.1:1/varz"), "{nobody:?}");
    // The clients' port is no monitoring endpoint.
    let other = doomctl_at(&server, &["lag", "--monitor", &server.url().replace("nats://", "http://")]);
    assert!(other.code == Some(69) && other.err.contains("is it the monitoring endpoint"), "{other:?}");
    let wrong = doomctl_at(&server, &["lag", "--monitor", "https://127.0.0.1:1"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("https is not spoken here"), "{wrong:?}");
}

#[test]
fn rates_are_by_subject_and_agents_count_as_one_unless_told_otherwise() {
    let server = server();
    let _agents = [Agent::start(&server, "A", &[]), Agent::start(&server, "B", &[])];
    let subjects_of = |more: &[&str]| {
        let report = json(&doomctl_at(&server, &[&["lag", "--rates=1s", "--json"], more].concat()));
        assert_eq!(report["rates"]["missed"], 0);
        let list = report["rates"]["subjects"].as_array().cloned().unwrap_or_default();
        list.iter()
            .filter(|s| s["messages_per_second"].as_f64() > Some(0.0))
            .map(|s| s["subject"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let one = subjects_of(&[]);
    assert!(one.contains(&"clau-doom.agent.*.action".to_owned()) && !one.iter().any(|s| s.contains(".A.")), "{one:?}");
    let each = subjects_of(&["--per-subject"]);
    assert!(["A", "B"].iter().all(|id| each.contains(&format!("clau-doom.agent.{id}.observe"))), "{each:?}");
}

#[test]
fn without_jetstream_or_permission_it_says_so() {
    let plain = NatsServer::builder().start().expect("nats-server starts");
    let without = doomctl_at(&plain, &["lag"]);
    assert!(without.code == Some(69) && without.err.contains("no JetStream"), "{without:?}");
    let server = server_with_permissions("nothing", "\"_INBOX.>\"");
    let refused = doomctl_at(&server, &[&SOME[..], &["lag"]].concat());
    assert!(refused.code == Some(77) && refused.err.contains("does not permit $JS.API.STREAM.LIST"), "{refused:?}");
}
