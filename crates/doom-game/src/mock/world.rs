//! The game itself: one player, monsters and things in a room, advanced by one tic at a time.
//!
//! A function of the scenario, the seed and the actions; integers only; nothing is allocated after the start.

use super::{
    input::Input,
    layout::{Layout, Placement, Species, Thing},
    math::{Dice, Point, UNIT},
};

const PLAYER_RADIUS: i64 = 16;
pub(super) const MONSTER_RADIUS: i64 = 20;
/// Tics between two shots.
const REFIRE: u32 = 14;
/// How near a thing must be to be taken, in map units.
const TAKE: i64 = 36;

#[derive(Debug, Clone)]
pub(super) struct Monster {
    pub(super) species: Species,
    pub(super) at: Point,
    pub(super) health: i32,
    /// Tics until the next attack, or until it comes back.
    wait: u32,
}

impl Monster {
    pub(super) fn is_alive(&self) -> bool {
        self.health > 0
    }
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) thing: Thing,
    pub(super) at: Point,
    /// Tics until it is there again; 0 when it is.
    pub(super) absent: u32,
}

/// What an episode counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counters {
    pub(super) kills: i64,
    pub(super) hits: i64,
    pub(super) damage: i64,
    pub(super) hits_taken: i64,
    pub(super) damage_taken: i64,
    pub(super) items: i64,
    /// What the map has paid.
    pub(super) map_reward: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Player {
    pub(super) at: Point,
    pub(super) before: Point,
    pub(super) angle: u16,
    /// In 1/65536 turn, up is negative.
    pub(super) pitch: i64,
    pub(super) health: i64,
    pub(super) armor: i64,
    /// 1 fist, 2 pistol, 3 shotgun.
    pub(super) weapon: usize,
    /// By slot.
    pub(super) owned: [bool; 10],
    /// By slot.
    pub(super) ammo: [i64; 10],
    /// Tics until the next shot.
    pub(super) refire: u32,
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) layout: Layout,
    pub(super) player: Player,
    pub(super) monsters: Vec<Monster>,
    pub(super) items: Vec<Item>,
    pub(super) counters: Counters,
    pub(super) tic: u32,
    /// The script ended the level.
    pub(super) exited: bool,
    /// From 1 to 5: how often monsters attack.
    skill: u32,
    dice: Dice,
}

impl World {
    pub(super) fn new(layout: Layout, skill: u32) -> Self {
        let monsters = layout.monsters.iter().map(|s| Monster { species: *s, at: Point::default(), health: 0, wait: 0 }).collect();
        let items = layout.things.iter().map(|t| Item { thing: *t, at: Point::default(), absent: 0 }).collect();
        let player = Player {
            at: layout.start,
            before: layout.start,
            angle: 0,
            pitch: 0,
            health: 100,
            armor: 0,
            weapon: 1,
            owned: [false; 10],
            ammo: [0; 10],
            refire: 0,
        };
        Self { layout, player, monsters, items, counters: Counters::default(), tic: 0, exited: false, skill, dice: Dice::new(0) }
    }

