//! An engine that is not the one of this library: of another version, or with another layout of the memory that is shared.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use common::{START, basic, engine, shared_memory};
use vizdoom::{Config, Error, Game};

/// Runs the real engine in slow motion until its shared memory is there, changes some bytes of that, and lets it go on.
const SCRIPT: &str = r#"#!/bin/sh
for arg in "$@"; do
    [ "$before" = +viz_instance_id ] && id=$arg
    before=$arg
done
memory=/dev/shm/ViZDoomSM$id
echo "instance $id"
"REAL" "$@" &
pid=$!
while :; do
    kill -STOP $pid || exit 1
    [ -s "$memory" ] && [ "$(head -c 1 "$memory" | od -An -tu1)" -ne 0 ] && break
    kill -CONT $pid
    sleep 0.002
done
printf 'BYTES' | dd of="$memory" bs=1 seek=OFFSET conv=notrunc 2>/dev/null
kill -CONT $pid
wait $pid
"#;

fn config(dir: &Path, offset: usize, bytes: &str) -> Config {
    let home = dir.join("engine");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("vizdoom.pk3"), "").unwrap();
    let real = engine().join("vizdoom");
    let script = SCRIPT.replace("REAL", real.to_str().unwrap()).replace("OFFSET", &offset.to_string()).replace("BYTES", bytes);
    fs::write(home.join("vizdoom"), script).unwrap();
    fs::set_permissions(home.join("vizdoom"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = basic(dir);
    config.executable = home.join("vizdoom");
    config
}

/// The error of a start that may have to be tried again: the script can come too late, after the library has looked.
fn refused(offset: usize, bytes: &str) -> (Error, String) {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), offset, bytes);
    let error = (0..10).find_map(|_| Game::start(&config, START).err()).expect("ten engines of another version started");
    let Error::Start { source, output } = error else { panic!("{error:?}") };
    let instance = output.split_whitespace().nth(1).unwrap().to_owned();
    assert!(shared_memory(&instance).is_empty(), "nothing is left of it");
    (*source, output)
}

#[test]
fn an_engine_of_another_version_is_refused_with_both_versions() {
    // The number 999, and the text after it.
    let (error, _) = refused(0, r"\347\003\000\0009.9.9\000");
    assert!(
        matches!(&error, Error::Engine(text) if text.contains("ViZDoom 9.9.9") && text.contains("version 1.3.2 is needed")),
        "{error:?}"
    );
}

#[test]
fn an_engine_with_another_layout_of_the_shared_memory_is_refused() {
    // Behind the version's number and text: how large the memory is.
    let (error, output) = refused(24, r"\001\000\000\000\000\000\000\000");
    assert!(matches!(error, Error::SharedMemory(_)), "{error:?} {output}");
}
