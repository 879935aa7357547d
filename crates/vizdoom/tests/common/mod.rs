//! Games on the real engine, which `cargo xtask setup` fetches. Where it is missing these tests fail.

#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use vizdoom::{Config, Game};

pub const START: Duration = Duration::from_secs(30);

pub fn engine() -> PathBuf {
    let root = std::env::var_os("VIZDOOM_DIR").map_or_else(|| vizdoom::built_with().to_owned(), PathBuf::from);
    let engine = root.join("engine");
    assert!(engine.join("vizdoom").is_file(), "no engine in {}; run `cargo xtask setup`", engine.display());
    engine
}

/// basic.wad, 160x120, grey, with ViZDoom's own rewards and times.
pub fn basic(run_dir: &Path) -> Config {
    let engine = engine();
    let mut config = Config::new(engine.join("vizdoom"), engine.join("freedoom2.wad"), run_dir)
        .buttons(["MOVE_LEFT", "MOVE_RIGHT", "ATTACK"])
        .variables(["AMMO2", "KILLCOUNT", "HITCOUNT", "DAMAGECOUNT", "HEALTH", "POSITION_X", "POSITION_Y"]);
    config.wad = Some(engine.join("scenarios/basic.wad"));
    config.resolution = (160, 120);
    config.screen_format = "GRAY8".into();
    config.episode_start_time = 14;
    config.episode_timeout = 300;
    config.skill = 5;
    config.rewards.living = -1.0;
    config
}

pub fn start(config: &Config) -> Game {
    Game::start(config, START).unwrap_or_else(|e| panic!("{e}"))
}

/// The files of an instance in /dev/shm.
pub fn shared_memory(instance: &str) -> Vec<PathBuf> {
    assert!(!instance.is_empty());
    let files = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().ends_with(instance)).collect()
}

pub fn alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
