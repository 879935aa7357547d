//! A spool that cannot be used, by real disks that are full, read-only, frozen: the agent warns, plays and delivers from memory, and health says so.

use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{SCORE, assert_complete, assert_rhythm, play, restart::server_on, short_episodes, spool};
use crate::support::{Agent, Backend, JetStream, Mount, Spec, Tap, Usage, WITHIN, free_port, http, nats_with_streams, on_both};

on_both!(
    a_file_that_is_no_spool_is_moved_aside_and_kept,
    without_a_spool_records_are_kept_in_memory_and_health_says_so,
    a_disk_that_takes_nothing_any_more_is_said_and_used_again_when_it_does,
    a_full_disk_is_said_and_used_again_when_there_is_room,
    a_disk_that_turns_read_only_is_said_and_records_are_stored_from_memory,
    a_disk_that_hangs_holds_up_neither_the_game_nor_for_long_the_records,
    an_episode_whose_score_was_stored_from_memory_is_not_called_lost,
    what_was_sent_and_could_not_be_erased_is_not_sent_again_although_more_was_stored_from_memory,
);

/// Waits for what health says of the disk.
fn durable(address: &str, is: bool) -> Value {
    let what = if is { "with a disk" } else { "without a disk" };
    let says = |body: &str| serde_json::from_str::<Value>(body).unwrap()["records"]["durable"] == is;
    serde_json::from_str(&http::wait_get(address, "/livez", what, |_, body| says(body))).unwrap()
}

fn on_mount(mount: &Mount, spec: Spec) -> Spec {
    spec.state_dir(&mount.path()).wrapped(mount.wrapper())
}

fn a_full_disk_is_said_and_used_again_when_there_is_room(backend: Backend) {
    let (server, mount) = (nats_with_streams(), Mount::memory(8));
    let url = server.url();
    let streams = JetStream::open(&url);
    let spec = || on_mount(&mount, short_episodes(backend, &url, &mount.path()));
    let mut agent = spec().spawn_ready();
    let address = agent.http();
    play(&address, 5.0);
    mount.fill();
    let health = durable(&address, false);
    assert_eq!((&health["healthy"], &health["records"]["lost"]), (&true.into(), &0.into()));
    play(&address, 20.0);
    // An agent starts on it too, and says so.
    mount.free();
    durable(&address, true);
    play(&address, 5.0);
    agent.signal(Signal::KILL);
    assert_eq!(agent.wait_exit(WITHIN), -9);
    mount.fill();
    let (code, _, err) = spec().with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("spool"), "{err}");
    mount.free();
    let (code, _, err) = spec().with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    let scores = streams.stored("AGENT_EVENTS", SCORE);
    let of_play: Vec<_> = scores.into_iter().filter(|s| s.payload()["end_reason"] != "agent_lost").collect();
    let ids: std::collections::BTreeSet<_> = of_play.iter().map(|s| s.payload()["episode_id"].to_string()).collect();
    assert!(ids.len() == of_play.len() && ids.len() >= 33, "{} of {}", ids.len(), of_play.len());
}

fn a_disk_that_turns_read_only_is_said_and_records_are_stored_from_memory(backend: Backend) {
    let (server, mount) = (nats_with_streams(), Mount::ext4());
    let url = server.url();
    let streams = JetStream::open(&url);
    let agent = on_mount(&mount, short_episodes(backend, &url, &mount.path())).spawn_ready();
    let address = agent.http();
    play(&address, 5.0);
    mount.turn_read_only();
    let health = durable(&address, false);
    assert_eq!((&health["healthy"], &health["records"]["lost"]), (&true.into(), &0.into()));
    play(&address, 20.0);
    let instances = assert_complete(&super::finish(agent, &address, &streams));
    assert!(instances[0].1 >= 25, "{instances:?}");
}

