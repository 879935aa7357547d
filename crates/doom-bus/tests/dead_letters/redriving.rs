//! Letters are found, given back once, and dropped; also those that the server alone knows of.

use std::time::Duration;

use async_nats::jetstream::{
    self, AckKind,
    consumer::{AckPolicy, pull},
};
use doom_bus::dead_letters::{Failed, Filter, Kind, Redriven, drop_letter, redrive};

use crate::{Broker, consumer, next};

const ACK_WAIT: Duration = Duration::from_secs(30);

async fn bury(broker: &Broker, subject: &str, id: &str, text: &'static str) {
    let (consumer, letters) = consumer(&broker.client, ACK_WAIT).await;
    broker.store(subject, id, text).await;
    letters.handle(&next(&consumer).await, async { Err::<(), _>(Failed::ForGood("poison".into())) }).await.unwrap();
}

#[tokio::test]
async fn a_letter_is_given_back_once_however_often_that_is_asked() {
    let broker = Broker::start().await;
    bury(&broker, "clau-doom.agent.A.score", "i-1", "poison").await;
    let letter = broker.letters(Filter::default()).await.remove(0);
    let given = redrive(&broker.link, &letter).await.unwrap();
    assert_eq!(given, Redriven::GivenBack { stream: "AGENT_EVENTS".into(), stream_sequence: 2 });
    // The same letter again, as after a crash before it was erased, or by two operators.
    assert_eq!(redrive(&broker.link, &letter).await.unwrap(), given);
    assert!(broker.letters(Filter::default()).await.is_empty());
    let mut events = broker.stream("AGENT_EVENTS").await;
    assert_eq!(events.info().await.unwrap().state.messages, 2);
    let back = events.get_raw_message(2).await.unwrap();
    let header = |name: &str| back.headers.get(name).map(|v| v.as_str().to_owned());
    assert_eq!((back.subject.as_str(), &back.payload[..]), ("clau-doom.agent.A.score", &b"poison"[..]));
    assert_eq!(header("trace-id").as_deref(), Some("t"));
    assert_eq!(header("dead-letter-msg-id").as_deref(), Some("i-1"));
    assert_eq!(header("dead-letter-redrives").as_deref(), Some("1"));
    assert_eq!(header("dead-letter-error"), None);
    // It fails again: a letter of its own, which knows that it was given back.
    let (consumer, letters) = consumer(&broker.client, ACK_WAIT).await;
    letters.handle(&next(&consumer).await, async { Err::<(), _>(Failed::ForGood("still".into())) }).await.unwrap();
    let again = broker.letters(Filter::default()).await.remove(0);
    assert_eq!((again.redrives, again.stream_sequence, again.error.as_deref()), (1, Some(2), Some("still")));
}

#[tokio::test]
async fn filters_choose_by_subject_consumer_stream_and_sequence() {
    let broker = Broker::start().await;
    for (subject, id) in [("clau-doom.agent.A.score", "1"), ("clau-doom.agent.B.score", "2"), ("clau-doom.agent.C.score", "3")] {
        bury(&broker, subject, id, "x").await;
    }
    let count = async |filter: Filter| broker.letters(filter).await.iter().map(|l| l.sequence).collect::<Vec<_>>();
    assert_eq!(count(Filter { subject: Some("*.agent.B.>".into()), ..Filter::default() }).await, [2]);
    assert_eq!(count(Filter { consumer: Some("scorer".into()), ..Filter::default() }).await, [1, 2, 3]);
    assert_eq!(count(Filter { consumer: Some("other".into()), ..Filter::default() }).await, [] as [u64; 0]);
    assert_eq!(count(Filter { stream: Some("METRICS".into()), ..Filter::default() }).await, [] as [u64; 0]);
    assert_eq!(count(Filter { sequences: vec!["1".parse().unwrap(), "3-9".parse().unwrap()], ..Filter::default() }).await, [1, 3]);
    assert!(drop_letter(&broker.link, 2).await.unwrap());
    assert!(!drop_letter(&broker.link, 2).await.unwrap(), "it is gone already");
    assert_eq!(count(Filter::default()).await, [1, 3]);
}

