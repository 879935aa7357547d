//! What the engine reports besides the screen and the variables: each buffer where it is on, and only there.

mod common;

use std::collections::HashSet;

use common::{basic, engine, start};
use vizdoom::{Automap, Image};

#[test]
fn buffers_labels_objects_and_sectors_are_reported_where_they_are_on_and_only_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = basic(dir.path());
    config.buffers.depth = true;
    config.buffers.labels = true;
    config.buffers.automap = Some(vizdoom::Automap::default());
    config.buffers.objects = true;
    config.buffers.sectors = true;
    config.screen_format = "RGB24".into();
    let mut game = start(&config);
    game.new_episode(3, None).unwrap();
    game.step(&[0.0; 3], 1).unwrap();
    assert_eq!(game.screen().unwrap().data.len(), 160 * 120 * 3);
    assert_eq!(game.automap().unwrap().data.len(), 160 * 120 * 3);
    for one in [game.depth().unwrap(), game.labels_buffer().unwrap()] {
        assert_eq!((one.data.len(), one.width, one.height, one.channels), (160 * 120, 160, 120, 1));
    }
    let monster = game.labels().find(|label| label.name == "Cacodemon").expect("the monster of basic.wad is in view");
    assert!(monster.width > 0 && monster.x + monster.width <= 160 && monster.y + monster.height <= 120, "{monster:?}");
    let within =
        |label: &vizdoom::Label<'_>| game.labels_buffer().unwrap().data[(label.y * 160 + label.x) as usize..].contains(&label.value);
    assert!(within(&monster));
    assert!(game.objects().any(|object| object.id == monster.id && object.position == monster.position));
    assert!(game.sectors().next().is_some_and(|sector| sector.lines.len() > 3));
    drop(game);

    let mut game = start(&basic(dir.path()));
    game.new_episode(3, None).unwrap();
    assert!(game.depth().is_none() && game.labels_buffer().is_none() && game.automap().is_none());
    assert_eq!((game.labels().count(), game.objects().count(), game.sectors().count()), (0, 0, 0));
}

fn shades(image: &Image<'_>) -> usize {
    image.data.iter().collect::<HashSet<_>>().len()
}

#[test]
fn depth_is_nearer_at_the_floor_before_the_player_than_at_the_far_wall() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = basic(dir.path());
    config.buffers.depth = true;
    let mut game = start(&config);
    game.new_episode(1, None).unwrap();
    let depth = game.depth().unwrap();
    let row = |y: usize| depth.data[y * 160..(y + 1) * 160].iter().map(|d| u32::from(*d)).sum::<u32>();
    assert!(row(75) > row(110), "the far wall: {}, the floor: {}", row(75), row(110));
    assert!(shades(&depth) > 5);
}

#[test]
fn each_automap_mode_and_switch_draws_another_map() {
    let dir = tempfile::tempdir().unwrap();
    let draw = |automap: Automap| {
        let mut config = basic(dir.path());
        config.buffers.automap = Some(automap);
        let mut game = start(&config);
        game.new_episode(1, None).unwrap();
        game.step(&[1.0, 0.0, 0.0], 8).unwrap();
        let map = game.automap().unwrap();
        assert_eq!(map.data.len(), 160 * 120);
        map.data.to_vec()
    };
    let mut maps: Vec<_> =
        ["NORMAL", "WHOLE", "OBJECTS", "OBJECTS_WITH_SIZE"].map(|mode| draw(Automap { mode: mode.into(), ..Automap::default() })).into();
    maps.push(draw(Automap { rotate: true, ..Automap::default() }));
    maps.push(draw(Automap { textures: false, ..Automap::default() }));
    maps.push(draw(Automap { mode: "OBJECTS".into(), sprites: true, ..Automap::default() }));
    let different: HashSet<_> = maps.iter().collect();
    assert_eq!(different.len(), maps.len());
}

#[test]
fn notifications_are_told_where_they_are_on_and_for_as_long_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let play = |tics: u32| {
        let mut config = basic(dir.path());
        config.wad = Some(engine().join("scenarios/basic_notifications.wad"));
        config.buffers.notifications_tics = tics;
        let mut game = start(&config);
        game.new_episode(1, None).unwrap();
        let mut told = vec![game.notifications()];
        while !game.step(&[0.0, 0.0, 1.0], 1).unwrap().finished {
            told.push(game.notifications());
        }
        told
    };
    let (off, short, long) = (play(0), play(1), play(20));
    assert!(off.iter().all(String::is_empty), "{off:?}");
    let texts = |told: &[String]| told.iter().filter(|text| !text.is_empty()).count();
    assert!(texts(&short) > 0 && texts(&long) > texts(&short), "{} {}", texts(&short), texts(&long));
}