fn a_disk_that_hangs_holds_up_neither_the_game_nor_for_long_the_records(backend: Backend) {
    let (server, mut mount) = (nats_with_streams(), Mount::ext4());
    let url = server.url();
    let streams = JetStream::open(&url);
    let agent = on_mount(&mount, short_episodes(backend, &url, &mount.path())).spawn_ready();
    let address = agent.http();
    play(&address, 5.0);
    let since = std::time::Instant::now();
    mount.freeze();
    let stored = streams.count("AGENT_EVENTS", SCORE);
    // The game goes on at once, without one of its steps waiting; the records do when the disk counts as none.
    play(&address, 60.0);
    // What the disk had when it stopped is sent. Nothing is that it has not.
    let sent = streams.count("AGENT_EVENTS", SCORE) - stored;
    assert!(sent < 10, "{sent} records were sent that were not on disk");
    assert!(since.elapsed() < std::time::Duration::from_secs(12), "sixty episodes of 50 ms took {:?}", since.elapsed());
    let health = durable(&address, false);
    println!("the disk counted as none after {:?}", since.elapsed());
    assert_eq!((&health["healthy"], &health["records"]["lost"]), (&true.into(), &0.into()));
    http::wait_get(&address, "/metrics", "stored without the disk", |_, text| http::metric(text, "records_spooled") < 10.0);
    mount.thaw();
    durable(&address, true);
    play(&address, 5.0);
    let scores = super::finish(agent, &address, &streams);
    let instances = assert_complete(&scores);
    assert!(instances[0].1 >= 70, "{instances:?}");
    assert_rhythm(&scores);
}

/// What the disk knows of the episode is old: that it is open. The stream knows better.
fn an_episode_whose_score_was_stored_from_memory_is_not_called_lost(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let (streams, tap) = (JetStream::open(&server.url()), Tap::open(&server.url()));
    let spec = || {
        let spec = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--set", "episode_timeout=300", "--pace", "100"]);
        spec.with(&["--http", "127.0.0.1:0", "--generation", "g"]).state_dir(state.path())
    };
    let mut agent = spec().spawn_ready();
    // Its figures are on disk after a second.
    tap.wait("clau-doom.agent.A.observe", 150);
    limit_files(&agent, Some(0));
    tap.wait(SCORE, 2);
    streams.wait_count("AGENT_EVENTS", SCORE, 2);
    streams.wait_count("GENERATION_EVENTS", "clau-doom.generation.g.agent.A.score", 2);
    agent.signal(Signal::KILL);
    assert_eq!(agent.wait_exit(WITHIN), -9);
    let (code, _, err) = spec().with(&["--episodes", "1", "--pace", "max"]).run();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("of_a_lost_episode=2"), "the disk has it: {err}");
    for (stream, subject) in [("AGENT_EVENTS", SCORE), ("GENERATION_EVENTS", "clau-doom.generation.g.agent.A.score")] {
        let scores = streams.stored(stream, subject);
        let ids: std::collections::BTreeSet<_> = scores.iter().map(|s| s.payload()["episode_id"].to_string()).collect();
        assert_eq!((ids.len(), scores.len()), (3, 3), "{:?}", scores.iter().map(|s| s.payload()["end_reason"].clone()).collect::<Vec<_>>());
    }
}

/// Lets an agent's process write to no file any more, or lifts that again.
fn limit_files(agent: &Agent, bytes: Option<u64>) {
    let pid = Pid::from_raw(agent.pid());
    let maximum = rustix::process::prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap().maximum;
    rustix::process::prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

fn a_disk_that_takes_nothing_any_more_is_said_and_used_again_when_it_does(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let url = server.url();
    let streams = JetStream::open(&url);
    let mut agent = short_episodes(backend, &url, state.path()).with(&["--events", "events.jsonl"]).spawn_ready();
    let address = agent.http();
    play(&address, 5.0);
    limit_files(&agent, Some(0));
    let health = durable(&address, false);
    assert_eq!((&health["healthy"], &health["records"]["lost"]), (&true.into(), &0.into()));
    play(&address, 20.0);
    limit_files(&agent, None);
    durable(&address, true);
    play(&address, 5.0);
    agent.signal(Signal::KILL);
    assert_eq!(agent.wait_exit(WITHIN), -9);
    for text in ["the record spool cannot be written", "the record spool can be written again"] {
        assert_eq!(agent.log().iter().filter(|l| l.contains(text)).count(), 1, "{text}: {:#?}", agent.log());
    }
    // And it is as good as before: what the killed one left is sent.
    let (code, _, err) = short_episodes(backend, &url, state.path()).with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    let instances = assert_complete(&streams.stored("AGENT_EVENTS", SCORE));
    assert!(instances.len() == 2 && instances[0].1 >= 29, "{instances:?}");
}

fn a_file_that_is_no_spool_is_moved_aside_and_kept(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    let file = spool(state.path());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let noise: Vec<u8> = (0..40_000u32).map(|n| (n * 7 % 251) as u8).collect();
    std::fs::write(&file, &noise).unwrap();
    let agent = || {
        let spec = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--set", "episode_timeout=35", "--episodes", "3"]);
        spec.state_dir(state.path())
    };
    let (code, _, err) = agent().run();
    assert_eq!(code, 0, "{err}");
    let said: Vec<_> = err.lines().filter(|l| l.contains("moved aside")).collect();
    assert_eq!(said.len(), 1, "{err}");
    let kept = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|e| e.unwrap().path());
    let kept: Vec<_> = kept.filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with("records.sqlite.unusable-")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(said[0].contains(kept[0].to_str().unwrap()), "{}", said[0]);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), noise);
    // The new one is as good as any.
    let (code, _, err) = agent().run();
    assert_eq!(code, 0, "{err}");
    assert!(!err.contains("spool"), "{err}");
    let instances = assert_complete(&JetStream::open(&server.url()).stored("AGENT_EVENTS", SCORE));
    assert_eq!(instances.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [3, 3]);
}

