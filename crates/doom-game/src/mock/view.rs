//! What the player sees: labels of whoever is in sight, and pixels (walls by distance, monsters and things as boxes).

use super::{
    layout::Thing,
    math::{Point, UNIT, sin_cos},
    world::World,
};
use crate::{
    backend::{Frame, Label},
    scenario::{Scenario, ScreenFormat},
};

const MONSTER_HEIGHT: i64 = 56;
const MONSTER_WIDTH: i64 = 40;
const THING_SIZE: i64 = 16;
const WALL_HEIGHT: i64 = 128;
const CEILING: u8 = 30;
const FLOOR: u8 = 60;

/// A column of the picture: the wall from `top` to `bottom`.
#[derive(Debug, Clone, Copy, Default)]
struct Column {
    top: u16,
    bottom: u16,
    bright: u8,
}

/// The last picture and its labels; made once, drawn over.
#[derive(Debug)]
pub(super) struct View {
    width: u32,
    height: u32,
    format: ScreenFormat,
    draws: bool,
    wants_labels: bool,
    gray: Vec<u8>,
    columns: Vec<Column>,
    pixels: Vec<u8>,
    /// One for each object; those in sight come first.
    labels: Vec<Label>,
    in_sight: usize,
    terminal: bool,
}

impl View {
    pub(super) fn new(scenario: &Scenario, draws: bool, wants_labels: bool, world: &World) -> Self {
        let (width, height) = (scenario.screen_resolution.width(), scenario.screen_resolution.height());
        let format = scenario.screen_format;
        let size = if draws { (width * height) as usize } else { 0 };
        let monsters = world.monsters.iter().map(|m| (m.species.name, "Monster"));
        let names = monsters.chain(world.items.iter().map(|i| (i.thing.name(), i.thing.category())));
        let label = |(id, (name, category)): (usize, (&str, &str))| Label {
            name: name.to_owned(),
            category: category.to_owned(),
            id: id as u32,
            x: 0,
            y: 0,
            width: 0,
            height: 0,
            position: [0.0; 3],
        };
        Self {
            width,
            height,
            format,
            draws,
            wants_labels,
            gray: vec![0; size],
            columns: vec![Column::default(); if draws { width as usize } else { 0 }],
            pixels: vec![0; size * format.channels() as usize],
            labels: names.enumerate().map(label).collect(),
            in_sight: 0,
            terminal: true,
        }
    }

    pub(super) fn labels(&self) -> &[Label] {
        &self.labels[..self.in_sight]
    }

