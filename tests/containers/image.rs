//! The images themselves: who runs in them, what they hold, how they begin, stay healthy and end.

use std::time::{Duration, Instant};

use super::support::{AgentSpec, Cluster, ENGINE, Evidence, MOCK, World, docker, wait_for};

/// Makes each function, which takes an image, a test of both images.
macro_rules! of_both {
    ($($name:ident),+ $(,)?) => {
        mod mock { $(#[test] fn $name() { super::$name(&super::MOCK) })+ }
        mod engine { $(#[test] fn $name() { super::$name(&super::ENGINE) })+ }
    };
}
of_both!(
    an_agent_plays_on_a_read_only_root_without_rights_and_is_told_everything_by_its_environment,
    the_image_says_what_it_is_and_holds_no_shell_and_every_licence,
    check_writes_nowhere_but_in_the_state_directory,
);

fn an_agent_plays_on_a_read_only_root_without_rights_and_is_told_everything_by_its_environment(image: &'static str) {
    let world = World::new();
    let cluster = Cluster::start(&world, 1);
    let spec = AgentSpec::new(image, &cluster).env("GENERATION", "7").env("DOOM_AGENT_FRAME_SKIP", "2");
    let agent = spec.start_ready(&world, "A");
    wait_for("the container's health", || (agent.container.inspect("{{.State.Health.Status}}") == "healthy").then_some(()));
    let health = cluster.request("clau-doom.agent.A.health", "").unwrap();
    assert_eq!((&health["agent_id"], &health["healthy"]), (&"A".into(), &true.into()), "{health}");
    let began = Instant::now();
    agent.stop();
    assert!(began.elapsed() < Duration::from_secs(10), "the end took {:?}", began.elapsed());
    let scores = Evidence::read(&cluster, "AGENT_EVENTS", "clau-doom.agent.A.score");
    assert!(scores.assert_scores() > 0);
    let first = &scores.0[0].payload;
    assert_eq!((&first["seed"], &first["frame_skip"], &first["generation_id"]), (&42.into(), &2.into(), &"7".into()), "{first}");
    assert_eq!(first["backend"], if image == *MOCK { "mock" } else { "vizdoom" });
}

fn the_image_says_what_it_is_and_holds_no_shell_and_every_licence(image: &'static str) {
    let inspect = |template: &str| docker(&["image", "inspect", "--format", template, image]);
    assert_eq!(inspect("{{.Config.User}}"), "10001:10001");
    assert_eq!(inspect("{{.Config.StopSignal}}"), "SIGTERM");
    assert_eq!(inspect("{{json .Config.Entrypoint}}"), r#"["doom-agent"]"#);
    assert_eq!(inspect("{{json .Config.Healthcheck.Test}}"), r#"["CMD","doom-agent","health"]"#);
    let engine = inspect("{{index .Config.Labels \"clau-doom.engine\"}}");
    assert_eq!(engine, if image == *MOCK { "mock" } else { "ViZDoom 1.3.2" });
    let commit = inspect("{{index .Config.Labels \"org.opencontainers.image.revision\"}}");
    assert!(commit.trim_end_matches("-dirty").len() == 12, "{commit}");
    let version = docker(&["run", "--rm", "--network", "none", image, "--version"]);
    assert!(version.contains(&commit), "the label says {commit}, the program {version}");

    let world = World::new();
    let container = world.start(image, "files", &[], &["--version"]);
    let files = docker(&["diff", container.name()]);
    assert_eq!(files, "", "a program that only says its version has changed files");
    let list = std::process::Command::new("sh").args(["-c", &format!("docker export {} | tar --list", container.name())]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let has = |what: &str| list.lines().any(|file| file.contains(what));
    for licence in [
        "usr/share/doc/doom-agent/LICENSE",
        "usr/share/doc/doom-agent/NOTICE",
        "usr/share/doc/libc6/copyright",
        "doom-agent/crates/tokio/LICENSE",
    ] {
        assert!(has(licence), "no {licence} in {image}");
    }
    assert_eq!(has("usr/share/doc/doom-agent/vizdoom/dumb/licence.txt"), image == *ENGINE);
    assert_eq!(has("freedoom2.wad"), image == *ENGINE);
    for stranger in ["bin/sh", "bin/bash", "dpkg", "python", "bin/gcc", "bin/cargo", ".so.debug", "gymnasium"] {
        assert!(!list.lines().any(|f| f.contains(stranger) && !f.contains("share/doc")), "{stranger} in {image}");
    }
}

fn check_writes_nowhere_but_in_the_state_directory(image: &'static str) {
    let state = "--tmpfs=/var/lib/doom-agent:uid=10001,mode=700";
    let out =
        docker(&["run", "--rm", "--read-only", "--network", "none", state, "--env", "SCENARIO=basic", image, "check", "--nats", "off"]);
    assert!(out.contains("the id is free on this host") && out.contains("\nengine "), "{out}");
}

#[test]
fn agents_without_an_id_take_one_from_their_container_and_stay_unique() {
    let world = World::new();
    let cluster = Cluster::start(&world, 1);
    let agents: Vec<_> = (0..3).map(|i| AgentSpec::mock(&cluster).start(&world, &format!("agent{i}"))).collect();
    for agent in &agents {
        let id = agent.container.inspect("{{.Config.Hostname}}");
        let health = agent.wait("connected", |health| health["nats"]["state"] == "connected");
        assert_eq!(health["agent_id"], id);
        assert_eq!(cluster.request(&format!("clau-doom.agent.{id}.health"), "").unwrap()["agent_id"], id);
    }
}

#[test]
fn an_agent_that_hangs_makes_its_container_unhealthy_and_a_broker_that_is_away_does_not() {
    let world = World::new();
    let options = ["--health-interval=1s", "--health-retries=2", "--env", "SCENARIO=basic", "--env", "NATS_URL=nats://nobody:4222"];
    let agent = world.start(&MOCK, "alone", &options, &["--pace", "realtime"]);
    let wait = |wanted: &str| wait_for(wanted, || (agent.inspect("{{.State.Health.Status}}") == wanted).then_some(()));
    wait("healthy");
    agent.signal("STOP");
    wait("unhealthy");
    agent.signal("CONT");
    wait("healthy");
}
