//! The thread `frames`, which makes events of what the game thread kept, and the task that publishes them.

use std::{borrow::Cow, sync::Arc, time::Duration};

use doom_bus::{FrameCounts, Link, LinkState, Origin, Outgoing, Subject, publish_frames};
use doom_protocol::{Codec, Envelope, Payload, VERSION, header, payload::Frame};
use serde_bytes::Bytes;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{
    FramePlan, FrameTap,
    picture::Painter,
    ring::{self, Shot, Shots},
};
use crate::{
    encode::{RunFacts, of_episode},
    exit::{self, Failure},
    placement::Placement,
};

/// Pictures between the thread and the task.
const UNDER_WAY: usize = 4;
/// How long pictures may hold up the end, which has records to deliver.
const END_WITHIN: Duration = Duration::from_secs(1);
/// A pause once everything was taken, so that a fast game seldom has to wake the thread.
const GATHER: Duration = Duration::from_millis(1);

/// The thread and the task.
#[derive(Debug)]
pub(crate) struct Frames {
    thread: std::thread::JoinHandle<()>,
    task: JoinHandle<()>,
    link: Link,
}

impl Frames {
    /// Starts both; the tap is the game thread's.
    ///
    /// # Errors
    /// Where the system has no thread for it.
    pub(crate) fn start(
        plan: FramePlan,
        facts: Arc<RunFacts>,
        link: Link,
        codec: Codec,
        origin: Origin,
        counts: Arc<FrameCounts>,
        placement: Arc<Placement>,
    ) -> Result<(Self, FrameTap), Failure> {
        let (tap, shots) = ring::pool(plan.size(), plan.every, Arc::clone(&counts));
        let (out, pictures) = mpsc::channel(UNDER_WAY);
        let framer = Framer {
            plan,
            subject: Subject::from(facts.subjects.frame.clone()),
            painter: Painter::new(plan),
            facts,
            codec,
            link: link.clone(),
            counts: Arc::clone(&counts),
            refused: false,
        };
        let thread = std::thread::Builder::new()
            .name("frames".to_owned())
            .spawn(move || {
                placement.keep_off();
                framer.run(shots, &out);
            })
            .map_err(|e| Failure::new(exit::INTERNAL, format!("the thread for frames cannot start: {e}")))?;
        let task = tokio::spawn(publish_frames(link.clone(), codec, origin, pictures, counts));
        Ok((Self { thread, task, link }, tap))
    }

    /// Publishes what is under way, for a moment and until `deadline` at the latest, and sees both out.
    pub(crate) async fn end(mut self, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + END_WITHIN);
        if tokio::time::timeout_at(deadline, &mut self.task).await.is_err() {
            self.task.abort();
            let _ = self.task.await;
        }
        // Without its task the thread ends at its next look.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
        let _ = tokio::time::timeout(END_WITHIN, self.link.close()).await;
    }
}

/// What the thread works with.
struct Framer {
    plan: FramePlan,
    facts: Arc<RunFacts>,
    subject: Subject,
    painter: Painter,
    codec: Codec,
    link: Link,
    counts: Arc<FrameCounts>,
    refused: bool,
}

impl Framer {
    fn run(mut self, mut shots: Shots, out: &mpsc::Sender<Outgoing>) {
        while !out.is_closed() {
            let Some(shot) = shots.take() else {
                if shots.is_finished() {
                    return;
                }
                std::thread::sleep(GATHER);
                shots.sleep();
                continue;
            };
            let event = if self.link.status().state == LinkState::Connected { self.event(&shot) } else { None };
            shots.done(shot.pixels);
            let gone = match event {
                Some(event) => out.blocking_send(event).is_err(),
                None => true,
            };
            self.counts.add_dropped(u64::from(gone));
        }
        while shots.take().is_some() {
            self.counts.add_dropped(1);
        }
    }

    /// The event of a frame; one that cannot be made is said once.
    fn event(&mut self, shot: &Shot) -> Option<Outgoing> {
        let made = self.painter.paint(&shot.pixels).and_then(|picture| self.wrap(shot, picture));
        if let Err(error) = &made
            && !std::mem::replace(&mut self.refused, true)
        {
            tracing::error!(error, "a frame could not be encoded; it and others like it are dropped (metric frames_dropped)");
        }
        made.ok()
    }

    fn wrap(&self, shot: &Shot, picture: Vec<u8>) -> Result<Outgoing, String> {
        let facts = &*self.facts;
        let (encoding, content_type) = self.plan.encoding.names();
        let mut stamp = facts.stamp(shot.episode, shot.at, 0);
        let payload = if self.codec == Codec::Msgpack {
            let payload = of_episode!(Frame, facts, shot.episode, shot.at, {
                step: shot.step,
                tic: shot.tic,
                format: self.plan.format.name().into(),
                width: self.plan.width,
                height: self.plan.height,
                encoding: encoding.into(),
                data: Cow::Borrowed(Bytes::new(&picture)),
            });
            let mut bytes = Vec::with_capacity(picture.len() + 512);
            self.codec.encode(&Envelope::new(payload, stamp.trace_id, stamp.timestamp), &mut bytes).map_err(|e| e.to_string())?;
            bytes
        } else {
            stamp.content_type = Some(content_type);
            stamp.extra = vec![
                (header::TYPE, Frame::TYPE.to_owned()),
                (header::VERSION, VERSION.to_owned()),
                (header::EPISODE_ID, facts.episode(shot.episode).to_string()),
                (header::STEP, shot.step.to_string()),
                (header::TIC, shot.tic.to_string()),
                (header::FORMAT, self.plan.format.name().to_owned()),
                (header::WIDTH, self.plan.width.to_string()),
                (header::HEIGHT, self.plan.height.to_string()),
                (header::ENCODING, encoding.to_owned()),
            ];
            let given = [
                (header::EXPERIMENT_ID, facts.experiment.as_ref().map(ToString::to_string)),
                (header::RUN_ID, facts.run.map(|run| run.to_string())),
                (header::GENERATION_ID, facts.generation.as_ref().map(ToString::to_string)),
            ];
            stamp.extra.extend(given.into_iter().filter_map(|(name, value)| Some((name, value?))));
            picture
        };
        Ok(Outgoing { subject: self.subject.clone(), stamp, payload: payload.into(), ordered: false })
    }
}
