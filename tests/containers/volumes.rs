//! What an agent keeps while its network is cut: on its volume, over its own end, and where the volume is full.

use std::time::Duration;

use serde_json::Value;

use super::support::{AgentSpec, Cluster, Evidence, SCORE, World, cut_time};

/// What an instance counted at its end: each event of it is stored, or reported as not.
#[track_caller]
fn ledger_that_adds_up(cluster: &Cluster, instance: &str) -> Value {
    let mut stopped = Evidence::stopped(cluster, instance);
    let events = Evidence::read(cluster, "AGENT_EVENTS", "clau-doom.agent.>");
    assert_eq!(events.unaccounted(instance, &stopped), [0u64; 0], "{stopped}");
    stopped["ledger"].take()
}

#[test]
fn an_agent_cut_from_its_network_plays_on_and_delivers_every_record_once() {
    let world = World::new();
    let cluster = Cluster::start(&world, 3);
    let agent = AgentSpec::mock(&cluster).start_ready(&world, "A");
    agent.play(Duration::from_secs(3));
    agent.container.cut();
    agent.play(cut_time());
    let health = agent.health().unwrap();
    assert_eq!((&health["healthy"], &health["records"]["lost"]), (&true.into(), &0.into()), "{health}");
    assert!(health["records"]["spooled"].as_u64().unwrap() * 2 > cut_time().as_secs(), "{health}");
    agent.container.mend();
    agent.wait("delivered", |health| health["nats"]["state"] == "connected" && health["records"]["spooled"].as_u64() < Some(3));
    agent.stop();
    let scores = Evidence::read(&cluster, "AGENT_EVENTS", SCORE);
    scores.assert_scores();
    scores.assert_rhythm();
    let [instance] = &scores.instances()[..] else { panic!("{:?}", scores.instances()) };
    println!("cut for {:?}: {} scores, {}", cut_time(), scores.0.len(), ledger_that_adds_up(&cluster, instance));
}

#[test]
fn the_replacement_of_a_killed_agent_on_its_volume_delivers_what_it_left() {
    let world = World::new();
    let cluster = Cluster::start(&world, 1);
    let volume = world.volume("state", &[]);
    let spec = AgentSpec::mock(&cluster).volume(&volume);
    let first = spec.start_ready(&world, "A");
    first.play(Duration::from_secs(3));
    first.container.cut();
    first.play(Duration::from_secs(12));
    first.wait("unsent records", |health| health["records"]["spooled"].as_u64() >= Some(8));
    first.container.signal("KILL");
    assert_eq!(first.container.wait(), 137);
    first.container.remove();
    let second = spec.start_ready(&world, "A");
    second.play(Duration::from_secs(3));
    second.wait("delivered", |health| health["records"]["spooled"].as_u64() < Some(3));
    second.stop();
    let scores = Evidence::read(&cluster, "AGENT_EVENTS", SCORE);
    scores.assert_scores();
    scores.assert_rhythm();
    let instances = scores.instances();
    assert_eq!(instances.len(), 2);
    let first = scores.of(&instances[0]);
    assert!(first.len() >= 10, "{} scores of the first", first.len());
    let lost = first.iter().filter(|s| s.payload["end_reason"] == "agent_lost").count();
    assert!(lost <= 1, "{lost} episodes were open at once");
    // The one that was killed could report nothing; its replacement does.
    let ledger = ledger_that_adds_up(&cluster, &instances[1]);
    println!("{} scores of the one that was killed, {lost} of them of the episode that was open; then {ledger}", first.len());
}

#[test]
fn an_agent_whose_volume_is_full_plays_on_and_delivers_every_record_once() {
    let world = World::new();
    let cluster = Cluster::start(&world, 1);
    let volume = world.volume("small", &["type=tmpfs", "device=tmpfs", "o=size=256k,uid=10001,gid=10001,mode=700"]);
    // Episodes of a third of a second fill it soon.
    let agent = AgentSpec::mock(&cluster).volume(&volume).env("DOOM_AGENT_SET", "episode_timeout=24").start_ready(&world, "A");
    agent.container.cut();
    agent.wait("a full disk", |health| health["records"]["durable"] == false);
    agent.play(Duration::from_secs(5));
    let full = agent.health().unwrap();
    assert_eq!((&full["healthy"], &full["records"]["lost"]), (&true.into(), &0.into()), "{full}");
    agent.container.mend();
    agent.wait("delivered", |health| health["nats"]["state"] == "connected" && health["records"]["spooled"].as_u64() < Some(30));
    agent.stop();
    let scores = Evidence::read(&cluster, "AGENT_EVENTS", SCORE);
    assert!(scores.assert_scores() as u64 >= full["records"]["spooled"].as_u64().unwrap(), "{full}");
    scores.assert_rhythm();
    let [instance] = &scores.instances()[..] else { panic!("{:?}", scores.instances()) };
    let ledger = ledger_that_adds_up(&cluster, instance);
    println!("{} scores; {} were waiting when the volume was full; {ledger}", scores.0.len(), full["records"]);
}
