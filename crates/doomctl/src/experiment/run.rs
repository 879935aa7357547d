//! An experiment, run: said, handed out, waited for, and made into tables.

use std::{collections::BTreeMap, path::Path};

use cli_common::{
    exit::{self, Failure},
    output::say,
};
use doom_protocol::payload::EvaluationRequest;
use tokio::time::Instant;

use super::{
    RunArguments, analysis,
    design::Design,
    events::{Events, other_design},
};
use crate::{
    cli::Global,
    connection, output,
    work::{Way, hand_out, table},
};

/// Runs it.
///
/// # Errors
/// Exit code 65 for files, 69 for the server.
pub(crate) async fn run(global: &Global, design: &Design, arguments: RunArguments) -> Result<i32, Failure> {
    let until = Instant::now() + arguments.timeout;
    let out = arguments.out.clone().unwrap_or_else(|| design.experiment.as_str().into());
    let plan = design.plan();
    let made = plan.iter().map(|run| design.request(run)).collect::<Result<Vec<EvaluationRequest>, String>>();
    let mut requests = made.map_err(|e| Failure::new(exit::DATA, e))?;
    let link = connection::open(global).await?;
    let events = Events::new(&link, &global.subject_root, design, until);
    let before = events.before().await?;
    if let Some(failure) = other_design(design, &before) {
        return Err(failure);
    }
    // Not before the server is known to keep what is said, and not after anything is.
    std::fs::create_dir_all(&out).map_err(|e| Failure::new(exit::DATA, format!("{} cannot be made: {e}", out.display())))?;
    let runs = plan.len() as u64;
    if !before.complete {
        events.start(runs, before.design.is_some()).await?;
        for run in plan.iter().filter(|r| !before.runs.contains(&r.number)) {
            events.run(run, "in_progress", 0).await?;
        }
    }
    let way = if arguments.core { Way::Group } else { Way::Queue };
    // Told one by one as they come, by a task of its own, so that collecting does not wait for acknowledgements.
    let (done_in, mut done) = tokio::sync::mpsc::unbounded_channel();
    let left = until.saturating_duration_since(Instant::now());
    let dispatched = {
        let known = &before.runs;
        // The sender goes with the closure, and ends the telling.
        let hand_out = hand_out(&link, &global.subject_root, &mut requests, way, left, move |result| {
            if let Some(number) = result.run_id.filter(|n| !known.contains(n)) {
                // The receiver is there until the sender is dropped.
                let _ = done_in.send((number, result.ok, result.episodes_completed));
            }
        });
        let tell = async {
            while let Some((number, ok, episodes)) = done.recv().await {
                if let Some(run) = plan.iter().find(|r| r.number == number) {
                    events.run(run, if ok { "complete" } else { "error" }, episodes).await?;
                }
            }
            Ok::<(), Failure>(())
        };
        let (dispatched, told) = tokio::join!(hand_out, tell);
        told?;
        dispatched
    };
    let dispatched = match dispatched {
        Ok(dispatched) => dispatched,
        Err(failure) => {
            events.error(&failure.message, before.runs.len() as u64, runs).await?;
            return Err(failure);
        }
    };
    let complete = dispatched.results.iter().filter(|r| r.as_ref().is_some_and(|r| r.ok)).count() as u64;
    let episodes: Vec<(usize, &_)> = dispatched.episodes.iter().enumerate().flat_map(|(i, all)| all.iter().map(move |e| (i, e))).collect();

    let names: Vec<String> = design.factors.iter().map(|f| f.name.clone()).collect();
    let first = ["experiment_id", "run_id", "condition", "replicate"].into_iter().map(str::to_owned).chain(names);
    let mut rows = table::Table::new(first.chain(["evaluation_episode", "seed"].map(str::to_owned)));
    for (index, episode) in &episodes {
        let mut row = table::row(episode);
        let run = &plan[*index];
        row.insert("condition".to_owned(), (run.condition + 1).into());
        row.insert("replicate".to_owned(), (run.replicate + 1).into());
        // A factor is a column under its own name; a column of the record that is called the same says what was really played.
        for (name, level) in design.levels(run.condition) {
            row.entry(name).or_insert(level);
        }
        rows.rows.push(row);
    }
    save(&rows, &out.join("episodes.csv"))?;
    let observed: Vec<analysis::Observed<'_>> = episodes
        .iter()
        .zip(&rows.rows)
        .map(|((index, episode), row)| analysis::Observed { condition: plan[*index].condition, block: episode.0.seed, row })
        .collect();
    let conditions = analysis::conditions(design, &observed);
    let effects = analysis::effects(design, &observed);
    save(&conditions, &out.join("conditions.csv"))?;
    save(&effects, &out.join("effects.csv"))?;
    show(global, &out, &conditions, &effects)?;
    let code = if complete == runs {
        if !before.complete {
            events.complete(runs, episodes.len() as u64).await?;
        }
        exit::DONE
    } else {
        let why = problems(&dispatched.results);
        events.error(&why, complete, runs).await?;
        output::complain(format!("{complete} of {runs} runs are complete: {why}"));
        exit::NO
    };
    link.close().await;
    Ok(code)
}

/// What kept runs from completing, the most frequent first.
fn problems(results: &[Option<doom_protocol::payload::EvaluationResult>]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for result in results {
        match result {
            None => *counts.entry("no answer in time; the same command goes on").or_default() += 1,
            Some(r) if !r.ok => *counts.entry(r.error.as_deref().unwrap_or("no reason given")).or_default() += 1,
            Some(_) => {}
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let text: Vec<String> = counts.iter().take(3).map(|(why, n)| format!("{n} × {why}")).collect();
    text.join("; ")
}

fn save(table: &table::Table, path: &Path) -> Result<(), Failure> {
    table.save(path)
}

fn show(global: &Global, out: &Path, conditions: &table::Table, effects: &table::Table) -> Result<(), Failure> {
    if global.json {
        return conditions.rows.iter().chain(&effects.rows).try_for_each(output::say_json);
    }
    for table in [conditions, effects] {
        let columns = table.columns();
        let head: Vec<&str> = columns.iter().map(String::as_str).collect();
        let cell = |v: &serde_json::Value| v.as_f64().filter(|f| f.fract() != 0.0).map_or_else(|| table::text(v), |f| format!("{f:.4}"));
        let rows: Vec<Vec<String>> =
            table.rows.iter().map(|row| columns.iter().map(|c| row.get(c).map_or(String::new(), cell)).collect()).collect();
        say(&table::aligned(&head, &rows));
        say("");
    }
    output::complain(format!("episodes.csv, conditions.csv and effects.csv are in {}", out.display()));
    Ok(())
}
