//! The world as numbers: game variables, and the reward of a step.

use super::{math::UNIT, world::World};
use crate::{backend::End, names::Variable, scenario::Rewards};

/// The player's eyes above the floor, in map units.
const VIEW_HEIGHT: f64 = 41.0;

/// A game variable's value; one that the mock has nothing for is 0.
pub(super) fn value(world: &World, variable: Variable, deaths: u32) -> f64 {
    let player = &world.player;
    let counters = &world.counters;
    let flag = |b: bool| f64::from(u8::from(b));
    let (x, y) = player.at.to_units();
    match variable {
        Variable::KILLCOUNT => counters.kills as f64,
        Variable::ITEMCOUNT => counters.items as f64,
        Variable::DEATHCOUNT => f64::from(deaths),
        Variable::HITCOUNT => counters.hits as f64,
        Variable::HITS_TAKEN => counters.hits_taken as f64,
        Variable::DAMAGECOUNT => counters.damage as f64,
        Variable::DAMAGE_TAKEN => counters.damage_taken as f64,
        Variable::HEALTH => player.health as f64,
        Variable::ARMOR => player.armor as f64,
        Variable::DEAD => flag(world.is_dead()),
        Variable::ON_GROUND | Variable::PLAYER_COUNT => 1.0,
        Variable::ATTACK_READY => flag(player.refire == 0),
        Variable::SELECTED_WEAPON => player.weapon as f64,
        Variable::SELECTED_WEAPON_AMMO => player.ammo[player.weapon] as f64,
        Variable::POSITION_X | Variable::CAMERA_POSITION_X => x,
        Variable::POSITION_Y | Variable::CAMERA_POSITION_Y => y,
        Variable::CAMERA_POSITION_Z | Variable::VIEW_HEIGHT => VIEW_HEIGHT,
        Variable::ANGLE | Variable::CAMERA_ANGLE => f64::from(player.angle) * 360.0 / 65536.0,
        Variable::PITCH | Variable::CAMERA_PITCH => player.pitch as f64 * 360.0 / 65536.0,
        Variable::VELOCITY_X => (player.at.x - player.before.x) as f64 / UNIT as f64,
        Variable::VELOCITY_Y => (player.at.y - player.before.y) as f64 / UNIT as f64,
        Variable::CAMERA_FOV => 90.0,
        // The chaingun's slot shows the pistol's bullets, as in the engine.
        Variable::AMMO4 => player.ammo[2] as f64,
        other => slot(other, Variable::AMMO0)
            .map(|i| player.ammo[i] as f64)
            .or_else(|| slot(other, Variable::WEAPON0).map(|i| flag(player.owned[i])))
            .unwrap_or(0.0),
    }
}

/// The slot (0 to 9) of a variable in a family that starts at `first`.
fn slot(variable: Variable, first: Variable) -> Option<usize> {
    variable.index().checked_sub(first.index()).filter(|i| *i < 10)
}

/// What rewards are differences of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals {
    counters: super::world::Counters,
    health: i64,
    armor: i64,
}

impl Totals {
    pub(super) fn of(world: &World) -> Self {
        Self { counters: world.counters, health: world.player.health, armor: world.player.armor }
    }

    /// The reward of a step of `tics`, by the scenario's rates and the map's own payments.
    pub(super) fn reward_since(&self, before: &Self, rates: &Rewards, tics: u32, end: Option<End>) -> f64 {
        let (now, then) = (&self.counters, &before.counters);
        let gain = |now: i64, then: i64| (now - then) as f64;
        let mut reward = f64::from(tics) * rates.living_reward + now.map_reward - then.map_reward;
        reward += gain(now.kills, then.kills) * rates.kill_reward;
        reward += gain(now.items, then.items) * rates.item_reward;
        reward += gain(now.hits, then.hits) * rates.hit_reward;
        reward += gain(now.damage, then.damage) * rates.damage_made_reward;
        reward -= gain(now.hits_taken, then.hits_taken) * rates.hit_taken_penalty;
        reward -= gain(now.damage_taken, then.damage_taken) * rates.damage_taken_penalty;
        // Losses of these cost nothing, as upstream.
        reward += gain(self.health, before.health).max(0.0) * rates.health_reward;
        reward += gain(self.armor, before.armor).max(0.0) * rates.armor_reward;
        match end {
            Some(End::Death) => reward - rates.death_penalty,
            Some(End::LevelExit) => reward + rates.map_exit_reward,
            _ => reward,
        }
    }
}
