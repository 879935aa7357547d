//! Where the game thread's events leave it: seqs are given here, before anything can be dropped.

use std::sync::Arc;

use doom_bus::{LaneSender, Ledger};
use doom_game::Observation;

use super::slots::{OpenedSlot, RecordSlot, StepSlot};
use crate::frames::FrameTap;

/// See the module.
#[derive(Debug)]
pub(crate) struct Outbox {
    telemetry: LaneSender<StepSlot>,
    records: LaneSender<RecordSlot>,
    frames: Option<FrameTap>,
    ledger: Arc<Ledger>,
    seq: u64,
    produced: u64,
    dropped: u64,
}

impl Outbox {
    pub(crate) fn new(
        telemetry: LaneSender<StepSlot>,
        records: LaneSender<RecordSlot>,
        frames: Option<FrameTap>,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self { telemetry, records, frames, ledger, seq: 0, produced: 0, dropped: 0 }
    }

    fn next(&mut self) -> u64 {
        self.seq += 1;
        self.ledger.set_produced(self.seq);
        self.seq
    }

    /// Offers an action or observation; where the lane is full it is dropped and counted.
    pub(crate) fn step(&mut self, slot: StepSlot, numbers: &[f64]) {
        let seq = self.next();
        self.produced += 1;
        if !self.telemetry.offer(seq, slot, numbers) {
            self.dropped += 1;
        }
    }

    /// Keeps the picture of an observation, where it is one of those to be published; `slot` is the observation's.
    pub(crate) fn picture(&mut self, slot: &StepSlot, observation: &Observation<'_>) {
        if let Some(tap) = &mut self.frames
            && tap.wants(slot.step)
            && let Some(frame) = &observation.frame
        {
            tap.keep(slot.episode, slot.step, slot.tic, slot.at, frame.data);
        }
    }

    /// Offers what is known of an episode at its start; where the lane is full, nobody will speak for it.
    pub(crate) fn opened(&mut self, slot: OpenedSlot) {
        if !self.records.is_full() {
            self.records.offer(0, RecordSlot::Opened(Box::new(slot)), &[]);
        }
    }

    /// Offers a death or score.
    pub(crate) fn record(&mut self, slot: RecordSlot) {
        let seq = match slot {
            RecordSlot::Death(_) | RecordSlot::Score(_) => self.next(),
            RecordSlot::Opened(_) | RecordSlot::Error { .. } | RecordSlot::Recovering { .. } => 0,
        };
        self.records.offer(seq, slot, &[]);
    }

    /// Telemetry of this process: offered, and of these dropped.
    pub(crate) fn telemetry(&self) -> (u64, u64) {
        (self.produced, self.dropped)
    }

    /// Telemetry in doubt, as far as is known now.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.ledger.summary().unconfirmed
    }
}