/// A consumer that is not ours: the server gives up after one delivery, and says so.
async fn exhaust(broker: &Broker, stream: &str, filter: &str) {
    let config = pull::Config {
        durable_name: Some("foreign".into()),
        filter_subject: filter.into(),
        ack_policy: AckPolicy::Explicit,
        max_deliver: 1,
        ..Default::default()
    };
    let consumer = broker.stream(stream).await.get_or_create_consumer("foreign", config).await.unwrap();
    let message = next(&consumer).await;
    let context = jetstream::new(broker.client.clone());
    jetstream::Message { message, context }.double_ack_with(AckKind::Nak(None)).await.unwrap();
    // The server looks at its limit where it would deliver the next time.
    drop(consumer.fetch().max_messages(1).messages().await.unwrap());
}

#[tokio::test]
async fn an_advisory_leads_to_its_message_and_is_given_back() {
    let broker = Broker::start().await;
    let sequence = broker.store("clau-doom.agent.A.score", "i-1", "lost").await;
    exhaust(&broker, "AGENT_EVENTS", "clau-doom.agent.*.score").await;
    let letter = broker.letters_once(1).await.remove(0);
    assert_eq!((letter.kind, letter.gone), (Kind::Advisory, false));
    assert_eq!((letter.subject.as_deref(), letter.consumer.as_deref()), (Some("clau-doom.agent.A.score"), Some("foreign")));
    assert_eq!((letter.stream_sequence, &letter.payload[..]), (Some(sequence), &b"lost"[..]));
    assert!(matches!(redrive(&broker.link, &letter).await.unwrap(), Redriven::GivenBack { stream_sequence: 2, .. }));
    assert!(broker.letters(Filter::default()).await.is_empty());
}

#[tokio::test]
async fn an_advisory_whose_message_is_gone_says_so_and_stays() {
    let broker = Broker::start().await;
    broker.store("clau-doom.agent.A.score", "i-1", "lost").await;
    exhaust(&broker, "AGENT_EVENTS", "clau-doom.agent.*.score").await;
    broker.letters_once(1).await;
    doom_bus::streams::purge(&broker.link, "AGENT_EVENTS", None, None).await.unwrap();
    let letter = broker.letters(Filter::default()).await.remove(0);
    assert!(letter.gone && letter.subject.is_none() && letter.stream.as_deref() == Some("AGENT_EVENTS"));
    assert_eq!(redrive(&broker.link, &letter).await.unwrap(), Redriven::Gone);
    assert_eq!(broker.letters(Filter::default()).await.len(), 1);
}

#[tokio::test]
async fn work_that_a_queue_would_keep_for_ever_is_replaced_by_what_is_given_back() {
    let broker = Broker::start().await;
    broker.store("clau-doom.evaluation.queued.g.e", "job", "work").await;
    exhaust(&broker, "EVALUATIONS", "clau-doom.evaluation.queued.*.*").await;
    let letter = broker.letters_once(1).await.remove(0);
    redrive(&broker.link, &letter).await.unwrap();
    let mut queue = broker.stream("EVALUATIONS").await;
    let state = queue.info().await.unwrap().state.clone();
    assert_eq!((state.messages, state.first_sequence), (1, 2));
}

#[tokio::test]
async fn where_no_stream_takes_it_the_letter_stays() {
    let broker = Broker::start().await;
    bury(&broker, "clau-doom.agent.A.score", "i-1", "poison").await;
    let mut letter = broker.letters(Filter::default()).await.remove(0);
    letter.subject = Some("nobody.takes.this".into());
    let fate = redrive(&broker.link, &letter).await.unwrap();
    assert!(matches!(&fate, Redriven::Refused { why } if why.contains("nobody.takes.this")), "{fate:?}");
    assert_eq!(broker.letters(Filter::default()).await.len(), 1);
}
