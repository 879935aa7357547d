//! What the screen shows, and how it changes; drawn into any ratatui backend.

use doom_bus::operator::Member;
use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Color, Modifier, Style},
    text::{Line, Text},
    widgets::{Cell, Paragraph, Row, Table, TableState},
};

use super::keys::Key;
use crate::operator::figures::{COLUMNS, Condition, Sums, row};

/// What the rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Agent,
    Steps,
    Drops,
}

/// The screen's content.
#[derive(Debug)]
pub(super) struct View {
    server: String,
    members: Vec<Member>,
    order: Order,
    note: Option<String>,
    state: TableState,
    /// Rows that were drawn last; a page.
    page: usize,
}

impl View {
    pub(super) fn new(server: String, members: Vec<Member>) -> Self {
        let mut view = Self { server, members: Vec::new(), order: Order::Agent, note: None, state: TableState::default(), page: 1 };
        view.see(members);
        view
    }

    /// A look that succeeded.
    pub(super) fn see(&mut self, members: Vec<Member>) {
        self.members = members;
        self.note = None;
        self.sort();
    }

    /// A look that failed: the last figures stay.
    pub(super) fn note(&mut self, why: String) {
        self.note = Some(why);
    }

    /// Does what a key asks for.
    pub(super) fn obey(&mut self, key: Key) {
        let last = self.members.len().saturating_sub(1);
        let at = self.state.selected().unwrap_or(0).min(last);
        let to = match key {
            Key::Quit | Key::Redraw => return,
            Key::Sort => {
                self.order = match self.order {
                    Order::Agent => Order::Steps,
                    Order::Steps => Order::Drops,
                    Order::Drops => Order::Agent,
                };
                self.sort();
                0
            }
            Key::Up => at.saturating_sub(1),
            Key::Down => at + 1,
            Key::PageUp => at.saturating_sub(self.page),
            Key::PageDown => at + self.page,
        };
        self.state.select(Some(to.min(last)));
    }

    fn sort(&mut self) {
        let steps = |m: &Member| m.health.as_ref().map_or(-1.0, |h| h.steps_per_second);
        let drops = |m: &Member| m.health.as_ref().map_or(0, |h| h.ledger.dropped);
        self.members.sort_by(|a, b| (&a.id, &a.instance).cmp(&(&b.id, &b.instance)));
        match self.order {
            Order::Agent => {}
            Order::Steps => self.members.sort_by(|a, b| steps(b).total_cmp(&steps(a))),
            Order::Drops => self.members.sort_by_key(|m| std::cmp::Reverse(drops(m))),
        }
    }

    /// Draws all of it.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let [head, body, foot] = Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
        let title = Line::styled(format!("doom-agents at {}", self.server), Style::new().add_modifier(Modifier::BOLD));
        frame.render_widget(Paragraph::new(vec![title, Line::raw(Sums::of(&self.members).line())]), head);
        self.page = usize::from(body.height.saturating_sub(1)).max(1);
        if self.members.is_empty() {
            frame.render_widget(Paragraph::new("no agent answers"), body);
        } else {
            let rows: Vec<[String; COLUMNS.len()]> = self.members.iter().map(row).collect();
            let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0).max(COLUMNS[i].0.len());
            let widths = (0..COLUMNS.len()).map(|i| Constraint::Length(u16::try_from(width(i)).unwrap_or(u16::MAX)));
            let heading =
                Row::new(COLUMNS.map(|(name, number)| cell(name.to_owned(), number))).style(Style::new().add_modifier(Modifier::REVERSED));
            let lines = rows.iter().zip(&self.members).map(|(row, member)| {
                let cells = row.iter().zip(COLUMNS).map(|(text, (_, number))| cell(text.clone(), number));
                Row::new(cells).style(style(Condition::of(member)))
            });
            let table = Table::new(lines, widths)
                .header(heading)
                .column_spacing(2)
                .row_highlight_style(Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED));
            frame.render_stateful_widget(table, body, &mut self.state);
        }
        let foot_text = match &self.note {
            Some(why) => Line::styled(why.clone(), Style::new().fg(Color::Red)),
            None => {
                let by = match self.order {
                    Order::Agent => "agent",
                    Order::Steps => "steps/s",
                    Order::Drops => "drops",
                };
                Line::styled(format!("q quit   s sort (by {by})   arrows move"), Style::new().add_modifier(Modifier::DIM))
            }
        };
        frame.render_widget(Paragraph::new(foot_text), foot);
    }
}

