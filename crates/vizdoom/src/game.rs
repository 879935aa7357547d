//! The handle on one game.

use std::{
    ffi::{CStr, CString, c_char},
    io,
    os::{fd::AsRawFd, unix::fs::symlink},
    path::{Path, PathBuf},
    ptr::{self, NonNull},
    time::Duration,
};

use vizdoom_sys::{self as sys, vz_status};

use crate::{
    Config, Error, Image, Killer, Label, Line, Object, Sector,
    check::check,
    instance::Note,
    process::Output,
    raw::{create, status, text},
};

/// How long an engine may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// The result of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "the causes are independent, and the caller ranks them")]
pub struct Step {
    /// The reward of this step, over all its tics.
    pub reward: f64,
    /// The reward of the episode.
    pub total_reward: f64,
    /// The last map tic that was played; it stays right after the map was left.
    pub tic: u32,
    /// The episode is over, for one or more of the causes below.
    pub finished: bool,
    /// The player is dead (in a game of one player; in others, players come back).
    pub player_dead: bool,
    /// The map was left, or its script ended it.
    pub map_ended: bool,
    /// The timeout ran out.
    pub timed_out: bool,
}

/// One game, with its engine running. After an error other than misuse ([`Error::is_misuse`]) the engine is gone: drop it.
pub struct Game {
    raw: NonNull<sys::vz_game>,
    killer: Killer,
    output: Output,
    run_dir: PathBuf,
    buttons: usize,
    variables: Vec<f64>,
    last: Step,
    recordings: u32,
    link: Option<PathBuf>,
    note: Note,
}

// SAFETY: a vz_game may move between threads as long as one uses it at a time; nothing in it is bound to a thread.
unsafe impl Send for Game {}

impl Game {
    /// Starts the engine and waits until the map runs.
    ///
    /// # Errors
    /// A refusal ([`Error::is_refusal`]) before the engine starts, or [`Error::Start`] with what the engine wrote. Nothing of the
    /// engine is left then.
    pub fn start(config: &Config, timeout: Duration) -> Result<Self, Error> {
        let checked = check(config)?;
        let note = Note::begin(&checked.run_dir);
        let raw = create(config, &checked)?;
        // SAFETY: `raw` was just made.
        let process = unsafe { sys::vz_game_process(raw.as_ptr()) };
        let (Some(killer), Ok((reader, writer))) = (Killer::new(process), io::pipe()) else {
            // SAFETY: `raw` was just made and is used no more.
            unsafe { sys::vz_game_free(raw.as_ptr()) };
            return Err(Error::Other("out of memory or file descriptors".into()));
        };
        let mut game = Self {
            raw,
            killer,
            output: Output::read(reader),
            run_dir: checked.run_dir,
            buttons: checked.buttons.len(),
            variables: vec![0.0; checked.variables.len()],
            last: Step::default(),
            recordings: 0,
            link: None,
            note,
        };
        let (started, late) = game.killer.within(timeout, || {
            // SAFETY: `raw` is valid; the descriptor stays open until the call returns, and the engine has a copy.
            status(unsafe { sys::vz_game_start(raw.as_ptr(), writer.as_raw_fd()) })
        });
        drop(writer);
        if let Err(error) = started {
            let output = game.output.finish();
            let source = if late { Error::StartTimeout(timeout) } else { error };
            return Err(Error::Start { source: Box::new(source), output });
        }
        game.refresh()?;
        Ok(game)
    }

