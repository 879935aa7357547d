//! Which events: the flags that `watch`, `export` and `replay` have in common.

use clap::Args;
use cli_common::exit::{self, Failure};
use doom_bus::consume::Consumer;
use doom_protocol::{Condition, EventKind, Filter, Id, Reading, SubjectRoot};

const HEADING: &str = "Which events";

/// Which events are wanted.
#[derive(Debug, Clone, Args)]
pub(crate) struct Selection {
    /// Of these kinds: action, observe, score, death, generation, stage, experiment, metric, error, lifecycle
    #[arg(long, value_name = "EVENT,…", value_delimiter = ',', help_heading = HEADING)]
    pub(crate) event: Vec<EventKind>,
    /// Of these agents
    #[arg(long, value_name = "ID,…", value_delimiter = ',', help_heading = HEADING)]
    agent: Vec<Id>,
    /// Of this experiment
    #[arg(long, value_name = "ID", help_heading = HEADING)]
    experiment: Option<Id>,
    /// Of this generation
    #[arg(long, value_name = "ID", help_heading = HEADING)]
    generation: Option<Id>,
    /// From this stream, in place of the one that keeps such events
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    stream: Option<String>,
}

/// One consumer to be made, and what its events must fulfil.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) consumer: Consumer,
    pub(crate) condition: Condition,
}

impl Selection {
    /// The kinds asked for, or these.
    pub(crate) fn kinds_or(&self, default: &[EventKind]) -> Vec<EventKind> {
        if self.event.is_empty() { default.to_vec() } else { self.event.clone() }
    }

    /// Where to read, one entry a stream.
    ///
    /// # Errors
    /// Exit code 2, where a kind of event does not say what it is to be chosen by, or a name is none.
    pub(crate) fn sources(&self, root: &SubjectRoot, default: &[EventKind], reading: Reading) -> Result<Vec<Source>, Failure> {
        let filter = Filter {
            agents: self.agent.clone(),
            experiment: self.experiment.clone(),
            generation: self.generation.clone(),
            events: self.kinds_or(default),
        };
        if let Some(stream) = &self.stream {
            let fault = stream.is_empty() || stream.chars().any(|c| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c));
            if fault {
                return Err(Failure::new(exit::USAGE, format!("--stream {stream:?} is no name of a stream")));
            }
        }
        let sources = filter.sources(root, reading).map_err(|e| Failure::new(exit::USAGE, e))?;
        let with_stream = sources.into_iter().map(|source| {
            let stream = self.stream.clone().unwrap_or_else(|| source.stream.to_owned());
            Source { consumer: Consumer::new(stream, source.subjects), condition: source.condition }
        });
        Ok(with_stream.collect())
    }

    /// The same for a reader that goes through one stream.
    ///
    /// # Errors
    /// As [`Selection::sources`], and where the events are in several streams.
    pub(crate) fn source(&self, root: &SubjectRoot, default: &[EventKind], reading: Reading) -> Result<Source, Failure> {
        let mut sources = self.sources(root, default, reading)?;
        if let Some(source) = sources.pop().filter(|_| sources.is_empty()) {
            return Ok(source);
        }
        let kinds = self.kinds_or(default).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Err(Failure::new(exit::USAGE, format!("the events {kinds} are not in one stream; read them one after the other with --event")))
    }
}
