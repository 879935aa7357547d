//! Our reader reads scenario files as the stock package does, and our scenarios are the games of ViZDoom's of the same name.
//!
//! The stock package reads at test time (`tests/python/read_scenarios.py`). It and ViZDoom's scenarios come with `cargo xtask setup`;
//! where they are missing these tests fail.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use doom_game::{Button, Scenario, ScenarioError, SearchPaths, find_engine};
use serde_json::{Value, json};

fn search() -> SearchPaths {
    find_engine().unwrap_or_else(|e| panic!("{e}"))
}

fn load(path: &Path) -> Result<Scenario, ScenarioError> {
    Scenario::load(path.to_str().unwrap(), &search(), &[])
}

/// Every scenario file of ViZDoom's.
fn vizdooms() -> Vec<PathBuf> {
    let directory = search().scenarios_dir.unwrap();
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|x| x == "cfg"));
    files.sort();
    files
}

/// What the stock package understood of each file, and whether it understood all of it.
fn stock(files: &[PathBuf]) -> Vec<(bool, Value)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let python = workspace.join("vendor/python/bin/python");
    assert!(python.exists(), "no Python with the stock ViZDoom package at {}; run `cargo xtask setup`", python.display());
    let output = Command::new(python).arg(workspace.join("tests/python/read_scenarios.py")).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let read = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let complete = value.as_object_mut().unwrap().remove("complete").unwrap().as_bool().unwrap();
        let path = value["doom_scenario_path"].as_str().unwrap().to_owned();
        value["doom_scenario_path"] = json!(Path::new(&path).canonicalize().ok());
        (complete, value)
    };
    let values: Vec<_> = text.lines().map(read).collect();
    assert_eq!(values.len(), files.len());
    values
}

/// The same of ours.
fn ours(scenario: &Scenario) -> Value {
    let r = &scenario.rewards;
    let b = &scenario.buffers;
    let names = |buttons: &[Button]| buttons.iter().map(|b| b.name()).collect::<Vec<_>>();
    let limit = |button: &Button| {
        let given = scenario.button_max_values.iter().find(|(b, _)| b == button);
        (button.name().to_owned(), json!(given.map_or(0.0, |(_, max)| *max)))
    };
    let limits: serde_json::Map<_, _> = Button::ALL.iter().filter(|b| b.is_delta()).map(limit).collect();
    let wad = scenario.doom_scenario_path.as_ref().and_then(|_| scenario.check_files(&search()).ok()?.scenario?.canonicalize().ok());
    json!({
        "living_reward": r.living_reward,
        "death_penalty": r.death_penalty,
        "map_exit_reward": r.map_exit_reward,
        "kill_reward": r.kill_reward,
        "secret_reward": r.secret_reward,
        "item_reward": r.item_reward,
        "frag_reward": r.frag_reward,
        "hit_reward": r.hit_reward,
        "hit_taken_penalty": r.hit_taken_penalty,
        "damage_made_reward": r.damage_made_reward,
        "damage_taken_penalty": r.damage_taken_penalty,
        "health_reward": r.health_reward,
        "armor_reward": r.armor_reward,
        "doom_skill": f64::from(scenario.doom_skill),
        "episode_start_time": f64::from(scenario.episode_start_time),
        "episode_timeout": f64::from(scenario.episode_timeout),
        "ticrate": f64::from(scenario.ticrate),
        "screen_width": f64::from(scenario.screen_resolution.width()),
        "screen_height": f64::from(scenario.screen_resolution.height()),
        "audio_buffer_size": f64::from(b.audio_size),
        "notifications_buffer_size": f64::from(b.notifications_size),
        "depth_buffer": b.depth,
        "labels_buffer": b.labels,
        "automap_buffer": b.automap,
        "objects_info": b.objects_info,
        "sectors_info": b.sectors_info,
        "audio_buffer": b.audio,
        "notifications_buffer": b.notifications,
        "doom_map": scenario.doom_map,
        "mode": scenario.mode.name(),
        "screen_format": scenario.screen_format.name(),
        "audio_sampling_rate": b.audio_sampling_rate.name().trim_start_matches("SR_").parse::<u32>().unwrap(),
        "game_args": scenario.game_args.join(" "),
        "doom_scenario_path": wad,
        "available_buttons": names(&scenario.buttons),
        "available_game_variables": scenario.variables.iter().map(|v| v.name()).collect::<Vec<_>>(),
        "button_max_value": limits,
    })
}

