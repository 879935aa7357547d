//! The enumerations of a scenario: screen formats and resolutions, mode, automap mode, audio sampling rate.
//!
//! Source: upstream `include/ViZDoomTypes.h`; names are matched without regard to case.

use std::str::FromStr;

use crate::names::UnknownName;

/// An enum with upstream's names and numbers.
macro_rules! upstream_enum {
    ($(#[$doc:meta])* $type:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$vdoc])* $variant),* }

        impl $type {
            /// All of them, in upstream's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            const NAMES: &'static [&'static str] = &[$($name),*];
            /// Upstream's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;
            fn from_str(s: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|x| x.name().eq_ignore_ascii_case(s)).ok_or_else(|| UnknownName::new($what, s, Self::NAMES))
            }
        }
    };
}

upstream_enum!(
    /// How the pixels of the screen buffer are laid out. Upstream's number is the position in [`ScreenFormat::ALL`].
    ScreenFormat, "screen format", {
    /// Three planes: red, green, blue.
    Crcgcb = "CRCGCB",
    /// Interleaved red, green, blue.
    Rgb24 = "RGB24",
    /// Interleaved red, green, blue, alpha.
    Rgba32 = "RGBA32",
    /// Interleaved alpha, red, green, blue.
    Argb32 = "ARGB32",
    /// Three planes: blue, green, red.
    Cbcgcr = "CBCGCR",
    /// Interleaved blue, green, red.
    Bgr24 = "BGR24",
    /// Interleaved blue, green, red, alpha.
    Bgra32 = "BGRA32",
    /// Interleaved alpha, blue, green, red.
    Abgr32 = "ABGR32",
    /// One byte of brightness.
    Gray8 = "GRAY8",
    /// One byte, an index into Doom's palette.
    Doom256Colors8 = "DOOM_256_COLORS8",
});

impl ScreenFormat {
    /// Bytes per pixel: 1, 3 or 4.
    #[must_use]
    pub fn channels(self) -> u32 {
        match self {
            Self::Crcgcb | Self::Rgb24 | Self::Cbcgcr | Self::Bgr24 => 3,
            Self::Rgba32 | Self::Argb32 | Self::Bgra32 | Self::Abgr32 => 4,
            Self::Gray8 | Self::Doom256Colors8 => 1,
        }
    }

    /// The channels of red, green and blue; none where a byte is no mixture of them.
    #[must_use]
    pub fn rgb(self) -> Option<[usize; 3]> {
        match self {
            Self::Crcgcb | Self::Rgb24 | Self::Rgba32 => Some([0, 1, 2]),
            Self::Cbcgcr | Self::Bgr24 | Self::Bgra32 => Some([2, 1, 0]),
            Self::Argb32 => Some([1, 2, 3]),
            Self::Abgr32 => Some([3, 2, 1]),
            Self::Gray8 | Self::Doom256Colors8 => None,
        }
    }

    /// Whether each channel is a plane of its own.
    #[must_use]
    pub fn is_planar(self) -> bool {
        matches!(self, Self::Crcgcb | Self::Cbcgcr)
    }
}

upstream_enum!(
    /// Who drives the game, and whether it waits for them.
    Mode, "mode", {
    /// The agent, and the game waits for it.
    Player = "PLAYER",
    /// The agent, in real time: the game does not wait.
    AsyncPlayer = "ASYNC_PLAYER",
});

upstream_enum!(
    /// What the automap shows.
    AutomapMode, "automap mode", {
    /// What the player has seen.
    Normal = "NORMAL",
    /// All of the map.
    Whole = "WHOLE",
    /// All of the map and its objects.
    Objects = "OBJECTS",
    /// The same, objects in their size.
    ObjectsWithSize = "OBJECTS_WITH_SIZE",
});

upstream_enum!(
    /// Samples per second of the audio buffer.
    SamplingRate, "sampling rate", {
    /// 11,025 Hz.
    Sr11025 = "SR_11025",
    /// 22,050 Hz.
    Sr22050 = "SR_22050",
    /// 44,100 Hz.
    Sr44100 = "SR_44100",
});

/// Declares the resolutions by their sizes.
macro_rules! resolutions {
    ($($width:literal x $height:literal),* $(,)?) => {
        const SIZES: &[(u32, u32)] = &[$(($width, $height)),*];
        const RESOLUTION_NAMES: &[&str] = &[$(concat!("RES_", $width, "X", $height)),*];
    };
}

resolutions!(
    160 x 120, 200 x 125, 200 x 150, 256 x 144, 256 x 160, 256 x 192, 320 x 180, 320 x 200, 320 x 240, 320 x 256, 400 x 225, 400 x 250,
    400 x 300, 512 x 288, 512 x 320, 512 x 384, 640 x 360, 640 x 400, 640 x 480, 800 x 450, 800 x 500, 800 x 600, 1024 x 576,
    1024 x 640, 1024 x 768, 1280 x 720, 1280 x 800, 1280 x 960, 1280 x 1024, 1400 x 787, 1400 x 875, 1400 x 1050, 1600 x 900,
    1600 x 1000, 1600 x 1200, 1920 x 1080,
);

/// One of the engine's 36 screen sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScreenResolution(u8);

impl ScreenResolution {
    /// 320x240, upstream's default.
    pub const DEFAULT: Self = Self(8);

    /// All of them, in upstream's order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u8..).zip(SIZES).map(|(n, _)| Self(n))
    }
    /// Upstream's number.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
    /// Upstream's name, such as `RES_320X240`.
    #[must_use]
    pub fn name(self) -> &'static str {
        RESOLUTION_NAMES[self.index()]
    }
    /// In pixels.
    #[must_use]
    pub fn width(self) -> u32 {
        SIZES[self.index()].0
    }
    /// In pixels.
    #[must_use]
    pub fn height(self) -> u32 {
        SIZES[self.index()].1
    }
}

impl FromStr for ScreenResolution {
    type Err = UnknownName;
    fn from_str(s: &str) -> Result<Self, UnknownName> {
        Self::all().find(|r| r.name().eq_ignore_ascii_case(s)).ok_or_else(|| UnknownName::new("screen resolution", s, RESOLUTION_NAMES))
    }
}
