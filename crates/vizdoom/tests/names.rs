//! Every format, resolution, mode and name of libvizdoom is accepted by the engine.

mod common;

use common::{basic, start};
use vizdoom::{Table, count, is_delta, lookup};

const FORMATS: [(&str, u32); 10] = [
    ("CRCGCB", 3),
    ("RGB24", 3),
    ("RGBA32", 4),
    ("ARGB32", 4),
    ("CBCGCR", 3),
    ("BGR24", 3),
    ("BGRA32", 4),
    ("ABGR32", 4),
    ("GRAY8", 1),
    ("DOOM_256_COLORS8", 1),
];

const RESOLUTIONS: [(u32, u32); 36] = [
    (160, 120),
    (200, 125),
    (200, 150),
    (256, 144),
    (256, 160),
    (256, 192),
    (320, 180),
    (320, 200),
    (320, 240),
    (320, 256),
    (400, 225),
    (400, 250),
    (400, 300),
    (512, 288),
    (512, 320),
    (512, 384),
    (640, 360),
    (640, 400),
    (640, 480),
    (800, 450),
    (800, 500),
    (800, 600),
    (1024, 576),
    (1024, 640),
    (1024, 768),
    (1280, 720),
    (1280, 800),
    (1280, 960),
    (1280, 1024),
    (1400, 787),
    (1400, 875),
    (1400, 1050),
    (1600, 900),
    (1600, 1000),
    (1600, 1200),
    (1920, 1080),
];

#[test]
fn every_screen_format_has_its_channels() {
    assert_eq!(count(Table::ScreenFormat) as usize, FORMATS.len());
    let dir = tempfile::tempdir().unwrap();
    for (number, (name, channels)) in FORMATS.into_iter().enumerate() {
        assert_eq!(lookup(Table::ScreenFormat, name).unwrap(), i32::try_from(number).unwrap());
        let mut config = basic(dir.path());
        config.screen_format = name.into();
        let mut game = start(&config);
        game.new_episode(1, None).unwrap();
        let screen = game.screen().unwrap();
        assert_eq!((screen.channels, screen.data.len()), (channels, 160 * 120 * channels as usize), "{name}");
        assert!(screen.data.iter().any(|byte| *byte != screen.data[0]), "{name} shows something");
    }
}

#[test]
fn every_resolution_is_what_the_engine_draws() {
    assert_eq!(count(Table::Resolution) as usize, RESOLUTIONS.len());
    let dir = tempfile::tempdir().unwrap();
    for (number, (width, height)) in RESOLUTIONS.into_iter().enumerate() {
        assert_eq!(lookup(Table::Resolution, &format!("RES_{width}X{height}")).unwrap(), i32::try_from(number).unwrap());
        let mut config = basic(dir.path());
        config.resolution = (width, height);
        let game = start(&config);
        let screen = game.screen().unwrap();
        assert_eq!((screen.width, screen.height, screen.data.len()), (width, height, (width * height) as usize));
    }
}

#[test]
fn every_mode_is_known_and_the_modes_of_an_agent_play() {
    assert_eq!(count(Table::Mode), 4);
    for name in ["PLAYER", "SPECTATOR", "ASYNC_PLAYER", "ASYNC_SPECTATOR"] {
        assert!(lookup(Table::Mode, name).is_ok(), "{name}");
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["PLAYER", "ASYNC_PLAYER"] {
        let mut config = basic(dir.path());
        config.mode = name.into();
        config.ticrate = 350;
        let mut game = start(&config);
        game.new_episode(1, None).unwrap();
        while !game.step(&[0.0; 3], 4).unwrap().finished {}
        assert!(game.last().timed_out && game.last().tic >= 314, "{name}: {:?}", game.last());
    }
}

#[test]
fn names_are_looked_up_without_regard_to_case_and_unknown_ones_are_refused() {
    assert_eq!((count(Table::Button), count(Table::Variable)), (43, 132));
    assert_eq!(lookup(Table::Button, "attack").unwrap(), 0);
    assert_eq!(lookup(Table::Button, "ACTIVATE_SELECTED_ITEM").unwrap(), lookup(Table::Button, "Activate_Selected_Item").unwrap());
    assert_eq!(lookup(Table::Variable, "HitCount").unwrap(), 5);
    assert_eq!(lookup(Table::Variable, "USER60").unwrap(), 131);
    assert_eq!(lookup(Table::AutomapMode, "OBJECTS_WITH_SIZE").unwrap(), 3);
    for table in [Table::Button, Table::Variable, Table::ScreenFormat, Table::Resolution, Table::Mode, Table::AutomapMode] {
        for name in ["", "FIRE", "UNKNOWN", "a\0b"] {
            assert!(matches!(lookup(table, name), Err(vizdoom::Error::UnknownName { .. })), "{table:?} {name:?}");
        }
    }
    let delta = (0..43).filter(|button| is_delta(*button)).count();
    assert_eq!(delta, 5);
    assert_eq!(vizdoom::version(), "1.3.2");
}