    /// For the watchdog.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// Whether the engine is there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        // SAFETY: `raw` is valid.
        unsafe { sys::vz_game_is_running(self.raw.as_ptr()) != 0 }
    }

    /// The engine's instance id, which names its files in `/dev/shm`.
    #[must_use]
    pub fn instance(&self) -> String {
        let mut text: [c_char; 32] = [0; 32];
        // SAFETY: `text` has room for the size given, and is terminated by the call.
        let text = unsafe {
            sys::vz_game_instance_id(self.raw.as_ptr(), text.as_mut_ptr(), text.len());
            CStr::from_ptr(text.as_ptr())
        };
        text.to_string_lossy().into_owned()
    }

    /// Starts an episode. With `record`, the engine writes it to that file when the next episode starts or the game is dropped.
    ///
    /// # Errors
    /// [`Error::Recording`] where it cannot be written; else the engine failed.
    pub fn new_episode(&mut self, seed: u32, record: Option<&Path>) -> Result<(), Error> {
        let link = record.map(|path| self.link_recording(path)).transpose()?;
        let name = link.as_ref().map(|(_, name)| name.as_ptr()).unwrap_or(ptr::null());
        // SAFETY: `raw` is valid and `name` is null or terminated; it is copied.
        let started = status(unsafe { sys::vz_game_new_episode(self.raw.as_ptr(), seed, name) });
        self.unlink_recording(); // the one before, which the engine has written by now
        self.link = link.map(|(path, _)| path);
        started?;
        self.refresh()
    }

    /// Plays a recorded episode, seen by `player` (0: whoever recorded); steps then ignore their action.
    ///
    /// # Errors
    /// [`Error::Recording`] where there is no such file; else the engine failed.
    pub fn replay(&mut self, file: &Path, player: u32) -> Result<(), Error> {
        let refuse = |problem: String| Error::Recording { path: file.into(), problem };
        let absolute = file.canonicalize().map_err(|e| refuse(format!("cannot be read: {e}")))?;
        // A console command has at most 128 bytes, so that the engine gets a short name for it.
        self.recordings += 1;
        let link = self.run_dir.join(format!("replay-{}.lmp", self.recordings));
        let path = if absolute.as_os_str().len() <= 100 { &absolute } else { &link };
        if path.as_os_str().len() > 116 {
            return Err(refuse(format!("the paths of it and of the run directory {} are too long", self.run_dir.display())));
        }
        let text = text(path)?;
        if path == &link {
            symlink(&absolute, &link).map_err(|e| refuse(format!("cannot be linked in the run directory: {e}")))?;
        }
        // SAFETY: `raw` is valid and `text` is terminated; it is copied.
        let started = status(unsafe { sys::vz_game_replay(self.raw.as_ptr(), text.as_ptr(), player) });
        let _ = std::fs::remove_file(&link);
        self.unlink_recording();
        started?;
        self.refresh()
    }

    /// Holds `action`, one number for each button, for `skip` tics, or fewer where the episode ends inside.
    ///
    /// # Errors
    /// [`Error::ActionLength`], [`Error::NoTics`], [`Error::EpisodeFinished`] change nothing; else the engine failed.
    pub fn step(&mut self, action: &[f64], skip: u32) -> Result<Step, Error> {
        if action.len() != self.buttons {
            return Err(Error::ActionLength { got: action.len(), want: self.buttons });
        }
        if skip == 0 {
            return Err(Error::NoTics);
        }
        let mut raw = RAW_STEP;
        // SAFETY: `raw` is valid; `action` has one number for each button and `variables` one place for each variable.
        status(unsafe { sys::vz_game_step(self.raw.as_ptr(), action.as_ptr(), skip, &raw mut raw, self.variables.as_mut_ptr()) })?;
        self.last = raw.into();
        Ok(self.last)
    }

    /// What the last step returned, or the start of the episode.
    #[must_use]
    pub fn last(&self) -> Step {
        self.last
    }

    /// The variables after the last step, in the order of the configuration; also on the terminal tic.
    #[must_use]
    pub fn variables(&self) -> &[f64] {
        &self.variables
    }

    /// The action that was played last: of interest in a replay.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub fn last_action(&self) -> Result<Vec<f64>, Error> {
        let mut action = vec![0.0; self.buttons];
        // SAFETY: `action` has one place for each button.
        status(unsafe { sys::vz_game_last_action(self.raw.as_ptr(), action.as_mut_ptr()) })?;
        Ok(action)
    }

    /// Sends a console command of at most 128 bytes; the engine obeys with the next step.
    ///
    /// # Errors
    /// [`Error::BadArgument`] where it is too long; else the engine failed.
    pub fn command(&mut self, command: &str) -> Result<(), Error> {
        let command = text(Path::new(command))?;
        // SAFETY: terminated, and copied.
        status(unsafe { sys::vz_game_command(self.raw.as_ptr(), command.as_ptr()) })
    }

    /// The screen.
    #[must_use]
    pub fn screen(&self) -> Option<Image<'_>> {
        self.buffers().and_then(|b| image(b.screen, &b, b.channels))
    }

    /// Distances, one byte a pixel, where they are on.
    #[must_use]
    pub fn depth(&self) -> Option<Image<'_>> {
        self.buffers().and_then(|b| image(b.depth, &b, 1))
    }

    /// For each pixel the [`Label::value`] of what is seen there, where it is on.
    #[must_use]
    pub fn labels_buffer(&self) -> Option<Image<'_>> {
        self.buffers().and_then(|b| image(b.labels, &b, 1))
    }

    /// The automap in the screen's format, where it is on.
    #[must_use]
    pub fn automap(&self) -> Option<Image<'_>> {
        self.buffers().and_then(|b| image(b.automap, &b, b.channels))
    }

    /// The visible objects, where labels are on.
    pub fn labels(&self) -> impl Iterator<Item = Label<'_>> {
        // SAFETY: `raw` is valid.
        let count = unsafe { sys::vz_game_labels_len(self.raw.as_ptr()) };
        (0..count).filter_map(|index| {
            let mut raw = EMPTY_LABEL;
            // SAFETY: `raw` is a place for the answer.
            let found = unsafe { sys::vz_game_label(self.raw.as_ptr(), index, &raw mut raw) } == vz_status::VZ_OK;
            let [x, y, z, angle, pitch, roll, vx, vy, vz] = raw.position;
            found.then(|| Label {
                id: raw.object_id,
                // SAFETY: terminated by the engine, and unchanged until the next step, which needs `&mut self`.
                name: unsafe { shared_text(raw.name) },
                // SAFETY: as above.
                category: unsafe { shared_text(raw.category) },
                value: raw.value,
                x: raw.x,
                y: raw.y,
                width: raw.width,
                height: raw.height,
                position: [x, y, z],
                angles: [angle, pitch, roll],
                velocity: [vx, vy, vz],
            })
        })
    }

    /// All objects of the map, where they are on.
    pub fn objects(&self) -> impl Iterator<Item = Object<'_>> {
        // SAFETY: `raw` is valid.
        let count = unsafe { sys::vz_game_objects_len(self.raw.as_ptr()) };
        (0..count).filter_map(|index| {
            let mut raw = sys::vz_object { id: 0, sector_id: 0, position: [0.0; 9], name: ptr::null(), category: ptr::null() };
            // SAFETY: `raw` is a place for the answer.
            let found = unsafe { sys::vz_game_object(self.raw.as_ptr(), index, &raw mut raw) } == vz_status::VZ_OK;
            let [x, y, z, angle, pitch, roll, vx, vy, vz] = raw.position;
            found.then(|| Object {
                id: raw.id,
                sector: raw.sector_id,
                // SAFETY: terminated by the engine, and unchanged until the next step, which needs `&mut self`.
                name: unsafe { shared_text(raw.name) },
                // SAFETY: as above.
                category: unsafe { shared_text(raw.category) },
                position: [x, y, z],
                angles: [angle, pitch, roll],
                velocity: [vx, vy, vz],
            })
        })
    }

    /// All sectors of the map, where they are on.
    pub fn sectors(&self) -> impl Iterator<Item = Sector> {
        // SAFETY: `raw` is valid.
        let count = unsafe { sys::vz_game_sectors_len(self.raw.as_ptr()) };
        (0..count).filter_map(|sector| {
            let mut raw = sys::vz_sector { id: 0, lines_len: 0, floor_height: 0.0, ceiling_height: 0.0 };
            // SAFETY: `raw` is a place for the answer.
            let found = unsafe { sys::vz_game_sector(self.raw.as_ptr(), sector, &raw mut raw) } == vz_status::VZ_OK;
            found.then(|| Sector {
                id: raw.id,
                floor_height: raw.floor_height,
                ceiling_height: raw.ceiling_height,
                lines: (0..raw.lines_len).filter_map(|index| self.line(sector, index)).collect(),
            })
        })
    }

    fn line(&self, sector: u32, index: u32) -> Option<Line> {
        let mut raw = sys::vz_line { x1: 0.0, y1: 0.0, x2: 0.0, y2: 0.0, is_blocking: 0 };
        // SAFETY: `raw` is a place for the answer.
        let found = unsafe { sys::vz_game_line(self.raw.as_ptr(), sector, index, &raw mut raw) } == vz_status::VZ_OK;
        found.then_some(Line { x1: raw.x1, y1: raw.y1, x2: raw.x2, y2: raw.y2, is_blocking: raw.is_blocking != 0 })
    }

    /// What the game told the player of late, where notifications are on.
    #[must_use]
    pub fn notifications(&self) -> String {
        let mut length = 0;
        // SAFETY: the pointer is valid for `length` bytes until the next step, and they are copied here.
        let bytes = unsafe {
            let text = sys::vz_game_notifications(self.raw.as_ptr(), &raw mut length);
            std::slice::from_raw_parts(text.cast::<u8>(), length)
        };
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn buffers(&self) -> Option<sys::vz_buffers> {
        let none = ptr::null();
        let mut raw = sys::vz_buffers { screen: none, depth: none, labels: none, automap: none, width: 0, height: 0, channels: 0 };
        // SAFETY: `raw` is a place for the answer.
        let found = unsafe { sys::vz_game_buffers(self.raw.as_ptr(), &raw mut raw) } == vz_status::VZ_OK;
        found.then_some(raw)
    }

    fn refresh(&mut self) -> Result<(), Error> {
        let mut raw = RAW_STEP;
        // SAFETY: `raw` is a place for the answer and `variables` has one for each variable.
        status(unsafe { sys::vz_game_status(self.raw.as_ptr(), &raw mut raw, self.variables.as_mut_ptr()) })?;
        self.last = raw.into();
        Ok(())
    }

    /// Links a short name in the run directory to where the recording goes: the command that names it has at most 128 bytes, and
    /// the engine would drop a longer one and wait for ever.
    fn link_recording(&mut self, path: &Path) -> Result<(PathBuf, CString), Error> {
        let refuse = |problem: String| Error::Recording { path: path.into(), problem };
        let target = std::path::absolute(path).map_err(|e| refuse(e.to_string()))?;
        // Made now: so that a place that cannot be written to is known before the episode, not after it.
        std::fs::File::create(&target).map_err(|e| refuse(format!("cannot be written: {e}")))?;
        self.recordings += 1;
        let name = format!("record-{}.lmp", self.recordings);
        let link = self.run_dir.join(&name);
        let _ = std::fs::remove_file(&link); // of an earlier game that was killed
        symlink(target, &link).map_err(|e| refuse(format!("cannot be linked in the run directory: {e}")))?;
        Ok((link, text(Path::new(&name))?))
    }

    fn unlink_recording(&mut self) {
        if let Some(link) = self.link.take() {
            let _ = std::fs::remove_file(link);
        }
    }
}

