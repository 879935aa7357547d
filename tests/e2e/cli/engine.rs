//! An engine that is missing, is not the one that is needed, or does not find its files: said before or at the start, never played around.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::support::{Backend, Spec};

/// Runs the real engine in slow motion until its shared memory is there, writes another version into that, and lets it go on.
const OF_ANOTHER_VERSION: &str = r#"
for arg in "$@"; do
    [ "$before" = +viz_instance_id ] && id=$arg
    before=$arg
done
memory=/dev/shm/ViZDoomSM$id
"REAL" "$@" &
pid=$!
while :; do
    kill -STOP $pid || exit 1
    [ -s "$memory" ] && [ "$(head -c 1 "$memory" | od -An -tu1)" -ne 0 ] && break
    kill -CONT $pid
    sleep 0.002
done
printf '\347\003\000\0009.9.9\000' | dd of="$memory" bs=1 conv=notrunc 2>/dev/null
kill -CONT $pid
wait $pid
"#;

/// Where the tests' engine is, as the agent would find it.
fn engine() -> PathBuf {
    let root = env::var_os("VIZDOOM_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor/vizdoom"), PathBuf::from);
    let found = [root.join("engine"), root].into_iter().find(|dir| dir.join("vizdoom.pk3").is_file());
    fs::canonicalize(found.expect("no engine; run `cargo xtask setup`")).unwrap()
}

/// The engine's directory with this script in the executable's place.
fn with_executable(script: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    for entry in fs::read_dir(engine()).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "vizdoom") {
        symlink(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let path = dir.path().join("vizdoom");
    fs::write(&path, format!("#!/bin/sh\n{}", script.replace("REAL", engine().join("vizdoom").to_str().unwrap()))).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn playing(arguments: &[&str]) -> Spec {
    Spec::new(Backend::Engine, "A", "basic.cfg").with(&["--episodes", "1"]).with(arguments)
}

#[track_caller]
fn says(what: &str, (code, err): (i32, &str), wanted: i32, all: &[&str]) {
    assert_eq!(code, wanted, "{what}: {err}");
    for text in all {
        assert!(err.contains(text), "{what}: {text:?} is not in: {err}");
    }
    assert!(!err.contains("panicked"), "{what}: {err}");
}

#[test]
fn a_missing_engine_is_looked_for_where_it_was_named_and_the_ways_out_are_said() {
    let empty = TempDir::new().unwrap();
    let place = empty.path().to_str().unwrap();
    for arguments in [&[][..], &["check"]] {
        let (code, _, err) = playing(arguments).env("VIZDOOM_DIR", place).run();
        let ways = [place, "vizdoom.pk3", "cargo xtask setup", "VIZDOOM_DIR", "--backend mock"];
        says("no engine", (code, &err), 71, &ways);
    }
}

#[test]
fn a_missing_wad_is_a_mistake_of_the_scenario() {
    let dir = TempDir::new().unwrap();
    let scenario = dir.path().join("own.cfg");
    fs::write(&scenario, "available_buttons = { ATTACK }\ndoom_scenario_path = nowhere.wad\n").unwrap();
    for arguments in [&["--scenario", scenario.to_str().unwrap()][..], &["--set", "doom_scenario_path=nowhere.wad"]] {
        for command in [&[][..], &["check"]] {
            let (code, _, err) = playing(&[arguments, command].concat()).run();
            says("no WAD", (code, &err), 65, &["nowhere.wad"]);
        }
    }
    let (code, _, err) = playing(&["--set", "doom_game_path=nowhere.wad"]).run();
    says("no game", (code, &err), 65, &["nowhere.wad"]);
}

#[test]
fn an_engine_that_ends_at_once_cannot_be_played_and_its_last_words_are_told() {
    let broken = with_executable("echo the hard disk is full; exit 1\n");
    for arguments in [&[][..], &["check"]] {
        let (code, _, err) = playing(arguments).env("VIZDOOM_DIR", broken.path()).run();
        says("a broken engine", (code, &err), 71, &["the engine cannot start", "the hard disk is full"]);
    }
}

#[test]
fn an_engine_that_never_gets_ready_is_given_up_in_time_and_leaves_nothing() {
    let silent = with_executable("echo \"$@\"; echo still loading; exec sleep 600\n");
    for arguments in [&[][..], &["check"]] {
        let began = Instant::now();
        let (code, _, err) = playing(arguments).with(&["--start-timeout", "2s"]).env("VIZDOOM_DIR", silent.path()).run();
        println!("given up after {:?}", began.elapsed());
        says("a silent engine", (code, &err), 71, &["the engine cannot start", "still loading"]);
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        let instance = err.split_whitespace().skip_while(|word| *word != "+viz_instance_id").nth(1).expect("its arguments are told");
        let left = fs::read_dir("/dev/shm").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.filter(|name| name.ends_with(instance)).count(), 0, "{instance}");
    }
}

#[test]
fn an_engine_of_another_version_is_refused_with_both_versions() {
    let other = with_executable(OF_ANOTHER_VERSION);
    // The script can come too late, after the version was looked at; then the engine is the real one.
    let tries = (0..10).map(|_| playing(&["check"]).env("VIZDOOM_DIR", other.path()).run());
    let (code, _, err) = tries.into_iter().find(|(code, ..)| *code != 0).expect("ten engines of another version were taken");
    says("another version", (code, &err), 71, &["ViZDoom 9.9.9", "version 1.3.2 is needed"]);
}
