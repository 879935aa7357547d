//! What it came to: a row for each episode, and whether every event arrived.

use std::fmt;

use super::{
    feed::Event,
    show::{BOLD, PLAIN, number},
};

/// Name and width of each column; the first text is aligned left, numbers right.
const COLUMNS: [(&str, usize); 10] = [
    ("episode", 7),
    ("seed", 10),
    ("end", 12),
    ("reward", 8),
    ("steps", 6),
    ("tics", 6),
    ("kills", 5),
    ("hits", 5),
    ("ammo used", 9),
    ("survival s", 10),
];

/// Filled event by event; displays itself.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<[String; 10]>,
    seen: Vec<u64>,
    stopped: bool,
}

impl Table {
    pub(super) fn event(&mut self, event: &Event) {
        self.seen.extend(event.seq);
        let payload = &event.payload;
        match event.kind.as_str() {
            "agent.score" => {
                let whole = |name: &str| payload[name].as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string());
                self.rows.push([
                    whole("episode_number"),
                    whole("seed"),
                    payload["end_reason"].as_str().unwrap_or("-").to_owned(),
                    number(payload["total_reward"].as_f64()),
                    whole("steps"),
                    whole("tics"),
                    whole("kills"),
                    whole("hits"),
                    number(payload["ammo_used"].as_f64()),
                    payload["survival_seconds"].as_f64().map_or_else(|| "-".to_owned(), |s| format!("{s:.1}")),
                ]);
            }
            "system.lifecycle" => self.stopped |= payload["state"] == "stopped",
            _ => {}
        }
    }

    /// The agent's last record is here.
    pub(super) fn has_ended(&self) -> bool {
        self.stopped
    }

    /// Such as `603 events, seq 1 to 602, none missing`.
    fn completeness(&self) -> String {
        let mut seen = self.seen.clone();
        seen.sort_unstable();
        seen.dedup();
        let Some(&last) = seen.last() else { return "no event was received".to_owned() };
        let missing: Vec<String> = (1..=last).filter(|seq| seen.binary_search(seq).is_err()).map(|seq| seq.to_string()).collect();
        let missing = match missing.len() {
            0 => "none missing".to_owned(),
            n @ 1..=10 => format!("{n} missing ({})", missing.join(", ")),
            n => format!("{n} missing"),
        };
        let end = if self.stopped { "" } else { "; the agent's last record did not arrive" };
        format!("{} events with seq 1 to {last} received, {missing}{end}.", self.seen.len())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |cells: [&str; 10]| {
            let cells = COLUMNS.iter().zip(cells).map(|(&(name, width), cell)| match name {
                "end" => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ")
        };
        writeln!(f, "{BOLD}{}{PLAIN}", row(COLUMNS.map(|(name, _)| name)))?;
        for cells in &self.rows {
            writeln!(f, "{}", row(cells.each_ref().map(String::as_str)))?;
        }
        write!(f, "\n{}", self.completeness())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str, seq: Option<u64>, payload: Value) -> Event {
        Event { kind: kind.into(), seq, backend: String::new(), payload }
    }

    #[test]
    fn every_episode_has_a_row_and_every_missing_event_is_counted() {
        let mut table = Table::default();
        for seq in [1, 2, 4] {
            table.event(&event("agent.observe", Some(seq), json!({})));
        }
        let score = json!({"episode_number": 1, "seed": 4_294_967_295_u32, "end_reason": "level_exit", "total_reward": -370.5, "steps": 300,
            "tics": 300, "kills": 1, "hits": 2, "ammo_used": 14.0, "survival_seconds": 8.571});
        table.event(&event("agent.score", Some(5), score));
        assert!(!table.has_ended());
        table.event(&event("system.lifecycle", None, json!({"state": "stopped"})));
        assert!(table.has_ended());
        let text = table.to_string();
        assert!(
            text.contains("      1  4294967295  level_exit      -370.5     300     300      1      2         14         8.6"),
            "{text}"
        );
        assert!(text.contains("4 events with seq 1 to 5 received, 1 missing (3)."), "{text}");
    }
}
