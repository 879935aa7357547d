//! The past once more.

use std::time::{Duration, Instant};

use doom_bus::consume::{Replay, Speed, Start};
use doom_protocol::{Condition, Timestamp};

use crate::support::{Bus, actions, soon, step};

async fn steps(replay: &mut Replay) -> Vec<u64> {
    let mut steps = Vec::new();
    while let Some(delivered) = soon(replay.next()).await.unwrap() {
        steps.push(step(&delivered));
    }
    steps
}

#[tokio::test]
async fn a_replay_begins_at_a_sequence_or_at_a_time_and_leaves_nothing_behind() {
    let bus = Bus::start().await;
    bus.act("A", None, 1..=5).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let between = Timestamp::now();
    bus.act("A", None, 6..=9).await;
    for (start, expected) in [(Start::All, 1..=9), (Start::Sequence(4), 4..=9), (Start::Time(between), 6..=9)] {
        let mut replay = Replay::open(&bus.link, actions().start(start), Condition::default(), Speed::Max).await.unwrap();
        assert_eq!(steps(&mut replay).await, expected.collect::<Vec<_>>(), "{start:?}");
        replay.close().await;
    }
    let mut replay = Replay::open(&bus.link, actions().start(Start::Sequence(10)), Condition::default(), Speed::Max).await.unwrap();
    assert!(soon(replay.next()).await.unwrap().is_none(), "there is nothing behind the end");
    replay.close().await;
    let context = async_nats::jetstream::new(bus.link.client().clone());
    assert_eq!(context.get_stream("AGENT_EVENTS").await.unwrap().get_info().await.unwrap().state.consumer_count, 0);
}

#[tokio::test]
async fn at_1x_events_are_as_far_apart_as_they_were() {
    let bus = Bus::start().await;
    let began = Instant::now();
    for number in 1..=4 {
        bus.act("A", None, number..=number).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = began.elapsed();
    for (speed, least, most) in [("1x", 600, took.as_millis() + 400), ("10x", 60, 600)] {
        let mut replay = Replay::open(&bus.link, actions(), Condition::default(), speed.parse().unwrap()).await.unwrap();
        assert_eq!(step(&soon(replay.next()).await.unwrap().unwrap()), 1);
        let began = Instant::now();
        assert_eq!(steps(&mut replay).await, [2, 3, 4]);
        let took = began.elapsed().as_millis();
        assert!((least - least / 10..=most).contains(&took), "{speed}: {took} ms");
    }
}
