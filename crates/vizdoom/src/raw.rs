//! From our types to the shim's and back: configurations, texts, status codes.

use std::{
    ffi::{CStr, CString, c_char},
    path::Path,
    ptr::{self, NonNull},
};

use vizdoom_sys::{self as sys, vz_flag, vz_status};

use crate::{Config, Error, check::Checked};

pub(crate) fn text(path: &Path) -> Result<CString, Error> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::BadArgument(format!("{} has a zero byte", path.display())))
}

pub(crate) fn status(status: vz_status::Type) -> Result<(), Error> {
    if status == vz_status::VZ_OK {
        return Ok(());
    }
    // SAFETY: terminated, and valid until this thread's next failure; copied here.
    let text = unsafe { CStr::from_ptr(sys::vz_last_error()) }.to_string_lossy().into_owned();
    Err(match status {
        vz_status::VZ_FILE_DOES_NOT_EXIST => Error::FileDoesNotExist(text),
        vz_status::VZ_MESSAGE_QUEUE => Error::MessageQueue(text),
        vz_status::VZ_SHARED_MEMORY => Error::SharedMemory(text),
        vz_status::VZ_ENGINE_ERROR => Error::Engine(text),
        vz_status::VZ_NOT_RUNNING => Error::NotRunning,
        vz_status::VZ_UNEXPECTED_EXIT => Error::UnexpectedExit(text),
        vz_status::VZ_NO_OPENAL_SOUND => Error::NoOpenAlSound(text),
        vz_status::VZ_BAD_ARGUMENT => Error::BadArgument(text),
        vz_status::VZ_EPISODE_FINISHED => Error::EpisodeFinished,
        _ => Error::Other(text),
    })
}

pub(crate) fn create(config: &Config, checked: &Checked) -> Result<NonNull<sys::vz_game>, Error> {
    let executable = text(&checked.executable)?;
    let iwad = text(&checked.iwad)?;
    let wad = checked.wad.as_deref().map(text).transpose()?;
    let map = text(Path::new(&config.map))?;
    let engine_config = checked.engine_config.as_deref().map(text).transpose()?;
    let run_dir = text(&checked.run_dir)?;
    let args = config.args.iter().map(|arg| text(Path::new(arg))).collect::<Result<Vec<_>, _>>()?;
    let arg_pointers: Vec<*const c_char> = args.iter().map(|arg| arg.as_ptr()).collect();
    let or_null = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let rewards = &config.rewards;
    let raw = sys::vz_config {
        executable: executable.as_ptr(),
        iwad: iwad.as_ptr(),
        wad: or_null(&wad),
        map: map.as_ptr(),
        engine_config: or_null(&engine_config),
        run_dir: run_dir.as_ptr(),
        args: arg_pointers.as_ptr(),
        args_len: arg_pointers.len(),
        buttons: checked.buttons.as_ptr(),
        buttons_len: checked.buttons.len(),
        button_max: checked.button_max.as_ptr(),
        variables: checked.variables.as_ptr(),
        variables_len: checked.variables.len(),
        skill: checked.skill,
        mode: checked.mode,
        screen_format: checked.screen_format,
        automap_mode: checked.automap_mode,
        width: config.resolution.0,
        height: config.resolution.1,
        ticrate: config.ticrate,
        episode_start_time: config.episode_start_time,
        episode_timeout: config.episode_timeout,
        notifications_tics: config.buffers.notifications_tics.max(1),
        seed: config.seed,
        flags: flags(config),
        rewards: sys::vz_rewards {
            living: rewards.living,
            death_penalty: rewards.death_penalty,
            map_exit: rewards.map_exit,
            kill: rewards.kill,
            secret: rewards.secret,
            item: rewards.item,
            frag: rewards.frag,
            hit: rewards.hit,
            hit_taken_penalty: rewards.hit_taken_penalty,
            damage_made: rewards.damage_made,
            damage_taken_penalty: rewards.damage_taken_penalty,
            health: rewards.health,
            armor: rewards.armor,
        },
    };
    let mut game = ptr::null_mut();
    // SAFETY: every pointer in `raw` lives until the call returns and has the length beside it; all is copied.
    status(unsafe { sys::vz_game_new(&raw const raw, &raw mut game) })?;
    NonNull::new(game).ok_or_else(|| Error::Other("no game was made".into()))
}

fn flags(config: &Config) -> vz_flag::Type {
    let render = &config.render;
    let buffers = &config.buffers;
    let automap = buffers.automap.as_ref();
    [
        (render.hud, vz_flag::VZ_HUD),
        (render.minimal_hud, vz_flag::VZ_MINIMAL_HUD),
        (render.weapon, vz_flag::VZ_WEAPON),
        (render.crosshair, vz_flag::VZ_CROSSHAIR),
        (render.decals, vz_flag::VZ_DECALS),
        (render.particles, vz_flag::VZ_PARTICLES),
        (render.effects_sprites, vz_flag::VZ_EFFECTS_SPRITES),
        (render.messages, vz_flag::VZ_MESSAGES),
        (render.corpses, vz_flag::VZ_CORPSES),
        (render.screen_flashes, vz_flag::VZ_SCREEN_FLASHES),
        (render.all_frames, vz_flag::VZ_ALL_FRAMES),
        (buffers.depth, vz_flag::VZ_DEPTH),
        (buffers.labels, vz_flag::VZ_LABELS),
        (automap.is_some(), vz_flag::VZ_AUTOMAP),
        (automap.is_some_and(|a| a.rotate), vz_flag::VZ_AUTOMAP_ROTATE),
        (automap.is_none_or(|a| a.textures), vz_flag::VZ_AUTOMAP_TEXTURES),
        (automap.is_some_and(|a| a.sprites), vz_flag::VZ_AUTOMAP_SPRITES),
        (buffers.objects, vz_flag::VZ_OBJECTS),
        (buffers.sectors, vz_flag::VZ_SECTORS),
        (config.window, vz_flag::VZ_WINDOW),
        (config.console, vz_flag::VZ_CONSOLE),
        (config.sound, vz_flag::VZ_SOUND),
        (buffers.notifications_tics > 0, vz_flag::VZ_NOTIFICATIONS),
    ]
    .into_iter()
    .filter_map(|(on, flag)| on.then_some(flag))
    .fold(0, |flags, flag| flags | flag)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, mem::discriminant};

    use super::*;

    #[test]
    fn every_exception_of_libvizdoom_has_a_variant_of_its_own() {
        let causes = [
            vz_status::VZ_FILE_DOES_NOT_EXIST,
            vz_status::VZ_MESSAGE_QUEUE,
            vz_status::VZ_SHARED_MEMORY,
            vz_status::VZ_ENGINE_ERROR,
            vz_status::VZ_NOT_RUNNING,
            vz_status::VZ_UNEXPECTED_EXIT,
            vz_status::VZ_NO_OPENAL_SOUND,
            vz_status::VZ_BAD_ARGUMENT,
            vz_status::VZ_EPISODE_FINISHED,
            vz_status::VZ_OTHER,
        ];
        let variants: HashSet<_> = causes.iter().map(|cause| discriminant(&status(*cause).unwrap_err())).collect();
        assert_eq!(variants.len(), causes.len());
        assert!(status(vz_status::VZ_OK).is_ok());
    }
}
