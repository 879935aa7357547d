//! A consumer's process is killed: before its copy, and between the copy and the term.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use doom_bus::dead_letters::{Failed, Fate};

use crate::{Broker, consumer, next};

/// The server believes a consumer dead after this time.
const ACK_WAIT: Duration = Duration::from_millis(500);

/// This program again, as a consumer of its own. It stands still at a point, and is killed there.
struct Victim(Child);

impl Victim {
    /// Returns once it has reached the point.
    fn at(point: &str, url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::a_consumer_that_stands_still", "--ignored", "--nocapture"])
            .env("POINT", point)
            .env("BROKER", url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reached = out.lines().any(|line| line.unwrap().contains("reached"));
        let victim = Self(child);
        assert!(reached, "it ended before {point}");
        victim
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
#[ignore = "run by the tests below, in a process that they kill"]
async fn a_consumer_that_stands_still() {
    let client = async_nats::connect(std::env::var("BROKER").unwrap()).await.unwrap();
    let (consumer, letters) = consumer(&client, ACK_WAIT).await;
    let message = next(&consumer).await;
    if std::env::var("POINT").unwrap() == "copied" {
        letters.copy(&message, "poison").await.unwrap();
    }
    println!("reached");
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_copy_and_term_the_message_is_kept_once() {
    let broker = Broker::start().await;
    let (consumer, letters) = consumer(&broker.client, ACK_WAIT).await;
    broker.store("clau-doom.agent.A.score", "i-1", "poison").await;
    Victim::at("copied", &broker.server.url()).kill();
    let again = next(&consumer).await;
    let fate = letters.handle(&again, async { Err::<(), _>(Failed::ForGood("poison".into())) }).await.unwrap();
    // The second copy is the first one.
    assert!(matches!(fate, Fate::Buried { sequence: 1, .. }), "{fate:?}");
    assert_eq!(broker.letters(Default::default()).await.len(), 1);
    assert_eq!(consumer.clone().info().await.unwrap().num_ack_pending, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_which_the_process_dies_each_time_is_kept_without_another_try() {
    let broker = Broker::start().await;
    let (consumer, letters) = consumer(&broker.client, ACK_WAIT).await;
    broker.store("clau-doom.agent.A.score", "i-1", "poison").await;
    for _ in 0..5 {
        Victim::at("working", &broker.server.url()).kill();
    }
    let sixth = next(&consumer).await;
    let fate = letters.handle(&sixth, async { panic!("it is not worked on again") as Result<(), Failed> }).await.unwrap();
    assert!(matches!(&fate, Fate::Buried { why, .. } if why.contains("5 deliveries")), "{fate:?}");
    assert_eq!(broker.letters(Default::default()).await[0].deliveries, Some(6));
}
