//! `doomctl evaluate FILE`: evaluations to however many workers there are, and their scores as a table.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use cli_common::{
    exit::{self, Failure},
    output::say,
    values::duration,
};

use super::{Way, file, hand_out, table};
use crate::{cli::Global, connection, output};

/// The file: what all share at the top, then `[[evaluation]]` for each, with an `id` and whatever differs.
#[derive(Debug, Args)]
#[command(after_help = "\
The file:
  generation = \"g1\"            # by default the file's name
  scenario = \"basic\"           # what stands here holds for all
  episodes = 5                 # seeds 1 to 5; or seed, seed_step, or seeds = [3, 1, 4]
  [[evaluation]]
  id = \"timid\"
  policy = \"rules:timid.toml\"  # beside this file; workers get its text
  [[evaluation]]
  id = \"brave\"
  policy = \"rules:brave.toml\"
  policy_params = { courage = 0.9 }
Further keys: set, frame_skip, experiment, run, factors, deadline.

What has its result is not played again: the same command goes on where it was interrupted. Ends with 0 where all evaluations are
complete, with 1 where some were refused, failed, or had no answer in time.")]
pub(crate) struct Arguments {
    /// The evaluations (TOML)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Ask the queue group of idle workers instead of the JetStream work queue; nothing is left in a queue then
    #[arg(long)]
    core: bool,
    /// Where the table of all episodes goes: a .csv, .json or .jsonl file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// How long all of it may take
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// Runs it.
///
/// # Errors
/// Exit code 65 for the file, 69 for the server, 77 where it does not permit it.
pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<i32, Failure> {
    let mut requests = file::read(&arguments.file)?;
    arguments.save.as_deref().map_or(Ok(()), table::check_path)?;
    let link = connection::open(global).await?;
    let way = if arguments.core { Way::Group } else { Way::Queue };
    let dispatched = hand_out(&link, &global.subject_root, &mut requests, way, arguments.timeout, |_| {}).await?;
    link.close().await;
    let mut all = table::Table::new(["generation_id", "evaluation_id", "evaluation_episode", "seed"]);
    all.rows.extend(dispatched.episodes.iter().flatten().map(table::row));
    if let Some(path) = &arguments.save {
        all.save(path)?;
    }
    if global.json {
        all.rows.iter().try_for_each(output::say_json)?;
    } else {
        let mean = |episodes: &[doom_protocol::payload::EvaluationEpisode<'_>], of: fn(&doom_protocol::payload::Score<'_>) -> f64| {
            let sum = episodes.iter().map(|e| of(&e.0)).sum::<f64>();
            // Of nothing there is no mean.
            if episodes.is_empty() { "-".to_owned() } else { format!("{:.2}", sum / episodes.len() as f64) }
        };
        let lines: Vec<Vec<String>> = requests
            .iter()
            .zip(&dispatched.results)
            .zip(&dispatched.episodes)
            .map(|((request, result), episodes)| {
                let status = result.as_ref().map_or_else(|| "no answer".to_owned(), |r| format!("{:?}", r.status).to_lowercase());
                let mut workers: Vec<&str> = episodes.iter().map(|e| e.0.agent_id.as_ref()).collect();
                workers.sort_unstable();
                workers.dedup();
                vec![
                    request.evaluation_id.to_string(),
                    status,
                    format!("{}/{}", episodes.len(), request.episodes()),
                    mean(episodes, |s| s.total_reward),
                    mean(episodes, |s| s.kills as f64),
                    mean(episodes, |s| s.survival_seconds),
                    workers.join(","),
                ]
            })
            .collect();
        say(&table::aligned(&["evaluation", "status", "episodes", "reward", "kills", "survival_s", "workers"], &lines));
    }
    let silent = dispatched.results.iter().filter(|r| r.is_none()).count();
    if silent > 0 {
        let all = requests.len();
        let within = arguments.timeout;
        output::complain(format_args!("{silent} of {all} evaluations had no answer within {within:?}; the same command goes on with them"));
    }
    let complete = dispatched.results.iter().all(|r| r.as_ref().is_some_and(|r| r.ok));
    Ok(if complete { exit::DONE } else { exit::NO })
}