#[track_caller]
fn assert_same(file: &str, ours: &Value, stock: &Value) {
    let (ours, stock) = (ours.as_object().unwrap(), stock.as_object().unwrap());
    assert_eq!(ours.keys().collect::<Vec<_>>(), stock.keys().collect::<Vec<_>>());
    for (key, value) in ours {
        assert_eq!(*value, stock[key], "{file}: {key}");
    }
}

#[test]
fn a_scenario_of_ours_is_the_game_of_vizdooms_of_the_same_name() {
    let directory = search().scenarios_dir.unwrap();
    for name in Scenario::embedded() {
        let ours = Scenario::load(name, &SearchPaths::default(), &[]).unwrap();
        let theirs = load(&directory.join(name).with_extension("cfg")).unwrap();
        let wad = |scenario: &Scenario| scenario.check_files(&search()).unwrap();
        assert_eq!(wad(&ours), wad(&theirs), "{name}");
        for listed in &theirs.variables {
            assert!(ours.variables.contains(listed), "{name} has no {listed}");
        }
        // What is ours to choose: which numbers are published, and how large the picture is.
        let same = Scenario {
            path: theirs.path.clone(),
            sha256: theirs.sha256.clone(),
            doom_scenario_path: theirs.doom_scenario_path.clone(),
            variables: theirs.variables.clone(),
            screen_resolution: theirs.screen_resolution,
            screen_format: theirs.screen_format,
            ..ours
        };
        assert_eq!(same, theirs, "{name}");
    }
}

#[test]
fn every_scenario_of_vizdooms_is_read_as_the_stock_package_reads_it() {
    let files = vizdooms();
    assert!(files.len() > 15, "{files:?}");
    for (file, (complete, stock)) in files.iter().zip(stock(&files)) {
        let scenario = load(file).unwrap_or_else(|e| panic!("{e}"));
        assert!(complete, "{}", file.display());
        assert_same(&file.display().to_string(), &ours(&scenario), &stock);
    }
}

/// What the rules allow.
const ODD: &[&str] = &[
    "",
    "\n\n  # nothing but a comment\n\t#another\n",
    "LIVING_REWARD = -1\nlivingReward=-2\nLivingreward =    -3.5e-1",
    "episodeTimeout=300\nepisode_start_time\t=\t14\nDOOMSKILL = 5\n  doomMap  =  MAP02  ",
    "available_buttons = { ATTACK }\navailable_buttons = { move_left Move_Right }",
    "available_buttons={ATTACK USE}",
    "available_buttons = {}\navailable_game_variables = { }",
    "availableButtons =\n\n# a comment\n  {\n\n  ATTACK   USE\n   # another\n JUMP\n}\nliving_reward = 3",
    "available_buttons = { ATTACK\nUSE }",
    "available_buttons = { ATTACK USE ATTACK }\navailable_buttons += { USE JUMP }",
    "available_game_variables = { HEALTH }\navailableGameVariables += { user60 AMMO0 }",
    "available_buttons = { activate_selected_weapon }",
    "game_args = +sv_cheats 1\ngame_args += +viz_nocheat 0 -dup=2\nseed = 4294967295",
    "game_args = +a 1\ngame_args = +b 2",
    "doom_scenario_path = sub/../sub/x.WAD",
    "death_reward = -3\nhit_taken_reward = -2\ndamage_taken_reward = -1.25",
    "death_penalty = 3\ndeath_reward = 7",
    "depth_buffer_enabled = TRUE\nlabelsBufferEnabled = 1\nautomap_buffer_enabled = False\nobjects_info_enabled = 0\nsectorsInfoEnabled = true",
    "mode = async_player\nscreenFormat = doom_256_colors8\nscreen_resolution = res_1920x1080\nticrate = 70",
    "button_max_value = TURN_LEFT_RIGHT_DELTA 10\nbuttonMaxValue = look_up_down_delta 0",
    "audio_buffer_enabled = true\naudio_sampling_rate = sr_22050\naudio_buffer_size = 4",
    "notifications_buffer_enabled = true\nnotificationsBufferSize = 4",
    "living_reward = 1\r\nkill_reward = .5\r\nitem_reward = 5.\r\nfrag_reward = +1e3\r\n",
    "living_reward = 1\nliving_reward = 2",
];

