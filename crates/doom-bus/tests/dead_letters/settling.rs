//! The consumer's side.

use std::time::{Duration, Instant};

use doom_bus::dead_letters::{Backoff, DeadLetterError, DeadLetters, Failed, Fate};
use doom_protocol::SubjectRoot;

use crate::{Broker, WITHIN, consumer, next};

const ACK_WAIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_message_is_tried_five_times_and_then_kept_with_its_history() {
    let broker = Broker::start().await;
    let (consumer, letters) = consumer(&broker.client, ACK_WAIT).await;
    let sequence = broker.store("clau-doom.agent.A.score", "i-1", "poison").await;
    for delivery in 1..=5_u64 {
        let message = next(&consumer).await;
        let fate = letters.handle(&message, async { Err::<(), _>(Failed::ForNow(format!("failure {delivery}\nof five"))) }).await.unwrap();
        match fate {
            Fate::Later { after, .. } => assert_eq!((after, delivery < 5), (Duration::from_millis(1 << (delivery - 1)), true)),
            Fate::Buried { sequence, .. } => assert_eq!((sequence, delivery), (1, 5)),
            Fate::Done(()) => panic!("it did not fail"),
        }
    }
    let letters = broker.letters(Default::default()).await;
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(letter.subject.as_deref(), Some("clau-doom.agent.A.score"));
    assert_eq!((letter.stream.as_deref(), letter.stream_sequence), (Some("AGENT_EVENTS"), Some(sequence)));
    assert_eq!((letter.consumer.as_deref(), letter.deliveries), (Some("scorer"), Some(5)));
    assert_eq!(letter.error.as_deref(), Some("failure 5 of five"));
    assert_eq!(&letter.payload[..], b"poison");
    // On the wire, as a client of any language sees it.
    let raw = broker.stream("DEAD_LETTERS").await.get_raw_message(1).await.unwrap();
    assert_eq!(raw.subject.as_str(), "clau-doom.deadletter.agent.A.score");
    let header = |name: &str| raw.headers.get(name).map(|v| v.as_str().to_owned());
    assert_eq!(header("trace-id").as_deref(), Some("t"));
    assert_eq!(header("dead-letter-subject").as_deref(), Some("clau-doom.agent.A.score"));
    assert_eq!(header("dead-letter-msg-id").as_deref(), Some("i-1"));
    assert_eq!(header("Nats-Expected-Last-Subject-Sequence"), None);
    // Terminated: nothing is left to deliver.
    let info = consumer.clone().info().await.unwrap().clone();
    assert_eq!((info.num_pending, info.num_ack_pending), (0, 0));
}

#[tokio::test]
async fn the_pauses_are_kept() {
    let broker = Broker::start().await;
    let (consumer, _) = consumer(&broker.client, ACK_WAIT).await;
    let backoff = Backoff { pauses: vec![Duration::from_millis(300)], deliveries: 2 };
    let letters = DeadLetters::new(broker.client.clone(), SubjectRoot::default()).with_backoff(backoff);
    broker.store("clau-doom.agent.A.score", "i-1", "x").await;
    let first = next(&consumer).await;
    let began = Instant::now();
    letters.handle(&first, async { Err::<(), _>(Failed::ForNow("not yet".into())) }).await.unwrap();
    let second = next(&consumer).await;
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
    assert_eq!(letters.handle(&second, async { Ok(7) }).await.unwrap(), Fate::Done(7));
    assert!(broker.letters(Default::default()).await.is_empty());
}

#[tokio::test]
async fn what_can_never_be_dealt_with_is_kept_at_once() {
    let broker = Broker::start().await;
    let (consumer, letters) = consumer(&broker.client, ACK_WAIT).await;
    broker.store("clau-doom.agent.A.score", "i-1", "no JSON").await;
    let message = next(&consumer).await;
    let fate = letters.handle(&message, async { Err::<(), _>(Failed::ForGood("it is no JSON".into())) }).await.unwrap();
    assert_eq!(fate, Fate::Buried { sequence: 1, why: "it is no JSON".into() });
    assert_eq!(broker.letters(Default::default()).await[0].deliveries, Some(1));
}

#[tokio::test]
async fn without_a_stream_of_dead_letters_the_message_stays_and_is_kept_later() {
    let broker = Broker::start().await;
    let (consumer, letters) = consumer(&broker.client, ACK_WAIT).await;
    doom_bus::streams::purge(&broker.link, "DEAD_LETTERS", None, None).await.unwrap();
    async_nats::jetstream::new(broker.client.clone()).delete_stream("DEAD_LETTERS").await.unwrap();
    broker.store("clau-doom.agent.A.score", "i-1", "x").await;
    let message = next(&consumer).await;
    let fate = letters.bury(&message, "broken").await.unwrap();
    assert!(matches!(&fate, Fate::Later { after, .. } if *after == Duration::from_millis(16)), "{fate:?}");
    doom_bus::create_streams(&broker.link, "clau-doom").await.unwrap();
    let again = next(&consumer).await;
    assert!(matches!(letters.bury(&again, "broken").await.unwrap(), Fate::Buried { .. }));
    assert_eq!(broker.letters(Default::default()).await.len(), 1);
}

#[tokio::test]
async fn a_message_that_no_consumer_delivered_is_refused() {
    use futures::StreamExt;
    let broker = Broker::start().await;
    let mut plain = broker.client.subscribe("plain").await.unwrap();
    broker.client.publish("plain", "x".into()).await.unwrap();
    let message = tokio::time::timeout(WITHIN, plain.next()).await.unwrap().unwrap();
    let letters = crate::quick(&broker.client);
    assert!(matches!(letters.bury(&message, "x").await, Err(DeadLetterError::NoDelivery { .. })));
}