fn without_a_spool_records_are_kept_in_memory_and_health_says_so(backend: Backend) {
    let (server, state) = (nats_with_streams(), TempDir::new().unwrap());
    // A folder in its place can be neither opened nor moved out of the way as a broken file is.
    std::fs::create_dir_all(spool(state.path())).unwrap();
    let tap = Tap::open(&server.url());
    let spec = Spec::new(backend, "A", "basic.cfg").nats(&server).with(&["--set", "episode_timeout=35", "--pace", "700"]);
    let mut agent = spec.state_dir(state.path()).spawn_ready();
    tap.wait(SCORE, 5);
    let health = tap.request("clau-doom.agent.A.health", "");
    assert_eq!((&health["healthy"], &health["records"]["durable"], &health["records"]["lost"]), (&true.into(), &false.into(), &0.into()));
    tap.publish("clau-doom.agent.A.control.shutdown", "");
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let said = agent.log().iter().filter(|l| l.contains("no record spool")).count();
    assert_eq!(said, 1, "{:#?}", agent.log());
    assert_complete(&JetStream::open(&server.url()).stored("AGENT_EVENTS", SCORE));
    assert_eq!(tap.lifecycle("A", "stopped")["records"], json!({"spooled": 0, "lost": 0, "durable": false}));
}

/// No disk, no server, and more records than memory may hold: the oldest go, are counted, and health turns false; the others are stored.
#[test]
fn memory_has_a_bound_where_there_is_neither_disk_nor_server_and_what_is_given_up_is_counted() {
    const EPISODES: usize = 11_000;
    let (port, state) = (free_port(), TempDir::new().unwrap());
    std::fs::create_dir_all(spool(state.path())).unwrap();
    let url = format!("nats://127.0.0.1:{port}");
    let spec = short_episodes(Backend::Mock, &url, state.path()).with(&["--pace", "max", "--mock-fault", "slow=200us"]);
    let spec = spec.with(&["--set", "episode_timeout=8", "--episodes", &EPISODES.to_string(), "--shutdown-timeout", "60s"]);
    let mut agent = spec.spawn();
    let address = agent.http();
    play(&address, 500.0);
    let before = Usage::of(agent.pid());
    let lost = |text: &str| http::metric(text, "records_lost");
    let text = http::wait_get(&address, "/metrics", "records that are given up", |_, text| lost(text) > 0.0);
    assert!(http::metric(&text, "records_spooled") <= 10_000.0, "{text}");
    let (status, health) = http::get(&address, "/livez");
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!((status, &health["healthy"], &health["records"]["durable"]), (503, &false.into(), &false.into()), "{health}");
    let episodes = |text: &str| http::metric(text, "episodes_completed");
    let text = http::wait_get(&address, "/metrics", "all that is to be played", |_, text| episodes(text) >= EPISODES as f64);
    let (given_up, after) = (lost(&text), Usage::of(agent.pid()));
    println!("{given_up} given up; {before:?}, then {after:?}");
    assert!(after.memory < before.memory + 96 * 1024, "{before:?}, then {after:?}");
    let (_server, streams) = server_on(port);
    assert_eq!(agent.wait_exit(WITHIN), 0);
    let numbers = streams.stored("AGENT_EVENTS", SCORE).iter().map(|s| s.payload()["episode_number"].as_u64().unwrap()).collect::<Vec<_>>();
    let first = numbers[0];
    assert_eq!(numbers, (first..=EPISODES as u64).collect::<Vec<_>>(), "the newest, each once, in order");
    assert!(first > 1 && first as f64 - 1.0 <= given_up, "{} scores are missing, {given_up} records were counted", first - 1);
}

