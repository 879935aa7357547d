//! What the engine shows between two steps, borrowed from the memory that it shares.

/// A buffer; it lives until the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    /// `height * width * channels` bytes, interleaved or planar as the screen format says.
    pub data: &'a [u8],
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// 1, 3 or 4.
    pub channels: u32,
}

/// A visible object and its box on the screen, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label<'a> {
    /// Unique within the episode.
    pub id: u32,
    /// The name of its class, such as `Cacodemon`.
    pub name: &'a str,
    /// Such as `Monster`.
    pub category: &'a str,
    /// Its value in the labels buffer.
    pub value: u8,
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// x, y, z in map units.
    pub position: [f64; 3],
    /// Angle, pitch, roll in degrees.
    pub angles: [f64; 3],
    /// x, y, z in map units per tic.
    pub velocity: [f64; 3],
}

/// An object of the map, seen or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object<'a> {
    /// Unique within the episode.
    pub id: u32,
    /// The sector that it is in; negative where there is none.
    pub sector: i32,
    /// The name of its class.
    pub name: &'a str,
    /// Such as `Monster`.
    pub category: &'a str,
    /// x, y, z in map units.
    pub position: [f64; 3],
    /// Angle, pitch, roll in degrees.
    pub angles: [f64; 3],
    /// x, y, z in map units per tic.
    pub velocity: [f64; 3],
}

/// A sector of the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Sector {
    /// The map's number of it.
    pub id: u32,
    /// In map units.
    pub floor_height: f64,
    /// In map units.
    pub ceiling_height: f64,
    /// Its outline.
    pub lines: Vec<Line>,
}

/// A line of a sector, in map units.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "coordinates")]
pub struct Line {
    pub x1: f64,
    pub y1: f64,
    pub x2: f64,
    pub y2: f64,
    /// Whether players cannot pass.
    pub is_blocking: bool,
}
