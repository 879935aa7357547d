//! The rule by which `auto` moves: pure, so that it can be tested without CPUs.
//!
//! The measure is the share of time in which game thread or engine could run and had to wait for a CPU. Above [`CONTENDED`] at
//! two looks in a row the CPU has other work; then the idlest other CPU is taken if it is idle enough, and else the scheduler gets
//! the two back. From there it is tried again, each time after a longer while, so that a busy machine is not stirred for nothing.
//! Agents that take turns on their CPU are never let go: what makes each of them wait would wait for it elsewhere too.

/// This share of waiting means that others contend for the CPU. Handing over to each other costs the two a tenth or less.
const CONTENDED: f64 = 0.3;
/// A CPU that was idle for this share of the time is worth moving to.
const ROOM: f64 = 0.4;
/// Looks before the first new try after letting go, doubled each time, up to [`MOST_PATIENCE`].
const FIRST_PATIENCE: u32 = 10;
const MOST_PATIENCE: u32 = 240;

/// What to do after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Stay,
    Go(usize),
    LetGo,
}

/// What it remembers from look to look.
#[derive(Debug)]
pub(super) struct Judge {
    contended: u32,
    loose: u32,
    patience: u32,
}

impl Default for Judge {
    fn default() -> Self {
        Self { contended: 0, loose: 0, patience: FIRST_PATIENCE }
    }
}

impl Judge {
    /// `fellows` agents are at home where ours is; `waiting` from 0 to 1; `best` is the idlest CPU besides the home, and its idle share.
    pub(super) fn judge(&mut self, home: Option<usize>, fellows: usize, waiting: f64, best: Option<(usize, f64)>) -> Verdict {
        let room = best.filter(|(_, idle)| *idle >= ROOM).map(|(cpu, _)| cpu);
        if home.is_none() {
            self.loose += 1;
            return match room {
                Some(cpu) if self.loose >= self.patience => {
                    self.loose = 0;
                    self.patience = (self.patience * 2).min(MOST_PATIENCE);
                    Verdict::Go(cpu)
                }
                _ => Verdict::Stay,
            };
        }
        if waiting < CONTENDED {
            self.contended = 0;
            return Verdict::Stay;
        }
        self.contended += 1;
        if self.contended < 2 {
            return Verdict::Stay;
        }
        self.contended = 0;
        self.loose = 0;
        room.map_or(if fellows > 1 { Verdict::Stay } else { Verdict::LetGo }, Verdict::Go)
    }
}

/// The CPU that has most to give, of CPUs with the agents that are at home there and their idle share. An agent makes its CPU look busy,
/// but shares it, so that of those the number counts; other work is what it is.
pub(super) fn best(candidates: &[(usize, usize, f64)]) -> Option<usize> {
    #[expect(clippy::cast_precision_loss, reason = "a few agents")]
    let share = |agents: usize, idle: f64| if agents == 0 { idle.max(0.5) } else { 1.0 / (agents + 1) as f64 };
    let most = candidates.iter().map(|(_, agents, idle)| share(*agents, *idle)).max_by(f64::total_cmp)?;
    // A tenth is within the measure's noise; then the last one, since the first has the machine's interrupts.
    candidates
        .iter()
        .filter(|(_, agents, idle)| share(*agents, *idle) >= most - 0.1 / (*agents + 1) as f64)
        .map(|(cpu, ..)| *cpu)
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_with_most_to_give_is_an_idle_one_then_the_one_with_fewest_agents() {
        assert_eq!(best(&[(0, 0, 0.99), (1, 0, 1.0), (2, 0, 0.3)]), Some(1));
        assert_eq!(best(&[(0, 0, 0.95), (1, 0, 0.4)]), Some(0));
        assert_eq!(best(&[(0, 0, 0.9), (1, 1, 0.1)]), Some(0));
        assert_eq!(best(&[(0, 1, 0.0), (1, 2, 0.0)]), Some(0));
        assert_eq!(best(&[(4, 3, 0.0), (5, 3, 0.0)]), Some(5));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn agents_that_take_turns_are_not_let_go_but_move_where_there_is_room() {
        let mut judge = Judge::default();
        for _ in 0..4 {
            assert_eq!(judge.judge(Some(1), 2, 0.9, Some((0, 0.1))), Verdict::Stay);
        }
        judge.judge(Some(1), 2, 0.9, Some((0, 0.8)));
        assert_eq!(judge.judge(Some(1), 2, 0.9, Some((0, 0.8))), Verdict::Go(0));
    }

    #[test]
    fn a_quiet_cpu_is_kept_and_one_bad_look_is_no_reason() {
        let mut judge = Judge::default();
        for waiting in [0.05, 0.9, 0.1, 0.9, 0.0] {
            assert_eq!(judge.judge(Some(1), 1, waiting, Some((0, 1.0))), Verdict::Stay);
        }
    }

    #[test]
    fn a_contended_cpu_is_left_for_an_idle_one_or_for_the_scheduler() {
        let mut judge = Judge::default();
        judge.judge(Some(1), 1, 0.5, Some((0, 0.9)));
        assert_eq!(judge.judge(Some(1), 1, 0.5, Some((0, 0.9))), Verdict::Go(0));
        judge.judge(Some(0), 1, 0.5, Some((1, 0.1)));
        assert_eq!(judge.judge(Some(0), 1, 0.5, Some((1, 0.1))), Verdict::LetGo);
    }

    #[test]
    fn a_new_try_waits_longer_each_time() {
        let mut judge = Judge::default();
        let mut looks = Vec::new();
        for _ in 0..3 {
            let mut n = 1;
            while judge.judge(None, 1, 0.0, Some((1, 1.0))) == Verdict::Stay {
                n += 1;
            }
            looks.push(n);
        }
        assert_eq!(looks, [FIRST_PATIENCE, 2 * FIRST_PATIENCE, 4 * FIRST_PATIENCE]);
    }
}
