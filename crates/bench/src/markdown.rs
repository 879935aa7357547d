//! The figures as a page: what is promised beside what was measured, then every speed.

use std::fmt::Write;

use bench::stats::Spread;

use super::{
    report::{Figure, Ratio, Report, Speed},
    setting::Contender,
};

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Least(f64),
    Most(f64),
}

impl Bound {
    fn text(self, unit: &str) -> String {
        match self {
            Self::Least(bound) => format!("at least {bound}{unit}"),
            Self::Most(bound) => format!("at most {bound}{unit}"),
        }
    }

    fn is_met(self, value: f64) -> bool {
        match self {
            Self::Least(bound) => value >= bound,
            Self::Most(bound) => value <= bound,
        }
    }
}

/// A promise about a ratio: setting, how many at once, over whom, and the bound.
const RATIOS: &[(&str, &str, usize, Contender, f64)] = &[
    ("over Python bare, as people run it, skip 4", "basic-160x120-skip4", 1, Contender::Python, 2.3),
    ("the same, skip 1", "basic-160x120-skip1", 1, Contender::Python, 1.9),
    ("over Python bare on one CPU, skip 4", "basic-160x120-skip4", 1, Contender::PythonOneCpu, 1.1),
    ("the same, skip 1", "basic-160x120-skip1", 1, Contender::PythonOneCpu, 1.4),
    ("over Python with nats-py, skip 4", "basic-160x120-skip4", 1, Contender::PythonNats, 2.7),
    ("the same, skip 1", "basic-160x120-skip1", 1, Contender::PythonNats, 2.4),
    ("320x240 RGB24, over Python bare, skip 4", "basic-320x240-skip4", 1, Contender::Python, 1.5),
    ("the same, skip 1", "basic-320x240-skip1", 1, Contender::Python, 1.2),
    ("over our own bare loop, skip 4 (what publishing costs)", "basic-160x120-skip4", 1, Contender::Bare, 0.90),
    ("the same, skip 1", "basic-160x120-skip1", 1, Contender::Bare, 0.90),
    ("8 agents, total, over 8 Python bare loops", "basic-160x120-skip4", 8, Contender::Python, 1.3),
    ("`--cpu auto` over `--cpu off`, 1 agent", "basic-160x120-skip4", 1, Contender::AgentCpuOff, 1.8),
    ("the same, 2 agents", "basic-160x120-skip4", 2, Contender::AgentCpuOff, 0.95),
    ("the same, 4 agents", "basic-160x120-skip4", 4, Contender::AgentCpuOff, 0.95),
    ("the same, 8 agents", "basic-160x120-skip4", 8, Contender::AgentCpuOff, 0.95),
];

/// A promise about another figure, by how its name begins and ends.
const FIGURES: &[(&str, &str, Bound)] = &[
    ("60 s at --pace max: events dropped", "", Bound::Most(0.0)),
    ("resident memory of the agent after", "600 s at --pace max", Bound::Most(30.0)),
    ("resident memory, the last over the first", "", Bound::Most(1.05)),
    ("start to first published action, doom-agent / python", "", Bound::Most(1.0)),
    ("--pace realtime: deviation of a tic from 1/35 s, 99th percentile", "", Bound::Most(1.0)),
    ("--pace realtime: CPU of the agent", "", Bound::Most(3.0)),
    ("pause at --pace realtime, sent to confirmed: 99th percentile", "", Bound::Most(33.6)),
    ("resume at --pace realtime, sent to confirmed: 99th percentile", "", Bound::Most(33.6)),
    ("health reply at --pace max: 99th percentile", "", Bound::Most(5.0)),
    ("16 mock agents at realtime: late tics, 99th percentile", "", Bound::Most(5.0)),
    ("16 mock agents at realtime: events dropped", "", Bound::Most(0.0)),
];

/// All of it. What was not measured this time is left out.
pub(super) fn page(report: &Report) -> String {
    let mut page = format!("{}\n\n| figure | promised | measured | range | |\n|---|---|---|---|---|\n", report.in_words());
    for (what, setting, population, over, least) in RATIOS {
        let ratio = |r: &&Ratio| r.setting.name() == *setting && r.population == *population && r.over == *over;
        if let Some(found) = report.ratios.iter().rfind(ratio) {
            row(&mut page, what, "", Bound::Least(*least), &found.ratio);
        }
    }
    for (begin, end, bound) in FIGURES {
        let figure = |f: &&Figure| f.what.starts_with(begin) && f.what.ends_with(end);
        if let Some(found) = report.figures.iter().rfind(figure) {
            row(&mut page, &found.what, found.unit, *bound, &found.value);
        }
    }
    speeds(&mut page, &report.speeds);
    others(&mut page, &report.figures);
    page
}

fn row(page: &mut String, what: &str, unit: &str, bound: Bound, value: &Spread) {
    let space = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    let met = if bound.is_met(value.median) { "" } else { "missed" };
    let range = if value.rounds.len() > 1 { format!("{}–{}", short(value.min), short(value.max)) } else { String::new() };
    line(page, &[what, &bound.text(&space), &format!("{}{space}", short(value.median)), &range, met]);
}

fn line(page: &mut String, cells: &[&str]) {
    // A String takes whatever is written.
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// Three digits that say something.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn speeds(page: &mut String, speeds: &[Speed]) {
    if speeds.is_empty() {
        return;
    }
    page.push_str("\n| steps/s | at once | who | median | range | dropped | CPU of others |\n|---|---|---|---|---|---|---|\n");
    for speed in speeds {
        let Spread { median, min, max, .. } = &speed.steps_per_second;
        let dropped = speed.ledger.map_or(String::new(), |ledger| ledger.dropped.to_string());
        let setting = format!("{} {}", speed.setting.name(), speed.setting.format);
        let (population, others) = (speed.population.to_string(), format!("{:.0} %", speed.others.median * 100.0));
        let (median, range) = (format!("{median:.0}"), format!("{min:.0}–{max:.0}"));
        line(page, &[&setting, &population, speed.contender.name(), &median, &range, &dropped, &others]);
    }
}

fn others(page: &mut String, figures: &[Figure]) {
    if figures.is_empty() {
        return;
    }
    page.push_str("\n| figure | measured |\n|---|---|\n");
    for figure in figures {
        line(page, &[&figure.what, &format!("{} {}", short(figure.value.median), figure.unit)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::USUAL;

    #[test]
    fn a_page_says_what_was_promised_and_what_was_missed() {
        let mut report = Report::begin(std::path::Path::new("."));
        let spread = |value| Spread::of(vec![value]).unwrap();
        let ratio = |over, value| Ratio { setting: USUAL, population: 1, of: Contender::Agent, over, ratio: spread(value) };
        report.speeds(Vec::new(), vec![ratio(Contender::Python, 2.5), ratio(Contender::PythonNats, 2.5)]);
        report.figure("60 s at --pace max: events dropped by the agent", "events", vec![0.0]);
        report.figure("health reply at --pace max: 99th percentile of 2000", "ms", vec![7.25]);
        let page = page(&report);
        for row in [
            "| over Python bare, as people run it, skip 4 | at least 2.3 | 2.50 |  |  |",
            "| over Python with nats-py, skip 4 | at least 2.7 | 2.50 |  | missed |",
            "| 60 s at --pace max: events dropped by the agent | at most 0 events | 0 events |  |  |",
            "| health reply at --pace max: 99th percentile of 2000 | at most 5 ms | 7.25 ms |  | missed |",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
        assert!(!page.contains("8 agents"), "{page}");
    }
}