/// What the stock package skips with a warning; here it is an error.
const SKIPPED: &[&str] = &[
    "living_reward",
    "= 3",
    "living_reward =",
    "living_reward = much",
    "living_reward = 1,5",
    "living_reward += 1",
    "living_penalty = 1",
    "episode_timeout = -1",
    "episode_timeout = 3.5",
    "episode_timeout = 99999999999",
    "render_hud = yes",
    "mode = FAST",
    "automap_mode = SOME",
    "screen_format = GRAY16",
    "screen_resolution = 320x240",
    "audio_sampling_rate = 44100",
    "available_buttons = { FIRE }",
    "available_buttons = ATTACK",
    "available_buttons = { ATTACK",
    "available_buttons =\nATTACK",
    "available_game_variables = { LUCK }",
    "button_max_value = TURN_LEFT_RIGHT_DELTA",
    "button_max_value = FIRE 3",
    "button_max_value = TURN_LEFT_RIGHT_DELTA ten",
];

/// What the stock package takes without a word and plays otherwise than it reads, or cannot play; here it is an error.
const REFUSED: &[&str] = &[
    "doom_scenario_path = x.wad # the maps",
    "doom_skill = 9",
    "living_reward = inf",
    "living_reward = nan",
    "ticrate = 0",
    "doom_map = map one",
    "mode = SPECTATOR",
    "button_max_value = ATTACK 3",
    "game_args = -host 2",
];

fn write(directory: &Path, texts: &[&str]) -> Vec<PathBuf> {
    fs::create_dir_all(directory.join("sub")).unwrap();
    fs::write(directory.join("sub/x.WAD"), "").unwrap();
    let path = |i: usize| directory.join(format!("{i}.cfg"));
    for (i, text) in texts.iter().enumerate() {
        fs::write(path(i), text).unwrap();
    }
    (0..texts.len()).map(path).collect()
}

#[test]
fn whatever_the_rules_allow_is_read_as_the_stock_package_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let files = write(dir.path(), ODD);
    for ((text, file), (complete, stock)) in ODD.iter().zip(&files).zip(stock(&files)) {
        let scenario = load(file).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert!(complete, "{text}");
        assert_same(text, &ours(&scenario), &stock);
    }
}

#[test]
fn what_the_stock_package_skips_with_a_warning_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let files = write(dir.path(), SKIPPED);
    for ((text, file), (complete, _)) in SKIPPED.iter().zip(&files).zip(stock(&files)) {
        assert!(!complete, "the stock package takes {text}");
        assert!(load(file).is_err(), "we take {text}");
    }
}

#[test]
fn we_refuse_more_than_the_stock_package_where_it_would_play_another_game() {
    let dir = tempfile::tempdir().unwrap();
    let files = write(dir.path(), REFUSED);
    for ((text, file), (complete, _)) in REFUSED.iter().zip(&files).zip(stock(&files)) {
        assert!(complete, "the stock package refuses {text} too");
        assert!(load(file).is_err(), "we take {text}");
    }
    // And take one thing more: the button by the name that everything else in ViZDoom has for it.
    let files = write(dir.path(), &["available_buttons = { ACTIVATE_SELECTED_ITEM }"]);
    assert!(!stock(&files)[0].0);
    assert_eq!(load(&files[0]).unwrap().buttons, [Button::ACTIVATE_SELECTED_ITEM]);
}
