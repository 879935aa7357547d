//! libvizdoom's own tables of names.

use std::ffi::{CStr, CString};

use vizdoom_sys::{self as sys, vz_names, vz_status};

use crate::Error;

/// A table of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Buttons, such as `ATTACK`.
    Button,
    /// Game variables, such as `HEALTH`.
    Variable,
    /// Screen formats, such as `GRAY8`.
    ScreenFormat,
    /// Screen resolutions, such as `RES_160X120`.
    Resolution,
    /// Modes, such as `PLAYER`.
    Mode,
    /// Automap modes, such as `WHOLE`.
    AutomapMode,
}

impl Table {
    fn raw(self) -> vz_names::Type {
        match self {
            Self::Button => vz_names::VZ_NAMES_BUTTON,
            Self::Variable => vz_names::VZ_NAMES_VARIABLE,
            Self::ScreenFormat => vz_names::VZ_NAMES_SCREEN_FORMAT,
            Self::Resolution => vz_names::VZ_NAMES_RESOLUTION,
            Self::Mode => vz_names::VZ_NAMES_MODE,
            Self::AutomapMode => vz_names::VZ_NAMES_AUTOMAP_MODE,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Button => "button",
            Self::Variable => "game variable",
            Self::ScreenFormat => "screen format",
            Self::Resolution => "screen resolution",
            Self::Mode => "mode",
            Self::AutomapMode => "automap mode",
        }
    }
}

/// libvizdoom's number of a name. Case does not matter.
///
/// # Errors
/// [`Error::UnknownName`].
pub fn lookup(table: Table, name: &str) -> Result<i32, Error> {
    let unknown = || Error::UnknownName { what: table.what(), name: name.into() };
    let text = CString::new(name).map_err(|_| unknown())?;
    let mut number = 0;
    // SAFETY: `text` is terminated and `number` is a place for the answer; neither is kept.
    let status = unsafe { sys::vz_lookup(table.raw(), text.as_ptr(), &raw mut number) };
    if status == vz_status::VZ_OK { Ok(number) } else { Err(unknown()) }
}

/// How many names a table has; their numbers are 0 to this, exclusive.
#[must_use]
pub fn count(table: Table) -> u32 {
    // SAFETY: takes no pointer.
    unsafe { sys::vz_count(table.raw()) }
}

/// Whether a button (libvizdoom's number) takes any number, instead of 0 and 1.
#[must_use]
pub fn is_delta(button: i32) -> bool {
    // SAFETY: takes no pointer; any number is allowed.
    unsafe { sys::vz_button_is_delta(button) != 0 }
}

/// The version that library and engine have, such as `1.3.2`.
#[must_use]
pub fn version() -> &'static str {
    // SAFETY: a string literal of the library.
    unsafe { CStr::from_ptr(sys::vz_version()) }.to_str().unwrap_or_default()
}
