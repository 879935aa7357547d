//! How a game is set up. Everything is by name; what upstream has a default for has the same here, except that sound and window are off.

use std::path::PathBuf;

/// What each thing is worth, in reward. Source: the setters of upstream's `DoomGame`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(missing_docs, reason = "one field for each of upstream's, of that name")]
pub struct Rewards {
    pub living: f64,
    pub death_penalty: f64,
    pub map_exit: f64,
    pub kill: f64,
    pub secret: f64,
    pub item: f64,
    pub frag: f64,
    pub hit: f64,
    pub hit_taken_penalty: f64,
    pub damage_made: f64,
    pub damage_taken_penalty: f64,
    pub health: f64,
    pub armor: f64,
}

/// What is drawn. Source: upstream's `setRender…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "one field for each of upstream's, of that name")]
#[expect(clippy::struct_excessive_bools, reason = "upstream has one switch for each")]
pub struct Render {
    pub hud: bool,
    pub minimal_hud: bool,
    pub weapon: bool,
    pub crosshair: bool,
    pub decals: bool,
    pub particles: bool,
    pub effects_sprites: bool,
    pub messages: bool,
    pub corpses: bool,
    pub screen_flashes: bool,
    pub all_frames: bool,
}

impl Default for Render {
    fn default() -> Self {
        Self {
            hud: false,
            minimal_hud: false,
            weapon: true,
            crosshair: false,
            decals: true,
            particles: true,
            effects_sprites: true,
            messages: false,
            corpses: true,
            screen_flashes: true,
            all_frames: false,
        }
    }
}

/// How the automap is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Automap {
    /// Upstream's name, such as `NORMAL` or `WHOLE`.
    pub mode: String,
    /// Turn the map instead of the arrow.
    pub rotate: bool,
    /// Fill the floors.
    pub textures: bool,
    /// Draw objects as sprites.
    pub sprites: bool,
}

impl Default for Automap {
    fn default() -> Self {
        Self { mode: "NORMAL".into(), rotate: false, textures: true, sprites: false }
    }
}

/// What the engine reports besides the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "upstream has one switch for each")]
pub struct Buffers {
    /// The depth buffer.
    pub depth: bool,
    /// The labels buffer and the visible objects.
    pub labels: bool,
    /// The automap buffer.
    pub automap: Option<Automap>,
    /// All objects of the map.
    pub objects: bool,
    /// All sectors of the map.
    pub sectors: bool,
    /// Messages of the last so many tics; 0: off.
    pub notifications_tics: u32,
}

/// How a game is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The engine's executable; `vizdoom.pk3` is beside it.
    pub executable: PathBuf,
    /// The game's WAD, such as `freedoom2.wad`.
    pub iwad: PathBuf,
    /// The scenario's WAD.
    pub wad: Option<PathBuf>,
    /// The map, such as `map01`.
    pub map: String,
    /// The engine's own settings; without, it makes them in the run directory.
    pub engine_config: Option<PathBuf>,
    /// Where the engine may write: its working directory and HOME. It exists, and no other game uses it at the same time.
    pub run_dir: PathBuf,
    /// Further arguments for the engine.
    pub args: Vec<String>,
    /// Names of buttons, in the order of an action; delta buttons with the greatest value that a tic allows, where not the engine's own.
    pub buttons: Vec<(String, Option<f64>)>,
    /// Names of variables, in the order in which steps report them.
    pub variables: Vec<String>,
    /// 1 to 5.
    pub skill: u32,
    /// Upstream's name, such as `PLAYER`.
    pub mode: String,
    /// Upstream's name, such as `CRCGCB`.
    pub screen_format: String,
    /// Width and height in pixels, one of upstream's pairs.
    pub resolution: (u32, u32),
    /// Tics per second; matters in the modes that do not wait for the agent.
    pub ticrate: u32,
    /// The first tic of an episode that the agent sees.
    pub episode_start_time: u32,
    /// In tics; 0: none.
    pub episode_timeout: u32,
    /// Seeds the game until the first new episode.
    pub seed: u32,
    /// What is drawn.
    pub render: Render,
    /// What is reported.
    pub buffers: Buffers,
    /// What is worth how much.
    pub rewards: Rewards,
    /// Show the game in a window.
    pub window: bool,
    /// Let the engine write its console to standard output.
    pub console: bool,
    /// Play sound.
    pub sound: bool,
}

impl Config {
    /// A game on map `map01` with upstream's defaults, without buttons and variables.
    #[must_use]
    pub fn new(executable: impl Into<PathBuf>, iwad: impl Into<PathBuf>, run_dir: impl Into<PathBuf>) -> Self {
        Self {
            executable: executable.into(),
            iwad: iwad.into(),
            wad: None,
            map: "map01".into(),
            engine_config: None,
            run_dir: run_dir.into(),
            args: Vec::new(),
            buttons: Vec::new(),
            variables: Vec::new(),
            skill: 3,
            mode: "PLAYER".into(),
            screen_format: "CRCGCB".into(),
            resolution: (320, 240),
            ticrate: 35,
            episode_start_time: 1,
            episode_timeout: 0,
            seed: 0,
            render: Render::default(),
            buffers: Buffers::default(),
            rewards: Rewards::default(),
            window: false,
            console: false,
            sound: false,
        }
    }

    /// With these buttons, in this order.
    #[must_use]
    pub fn buttons<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.buttons = names.into_iter().map(|name| (name.into(), None)).collect();
        self
    }

    /// With these variables, in this order.
    #[must_use]
    pub fn variables<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.variables = names.into_iter().map(Into::into).collect();
        self
    }
}
