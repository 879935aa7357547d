//! What an observation holds: variables, frames, labels; and what the backend says of itself.

use std::collections::HashSet;

use doom_game::{Needs, ScreenFormat, Variable};

use crate::{
    host::{Host, game, game_with, seeded},
    play::{episode, hold, idle},
};

fn frames() -> Needs {
    Needs { frames: true, ..Needs::default() }
}

pub(crate) fn needed_variables_come_after_the_scenarios_and_only_once(host: &dyn Host) {
    let needed = vec![Variable::HEALTH, Variable::USER7, Variable::AMMO2, Variable::USER7, Variable::DEAD];
    let needs = Needs { variables: needed, ..Needs::default() };
    let game = game_with(host, "basic", &[("available_game_variables", "AMMO2 KILLCOUNT")], needs);
    let schema = game.schema();
    assert_eq!(schema.scenario_variables, 2);
    assert_eq!(schema.variables, [Variable::AMMO2, Variable::KILLCOUNT, Variable::HEALTH, Variable::USER7, Variable::DEAD]);
}

pub(crate) fn every_variable_can_be_read(host: &dyn Host) {
    let needs = Needs { variables: Variable::ALL.to_vec(), ..Needs::default() };
    let mut game = game_with(host, "deathmatch", &[("available_game_variables", "")], needs);
    assert_eq!((game.schema().scenario_variables, game.schema().variables.as_slice()), (0, Variable::ALL));
    game.new_episode(&seeded(1)).unwrap();
    let seen = game.observe();
    assert_eq!(seen.variables.len(), Variable::ALL.len());
    assert!(seen.variables.iter().all(|value| value.is_finite()), "{:?}", seen.variables);
    let value = |variable| seen.variables[game.schema().variable(variable).unwrap()];
    assert_eq!((value(Variable::HEALTH), value(Variable::DEAD), value(Variable::PLAYER_COUNT)), (100.0, 0.0, 1.0));
    assert_eq!(
        (value(Variable::POSITION_X), value(Variable::POSITION_Y)),
        (value(Variable::CAMERA_POSITION_X), value(Variable::CAMERA_POSITION_Y))
    );
}

pub(crate) fn a_frame_has_the_size_that_its_format_says(host: &dyn Host) {
    for format in ScreenFormat::ALL {
        let mut game = game_with(host, "basic", &[("screen_format", format.name())], frames());
        game.new_episode(&seeded(1)).unwrap();
        let frame = game.observe().frame.unwrap();
        assert_eq!((frame.width, frame.height, frame.format), (160, 120, format.name()));
        assert_eq!((frame.channels, frame.data.len()), (format.channels(), 160 * 120 * format.channels() as usize));
        assert_eq!(game.schema().screen, (frame.width, frame.height));
        let shades: HashSet<u8> = frame.data.iter().copied().collect();
        assert!(shades.len() > 3, "{} shows {} shades", format.name(), shades.len());
    }
    for (resolution, width, height) in [("RES_320X240", 320, 240), ("RES_256X144", 256, 144), ("RES_1920X1080", 1920, 1080)] {
        let mut game = game_with(host, "basic", &[("screen_resolution", resolution), ("screen_format", "RGB24")], frames());
        game.new_episode(&seeded(1)).unwrap();
        let frame = game.observe().frame.unwrap();
        assert_eq!((frame.width, frame.height, frame.data.len()), (width, height, (width * height * 3) as usize));
    }
}

pub(crate) fn the_picture_moves_and_there_is_none_of_the_terminal_tic(host: &dyn Host) {
    let mut game = game_with(host, "basic", &[("episode_timeout", "80")], frames());
    let trace = episode(&mut *game, 1, 4, 100);
    let (terminal, before) = trace.split_last().unwrap();
    assert!(terminal.end.is_some() && terminal.frame.is_none() && terminal.labels.is_empty());
    let pictures: HashSet<u64> = before.iter().map(|seen| seen.frame.unwrap()).collect();
    assert!(pictures.len() > before.len() / 2, "{} pictures in {} observations", pictures.len(), before.len());
}

pub(crate) fn labels_are_there_where_they_are_asked_for_and_only_there(host: &dyn Host) {
    let labels = || Needs { labels: true, ..Needs::default() };
    let by_need = game_with(host, "basic", &[], labels());
    let by_scenario = game(host, "basic", &[("labels_buffer_enabled", "true")]);
    for mut game in [by_need, by_scenario] {
        game.new_episode(&seeded(1)).unwrap();
        let seen = game.observe();
        let monster = seen.labels.iter().find(|label| label.name == "Cacodemon").unwrap_or_else(|| panic!("{:?}", seen.labels));
        assert!(monster.category == "Monster" && monster.width > 0 && monster.height > 0, "{monster:?}");
        assert!(monster.x + monster.width <= 160 && monster.y + monster.height <= 120, "{monster:?}");
        let ids: HashSet<u32> = seen.labels.iter().map(|label| label.id).collect();
        assert_eq!(ids.len(), seen.labels.len(), "an id is an object's own");
        // Whoever was killed or left is not seen on the terminal tic.
        let idle = idle(game.schema());
        assert!(hold(&mut *game, 1, &idle, 8).last().unwrap().labels.is_empty());
    }
    let mut without = game(host, "basic", &[]);
    assert!(episode(&mut *without, 1, 4, 20).iter().all(|seen| seen.labels.is_empty()));
}

pub(crate) fn the_backend_says_what_it_is(host: &dyn Host) {
    let mut game = game(host, "deathmatch", &[]);
    let (name, version) = host.info();
    assert_eq!((game.info().name, game.info().engine_version.as_str()), (name, version));
    let schema = game.schema().clone();
    episode(&mut *game, 1, 4, 20);
    assert_eq!(*game.schema(), schema, "it stays what it is");
}
