//! An episode's figures, from differences of the game's counters at every observation.

use std::collections::HashSet;

use doom_game::{Needs, Schema, Variable};

/// Edge of a square of `cells_visited`, in map units.
const CELL: f64 = 64.0;

/// The counters that a score is made of.
const COUNTERS: [Variable; 6] =
    [Variable::KILLCOUNT, Variable::DAMAGECOUNT, Variable::DAMAGE_TAKEN, Variable::HITCOUNT, Variable::ITEMCOUNT, Variable::HEALTH];
const POSITION: [Variable; 3] = [Variable::POSITION_X, Variable::POSITION_Y, Variable::POSITION_Z];
const AMMO: [Variable; 10] = [
    Variable::AMMO0,
    Variable::AMMO1,
    Variable::AMMO2,
    Variable::AMMO3,
    Variable::AMMO4,
    Variable::AMMO5,
    Variable::AMMO6,
    Variable::AMMO7,
    Variable::AMMO8,
    Variable::AMMO9,
];
/// Slots that show the ammunition of another slot: pistol (2) and chaingun (4) share bullets, plasma rifle (6) and BFG (7) cells.
/// A shot would count twice if both were added up.
const SHARED: [(usize, usize); 2] = [(2, 4), (6, 7)];

/// What the score needs, whether the scenario lists it or not.
pub(crate) fn score_needs() -> Needs {
    let variables = COUNTERS.into_iter().chain([Variable::DEAD]).chain(POSITION).chain(AMMO).collect();
    Needs { variables, ..Needs::default() }
}

/// Where the counters stand in an observation.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    counters: [usize; 6],
    position: [usize; 3],
    ammo: [usize; 10],
}

impl Places {
    /// Where a backend's schema has them. A variable that is missing is a fault of the backend.
    pub(crate) fn find(schema: &Schema) -> Result<Self, String> {
        fn all<const N: usize>(schema: &Schema, names: [Variable; N]) -> Result<[usize; N], String> {
            let mut places = [0; N];
            for (place, name) in places.iter_mut().zip(names) {
                *place = schema.variable(name).ok_or_else(|| format!("the game does not give {name}, which the score needs"))?;
            }
            Ok(places)
        }
        Ok(Self { counters: all(schema, COUNTERS)?, position: all(schema, POSITION)?, ammo: all(schema, AMMO)? })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tally {
    places: Places,
    first: [f64; 6],
    last: [f64; 6],
    ammo: [f64; 10],
    ammo_used: f64,
    position: [f64; 3],
    cell: Option<(i32, i32)>,
    cells: HashSet<(i32, i32)>,
}

impl Tally {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            places,
            first: [0.0; 6],
            last: [0.0; 6],
            ammo: [0.0; 10],
            ammo_used: 0.0,
            position: [0.0; 3],
            cell: None,
            cells: HashSet::with_capacity(1024),
        }
    }

    /// The reset's observation.
    pub(crate) fn begin(&mut self, variables: &[f64]) {
        self.cells.clear();
        self.cell = None;
        self.ammo_used = 0.0;
        self.ammo = pick(variables, &self.places.ammo);
        self.see(variables);
        self.first = self.last;
    }

    /// Any further observation.
    pub(crate) fn see(&mut self, variables: &[f64]) {
        self.last = pick(variables, &self.places.counters);
        self.position = pick(variables, &self.places.position);
        let ammo = pick(variables, &self.places.ammo);
        let mut used: [f64; 10] = std::array::from_fn(|i| (self.ammo[i] - ammo[i]).max(0.0));
        for (slot, same) in SHARED {
            used[slot] = used[slot].max(used[same]);
            used[same] = 0.0;
        }
        self.ammo_used += used.iter().sum::<f64>();
        self.ammo = ammo;
        // A float that is out of range saturates, which is good enough for a map of 65,536 units.
        let cell = ((self.position[0] / CELL).floor() as i32, (self.position[1] / CELL).floor() as i32);
        if self.cell != Some(cell) {
            self.cell = Some(cell);
            self.cells.insert(cell);
        }
    }

    fn gain(&self, i: usize) -> f64 {
        self.last[i] - self.first[i]
    }

    pub(crate) fn kills(&self) -> i64 {
        self.gain(0) as i64
    }

    pub(crate) fn damage_dealt(&self) -> f64 {
        self.gain(1)
    }

    pub(crate) fn damage_taken(&self) -> f64 {
        self.gain(2)
    }

    pub(crate) fn hits(&self) -> i64 {
        self.gain(3) as i64
    }

    pub(crate) fn items(&self) -> i64 {
        self.gain(4) as i64
    }

    pub(crate) fn health(&self) -> f64 {
        self.last[5]
    }

    pub(crate) fn ammo_used(&self) -> f64 {
        self.ammo_used
    }

    pub(crate) fn position(&self) -> [f64; 3] {
        self.position
    }

    pub(crate) fn cells_visited(&self) -> u64 {
        self.cells.len() as u64
    }
}

fn pick<const N: usize>(variables: &[f64], places: &[usize; N]) -> [f64; N] {
    places.map(|i| variables.get(i).copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema { buttons: vec![], variables: score_needs().variables, scenario_variables: 0, screen: (160, 120) }
    }

    #[test]
    fn ammunition_counts_decreases_only_and_counters_count_from_the_reset() {
        let schema = schema();
        let at = |v| schema.variable(v).unwrap();
        let mut now = vec![0.0; schema.variables.len()];
        now[at(Variable::AMMO2)] = 50.0;
        now[at(Variable::AMMO4)] = 50.0;
        now[at(Variable::KILLCOUNT)] = 3.0;
        let mut tally = Tally::new(Places::find(&schema).unwrap());
        tally.begin(&now);
        for ammo in [48.0, 58.0, 55.0] {
            now[at(Variable::AMMO2)] = ammo;
            now[at(Variable::AMMO4)] = ammo;
            now[at(Variable::POSITION_X)] += 64.0;
            tally.see(&now);
        }
        now[at(Variable::KILLCOUNT)] = 5.0;
        tally.see(&now);
        assert_eq!((tally.ammo_used(), tally.kills(), tally.cells_visited()), (5.0, 2, 4));
    }
}
