//! Rows of one kind of event as columns in memory, and which columns there are.
//!
//! The fixed columns stand in the order of the payload's definition, whatever order a producer writes in. Variables and factors have a column
//! each behind them, in the order in which they first appear.

use doom_protocol::EventKind;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Integer,
    Float,
    Flag,
    Text,
    /// Microseconds since 1970.
    Time,
}

/// The values of a column; those that are there alone.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Flags(Vec<bool>),
    /// All texts one after the other, and where each ends.
    Texts(Vec<u8>, Vec<usize>),
    Times(Vec<i64>),
}

/// One column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) values: Values,
    /// For each row 1 where it has a value, 0 where it has none (Parquet's definition levels).
    pub(crate) present: Vec<i16>,
}

impl Column {
    fn new(name: String, kind: Type) -> Self {
        let values = match kind {
            Type::Integer => Values::Integers(Vec::new()),
            Type::Float => Values::Floats(Vec::new()),
            Type::Flag => Values::Flags(Vec::new()),
            Type::Text => Values::Texts(Vec::new(), Vec::new()),
            Type::Time => Values::Times(Vec::new()),
        };
        Self { name, kind, values, present: Vec::new() }
    }

    fn clear(&mut self) {
        self.present.clear();
        match &mut self.values {
            Values::Integers(list) | Values::Times(list) => list.clear(),
            Values::Floats(list) => list.clear(),
            Values::Flags(list) => list.clear(),
            Values::Texts(bytes, ends) => {
                bytes.clear();
                ends.clear();
            }
        }
    }

    fn pop(&mut self) {
        if self.present.pop() != Some(1) {
            return;
        }
        match &mut self.values {
            Values::Integers(list) | Values::Times(list) => drop(list.pop()),
            Values::Floats(list) => drop(list.pop()),
            Values::Flags(list) => drop(list.pop()),
            Values::Texts(bytes, ends) => {
                ends.pop();
                bytes.truncate(ends.last().copied().unwrap_or(0));
            }
        }
    }
}

/// One cell's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Integer(i64),
    Float(f64),
    Flag(bool),
    Text(&'a str),
}

/// Rows, column by column.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: usize,
}

impl Rows {
    /// A further column; rows before have no value in it.
    pub(crate) fn add(&mut self, name: String, kind: Type) -> usize {
        self.columns.push(Column::new(name, kind));
        self.columns.len() - 1
    }

    /// Puts a value into the row that is being made.
    ///
    /// # Errors
    /// Where it does not fit the column, or the column has one already.
    pub(crate) fn put(&mut self, column: usize, cell: Cell<'_>) -> Result<(), String> {
        let rows = self.rows;
        let Some(column) = self.columns.get_mut(column) else { return Ok(()) };
        if column.present.len() > rows {
            return Err(format!("{} stands twice", column.name));
        }
        match (&mut column.values, cell) {
            (Values::Integers(list), Cell::Integer(n)) => list.push(n),
            (Values::Floats(list), Cell::Float(n)) => list.push(n),
            #[expect(clippy::cast_precision_loss, reason = "a number where a float belongs, such as 1 for 1.0")]
            (Values::Floats(list), Cell::Integer(n)) => list.push(n as f64),
            (Values::Flags(list), Cell::Flag(flag)) => list.push(flag),
            (Values::Texts(bytes, ends), cell) => {
                match cell {
                    Cell::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                    Cell::Integer(n) => bytes.extend_from_slice(n.to_string().as_bytes()),
                    Cell::Float(n) => bytes.extend_from_slice(n.to_string().as_bytes()),
                    Cell::Flag(flag) => bytes.extend_from_slice(flag.to_string().as_bytes()),
                }
                ends.push(bytes.len());
            }
            (Values::Times(list), Cell::Text(text)) => list.push(micros(text)?),
            (_, cell) => return Err(format!("{} is {cell:?}, and should be {:?}", column.name, column.kind)),
        }
        column.present.resize(rows, 0);
        column.present.push(1);
        Ok(())
    }