fn cell(text: String, number: bool) -> Cell<'static> {
    let text = Text::from(text);
    Cell::from(if number { text.right_aligned() } else { text })
}

fn style(condition: Condition) -> Style {
    match condition {
        Condition::Well => Style::new(),
        Condition::Paused => Style::new().fg(Color::Cyan),
        Condition::Between => Style::new().fg(Color::Yellow),
        Condition::Unhealthy | Condition::Silent => Style::new().fg(Color::Red),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::operator::figures::tests::member;

    fn draw(view: &mut View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    #[test]
    fn the_screen_has_title_sums_a_line_for_each_agent_and_the_keys() {
        let mut silent = member("C", "running", 1.0);
        silent.health = None;
        let mut view = View::new("nats://h:1".to_owned(), vec![silent, member("B", "paused", 0.0), member("A", "running", 34.96)]);
        let lines = draw(&mut view, 130, 8);
        assert_eq!(lines[0], "doom-agents at nats://h:1");
        assert!(lines[1].starts_with("3 agents: 1 running, 1 paused, 1 not well; 35.0 steps/s, 24,690 drops"), "{}", lines[1]);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&lines[2]), COLUMNS.map(|(name, _)| name.to_owned()));
        assert_eq!(words(&lines[3]).join(" "), "A running yes 12 35.0 0.0 12,345 0 2 mock basic");
        assert_eq!(words(&lines[4])[..3].join(" "), "B paused yes");
        assert_eq!(words(&lines[5])[..2].join(" "), "C silent");
        assert!(lines[7].contains("q quit"), "{}", lines[7]);
    }

    #[test]
    fn nobody_there_shows_no_minus_zero() {
        let lines = draw(&mut View::new("h".to_owned(), Vec::new()), 130, 6).join("\n");
        assert!(lines.contains("no agent answers") && lines.contains(" 0.0 steps/s"), "{lines}");
        assert!(!lines.contains("-0"), "{lines}");
    }

    #[test]
    fn rows_that_do_not_fit_are_reached_by_the_arrows() {
        let members = (0..50).map(|n| member(&format!("A{n:02}"), "running", f64::from(n))).collect();
        let mut view = View::new("h".to_owned(), members);
        assert!(!draw(&mut view, 120, 10).iter().any(|l| l.starts_with("A49")));
        (0..60).for_each(|_| view.obey(Key::Down));
        assert!(draw(&mut view, 120, 10).iter().any(|l| l.starts_with("A49")));
        view.obey(Key::Sort);
        assert!(draw(&mut view, 120, 10)[3].starts_with("A49"), "most steps first, and from the top");
    }

    #[test]
    fn a_look_that_failed_leaves_the_figures_and_says_why() {
        let mut view = View::new("h".to_owned(), vec![member("A", "running", 1.0)]);
        view.note("the connection was lost".to_owned());
        let lines = draw(&mut view, 120, 6);
        assert!(lines[3].starts_with("A ") && lines[5] == "the connection was lost", "{lines:?}");
        view.see(vec![member("A", "running", 1.0)]);
        assert!(draw(&mut view, 120, 6)[5].contains("q quit"));
    }

    #[test]
    fn a_terminal_too_small_for_anything_is_no_panic() {
        let mut view = View::new("h".to_owned(), vec![member("A", "running", 1.0)]);
        for (width, height) in [(1, 1), (10, 2), (3, 50)] {
            draw(&mut view, width, height);
        }
    }
}