    pub(super) fn frame(&self) -> Option<Frame<'_>> {
        let (width, height) = (self.width, self.height);
        (self.draws && !self.terminal).then(|| Frame {
            data: &self.pixels,
            width,
            height,
            channels: self.format.channels(),
            format: self.format.name(),
        })
    }

    /// Draws the world; nothing is seen on the terminal tic.
    pub(super) fn draw(&mut self, world: &World, terminal: bool) {
        self.terminal = terminal;
        self.in_sight = 0;
        if terminal || !(self.draws || self.wants_labels) {
            return;
        }
        if self.draws {
            self.walls(world);
        }
        let monsters = world.monsters.len();
        // Monsters stir, so that no picture of them stays as it is.
        let stir = (world.tic / 4 % 16) as u8;
        for (i, monster) in world.monsters.iter().enumerate().filter(|(_, m)| m.is_alive()) {
            self.object(world, i, monster.at, MONSTER_WIDTH, MONSTER_HEIGHT, 230 - stir);
        }
        for (i, item) in world.items.iter().enumerate().filter(|(_, i)| i.absent == 0) {
            let bright = if item.thing == Thing::Medikit { 200 } else { 170 };
            self.object(world, monsters + i, item.at, THING_SIZE, THING_SIZE, bright);
        }
        if self.draws {
            self.convert();
        }
    }

    /// An object's box (with a view of 90 degrees), where it is in sight.
    fn object(&mut self, world: &World, id: usize, at: Point, wide: i64, high: i64, bright: u8) {
        let (w, h) = (i64::from(self.width), i64::from(self.height));
        let (ahead, left) = at.seen_from(world.player.at, world.player.angle);
        if ahead < 8 * UNIT {
            return;
        }
        let centre = w / 2 - left * w / 2 / ahead;
        let half = (wide * UNIT * w / 4 / ahead).max(1);
        let tall = (high * UNIT * w / 2 / ahead).clamp(1, h);
        let (x0, x1) = ((centre - half).clamp(0, w), (centre + half).clamp(0, w));
        if x0 >= x1 {
            return;
        }
        // Feet stand on the floor, which lies the eyes' height below the middle.
        let bottom = (h / 2 + 41 * UNIT * w / 2 / ahead).clamp(1, h);
        let top = (bottom - tall).max(0);
        if self.draws {
            for y in top..bottom {
                let row = (y * w) as usize;
                self.gray[row + x0 as usize..row + x1 as usize].fill(bright);
            }
        }
        if !self.wants_labels {
            return;
        }
        let Some(place) = self.labels.iter().position(|l| l.id as usize == id) else { return };
        self.labels.swap(place, self.in_sight);
        let (x, y) = at.to_units();
        let label = &mut self.labels[self.in_sight];
        (label.x, label.width) = (x0 as u32, (x1 - x0) as u32);
        (label.y, label.height) = (top as u32, (bottom - top) as u32);
        label.position = [x, y, 0.0];
        self.in_sight += 1;
    }

    /// A room: ceiling, wall by distance, floor.
    fn walls(&mut self, world: &World) {
        let (w, h) = (i64::from(self.width), i64::from(self.height));
        let player = &world.player;
        let (sin, cos) = sin_cos(player.angle);
        let (hx, hy) = (world.layout.half.0 * UNIT, world.layout.half.1 * UNIT);
        for x in 0..w {
            // The direction of the column: ahead 1, left from 1 to -1, in 1/65536.
            let left = (w / 2 - x) * 65536 * 2 / w;
            let (dx, dy) = (cos - ((sin * left) >> 16), sin + ((cos * left) >> 16));
            let along = |d: i64, position: i64, half: i64| match d {
                0 => i64::MAX,
                d if d > 0 => (half - position) * 65536 / d,
                d => (half + position) * 65536 / -d,
            };
            let distance = along(dx, player.at.x, hx).min(along(dy, player.at.y, hy)).max(UNIT);
            let tall = (WALL_HEIGHT * UNIT * w / 2 / distance).clamp(1, h);
            let bright = (200 - (distance / UNIT / 8).min(160)) as u8;
            let (top, bottom) = ((h - tall) / 2, (h + tall) / 2);
            self.columns[x as usize] = Column { top: top as u16, bottom: bottom as u16, bright };
        }
        // By rows, as the picture lies in memory.
        for (y, row) in (0u16..).zip(self.gray.chunks_exact_mut(w as usize)) {
            for (pixel, column) in row.iter_mut().zip(&self.columns) {
                let wall = if y < column.bottom { column.bright } else { FLOOR };
                *pixel = if y < column.top { CEILING } else { wall };
            }
        }
    }

    /// From brightness to the scenario's format.
    fn convert(&mut self) {
        let channels = self.format.channels() as usize;
        if channels == 1 {
            self.pixels.copy_from_slice(&self.gray);
        } else if self.format.is_planar() {
            for plane in self.pixels.chunks_exact_mut(self.gray.len()) {
                plane.copy_from_slice(&self.gray);
            }
        } else {
            // The alpha of the formats that have one is full.
            let alpha = match self.format {
                ScreenFormat::Argb32 | ScreenFormat::Abgr32 => Some(0),
                ScreenFormat::Rgba32 | ScreenFormat::Bgra32 => Some(3),
                _ => None,
            };
            for (pixel, gray) in self.pixels.chunks_exact_mut(channels).zip(&self.gray) {
                pixel.fill(*gray);
                if let Some(alpha) = alpha {
                    pixel[alpha] = 255;
                }
            }
        }
    }
}
