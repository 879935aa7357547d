//! Finished episodes in the log: a line for each, or one for all of a moment where they are many.

use std::{sync::Arc, time::Duration};

use crate::progress::{LastEpisode, Progress};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many in a moment get a line each.
const FEW: usize = 3;

/// Logs what finishes, until it is aborted.
pub(crate) async fn follow(progress: Arc<Progress>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        flush(&progress);
    }
}

/// Logs what has finished and was not logged yet.
pub(crate) fn flush(progress: &Progress) {
    let finished = progress.take_finished();
    let episodes = &finished.episodes;
    if episodes.len() <= FEW {
        episodes.iter().for_each(one);
    } else if let Some(first) = episodes.first() {
        let mean = |sum: f64| (sum / finished.count as f64 * 100.0).round() / 100.0;
        tracing::info!(
            first = first.number,
            last = first.number + finished.count - 1,
            mean_reward = mean(finished.reward),
            mean_steps = mean(finished.steps as f64),
            mean_kills = mean(finished.kills as f64),
            "episodes finished"
        );
    }
}

fn one(episode: &LastEpisode) {
    let rate = if episode.wall_seconds > 0.0 { episode.steps as f64 / episode.wall_seconds } else { 0.0 };
    tracing::info!(
        episode = episode.number,
        seed = episode.seed,
        end = episode.end_reason,
        reward = episode.total_reward,
        steps = episode.steps,
        kills = episode.kills,
        steps_per_second = rate.round(),
        "episode finished"
    );
}