/// The disk still has what was sent, and nothing of what was stored after it: the stream alone knows.
fn what_was_sent_and_could_not_be_erased_is_not_sent_again_although_more_was_stored_from_memory(backend: Backend) {
    let (port, state) = (free_port(), TempDir::new().unwrap());
    let url = format!("nats://127.0.0.1:{port}");
    let mut first = short_episodes(backend, &url, state.path()).spawn();
    play(&first.http(), 20.0);
    first.signal(Signal::KILL);
    assert_eq!(first.wait_exit(WITHIN), -9);
    let mut second = short_episodes(backend, &url, state.path()).spawn();
    let address = second.http();
    play(&address, 3.0);
    limit_files(&second, Some(0));
    durable(&address, false);
    let (_server, streams) = server_on(port);
    // These count its own alone, and go behind those of the first.
    http::wait_get(&address, "/metrics", "scores of its own that are stored", |_, text| http::metric(text, "records_stored") >= 10.0);
    second.signal(Signal::KILL);
    assert_eq!(second.wait_exit(WITHIN), -9);
    let before = streams.count("AGENT_EVENTS", SCORE);
    let (code, _, err) = short_episodes(backend, &url, state.path()).with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("records of an earlier process are still to be sent"), "the disk has them: {err}");
    let instances = assert_complete(&streams.stored("AGENT_EVENTS", SCORE));
    let [(_, of_the_first), (_, of_the_second), (_, 2)] = instances[..] else { panic!("{instances:?}") };
    assert!(of_the_first >= 15 && of_the_second >= 10, "{instances:?}");
    println!("stored before the last start: {before}, of both: {}", of_the_first + of_the_second);
}

/// The same where the second had no spool to know anything by: it hands on what the stream said when it came.
#[test]
fn what_was_sent_and_could_not_be_erased_is_not_sent_again_after_an_agent_without_a_spool() {
    let (port, mount) = (free_port(), Mount::memory(8));
    let url = format!("nats://127.0.0.1:{port}");
    let spec = || on_mount(&mount, short_episodes(Backend::Mock, &url, &mount.path()));
    let mut first = spec().spawn();
    let address = first.http();
    play(&address, 20.0);
    mount.fill();
    durable(&address, false);
    let (_server, streams) = server_on(port);
    http::wait_get(&address, "/metrics", "what the disk has is stored", |_, text| http::metric(text, "records_stored") >= 25.0);
    first.signal(Signal::KILL);
    assert_eq!(first.wait_exit(WITHIN), -9);
    let (code, _, err) = spec().with(&["--episodes", "3"]).run();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("no record spool"), "{err}");
    mount.free();
    let (code, _, err) = spec().with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("records of an earlier process are still to be sent"), "the disk has them: {err}");
    let instances = assert_complete(&streams.stored("AGENT_EVENTS", SCORE));
    let [(_, of_the_first), (_, 3), (_, 2)] = instances[..] else { panic!("{instances:?}") };
    assert!(of_the_first >= 25, "{instances:?}");
}

/// The same where the stream has lost them to telemetry: the copy of all records knows.
#[test]
fn what_was_sent_and_could_not_be_erased_is_not_sent_again_although_the_stream_has_evicted_it() {
    let (port, state) = (free_port(), TempDir::new().unwrap());
    let url = format!("nats://127.0.0.1:{port}");
    let mut first = short_episodes(Backend::Mock, &url, state.path()).spawn();
    let address = first.http();
    play(&address, 20.0);
    limit_files(&first, Some(0));
    durable(&address, false);
    let (_server, streams) = server_on(port);
    http::wait_get(&address, "/metrics", "what the disk has is stored", |_, text| http::metric(text, "records_stored") >= 25.0);
    first.signal(Signal::KILL);
    assert_eq!(first.wait_exit(WITHIN), -9);
    streams.wait_count("AGENT_RECORDS", SCORE, streams.count("AGENT_EVENTS", SCORE));
    streams.purge("AGENT_EVENTS");
    let (code, _, err) = short_episodes(Backend::Mock, &url, state.path()).with(&["--episodes", "2"]).run();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("records of an earlier process are still to be sent"), "the disk has them: {err}");
    assert_eq!(streams.count("AGENT_EVENTS", SCORE), 2, "its own alone");
    streams.wait_count("AGENT_RECORDS", SCORE, 27);
    let instances = assert_complete(&streams.stored("AGENT_RECORDS", SCORE));
    assert!(instances.len() == 2 && instances[0].1 >= 25, "{instances:?}");
}
