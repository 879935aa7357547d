//! Which streams are declared, and how a plan looks to people.

use std::path::PathBuf;

use clap::Args;
use cli_common::exit::{self, Failure};
use doom_bus::{
    Link,
    streams::{Action, Plan, Step, Wanted, plan, read},
};
use doom_protocol::stream::StreamSet;

use super::failure;
use crate::cli::Global;

#[derive(Debug, Args)]
pub(super) struct Declared {
    /// These streams alone
    streams: Vec<String>,
    /// Declares the streams; without it those of the design (configs/streams.toml, which explains its form)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Servers of a cluster that each keep a copy of every stream; those that there are stay as they are without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: Option<u8>,
}

impl Declared {
    /// The file's streams; nothing is asked of a server.
    pub(super) fn set(&self) -> Result<StreamSet, Failure> {
        let Some(path) = &self.file else { return Ok(StreamSet::standard().clone()) };
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|e| Failure::new(exit::DATA, format!("{shown}: {e}")))?;
        StreamSet::parse(&text).map_err(|e| Failure::new(exit::DATA, format!("{shown}: {e}")))
    }

    /// What would be done.
    pub(super) async fn plan(&self, global: &Global, set: &StreamSet, link: &Link) -> Result<Plan, Failure> {
        let plan = self.whole(global, set, link).await?;
        if self.streams.is_empty() { Ok(plan) } else { plan.only(&self.streams).map_err(|e| Failure::new(exit::USAGE, e)) }
    }

    /// The same, where a stream of before may be in nobody's way any more.
    pub(super) async fn plan_of_those_that_are(&self, global: &Global, set: &StreamSet, link: &Link) -> Result<Plan, Failure> {
        let mut plan = self.whole(global, set, link).await?;
        plan.steps.retain(|s| self.streams.is_empty() || self.streams.contains(&s.stream));
        Ok(plan)
    }

    async fn whole(&self, global: &Global, set: &StreamSet, link: &Link) -> Result<Plan, Failure> {
        let there = read(link).await.map_err(|e| failure(&e))?;
        Ok(plan(&Wanted { set, root: &global.subject_root, replicas: self.replicas }, &there))
    }
}

/// Stream by stream, setting by setting.
pub(super) fn shown(plan: &Plan) -> String {
    let mut lines: Vec<String> = Vec::new();
    let width = plan.steps.iter().map(|s| s.stream.len()).max().unwrap_or_default();
    for step in &plan.steps {
        lines.push(format!("{:<width$}  {}", step.stream, what(step)));
        for change in &step.changes {
            let to = if change.to.is_empty() { "nothing" } else { &change.to };
            let how = if step.action == Action::Create { to.to_owned() } else { format!("{} → {to}", or_nothing(&change.from)) };
            lines.push(format!("    {:<12} {how}", change.field));
            lines.extend(change.note.iter().map(|note| format!("    {:<12} note: {note}", "")));
            lines.extend(change.loses.iter().map(|loss| format!("    {:<12} LOSS: {loss}", "")));
        }
    }
    if !plan.silent.is_empty() {
        lines.push(format!("without a leader at the moment, so that nothing is known of them: {}", plan.silent.join(", ")));
    }
    lines.join("\n")
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}

fn what(step: &Step) -> String {
    match step.action {
        Action::Create => "is made".to_owned(),
        Action::Change => format!("changes ({} messages stay unless said otherwise)", step.messages),
        Action::Recreate => format!("is deleted and made anew ({} messages)", step.messages),
        Action::Narrow => format!("is in the way and is narrowed ({} messages stay)", step.messages),
        Action::Nothing => "as declared".to_owned(),
        Action::Blocked => format!("cannot be done: {}", step.obstacle().unwrap_or_default()),
    }
}