    /// Starts over with a seed.
    pub(super) fn reset(&mut self, seed: u32) {
        self.dice = Dice::new(seed);
        self.counters = Counters::default();
        self.tic = 0;
        self.exited = false;
        let (at, angle) =
            if self.layout.random_start { (self.anywhere(), (self.dice.below(256) as u16) << 8) } else { (self.layout.start, 0) };
        let armed = self.layout.bullets > 0;
        let mut owned = [false; 10];
        (owned[1], owned[2]) = (true, armed);
        let mut ammo = [0; 10];
        ammo[2] = self.layout.bullets;
        self.player =
            Player { at, before: at, angle, pitch: 0, health: 100, armor: 0, weapon: if armed { 2 } else { 1 }, owned, ammo, refire: 0 };
        for i in 0..self.monsters.len() {
            let at = self.place(i);
            let wait = 20 + self.dice.below(40);
            let monster = &mut self.monsters[i];
            (monster.at, monster.health, monster.wait) = (at, monster.species.health, wait);
        }
        for i in 0..self.items.len() {
            let at = self.anywhere();
            let item = &mut self.items[i];
            (item.at, item.absent) = (at, 0);
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.player.health <= 0
    }

    /// One tic.
    pub(super) fn advance(&mut self, input: &Input) {
        self.tic += 1;
        self.drive(input);
        self.shoot(input);
        self.fight();
        self.floor();
        self.take();
    }

    fn drive(&mut self, input: &Input) {
        let player = &mut self.player;
        player.before = player.at;
        player.angle = (i64::from(player.angle) + input.turn).rem_euclid(65536) as u16;
        player.pitch = (player.pitch + input.look).clamp(-16384, 16384);
        if input.ahead != 0 || input.left != 0 {
            let to = player.at.moved(player.angle, input.ahead, input.left);
            let (hx, hy) = ((self.layout.half.0 - PLAYER_RADIUS) * UNIT, (self.layout.half.1 - PLAYER_RADIUS) * UNIT);
            player.at = Point { x: to.x.clamp(-hx, hx), y: to.y.clamp(-hy, hy) };
            if self.layout.progress_reward != 0.0 {
                self.counters.map_reward += (player.at.x - player.before.x) as f64 / UNIT as f64 * self.layout.progress_reward;
            }
        }
        if let Some(slot) = input.select
            && player.owned[slot]
        {
            player.weapon = slot;
        }
        if input.cycle != 0 {
            let mut slot = player.weapon as i64;
            loop {
                slot = (slot + input.cycle).rem_euclid(10);
                if player.owned[slot as usize] {
                    break;
                }
            }
            player.weapon = slot as usize;
        }
    }

    fn shoot(&mut self, input: &Input) {
        let player = &mut self.player;
        player.refire = player.refire.saturating_sub(1);
        if !input.attack || player.refire > 0 {
            return;
        }
        let (reach, pellets) = match player.weapon {
            1 => (64, 1),
            2 => (8192, 1),
            _ => (8192, 3),
        };
        if player.weapon > 1 {
            if player.ammo[player.weapon] == 0 {
                return;
            }
            player.ammo[player.weapon] -= 1;
            self.counters.map_reward += self.layout.shot_reward;
        }
        player.refire = REFIRE;
        let (eye, angle) = (player.at, player.angle);
        let target = self
            .monsters
            .iter_mut()
            .filter(|m| m.is_alive())
            .filter_map(|m| {
                let (ahead, left) = m.at.seen_from(eye, angle);
                (ahead > 0 && ahead < reach * UNIT && left.abs() <= MONSTER_RADIUS * UNIT).then_some((ahead, m))
            })
            .min_by_key(|(ahead, _)| *ahead);
        if let Some((_, monster)) = target {
            let damage = pellets * 5 * (1 + self.dice.below(3)) as i32;
            self.counters.hits += 1;
            self.counters.damage += i64::from(damage.min(monster.health));
            monster.health -= damage;
            if !monster.is_alive() {
                monster.wait = 60 + self.dice.below(90);
                self.counters.kills += 1;
                self.counters.map_reward += self.layout.kill_reward;
                if self.layout.ends_with_last_monster && self.monsters.iter().all(|m| !m.is_alive()) {
                    self.exited = true;
                }
            }
        }
    }

    fn fight(&mut self) {
        for i in 0..self.monsters.len() {
            let monster = &mut self.monsters[i];
            monster.wait = monster.wait.saturating_sub(1);
            if !monster.is_alive() {
                if self.layout.respawn && monster.wait == 0 {
                    let at = self.place(i);
                    let monster = &mut self.monsters[i];
                    (monster.at, monster.health, monster.wait) = (at, monster.species.health, 30);
                }
                continue;
            }
            let reach = monster.species.reach;
            if reach == 0 {
                continue;
            }
            if monster.at.distance2(self.player.at) > (reach * UNIT).pow(2) {
                monster.at = monster.at.towards(self.player.at, monster.species.speed * UNIT);
            } else if monster.wait == 0 {
                // From 60 tics between attacks in the easiest game down to 20 in the hardest.
                monster.wait = 70 - 10 * self.skill;
                let most = monster.species.damage;
                if self.dice.below(256) < 150 {
                    let damage = self.dice.between(1, most);
                    self.hurt(damage);
                }
            }
        }
    }

    /// Armor takes a third, as green armor does.
    fn hurt(&mut self, damage: i64) {
        if self.is_dead() {
            return;
        }
        let saved = (damage / 3).min(self.player.armor);
        self.player.armor -= saved;
        self.player.health -= damage - saved;
        self.counters.hits_taken += 1;
        self.counters.damage_taken += damage - saved;
    }

    fn floor(&mut self) {
        if self.layout.floor_period > 0 && self.tic.is_multiple_of(self.layout.floor_period) {
            self.hurt(8);
        }
    }

    fn take(&mut self) {
        if self.is_dead() {
            return;
        }
        let near = (TAKE * UNIT).pow(2);
        for i in 0..self.items.len() {
            let item = &mut self.items[i];
            if item.absent > 0 {
                item.absent -= 1;
                if item.absent == 0 {
                    let at = self.anywhere();
                    self.items[i].at = at;
                }
                continue;
            }
            if item.at.distance2(self.player.at) > near {
                continue;
            }
            let player = &mut self.player;
            match item.thing {
                Thing::Medikit if player.health >= 100 => continue,
                Thing::Medikit => player.health = (player.health + 25).min(100),
                Thing::Armor => player.armor = 100,
                Thing::Clip => player.ammo[2] = (player.ammo[2] + 10).min(200),
                Thing::Shotgun => {
                    player.owned[3] = true;
                    player.ammo[3] = (player.ammo[3] + 8).min(50);
                }
            }
            self.items[i].absent = 60 + self.dice.below(60);
            self.counters.items += 1;
        }
        if let Some(goal) = self.layout.goal
            && goal.distance2(self.player.at) <= near
            && !self.exited
        {
            self.exited = true;
            self.player.armor = 100;
            self.counters.items += 1;
            self.counters.map_reward += self.layout.goal_reward;
        }
    }

    /// A place of chance in the room, not at its walls.
    fn anywhere(&mut self) -> Point {
        let (hx, hy) = (self.layout.half.0 - 64, self.layout.half.1 - 64);
        let x = self.dice.between(-hx, hx);
        Point::units(x, self.dice.between(-hy, hy))
    }

    /// Where monster `i` appears.
    fn place(&mut self, i: usize) -> Point {
        let (hx, hy) = self.layout.half;
        let i = i as i64;
        match self.layout.placement {
            Placement::FarWall => Point::units(hx - 20, self.dice.between(40 - hy, hy - 40)),
            Placement::Ring => {
                let angle = self.dice.below(65536) as u16;
                self.layout.start.moved(angle, (hx - 40) * UNIT, 0)
            }
            Placement::Sides => {
                let side = if i % 2 == 0 { 1 } else { -1 };
                Point::units(-hx / 2 + (i / 2) * 400 + self.dice.between(-20, 20), side * (hy - 24))
            }
            Placement::Anywhere => self.anywhere(),
        }
    }
}