impl Drop for Game {
    fn drop(&mut self) {
        let raw = self.raw.as_ptr();
        self.killer.within(GRACE, || {
            // SAFETY: `raw` is valid.
            unsafe { sys::vz_game_stop(raw) }
        });
        // SAFETY: `raw` is valid, stopped, and used no more: the killer has a handle of its own.
        unsafe { sys::vz_game_free(raw) }
        self.unlink_recording();
        self.note.end();
        self.output.finish();
    }
}

impl std::fmt::Debug for Game {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Game").field("killer", &self.killer).field("last", &self.last).finish_non_exhaustive()
    }
}

const RAW_STEP: sys::vz_step =
    sys::vz_step { reward: 0.0, total_reward: 0.0, tic: 0, finished: 0, player_dead: 0, map_ended: 0, timed_out: 0 };

const EMPTY_LABEL: sys::vz_label =
    sys::vz_label { object_id: 0, x: 0, y: 0, width: 0, height: 0, value: 0, position: [0.0; 9], name: ptr::null(), category: ptr::null() };

impl From<sys::vz_step> for Step {
    fn from(raw: sys::vz_step) -> Self {
        Self {
            reward: raw.reward,
            total_reward: raw.total_reward,
            tic: raw.tic,
            finished: raw.finished != 0,
            player_dead: raw.player_dead != 0,
            map_ended: raw.map_ended != 0,
            timed_out: raw.timed_out != 0,
        }
    }
}

/// # Safety
/// Null, or terminated and unchanged for `'a`.
unsafe fn shared_text<'a>(text: *const c_char) -> &'a str {
    if text.is_null() {
        return "";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("?")
}

fn image<'a>(data: *const u8, buffers: &sys::vz_buffers, channels: u32) -> Option<Image<'a>> {
    if data.is_null() {
        return None;
    }
    let length = buffers.width as usize * buffers.height as usize * channels as usize;
    // SAFETY: the shim's header gives this length; the memory stays mapped until the engine stops, and the engine writes to it
    // during steps only, both of which need `&mut Game`. (In the modes that do not wait for the agent the engine writes at any
    // time; a picture may then be torn.)
    let data = unsafe { std::slice::from_raw_parts(data, length) };
    Some(Image { data, width: buffers.width, height: buffers.height, channels })
}
