//! What happens when the engine dies, hangs, or cannot start; each of these crashed or blocked the host with libvizdoom alone.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use common::{START, alive, basic, engine, shared_memory, start};
use rustix::process::{Pid, Signal, kill_process};
use vizdoom::{Config, Error, Game};

/// No call may take longer than this once its engine is gone.
const SOON: Duration = Duration::from_secs(5);

fn signal(signal: Signal, pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// Steps until an error, which it returns.
fn step_until_it_fails(game: &mut Game) -> Error {
    loop {
        match game.step(&[0.0; 3], 1) {
            Ok(step) if step.finished => {
                if let Err(error) = game.new_episode(1, None) {
                    return error;
                }
            }
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

#[test]
fn a_dropped_game_leaves_neither_process_nor_shared_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut game = start(&basic(dir.path()));
    game.new_episode(1, None).unwrap();
    let (instance, killer) = (game.instance(), game.killer());
    let pid = killer.pid().unwrap();
    assert_eq!(shared_memory(&instance).len(), 3);
    assert!(alive(pid));
    drop(game);
    assert_eq!(shared_memory(&instance), Vec::<std::path::PathBuf>::new());
    assert!(!alive(pid) && killer.pid().is_none());
    killer.kill(); // harmless now
}

#[test]
fn a_killed_engine_is_an_error_at_once_and_a_new_game_starts_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let config = basic(dir.path());
    let mut game = start(&config);
    game.new_episode(1, None).unwrap();
    let instance = game.instance();
    signal(Signal::KILL, game.killer().pid().unwrap());
    let since = Instant::now();
    let error = step_until_it_fails(&mut game);
    assert!(matches!(&error, Error::UnexpectedExit(text) if text.contains("signal 9")), "{error:?}");
    assert!(since.elapsed() < SOON);
    assert!(!game.is_running());
    assert!(matches!(game.step(&[0.0; 3], 1), Err(Error::NotRunning)));
    assert!(matches!(game.new_episode(1, None), Err(Error::NotRunning)));
    assert!(game.screen().is_none() && game.labels().next().is_none() && game.last_action().is_err());
    assert!(game.last().tic > 0, "what was seen last can still be read");
    drop(game);
    assert!(shared_memory(&instance).is_empty());
    let mut game = start(&config);
    game.new_episode(1, None).unwrap();
    assert!(game.step(&[0.0; 3], 1).is_ok());
}

#[test]
fn an_error_of_the_engine_is_told_in_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut game = start(&basic(dir.path()));
    game.new_episode(1, None).unwrap();
    game.command("error_fatal \"the roof is on fire\"").unwrap();
    let error = (0..10).find_map(|_| game.step(&[0.0; 3], 1).err()).expect("the engine goes on");
    assert!(matches!(&error, Error::Engine(text) if text.contains("the roof is on fire")), "{error:?}");
    assert!(matches!(game.step(&[0.0; 3], 1), Err(Error::NotRunning)));
}

#[test]
fn an_engine_killed_while_it_records_is_an_error_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("episode.lmp");
    let mut game = start(&basic(dir.path()));
    game.new_episode(1, Some(&file)).unwrap();
    game.step(&[0.0; 3], 5).unwrap();
    let killer = game.killer();
    let instance = game.instance();
    let (done, failed) = mpsc::channel();
    signal(Signal::KILL, killer.pid().unwrap());
    thread::spawn(move || {
        let error = step_until_it_fails(&mut game);
        drop(game);
        done.send(error).unwrap();
    });
    let error = failed.recv_timeout(SOON).expect("the step came back");
    assert!(matches!(error, Error::UnexpectedExit(_)), "{error:?}");
    assert!(shared_memory(&instance).is_empty());
}

#[test]
fn the_killer_lets_go_a_step_that_waits_for_a_stopped_engine() {
    let dir = tempfile::tempdir().unwrap();
    let mut game = start(&basic(dir.path()));
    game.new_episode(1, None).unwrap();
    let killer = game.killer();
    signal(Signal::STOP, killer.pid().unwrap());
    let (done, failed) = mpsc::channel();
    thread::spawn(move || done.send(step_until_it_fails(&mut game)).unwrap());
    assert_eq!(failed.recv_timeout(Duration::from_millis(300)).unwrap_err(), mpsc::RecvTimeoutError::Timeout, "it does hang");
    killer.kill();
    let error = failed.recv_timeout(SOON).expect("the step came back");
    assert!(matches!(error, Error::UnexpectedExit(_)), "{error:?}");
}

