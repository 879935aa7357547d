//! What cannot be is said before anything is delivered, in words for the person who must act.

use std::time::Duration;

use doom_bus::{
    ApiError,
    consume::{Batches, ConsumeError, Consumer, Feed},
};
use doom_protocol::Condition;
use nats_server_process::NatsServer;

use crate::support::{ACTIONS, Bus, actions, link, soon};

async fn refused(link: &doom_bus::Link, consumer: Consumer) -> ConsumeError {
    match soon(Feed::open(link, consumer, Condition::default())).await {
        Ok(mut feed) => soon(feed.next()).await.unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_named() {
    let bus = Bus::start().await;
    let missing = Consumer::new("NOBODYS", vec![ACTIONS.to_owned()]);
    let error = refused(&bus.link, missing.clone()).await;
    assert!(matches!(&error, ConsumeError::Api(ApiError::NoStream(name)) if name == "NOBODYS"), "{error}");
    assert!(error.to_string().contains("doomctl streams apply"), "{error}");
    let error = Batches::open(&bus.link, missing, Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, ConsumeError::Api(ApiError::NoStream(_))), "{error}");
}

#[tokio::test]
async fn a_server_without_jetstream_and_no_server_at_all_are_told_apart() {
    let bare = NatsServer::builder().start().unwrap();
    let error = refused(&link(&bare.url()).await, actions()).await;
    assert!(matches!(error, ConsumeError::Api(ApiError::NoJetStream)), "{error}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refused(&link(&format!("nats://127.0.0.1:{port}")).await, actions()).await;
    assert!(matches!(error, ConsumeError::Api(ApiError::NoServer(_))), "{error}");
}

#[tokio::test]
async fn a_durable_consumer_that_is_something_else_is_left_alone() {
    let bus = Bus::start().await;
    drop(Feed::open(&bus.link, actions().durable("mine"), Condition::default()).await.unwrap());
    let other = Consumer::new("AGENT_EVENTS", vec!["clau-doom.agent.A.score".to_owned()]).durable("mine");
    let error = refused(&bus.link, other).await;
    assert!(matches!(error, ConsumeError::Different { .. }), "{error}");
    assert!(error.to_string().contains(ACTIONS) && error.to_string().contains("clau-doom.agent.A.score"), "{error}");
    let error = Batches::open(&bus.link, actions().durable("mine"), Duration::from_secs(1)).await.unwrap_err();
    assert!(error.to_string().contains("acknowledgements"), "{error}");
    let error = refused(&bus.link, actions().durable("no.name")).await;
    assert!(matches!(error, ConsumeError::Name(..)), "{error}");
}

#[tokio::test]
async fn a_login_without_permission_is_told_what_it_lacks() {
    let users = r#"
        authorization { users: [
            { user: all, password: p }
            { user: none, password: p, permissions: { publish: "clau-doom.>", subscribe: "_INBOX.>" } }
            { user: no_pull, password: p, permissions: { publish: { allow: ">", deny: "$JS.API.CONSUMER.MSG.>" } } }
            { user: no_ack, password: p, permissions: { publish: { allow: ">", deny: "$JS.ACK.>" } } }
        ] }"#;
    let server = NatsServer::builder().jetstream(true).config_text(users).start().unwrap();
    let login = |user: &str| server.url().replace("nats://", &format!("nats://{user}:p@"));
    let all = link(&login("all")).await;
    all.connected_within(crate::support::WITHIN).await.unwrap();
    doom_bus::create_streams(&all, "clau-doom").await.unwrap();
    for (user, subject) in [("none", "$JS.API.CONSUMER.CREATE"), ("no_pull", "$JS.API.CONSUMER.MSG.NEXT")] {
        let error = refused(&link(&login(user)).await, actions()).await;
        assert!(matches!(error, ConsumeError::Api(ApiError::NoPermission { .. })), "{user}: {error}");
        assert!(error.to_string().contains(subject), "{user}: {error}");
    }
    let link = link(&login("no_ack")).await;
    let mut feed = Feed::open(&link, actions().durable("d"), Condition::default()).await.unwrap();
    let context = async_nats::jetstream::new(all.client().clone());
    for _ in 0..2 {
        context.publish("clau-doom.agent.A.action", "x".into()).await.unwrap().await.unwrap();
    }
    soon(feed.next()).await.unwrap().ack().await.unwrap();
    let error = loop {
        if let Err(error) = soon(feed.next()).await {
            break error;
        }
    };
    assert!(error.to_string().contains("$JS.ACK"), "{error}");
}
