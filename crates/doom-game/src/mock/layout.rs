//! What kind of game a scenario is, as far as the mock can tell from its WAD's name: the room, who is in it, what the map pays.

use super::math::Point;
use crate::scenario::Scenario;

/// What a class of monsters or items is called and how it fights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Species {
    pub(super) name: &'static str,
    pub(super) health: i32,
    /// In map units per tic.
    pub(super) speed: i64,
    /// How far it reaches, in map units; 0 for one that does nothing.
    pub(super) reach: i64,
    /// The most that one attack takes.
    pub(super) damage: i64,
}

const CACODEMON: Species = Species { name: "Cacodemon", health: 1, speed: 0, reach: 0, damage: 0 };
const DEMON: Species = Species { name: "Demon", health: 10, speed: 3, reach: 64, damage: 12 };
const MARINE: Species = Species { name: "MarineChainsawVzd", health: 5, speed: 2, reach: 64, damage: 8 };
const IMP: Species = Species { name: "DoomImp", health: 10, speed: 0, reach: 2000, damage: 6 };
const ZOMBIE: Species = Species { name: "Zombieman", health: 20, speed: 1, reach: 500, damage: 8 };
const GUNNER: Species = Species { name: "ShotgunGuy", health: 30, speed: 1, reach: 400, damage: 14 };

/// Where monsters stand at the start and where they come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// Somewhere along the wall that the player faces.
    FarWall,
    /// Around the player.
    Ring,
    /// In pairs on both sides of the way.
    Sides,
    /// Anywhere.
    Anywhere,
}

/// What lies about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    Medikit,
    Armor,
    Clip,
    Shotgun,
}

impl Thing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Medikit => "Medikit",
            Self::Armor => "GreenArmor",
            Self::Clip => "Clip",
            Self::Shotgun => "Shotgun",
        }
    }

    pub(super) fn category(self) -> &'static str {
        match self {
            Self::Medikit => "Health",
            Self::Armor => "Armor",
            Self::Clip => "Ammo",
            Self::Shotgun => "Weapon",
        }
    }
}

/// A game's rules. Lengths are in map units, rewards are the map's own, beside those of the scenario file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Half the room's size in x and y.
    pub(super) half: (i64, i64),
    pub(super) start: Point,
    /// The player starts at a place and angle of chance.
    pub(super) random_start: bool,
    pub(super) monsters: Vec<Species>,
    pub(super) placement: Placement,
    /// The dead come back.
    pub(super) respawn: bool,
    pub(super) things: Vec<Thing>,
    /// Taking the vest at this place ends the level.
    pub(super) goal: Option<Point>,
    /// Killing every monster ends the level.
    pub(super) ends_with_last_monster: bool,
    pub(super) kill_reward: f64,
    pub(super) shot_reward: f64,
    pub(super) goal_reward: f64,
    /// For every map unit nearer to the goal's x.
    pub(super) progress_reward: f64,
    /// Tics between two bites of the floor, 0 for a harmless one.
    pub(super) floor_period: u32,
    /// Bullets at the start; none means no pistol.
    pub(super) bullets: i64,
}

impl Layout {
    /// The rules for a scenario: by its WAD, or by its name where it has none; the deathmatch where neither says anything.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let wad = scenario.doom_scenario_path.as_ref().and_then(|f| f.given.file_stem()).map(|s| s.to_string_lossy().to_ascii_lowercase());
        let name = wad.unwrap_or_else(|| scenario.name.to_ascii_lowercase());
        let room = Self {
            half: (500, 500),
            start: Point::default(),
            random_start: false,
            monsters: Vec::new(),
            placement: Placement::Anywhere,
            respawn: false,
            things: Vec::new(),
            goal: None,
            ends_with_last_monster: false,
            kill_reward: 0.0,
            shot_reward: 0.0,
            goal_reward: 0.0,
            progress_reward: 0.0,
            floor_period: 0,
            bullets: 50,
        };
        let has = |part: &str| name.contains(part);
        if has("basic") || has("predict_position") {
            Self {
                half: (220, 250),
                start: Point::units(-200, 0),
                monsters: vec![CACODEMON],
                placement: Placement::FarWall,
                ends_with_last_monster: true,
                kill_reward: 106.0,
                shot_reward: -5.0,
                ..room
            }
        } else if has("defend_the_center") {
            Self {
                half: (600, 600),
                monsters: vec![DEMON, MARINE, DEMON, MARINE, DEMON],
                placement: Placement::Ring,
                respawn: true,
                kill_reward: 1.0,
                bullets: 26,
                ..room
            }
        } else if has("defend_the_line") || has("take_cover") {
            Self {
                half: (520, 400),
                start: Point::units(-480, 0),
                monsters: vec![DEMON, IMP, DEMON, IMP, DEMON, IMP],
                placement: Placement::FarWall,
                respawn: true,
                kill_reward: 1.0,
                ..room
            }
        } else if has("corridor") {
            Self {
                half: (660, 96),
                start: Point::units(-640, 0),
                monsters: vec![ZOMBIE, GUNNER, ZOMBIE, GUNNER, ZOMBIE, GUNNER],
                placement: Placement::Sides,
                goal: Some(Point::units(640, 0)),
                progress_reward: 1.0,
                ..room
            }
        } else if has("health_gathering") {
            Self { random_start: true, things: vec![Thing::Medikit; 20], floor_period: 32, bullets: 0, ..room }
        } else if has("my_way_home") {
            Self { random_start: true, goal: Some(Point::units(420, 420)), goal_reward: 1.0, ..room }
        } else {
            Self {
                half: (900, 900),
                random_start: true,
                monsters: vec![ZOMBIE, GUNNER, DEMON, ZOMBIE, GUNNER, DEMON, ZOMBIE, DEMON],
                respawn: true,
                things: vec![Thing::Medikit, Thing::Medikit, Thing::Armor, Thing::Clip, Thing::Clip, Thing::Shotgun],
                kill_reward: 1.0,
                ..room
            }
        }
    }
}