    /// The row is whole.
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
    }

    /// The row that is being made comes to nothing.
    pub(crate) fn undo_row(&mut self) {
        let rows = self.rows;
        self.columns.iter_mut().filter(|column| column.present.len() > rows).for_each(Column::pop);
    }

    /// Every column is as long as there are rows.
    pub(crate) fn level(&mut self) {
        for column in &mut self.columns {
            column.present.resize(self.rows, 0);
        }
    }

    /// No rows any more; the columns stay.
    pub(crate) fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        self.rows = 0;
    }
}

/// An instant as it travels, by hand where it has the wire's usual form.
fn micros(text: &str) -> Result<i64, String> {
    text.parse::<doom_protocol::Timestamp>().map(doom_protocol::Timestamp::as_micros)
}

/// Where a field of the payload goes.
#[derive(Debug)]
pub(crate) enum Place {
    /// Into this column.
    Column(usize),
    /// Its own fields have places.
    Object(Fields),
    /// Each of its entries has a column: prefix, type, and what is known so far.
    Map(&'static str, Type, Fields),
    /// Flags, as `0` and `1`, into this column.
    Flags(usize),
    /// Texts without blanks, with blanks between them, into this column.
    List(usize),
}

/// Fields by name. Producers write them in the same order again and again, so the one after the last is tried first.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) known: Vec<(String, Place)>,
    pub(crate) next: usize,
}

impl Fields {
    /// The index of a field.
    pub(crate) fn find(&mut self, name: &str) -> Option<usize> {
        let here = self.known.get(self.next).is_some_and(|(known, _)| known == name);
        let found = if here { self.next } else { self.known.iter().position(|(known, _)| known == name)? };
        self.next = found + 1;
        Some(found)
    }
}

use Type::{Flag, Float, Integer, Text, Time};

const EPISODE: [(&str, Type); 6] =
    [("agent_id", Text), ("timestamp", Time), ("episode_id", Text), ("experiment_id", Text), ("run_id", Integer), ("generation_id", Text)];

/// A payload's own fields after those of every episode; `a.b` is a field within a field, `NAME*` a map, `NAME#` flags, `NAME+` a list.
fn own(kind: EventKind) -> &'static [(&'static str, Type)] {
    match kind {
        EventKind::Action => &[
            ("step", Integer),
            ("tic", Integer),
            ("action.action_id", Integer),
            ("action.action_type", Text),
            ("action.buttons#", Text),
            ("frame_skip", Integer),
            ("policy", Text),
            ("decision_us", Integer),
            ("action.values*", Float),
        ],
        EventKind::Observe => &[
            ("step", Integer),
            ("tic", Integer),
            ("reward", Float),
            ("total_reward", Float),
            ("terminated", Flag),
            ("truncated", Flag),
            ("variables*", Float),
        ],
        EventKind::Death => &[
            ("tic", Integer),
            ("step", Integer),
            ("position.x", Float),
            ("position.y", Float),
            ("position.z", Float),
            ("health", Float),
            ("kills", Integer),
            ("damage_taken", Float),
            ("survival_seconds", Float),
        ],
        EventKind::Score | EventKind::Generation => &[
            ("episode_number", Integer),
            ("evaluation_id", Text),
            ("evaluation_episode", Integer),
            ("seed", Integer),
            ("scenario", Text),
            ("scenario_sha256", Text),
            ("policy", Text),
            ("policy_sha256", Text),
            ("backend", Text),
            ("engine_version", Text),
            ("end_reason", Text),
            ("total_reward", Float),
            ("steps", Integer),
            ("tics", Integer),
            ("frame_skip", Integer),
            ("survival_seconds", Float),
            ("kills", Integer),
            ("kill_rate", Float),
            ("damage_dealt", Float),
            ("damage_taken", Float),
            ("hits", Integer),
            ("items", Integer),
            ("ammo_used", Float),
            ("ammo_efficiency", Float),
            ("cells_visited", Integer),
            ("rule_match_rate", Float),
            ("decision_us.p50", Integer),
            ("decision_us.p99", Integer),
            ("decision_us.max", Integer),
            ("wall_seconds", Float),
            ("telemetry.produced", Integer),
            ("telemetry.dropped", Integer),
            ("telemetry.unconfirmed", Integer),
            ("started_at", Time),
            ("completed_at", Time),
            ("final_variables*", Float),
        ],
        EventKind::Stage => &[
            ("number", Integer),
            ("population", Integer),
            ("episodes", Integer),
            ("next_generation_id", Text),
            ("selected+", Text),
            ("method", Text),
            ("evaluations_completed", Integer),
            ("evaluations_failed", Integer),
            ("best_evaluation_id", Text),
            ("best_fitness", Float),
        ],
        EventKind::Experiment => &[
            ("phase", Text),
            ("status", Text),
            ("metadata.run_id", Integer),
            ("metadata.episodes_completed", Integer),
            ("metadata.episodes_total", Integer),
            ("metadata.factors*", Text),
        ],
        EventKind::Metric => &[("metric_name", Text), ("value", Float)],
        EventKind::Error => &[("instance", Text), ("kind", Text), ("message", Text), ("fatal", Flag)],
        EventKind::Lifecycle => &[
            ("instance", Text),
            ("state", Text),
            ("exit_code", Integer),
            ("ledger.produced", Integer),
            ("ledger.dropped", Integer),
            ("ledger.unconfirmed", Integer),
            ("ledger.stored", Integer),
            ("records.spooled", Integer),
            ("records.lost", Integer),
        ],
    }
}