#[test]
fn the_killer_lets_go_a_sender_that_waits_for_room_in_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let mut game = start(&basic(dir.path()));
    game.new_episode(1, None).unwrap();
    let killer = game.killer();
    signal(Signal::STOP, killer.pid().unwrap());
    let (done, freed) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..70 {
            let _ = game.command("echo");
        }
        let error = step_until_it_fails(&mut game);
        drop(game);
        done.send(error).unwrap();
    });
    assert_eq!(freed.recv_timeout(Duration::from_millis(300)).unwrap_err(), mpsc::RecvTimeoutError::Timeout, "it does hang");
    killer.kill();
    let error = freed.recv_timeout(SOON).expect("the sender came back");
    assert!(matches!(error, Error::UnexpectedExit(_)), "{error:?}");
}

#[test]
fn a_game_whose_engine_hangs_can_be_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut game = start(&basic(dir.path()));
    game.new_episode(1, None).unwrap();
    let pid = game.killer().pid().unwrap();
    let instance = game.instance();
    signal(Signal::STOP, pid);
    let (done, dropped) = mpsc::channel();
    thread::spawn(move || {
        drop(game);
        done.send(()).unwrap();
    });
    dropped.recv_timeout(SOON).expect("the drop came back");
    assert!(!alive(pid) && shared_memory(&instance).is_empty());
}

/// An executable of our own beside a vizdoom.pk3.
fn with_executable(dir: &std::path::Path, text: &str) -> Config {
    let home = dir.join("engine");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("vizdoom.pk3"), "").unwrap();
    fs::write(home.join("vizdoom"), text).unwrap();
    fs::set_permissions(home.join("vizdoom"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = basic(dir);
    config.executable = home.join("vizdoom");
    config
}

/// No shared memory of any instance that this test's engine was told.
fn instance_of(output: &str) -> String {
    let mut words = output.split_whitespace();
    words.by_ref().find(|word| *word == "+viz_instance_id").expect("the arguments were written");
    words.next().unwrap().to_owned()
}

#[test]
fn an_engine_that_ends_while_it_starts_is_an_error_with_what_it_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let config = with_executable(dir.path(), "#!/bin/sh\necho \"$@\"\necho I have no idea >&2\nexit 3\n");
    let error = Game::start(&config, START).unwrap_err();
    let Error::Start { source, output } = &error else { panic!("{error:?}") };
    assert!(matches!(&**source, Error::UnexpectedExit(text) if text.contains("exited with status 3")), "{source:?}");
    assert!(output.contains("I have no idea"), "{output}");
    assert!(shared_memory(&instance_of(output)).is_empty());
}

#[test]
fn an_engine_that_is_none_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let config = with_executable(dir.path(), "neither a script nor a program");
    let error = Game::start(&config, START).unwrap_err();
    assert!(error.to_string().contains("cannot be executed"), "{error}");
}

#[test]
fn an_engine_that_never_gets_ready_is_killed_when_the_time_is_up() {
    let dir = tempfile::tempdir().unwrap();
    let config = with_executable(dir.path(), "#!/bin/sh\necho \"$@\"\nsleep 1000 &\nwait\n");
    let since = Instant::now();
    let error = Game::start(&config, Duration::from_millis(500)).unwrap_err();
    assert!(since.elapsed() < SOON);
    let Error::Start { source, output } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, Error::StartTimeout(_)), "{source:?}");
    assert!(shared_memory(&instance_of(output)).is_empty());
}

#[test]
fn the_engine_is_alone_in_its_group_directory_and_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    // Not close-on-exec: what a careless library of the host may leave open.
    let script = "#!/bin/sh\necho \"$@\"\ncat /proc/self/stat | cut -d' ' -f5\nls /proc/$$/fd | tr '\\n' ,\npwd\necho \"$HOME\"\nexit 1\n";
    let error = Game::start(&with_executable(dir.path(), script), START).unwrap_err();
    let Error::Start { output, .. } = &error else { panic!("{error:?}") };
    let run_dir = dir.path().canonicalize().unwrap();
    let lines: Vec<&str> = output.lines().collect();
    let [_, group, rest @ ..] = lines.as_slice() else { panic!("{output}") };
    assert_ne!(group.parse::<u32>().unwrap(), std::process::id(), "a group of its own");
    // 0, 1, 2 and the script itself.
    let descriptors = rest[0].split(',').filter(|fd| fd.parse::<u32>().is_ok()).count();
    assert!(descriptors <= 4, "{output}");
    assert!(rest[0].ends_with(run_dir.to_str().unwrap()), "{output}");
    assert_eq!(rest[1], run_dir.to_str().unwrap());
}

