//! A spool that cannot be used: the agent warns, plays and delivers from memory, and health says so.

use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{SCORE, assert_complete, play, short_episodes, spool};
use crate::support::{Agent, Backend, JetStream, Spec, Tap, WITHIN, http, nats_with_streams, on_both};

on_both!(
    a_file_that_is_no_spool_is_moved_aside_and_kept,
    without_a_spool_records_are_kept_in_memory_and_health_says_so,
    a_disk_that_takes_nothing_any_more_is_said_and_used_again_when_it_does,
);

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
    let durable = |what: &str, is: bool| {
        let text =
            http::wait_get(&address, "/livez", what, |_, body| serde_json::from_str::<Value>(body).unwrap()["records"]["durable"] == is);
        serde_json::from_str::<Value>(&text).unwrap()
    };
    play(&address, 5.0);
    limit_files(&agent, Some(0));
    let health = durable("without a disk", false);
    assert_eq!((&health["healthy"], &health["records"]["lost"]), (&true.into(), &0.into()));
    play(&address, 20.0);
    limit_files(&agent, None);
    durable("with a disk again", true);
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
