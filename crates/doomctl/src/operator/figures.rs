//! An agent's figures as a line has them, and the sums of a population.

use doom_bus::operator::Member;
use doom_protocol::HealthReply;

/// What stands where there is nothing to say.
pub(super) const NOTHING: &str = "-";

/// One digit after the point; nothing is ever minus zero.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

/// With thousands apart.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest unit that leaves a whole number before the point.
pub(super) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = value;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// How an agent is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Well,
    Paused,
    /// Starting, recovering or draining: not playing, and not broken.
    Between,
    Unhealthy,
    /// Found, but it does not answer.
    Silent,
}

impl Condition {
    pub(super) fn of(member: &Member) -> Self {
        match &member.health {
            None => Self::Silent,
            Some(health) if !health.healthy => Self::Unhealthy,
            Some(health) => match health.state.as_str() {
                "running" => Self::Well,
                "paused" => Self::Paused,
                _ => Self::Between,
            },
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Well | Self::Paused | Self::Between => "yes",
            Self::Unhealthy => "NO",
            Self::Silent => NOTHING,
        }
    }
}

/// The number of the open episode, from the end of its id.
pub(super) fn episode(health: &HealthReply) -> Option<u64> {
    health.episode_id.as_ref()?.rsplit('-').next()?.parse().ok()
}

/// Names of the columns of [`row`]; whether they are numbers.
pub(super) const COLUMNS: [(&str, bool); 11] = [
    ("AGENT", false),
    ("STATE", false),
    ("HEALTHY", false),
    ("EPISODE", true),
    ("STEPS/S", true),
    ("KILLS/MIN", true),
    ("DROPS", true),
    ("SPOOLED", true),
    ("RESTARTS", true),
    ("BACKEND", false),
    ("SCENARIO", false),
];

/// One line of an agent.
pub(super) fn row(member: &Member) -> [String; COLUMNS.len()] {
    let condition = Condition::of(member).as_str().to_owned();
    let nothing = || NOTHING.to_owned();
    let Some(health) = &member.health else {
        let why = if member.captured_by.is_some() { "captured" } else { "silent" };
        let mut row = std::array::from_fn(|_| nothing());
        row[0] = member.id.to_string();
        row[1] = why.to_owned();
        return row;
    };
    [
        member.id.to_string(),
        health.state.clone(),
        condition,
        episode(health).map_or_else(nothing, |n| n.to_string()),
        number(health.steps_per_second),
        health.kill_rate.map_or_else(nothing, number),
        count(health.ledger.dropped),
        count(health.records.spooled),
        health.engine.restarts.to_string(),
        health.backend.clone(),
        health.scenario.clone(),
    ]
}

/// The whole population.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) agents: usize,
    pub(super) well: usize,
    pub(super) paused: usize,
    pub(super) unwell: usize,
    pub(super) steps_per_second: f64,
    pub(super) dropped: u64,
    pub(super) spooled: u64,
    pub(super) lost: u64,
    pub(super) restarts: u64,
}

impl Sums {
    pub(super) fn of(members: &[Member]) -> Self {
        let mut sums = Self { agents: members.len(), ..Self::default() };
        for member in members {
            match Condition::of(member) {
                Condition::Well => sums.well += 1,
                Condition::Paused => sums.paused += 1,
                Condition::Between => {}
                Condition::Unhealthy | Condition::Silent => sums.unwell += 1,
            }
            if let Some(health) = &member.health {
                sums.steps_per_second += health.steps_per_second;
                sums.dropped += health.ledger.dropped;
                sums.spooled += health.records.spooled;
                sums.lost += health.records.lost;
                sums.restarts += u64::from(health.engine.restarts);
            }
        }
        sums
    }

    pub(super) fn line(&self) -> String {
        let agents = if self.agents == 1 { "agent" } else { "agents" };
        format!(
            "{} {agents}: {} running, {} paused, {} not well; {} steps/s, {} drops, {} records spooled, {} lost, {} engine restarts",
            self.agents,
            self.well,
            self.paused,
            self.unwell,
            number(self.steps_per_second),
            count(self.dropped),
            count(self.spooled),
            count(self.lost),
            self.restarts
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use doom_protocol::{EngineHealth, Instance, LedgerSummary, NatsHealth, RecordsHealth};

    use super::*;

    /// An agent that plays.
    pub(in crate::operator) fn member(id: &str, state: &str, steps_per_second: f64) -> Member {
        let instance = Instance::new();
        let health = HealthReply {
            agent_id: id.to_owned(),
            instance,
            healthy: true,
            uptime: 1,
            started_at: None,
            state: state.to_owned(),
            episode_id: Some(instance.episode(12).to_string()),
            experiment_id: None,
            run_id: None,
            generation_id: None,
            evaluation_id: None,
            tic: 3,
            steps_per_second,
            seconds_since_step: Some(0.1),
            episodes_completed: 11,
            kill_rate: Some(-0.01),
            engine: EngineHealth { pid: None, restarts: 2 },
            nats: NatsHealth { state: "connected".to_owned(), reconnects: 0 },
            ledger: LedgerSummary { produced: 9, dropped: 12_345, ..LedgerSummary::default() },
            records: RecordsHealth::default(),
            backend: "mock".to_owned(),
            scenario: "basic".to_owned(),
            version: "0.1.0".to_owned(),
        };
        Member { id: id.parse().unwrap(), instance: Some(instance.to_string()), health: Some(Box::new(health)), captured_by: None }
    }

    #[test]
    fn nothing_is_minus_zero() {
        assert_eq!(number(-0.0), "0.0");
        assert_eq!(number(-0.04), "0.0");
        assert_eq!(number(-0.06), "-0.1");
        assert_eq!(number([0.0_f64; 0].iter().sum()), "0.0");
        assert!(!Sums::of(&[]).line().contains("-0"), "{}", Sums::of(&[]).line());
        assert!(!row(&member("A", "running", -0.0)).iter().any(|cell| cell.starts_with("-0")));
    }

    #[test]
    fn a_row_says_what_is_there_and_a_dash_what_is_not() {
        let row_of = |m: &Member| row(m).join(" ");
        assert_eq!(row_of(&member("A", "running", 34.96)), "A running yes 12 35.0 0.0 12,345 0 2 mock basic");
        let mut silent = member("B", "running", 1.0);
        silent.health = None;
        assert_eq!(row_of(&silent), "B silent - - - - - - - - -");
        silent.captured_by = Some("S".to_owned());
        assert!(row_of(&silent).starts_with("B captured"));
    }

    #[test]
    fn sums_are_over_those_that_answer() {
        let mut silent = member("C", "running", 99.0);
        silent.health = None;
        let sums = Sums::of(&[member("A", "running", 1.5), member("B", "paused", 0.0), silent]);
        assert_eq!((sums.agents, sums.well, sums.paused, sums.unwell), (3, 1, 1, 1));
        assert_eq!((sums.steps_per_second, sums.dropped, sums.restarts), (1.5, 24_690, 4));
    }

    #[test]
    fn bytes_and_counts_are_readable() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([bytes(0.0), bytes(1023.0), bytes(1536.0), bytes(1_073_741_824.0)], ["0 B", "1023 B", "1.5 KiB", "1.0 GiB"]);
    }
}
