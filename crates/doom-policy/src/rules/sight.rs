//! What rules see of the labels: how many of a group there are, and one of them, in units that no resolution changes.

use doom_game::Label;

/// Groups by the engine's category, and their names in a rules file.
pub(super) const CATEGORIES: [(&str, &str); 10] = [
    ("monsters", "Monster"),
    ("players", "Player"),
    ("health", "Health"),
    ("armor", "Armor"),
    ("ammo", "Ammo"),
    ("weapons", "Weapon"),
    ("keys", "Key"),
    ("powerups", "Powerup"),
    ("hazards", "Hazard"),
    ("explosives", "Explosive"),
];

/// Any of these categories and classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) categories: Vec<&'static str>,
    pub(super) classes: Vec<String>,
}

impl Group {
    pub(super) fn add_category(&mut self, category: &'static str) {
        if !self.categories.contains(&category) {
            self.categories.push(category);
        }
    }

    pub(super) fn add_class(&mut self, class: &str) {
        if !self.classes.iter().any(|c| c.eq_ignore_ascii_case(class)) {
            self.classes.push(class.to_owned());
        }
    }

    /// What is in both is there once, so that groups of groups of groups stay small.
    pub(super) fn add(&mut self, other: &Self) {
        other.categories.iter().for_each(|category| self.add_category(category));
        other.classes.iter().for_each(|class| self.add_class(class));
    }

    pub(super) fn len(&self) -> usize {
        self.categories.len() + self.classes.len()
    }

    fn has(&self, label: &Label) -> bool {
        self.categories.iter().any(|c| *c == label.category) || self.classes.iter().any(|c| c.eq_ignore_ascii_case(&label.name))
    }
}

/// Which one of a group is looked at; of equals the engine's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The nearest on the map.
    Nearest,
    /// The one whose box is the largest.
    Largest,
    /// The one whose box is the nearest to the frame's middle column.
    Central,
}

impl By {
    pub(super) const ALL: [(&str, Self); 3] = [("nearest", Self::Nearest), ("largest", Self::Largest), ("central", Self::Central)];

    /// The smaller, the better.
    fn rank(self, seen: &Seen) -> f64 {
        match self {
            Self::Nearest => seen.distance,
            Self::Largest => -seen.width * seen.height,
            Self::Central => ((seen.left + seen.right) / 2.0).abs(),
        }
    }
}

/// A number of the one that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    X,
    Y,
    Left,
    Right,
    Width,
    Height,
    Distance,
}

impl Field {
    pub(super) const ALL: [(&str, Self); 7] = [
        ("x", Self::X),
        ("y", Self::Y),
        ("left", Self::Left),
        ("right", Self::Right),
        ("width", Self::Width),
        ("height", Self::Height),
        ("distance", Self::Distance),
    ];
}

/// One label: places from -1 (left, top) to 1 (right, bottom), sizes as shares of the frame, distance in map units.
#[derive(Debug, Clone, Copy)]
struct Seen {
    left: f64,
    right: f64,
    y: f64,
    width: f64,
    height: f64,
    distance: f64,
}

/// Counts and picks for one observation; nothing is allocated after it was made.
#[derive(Debug, Default)]
pub(super) struct Sight {
    groups: Vec<Group>,
    picks: Vec<(usize, By)>,
    screen: (f64, f64),
    counts: Vec<f64>,
    picked: Vec<Option<Seen>>,
}

impl Sight {
    /// `picks` are indices of groups; `screen` is in pixels.
    pub(super) fn new(groups: &[Group], picks: &[(usize, By)], screen: (u32, u32)) -> Self {
        Self {
            counts: vec![0.0; groups.len()],
            picked: vec![None; picks.len()],
            groups: groups.to_vec(),
            picks: picks.to_vec(),
            screen: (f64::from(screen.0.max(1)), f64::from(screen.1.max(1))),
        }
    }

    /// Looks at the labels from the player's place on the map.
    pub(super) fn look(&mut self, labels: &[Label], player: (f64, f64)) {
        self.picked.fill(None);
        let (width, height) = self.screen;
        for (g, (group, count)) in self.groups.iter().zip(&mut self.counts).enumerate() {
            *count = 0.0;
            for label in labels.iter().filter(|label| group.has(label)) {
                *count += 1.0;
                let (dx, dy) = (label.position[0] - player.0, label.position[1] - player.1);
                let place = |pixel: f64, of: f64| 2.0 * pixel / of - 1.0;
                let seen = Seen {
                    left: place(f64::from(label.x), width),
                    right: place(f64::from(label.x) + f64::from(label.width), width),
                    y: place(f64::from(label.y) + f64::from(label.height) / 2.0, height),
                    width: f64::from(label.width) / width,
                    height: f64::from(label.height) / height,
                    distance: (dx * dx + dy * dy).sqrt(),
                };
                for ((_, by), best) in self.picks.iter().zip(&mut self.picked).filter(|((of, _), _)| *of == g) {
                    if best.is_none_or(|best| by.rank(&seen) < by.rank(&best)) {
                        *best = Some(seen);
                    }
                }
            }
        }
    }

    pub(super) fn count(&self, group: usize) -> f64 {
        self.counts.get(group).copied().unwrap_or(0.0)
    }

    /// Not a number where there is none.
    pub(super) fn field(&self, pick: usize, field: Field) -> f64 {
        let Some(seen) = self.picked.get(pick).copied().flatten() else { return f64::NAN };
        match field {
            Field::X => (seen.left + seen.right) / 2.0,
            Field::Y => seen.y,
            Field::Left => seen.left,
            Field::Right => seen.right,
            Field::Width => seen.width,
            Field::Height => seen.height,
            Field::Distance => seen.distance,
        }
    }
}