#[test]
fn what_cannot_work_is_refused_before_the_engine_starts() {
    type Change = fn(&mut Config, &std::path::Path);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text.wad"), "this is no WAD at all").unwrap();
    fs::write(dir.path().join("vizdoom"), "").unwrap();
    let cases: [(&str, Change); 15] = [
        ("the engine's executable", |c, dir| c.executable = dir.join("none")),
        ("is not a file", |c, dir| c.executable = dir.into()),
        ("may not be executed", |c, dir| c.executable = dir.join("vizdoom")),
        ("no vizdoom.pk3", |c, _| c.executable = "/bin/true".into()),
        ("the game's WAD", |c, dir| c.iwad = dir.join("none.wad")),
        ("neither a WAD nor a PK3", |c, dir| c.iwad = dir.join("text.wad")),
        ("the scenario's WAD", |c, dir| c.wad = Some(dir.join("none.wad"))),
        ("neither a WAD nor a PK3", |c, dir| c.wad = Some(dir.join("text.wad"))),
        ("map map77 is not in", |c, _| c.map = "map77".into()),
        ("the map is map01; quit", |c, _| c.map = "map01; quit".into()),
        ("run directory", |c, dir| c.run_dir = dir.join("none")),
        ("the skill is 6, it must be 1 to 5", |c, _| c.skill = 6),
        ("no button named FIRE", |c, _| c.buttons.push(("FIRE".into(), None))),
        ("no screen resolution named RES_161X120", |c, _| c.resolution = (161, 120)),
        ("no game variable named LUCK", |c, _| c.variables.push("LUCK".into())),
    ];
    for (expected, change) in cases {
        let mut config = basic(dir.path());
        change(&mut config, dir.path());
        let error = Game::start(&config, START).unwrap_err();
        assert!(error.is_refusal() && !matches!(error, Error::Start { .. }), "{expected}: {error:?}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    assert!(!dir.path().join("_vizdoom.ini").exists(), "no engine ran");
}

#[test]
fn a_recording_that_cannot_be_written_is_refused_and_the_game_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut game = start(&basic(dir.path()));
    let error = game.new_episode(1, Some(&dir.path().join("no/such/place.lmp"))).unwrap_err();
    assert!(matches!(error, Error::Recording { .. }) && error.is_misuse(), "{error:?}");
    assert!(matches!(game.replay(&dir.path().join("none.lmp"), 0), Err(Error::Recording { .. })));
    game.new_episode(1, None).unwrap();
    assert!(game.step(&[0.0; 3], 1).is_ok());
}

#[test]
fn a_stray_configuration_in_the_working_directory_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("_vizdoom.cfg"), "episode_timeout = 1\n").unwrap();
    let mut game = start(&basic(dir.path()));
    game.new_episode(1, None).unwrap();
    assert!(!game.step(&[0.0; 3], 4).unwrap().finished);
}

#[test]
fn shared_memory_that_a_killed_host_left_is_removed_by_the_next_game_in_its_run_directory() {
    let dir = tempfile::tempdir().unwrap();
    let instance = format!("Left{}", std::process::id());
    for base in ["ViZDoomSM", "ViZDoomMQCtr", "ViZDoomMQDoom"] {
        fs::write(format!("/dev/shm/{base}{instance}"), "").unwrap();
    }
    fs::write(dir.path().join("engine.instance"), &instance).unwrap();
    let game = start(&basic(dir.path()));
    assert!(shared_memory(&instance).is_empty());
    assert_eq!(shared_memory(&game.instance()).len(), 3, "its own is there");
    assert!(engine().is_dir());
    // A live game's is left alone, whoever sweeps.
    assert_eq!(vizdoom::sweep(dir.path()), 0);
    assert_eq!(shared_memory(&game.instance()).len(), 3);
}

#[test]
fn a_note_that_names_anything_but_an_instance_removes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let victim = tempfile::NamedTempFile::new().unwrap();
    for text in [format!("/../..{}", victim.path().display()), String::new(), "a".repeat(65)] {
        fs::write(dir.path().join("engine.instance"), &text).unwrap();
        assert_eq!(vizdoom::sweep(dir.path()), 0, "{text}");
        assert!(victim.path().exists());
    }
}

/// Set for the copy of this test that is the host to be killed.
const HOST: &str = "VIZDOOM_TEST_HOST_RUN_DIR";

#[test]
fn the_engine_dies_with_a_host_that_is_killed() {
    use std::io::{BufRead, BufReader};
    if let Some(run_dir) = std::env::var_os(HOST) {
        let mut game = start(&basic(run_dir.as_ref()));
        println!("\nengine {} {}", game.killer().pid().unwrap(), game.instance());
        panic!("{}", step_until_it_fails(&mut game));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_engine_dies_with_a_host_that_is_killed", "--nocapture"])
        .env(HOST, dir.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("engine ")).expect("the host started an engine");
    let [_, pid, instance] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let pid: u32 = pid.parse().unwrap();
    assert!(alive(pid));
    host.kill().unwrap();
    host.wait().unwrap();
    let since = Instant::now();
    while alive(pid) {
        assert!(since.elapsed() < SOON, "the engine outlived its host");
        thread::yield_now();
    }
    assert_eq!(shared_memory(instance).len(), 3, "nobody was left to remove it");
    drop(start(&basic(dir.path())));
    assert!(shared_memory(instance).is_empty(), "the next game in the run directory did");
}