/// Of every kind: what the server and the headers say, and the envelope.
pub(crate) const SEQUENCE: usize = 0;
pub(crate) const SEQ: usize = 1;
pub(crate) const INSTANCE: usize = 2;
pub(crate) const BACKEND: usize = 3;
pub(crate) const TRACE: usize = 4;
pub(crate) const TYPE: usize = 5;

/// The columns of a kind, and where each field of its payload goes.
pub(crate) fn table(kind: EventKind) -> (Rows, Fields) {
    let mut rows = Rows::default();
    for (name, kind) in
        [("stream_sequence", Integer), ("seq", Integer), ("instance", Text), ("backend", Text), ("trace_id", Text), ("type", Text)]
    {
        rows.add(name.to_owned(), kind);
    }
    let mut fields = Fields::default();
    for &(path, kind) in EPISODE.iter().chain(own(kind)) {
        place(&mut rows, &mut fields, path, path, kind);
    }
    (rows, fields)
}

fn place(rows: &mut Rows, fields: &mut Fields, path: &str, whole: &'static str, kind: Type) {
    if let Some((outer, rest)) = path.split_once('.') {
        let known = fields.known.iter().position(|(name, _)| name == outer);
        let index = known.unwrap_or_else(|| {
            fields.known.push((outer.to_owned(), Place::Object(Fields::default())));
            fields.known.len() - 1
        });
        if let Some((_, Place::Object(inner))) = fields.known.get_mut(index) {
            place(rows, inner, rest, whole, kind);
        }
        return;
    }
    if let Some(name) = path.strip_suffix('*') {
        let prefix = match name {
            "variables" | "final_variables" => "variable_",
            "factors" => "factor_",
            _ => "value_",
        };
        fields.known.push((name.to_owned(), Place::Map(prefix, kind, Fields::default())));
        return;
    }
    let name =
        whole.trim_end_matches(['#', '+']).replace('.', "_").replace("action_action_", "action_").replace("action_buttons", "buttons");
    // What the headers say of every event, a score and a fault say of themselves too.
    let same = rows.columns.iter().position(|column| column.name == name);
    let column = same.unwrap_or_else(|| rows.add(name, kind));
    let place = match path.chars().next_back() {
        Some('#') => Place::Flags(column),
        Some('+') => Place::List(column),
        _ => Place::Column(column),
    };
    fields.known.push((path.trim_end_matches(['#', '+']).to_owned(), place));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_a_stable_order_and_no_name_twice() {
        for kind in EventKind::ALL {
            let (rows, _) = table(kind);
            let mut names: Vec<_> = rows.columns.iter().map(|column| column.name.clone()).collect();
            assert_eq!(
                names[..8],
                ["stream_sequence", "seq", "instance", "backend", "trace_id", "type", "agent_id", "timestamp"],
                "{kind}"
            );
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{kind}: {names:?}");
        }
    }
}
