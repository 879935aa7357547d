pub mod vz_status {
    #[allow(unused_imports)]
    use super::*;
    pub type Type = ::core::ffi::c_uint;
    pub const VZ_OK: Type = 0;
    pub const VZ_FILE_DOES_NOT_EXIST: Type = 1;
    pub const VZ_MESSAGE_QUEUE: Type = 2;
    pub const VZ_SHARED_MEMORY: Type = 3;
    pub const VZ_ENGINE_ERROR: Type = 4;
    pub const VZ_NOT_RUNNING: Type = 5;
    pub const VZ_UNEXPECTED_EXIT: Type = 6;
    pub const VZ_NO_OPENAL_SOUND: Type = 7;
    pub const VZ_BAD_ARGUMENT: Type = 8;
    pub const VZ_EPISODE_FINISHED: Type = 9;
    pub const VZ_OTHER: Type = 10;
}
pub mod vz_names {
    #[allow(unused_imports)]
    use super::*;
    pub type Type = ::core::ffi::c_uint;
    pub const VZ_NAMES_BUTTON: Type = 0;
    pub const VZ_NAMES_VARIABLE: Type = 1;
    pub const VZ_NAMES_SCREEN_FORMAT: Type = 2;
    pub const VZ_NAMES_RESOLUTION: Type = 3;
    pub const VZ_NAMES_MODE: Type = 4;
    pub const VZ_NAMES_AUTOMAP_MODE: Type = 5;
}
pub mod vz_flag {
    #[allow(unused_imports)]
    use super::*;
    pub type Type = ::core::ffi::c_uint;
    pub const VZ_HUD: Type = 1;
    pub const VZ_MINIMAL_HUD: Type = 2;
    pub const VZ_WEAPON: Type = 4;
    pub const VZ_CROSSHAIR: Type = 8;
    pub const VZ_DECALS: Type = 16;
    pub const VZ_PARTICLES: Type = 32;
    pub const VZ_EFFECTS_SPRITES: Type = 64;
    pub const VZ_MESSAGES: Type = 128;
    pub const VZ_CORPSES: Type = 256;
    pub const VZ_SCREEN_FLASHES: Type = 512;
    pub const VZ_ALL_FRAMES: Type = 1024;
    pub const VZ_DEPTH: Type = 2048;
    pub const VZ_LABELS: Type = 4096;
    pub const VZ_AUTOMAP: Type = 8192;
    pub const VZ_AUTOMAP_ROTATE: Type = 16384;
    pub const VZ_AUTOMAP_TEXTURES: Type = 32768;
    pub const VZ_AUTOMAP_SPRITES: Type = 65536;
    pub const VZ_OBJECTS: Type = 131072;
    pub const VZ_SECTORS: Type = 262144;
    pub const VZ_WINDOW: Type = 524288;
    pub const VZ_CONSOLE: Type = 1048576;
    pub const VZ_SOUND: Type = 2097152;
    pub const VZ_NOTIFICATIONS: Type = 4194304;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct vz_rewards {
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
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vz_rewards"][::core::mem::size_of::<vz_rewards>() - 104usize];
    ["Alignment of vz_rewards"][::core::mem::align_of::<vz_rewards>() - 8usize];
    [
        "Offset of field: vz_rewards::living",
    ][::core::mem::offset_of!(vz_rewards, living) - 0usize];
    [
        "Offset of field: vz_rewards::death_penalty",
    ][::core::mem::offset_of!(vz_rewards, death_penalty) - 8usize];
    [
        "Offset of field: vz_rewards::map_exit",
    ][::core::mem::offset_of!(vz_rewards, map_exit) - 16usize];
    [
        "Offset of field: vz_rewards::kill",
    ][::core::mem::offset_of!(vz_rewards, kill) - 24usize];
    [
        "Offset of field: vz_rewards::secret",
    ][::core::mem::offset_of!(vz_rewards, secret) - 32usize];
    [
        "Offset of field: vz_rewards::item",
    ][::core::mem::offset_of!(vz_rewards, item) - 40usize];
    [
        "Offset of field: vz_rewards::frag",
    ][::core::mem::offset_of!(vz_rewards, frag) - 48usize];
    [
        "Offset of field: vz_rewards::hit",
    ][::core::mem::offset_of!(vz_rewards, hit) - 56usize];
    [
        "Offset of field: vz_rewards::hit_taken_penalty",
    ][::core::mem::offset_of!(vz_rewards, hit_taken_penalty) - 64usize];
    [
        "Offset of field: vz_rewards::damage_made",
    ][::core::mem::offset_of!(vz_rewards, damage_made) - 72usize];
    [
        "Offset of field: vz_rewards::damage_taken_penalty",
    ][::core::mem::offset_of!(vz_rewards, damage_taken_penalty) - 80usize];
    [
        "Offset of field: vz_rewards::health",
    ][::core::mem::offset_of!(vz_rewards, health) - 88usize];
    [
        "Offset of field: vz_rewards::armor",
    ][::core::mem::offset_of!(vz_rewards, armor) - 96usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct vz_config {
    pub executable: *const ::core::ffi::c_char,
    pub iwad: *const ::core::ffi::c_char,
    pub wad: *const ::core::ffi::c_char,
    pub map: *const ::core::ffi::c_char,
    pub engine_config: *const ::core::ffi::c_char,
    pub run_dir: *const ::core::ffi::c_char,
    pub args: *const *const ::core::ffi::c_char,
    pub args_len: usize,
    pub buttons: *const i32,
    pub buttons_len: usize,
    pub button_max: *const f64,
    pub variables: *const i32,
    pub variables_len: usize,
    pub skill: i32,
    pub mode: i32,
    pub screen_format: i32,
    pub automap_mode: i32,
    pub width: u32,
    pub height: u32,
    pub ticrate: u32,
    pub episode_start_time: u32,
    pub episode_timeout: u32,
    pub notifications_tics: u32,
    pub seed: u32,
    pub flags: u32,
    pub rewards: vz_rewards,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vz_config"][::core::mem::size_of::<vz_config>() - 256usize];
    ["Alignment of vz_config"][::core::mem::align_of::<vz_config>() - 8usize];
    [
        "Offset of field: vz_config::executable",
    ][::core::mem::offset_of!(vz_config, executable) - 0usize];
    [
        "Offset of field: vz_config::iwad",
    ][::core::mem::offset_of!(vz_config, iwad) - 8usize];
    [
        "Offset of field: vz_config::wad",
    ][::core::mem::offset_of!(vz_config, wad) - 16usize];
    [
        "Offset of field: vz_config::map",
    ][::core::mem::offset_of!(vz_config, map) - 24usize];
    [
        "Offset of field: vz_config::engine_config",
    ][::core::mem::offset_of!(vz_config, engine_config) - 32usize];
    [
        "Offset of field: vz_config::run_dir",
    ][::core::mem::offset_of!(vz_config, run_dir) - 40usize];
    [
        "Offset of field: vz_config::args",
    ][::core::mem::offset_of!(vz_config, args) - 48usize];
    [
        "Offset of field: vz_config::args_len",
    ][::core::mem::offset_of!(vz_config, args_len) - 56usize];
    [
        "Offset of field: vz_config::buttons",
    ][::core::mem::offset_of!(vz_config, buttons) - 64usize];
    [
        "Offset of field: vz_config::buttons_len",
    ][::core::mem::offset_of!(vz_config, buttons_len) - 72usize];
    [
        "Offset of field: vz_config::button_max",
    ][::core::mem::offset_of!(vz_config, button_max) - 80usize];
    [
        "Offset of field: vz_config::variables",
    ][::core::mem::offset_of!(vz_config, variables) - 88usize];
    [
        "Offset of field: vz_config::variables_len",
    ][::core::mem::offset_of!(vz_config, variables_len) - 96usize];
    [
        "Offset of field: vz_config::skill",
    ][::core::mem::offset_of!(vz_config, skill) - 104usize];
    [
        "Offset of field: vz_config::mode",
    ][::core::mem::offset_of!(vz_config, mode) - 108usize];
    [
        "Offset of field: vz_config::screen_format",
    ][::core::mem::offset_of!(vz_config, screen_format) - 112usize];
    [
        "Offset of field: vz_config::automap_mode",
    ][::core::mem::offset_of!(vz_config, automap_mode) - 116usize];
    [
        "Offset of field: vz_config::width",
    ][::core::mem::offset_of!(vz_config, width) - 120usize];
    [
        "Offset of field: vz_config::height",
    ][::core::mem::offset_of!(vz_config, height) - 124usize];
    [
        "Offset of field: vz_config::ticrate",
    ][::core::mem::offset_of!(vz_config, ticrate) - 128usize];
    [
        "Offset of field: vz_config::episode_start_time",
    ][::core::mem::offset_of!(vz_config, episode_start_time) - 132usize];
    [
        "Offset of field: vz_config::episode_timeout",
    ][::core::mem::offset_of!(vz_config, episode_timeout) - 136usize];
    [
        "Offset of field: vz_config::notifications_tics",
    ][::core::mem::offset_of!(vz_config, notifications_tics) - 140usize];
    [
        "Offset of field: vz_config::seed",
    ][::core::mem::offset_of!(vz_config, seed) - 144usize];
    [
        "Offset of field: vz_config::flags",
    ][::core::mem::offset_of!(vz_config, flags) - 148usize];
    [
        "Offset of field: vz_config::rewards",
    ][::core::mem::offset_of!(vz_config, rewards) - 152usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct vz_step {
    pub reward: f64,
    pub total_reward: f64,
    pub tic: u32,
    pub finished: u8,
    pub player_dead: u8,
    pub map_ended: u8,
    pub timed_out: u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vz_step"][::core::mem::size_of::<vz_step>() - 24usize];
    ["Alignment of vz_step"][::core::mem::align_of::<vz_step>() - 8usize];
    [
        "Offset of field: vz_step::reward",
    ][::core::mem::offset_of!(vz_step, reward) - 0usize];
    [
        "Offset of field: vz_step::total_reward",
    ][::core::mem::offset_of!(vz_step, total_reward) - 8usize];
    ["Offset of field: vz_step::tic"][::core::mem::offset_of!(vz_step, tic) - 16usize];
    [
        "Offset of field: vz_step::finished",
    ][::core::mem::offset_of!(vz_step, finished) - 20usize];
    [
        "Offset of field: vz_step::player_dead",
    ][::core::mem::offset_of!(vz_step, player_dead) - 21usize];
    [
        "Offset of field: vz_step::map_ended",
    ][::core::mem::offset_of!(vz_step, map_ended) - 22usize];
    [
        "Offset of field: vz_step::timed_out",
    ][::core::mem::offset_of!(vz_step, timed_out) - 23usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct vz_buffers {
    pub screen: *const u8,
    pub depth: *const u8,
    pub labels: *const u8,
    pub automap: *const u8,
    pub width: u32,
    pub height: u32,
    pub channels: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vz_buffers"][::core::mem::size_of::<vz_buffers>() - 48usize];
    ["Alignment of vz_buffers"][::core::mem::align_of::<vz_buffers>() - 8usize];
    [
        "Offset of field: vz_buffers::screen",
    ][::core::mem::offset_of!(vz_buffers, screen) - 0usize];
    [
        "Offset of field: vz_buffers::depth",
    ][::core::mem::offset_of!(vz_buffers, depth) - 8usize];
    [
        "Offset of field: vz_buffers::labels",
    ][::core::mem::offset_of!(vz_buffers, labels) - 16usize];
    [
        "Offset of field: vz_buffers::automap",
    ][::core::mem::offset_of!(vz_buffers, automap) - 24usize];
    [
        "Offset of field: vz_buffers::width",
    ][::core::mem::offset_of!(vz_buffers, width) - 32usize];
    [
        "Offset of field: vz_buffers::height",
    ][::core::mem::offset_of!(vz_buffers, height) - 36usize];
    [
        "Offset of field: vz_buffers::channels",
    ][::core::mem::offset_of!(vz_buffers, channels) - 40usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct vz_label {
    pub object_id: u32,
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
    pub value: u8,
    pub position: [f64; 9usize],
    pub name: *const ::core::ffi::c_char,
    pub category: *const ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vz_label"][::core::mem::size_of::<vz_label>() - 112usize];
    ["Alignment of vz_label"][::core::mem::align_of::<vz_label>() - 8usize];
    [
        "Offset of field: vz_label::object_id",
    ][::core::mem::offset_of!(vz_label, object_id) - 0usize];
    ["Offset of field: vz_label::x"][::core::mem::offset_of!(vz_label, x) - 4usize];
    ["Offset of field: vz_label::y"][::core::mem::offset_of!(vz_label, y) - 8usize];
    [
        "Offset of field: vz_label::width",
    ][::core::mem::offset_of!(vz_label, width) - 12usize];
    [
        "Offset of field: vz_label::height",
    ][::core::mem::offset_of!(vz_label, height) - 16usize];
    [
        "Offset of field: vz_label::value",
    ][::core::mem::offset_of!(vz_label, value) - 20usize];
    [
        "Offset of field: vz_label::position",
    ][::core::mem::offset_of!(vz_label, position) - 24usize];
    [
        "Offset of field: vz_label::name",
    ][::core::mem::offset_of!(vz_label, name) - 96usize];
    [
        "Offset of field: vz_label::category",
    ][::core::mem::offset_of!(vz_label, category) - 104usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct vz_object {
    pub id: u32,
    pub sector_id: i32,
    pub position: [f64; 9usize],
    pub name: *const ::core::ffi::c_char,
    pub category: *const ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vz_object"][::core::mem::size_of::<vz_object>() - 96usize];
    ["Alignment of vz_object"][::core::mem::align_of::<vz_object>() - 8usize];
    ["Offset of field: vz_object::id"][::core::mem::offset_of!(vz_object, id) - 0usize];
    [
        "Offset of field: vz_object::sector_id",
    ][::core::mem::offset_of!(vz_object, sector_id) - 4usize];
    [
        "Offset of field: vz_object::position",
    ][::core::mem::offset_of!(vz_object, position) - 8usize];
    [
        "Offset of field: vz_object::name",
    ][::core::mem::offset_of!(vz_object, name) - 80usize];
    [
        "Offset of field: vz_object::category",
    ][::core::mem::offset_of!(vz_object, category) - 88usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct vz_sector {
    pub id: u32,
    pub lines_len: u32,
    pub floor_height: f64,
    pub ceiling_height: f64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vz_sector"][::core::mem::size_of::<vz_sector>() - 24usize];
    ["Alignment of vz_sector"][::core::mem::align_of::<vz_sector>() - 8usize];
    ["Offset of field: vz_sector::id"][::core::mem::offset_of!(vz_sector, id) - 0usize];
    [
        "Offset of field: vz_sector::lines_len",
    ][::core::mem::offset_of!(vz_sector, lines_len) - 4usize];
    [
        "Offset of field: vz_sector::floor_height",
    ][::core::mem::offset_of!(vz_sector, floor_height) - 8usize];
    [
        "Offset of field: vz_sector::ceiling_height",
    ][::core::mem::offset_of!(vz_sector, ceiling_height) - 16usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct vz_line {
    pub x1: f64,
    pub y1: f64,
    pub x2: f64,
    pub y2: f64,
    pub is_blocking: u8,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of vz_line"][::core::mem::size_of::<vz_line>() - 40usize];
    ["Alignment of vz_line"][::core::mem::align_of::<vz_line>() - 8usize];
    ["Offset of field: vz_line::x1"][::core::mem::offset_of!(vz_line, x1) - 0usize];
    ["Offset of field: vz_line::y1"][::core::mem::offset_of!(vz_line, y1) - 8usize];
    ["Offset of field: vz_line::x2"][::core::mem::offset_of!(vz_line, x2) - 16usize];
    ["Offset of field: vz_line::y2"][::core::mem::offset_of!(vz_line, y2) - 24usize];
    [
        "Offset of field: vz_line::is_blocking",
    ][::core::mem::offset_of!(vz_line, is_blocking) - 32usize];
};
#[repr(C)]
#[derive(Debug)]
pub struct vz_game {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug)]
pub struct vz_process {
    _unused: [u8; 0],
}
unsafe extern "C" {
    pub fn vz_last_error() -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    pub fn vz_version() -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    pub fn vz_lookup(
        table: vz_names::Type,
        name: *const ::core::ffi::c_char,
        number: *mut i32,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_count(table: vz_names::Type) -> u32;
}
unsafe extern "C" {
    pub fn vz_button_is_delta(button: i32) -> u8;
}
unsafe extern "C" {
    pub fn vz_game_new(
        config: *const vz_config,
        game: *mut *mut vz_game,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_free(game: *mut vz_game);
}
unsafe extern "C" {
    pub fn vz_game_start(game: *mut vz_game, output_fd: i32) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_stop(game: *mut vz_game);
}
unsafe extern "C" {
    pub fn vz_game_is_running(game: *const vz_game) -> u8;
}
unsafe extern "C" {
    pub fn vz_game_process(game: *const vz_game) -> *mut vz_process;
}
unsafe extern "C" {
    pub fn vz_game_instance_id(
        game: *const vz_game,
        text: *mut ::core::ffi::c_char,
        size: usize,
    );
}
unsafe extern "C" {
    pub fn vz_game_new_episode(
        game: *mut vz_game,
        seed: u32,
        record: *const ::core::ffi::c_char,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_replay(
        game: *mut vz_game,
        path: *const ::core::ffi::c_char,
        player: u32,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_step(
        game: *mut vz_game,
        action: *const f64,
        skip: u32,
        step: *mut vz_step,
        variables: *mut f64,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_status(
        game: *const vz_game,
        step: *mut vz_step,
        variables: *mut f64,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_last_action(
        game: *const vz_game,
        action: *mut f64,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_command(
        game: *mut vz_game,
        command: *const ::core::ffi::c_char,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_buffers(
        game: *const vz_game,
        buffers: *mut vz_buffers,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_labels_len(game: *const vz_game) -> u32;
}
unsafe extern "C" {
    pub fn vz_game_label(
        game: *const vz_game,
        index: u32,
        label: *mut vz_label,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_objects_len(game: *const vz_game) -> u32;
}
unsafe extern "C" {
    pub fn vz_game_object(
        game: *const vz_game,
        index: u32,
        object: *mut vz_object,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_sectors_len(game: *const vz_game) -> u32;
}
unsafe extern "C" {
    pub fn vz_game_sector(
        game: *const vz_game,
        index: u32,
        sector: *mut vz_sector,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_line(
        game: *const vz_game,
        sector: u32,
        index: u32,
        line: *mut vz_line,
    ) -> vz_status::Type;
}
unsafe extern "C" {
    pub fn vz_game_notifications(
        game: *const vz_game,
        length: *mut usize,
    ) -> *const ::core::ffi::c_char;
}
unsafe extern "C" {
    pub fn vz_process_kill(process: *const vz_process);
}
unsafe extern "C" {
    pub fn vz_process_pid(process: *const vz_process) -> i32;
}
unsafe extern "C" {
    pub fn vz_process_free(process: *mut vz_process);
}
