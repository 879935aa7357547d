//! The rule by which `auto` moves: pure, so that it can be tested without CPUs.
//!
//! The measure is the share of time in which game thread or engine could run and had to wait for a CPU. Above [`CONTENDED`] at
//! two looks in a row the CPU has other work; then the idlest other CPU is taken if it is idle enough, and else the scheduler gets
//! the two back. From there it is tried again, each time after a longer while, so that a busy machine is not stirred for nothing.

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
    /// `waiting` from 0 to 1; `best` is the idlest CPU besides the home, and its idle share.
    pub(super) fn judge(&mut self, home: Option<usize>, waiting: f64, best: Option<(usize, f64)>) -> Verdict {
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
        room.map_or(Verdict::LetGo, Verdict::Go)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_cpu_is_kept_and_one_bad_look_is_no_reason() {
        let mut judge = Judge::default();
        for waiting in [0.05, 0.9, 0.1, 0.9, 0.0] {
            assert_eq!(judge.judge(Some(1), waiting, Some((0, 1.0))), Verdict::Stay);
        }
    }

    #[test]
    fn a_contended_cpu_is_left_for_an_idle_one_or_for_the_scheduler() {
        let mut judge = Judge::default();
        judge.judge(Some(1), 0.5, Some((0, 0.9)));
        assert_eq!(judge.judge(Some(1), 0.5, Some((0, 0.9))), Verdict::Go(0));
        judge.judge(Some(0), 0.5, Some((1, 0.1)));
        assert_eq!(judge.judge(Some(0), 0.5, Some((1, 0.1))), Verdict::LetGo);
    }

    #[test]
    fn a_new_try_waits_longer_each_time() {
        let mut judge = Judge::default();
        let mut looks = Vec::new();
        for _ in 0..3 {
            let mut n = 1;
            while judge.judge(None, 0.0, Some((1, 1.0))) == Verdict::Stay {
                n += 1;
            }
            looks.push(n);
        }
        assert_eq!(looks, [FIRST_PATIENCE, 2 * FIRST_PATIENCE, 4 * FIRST_PATIENCE]);
    }
}
