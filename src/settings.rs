//! Settings from flags, environment and file, read by one parser: what a flag does not say is taken from the environment, else from the
//! file that `--config` names, else from the default.
//!
//! Every flag has the variable `DOOM_AGENT_` + its name, and its name as a key in the file, without a word about either in [`crate::cli`].

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
};

use clap::{ArgMatches, FromArgMatches, error::Error, parser::ValueSource};
use cli_common::{
    login,
    refusal::{invalid_argument, reason, shown, without_secrets},
};

use crate::{
    cli::{self, Cli, Command, Options},
    exit::{self, Failure},
    settings_file,
};

/// Variables that orchestrators of clau-doom set, and the flags they mean; `DOOM_AGENT_…` beats them.
const ALIASES: [(&str, &str); 5] =
    [("AGENT_ID", "id"), ("NATS_URL", "nats"), ("GENERATION", "generation"), ("SCENARIO", "scenario"), ("SEED", "seed")];

/// What the process was told to do, and where it was told so.
#[derive(Debug)]
pub struct Invocation {
    /// What to do instead of playing.
    pub command: Option<Command>,
    /// Every setting.
    pub options: Options,
    /// The settings that are not defaults, in the order of the help.
    pub given: Vec<Given>,
}

/// A setting, and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The flag's name.
    pub name: String,
    /// Its values, as text.
    pub(crate) values: Vec<OsString>,
    /// Where it was made.
    pub place: Place,
}

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// By a flag.
    CommandLine,
    /// By a variable.
    Variable(String),
    /// By a file's line.
    File(PathBuf, usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
        }
    }
}

impl Place {
    fn refuse(&self, what: impl fmt::Display) -> Failure {
        let code = if matches!(self, Self::File(..)) { exit::DATA } else { exit::USAGE };
        Failure::new(code, format!("{self}: {what}"))
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.values.iter().map(|v| shown(&self.name, &v.to_string_lossy())).collect();
        write!(f, "{}={}", self.name, values.join(","))
    }
}

/// The settings of this process. Help, version and mistakes on the command line end it here.
///
/// # Errors
/// Exit code 2 for the environment, 65 for the file, each with the place.
pub fn of_process() -> Result<Invocation, Failure> {
    let variable = |name: &str| env::var_os(name);
    read(env::args_os(), &variable).map_err(|stop| match stop {
        Stop::CommandLine(error) => error.exit(),
        Stop::Elsewhere(failure) => failure,
    })
}

/// Reads the text of a `--config` file as a start would, and returns how many settings it makes; `file` is its name in errors.
///
/// # Errors
/// Exit code 65 with file and line.
pub fn check_text(file: &std::path::Path, text: &str) -> Result<usize, Failure> {
    let command = cli::command();
    let given = settings_file::of_text(file, text, &command)?;
    match parse(&command, &["doom-agent".into()], &given, &[]) {
        Ok(_) => Ok(given.len()),
        Err(Stop::Elsewhere(failure)) => Err(failure),
        Err(Stop::CommandLine(error)) => Err(Failure::new(exit::DATA, format!("{}: {}", file.display(), error.kind()))),
    }
}

/// Why there are no settings.
#[derive(Debug)]
pub(crate) enum Stop {
    /// As clap says it; also for help and version.
    CommandLine(Error),
    Elsewhere(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Elsewhere(failure)
    }
}

/// The settings, from these arguments (the program's name first) and these variables; an empty variable counts as none.
pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Invocation, Stop> {
    let command = cli::command();
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if arguments.is_empty() {
        arguments.push("doom-agent".into());
    }
    let flags = command.clone().try_get_matches_from(&arguments).map_err(|e| Stop::CommandLine(without_secrets(e)))?;
    let mut decided = on_command_line(&command, &flags);
    let variable = |name: &str| variable(name).filter(|v| !v.is_empty());
    let names = || command.get_arguments().filter_map(clap::Arg::get_long).filter(|n| !matches!(*n, "help" | "version"));
    let own = names().map(|name| (variable_of(name), name)).filter(|(_, name)| *name != "config");
    let aliases = ALIASES.map(|(variable, name)| (variable.to_owned(), name));
    for layer in [own.collect::<Vec<_>>(), aliases.to_vec()] {
        let set = layer.into_iter().filter_map(|(v, name)| {
            let values = vec![variable(&v)?];
            Some(Given { name: name.to_owned(), values, place: Place::Variable(v) })
        });
        decide(&mut decided, set.collect());
    }
    let config = decided.iter().find(|g| g.name == "config").and_then(|g| g.values.first().cloned());
    if let Some(path) = config.or_else(|| variable(&variable_of("config"))) {
        let given = settings_file::read(path.as_ref(), &command)?;
        // What the file says must be right even where something else beats it.
        parse(&command, &arguments[..1], &given, &[])?;
        decide(&mut decided, given);
    }
    for (i, a) in decided.iter().enumerate() {
        if let Some(b) = decided[i + 1..].iter().find(|b| rivals(&a.name).contains(&b.name.as_str())) {
            return Err(b.place.refuse(format!("`{}` ({}) and `{}` exclude each other; give one of them", a.name, a.place, b.name)).into());
        }
    }
    let elsewhere: Vec<Given> = decided.iter().filter(|g| g.place != Place::CommandLine).cloned().collect();
    let mut matches = parse(&command, &arguments[..1], &elsewhere, &arguments[1..])?;
    let Cli { command: task, options } = Cli::from_arg_matches_mut(&mut matches).map_err(Stop::CommandLine)?;
    let place_in_help = |g: &Given| names().position(|n| n == g.name);
    decided.sort_by_key(place_in_help);
    Ok(Invocation { command: task, options, given: decided })
}

/// The variable of a flag.
pub(crate) fn variable_of(name: &str) -> String {
    format!("DOOM_AGENT_{}", name.to_ascii_uppercase().replace('-', "_"))
}

fn on_command_line(command: &clap::Command, matches: &ArgMatches) -> Vec<Given> {
    // Global flags given after a subcommand are in the outer matches too.
    let flags = command.get_arguments().filter(|a| matches.value_source(a.get_id().as_str()) == Some(ValueSource::CommandLine));
    let given = flags.filter_map(|flag| {
        let values = matches.get_raw(flag.get_id().as_str())?.map(OsStr::to_owned).collect();
        Some(Given { name: flag.get_long()?.to_owned(), values, place: Place::CommandLine })
    });
    given.collect()
}

/// Adds what nobody above has decided, neither under this name nor by a rival's.
fn decide(decided: &mut Vec<Given>, layer: Vec<Given>) {
    let free = |g: &Given| !decided.iter().any(|d| d.name == g.name || rivals(&d.name).contains(&g.name.as_str()));
    let free: Vec<Given> = layer.into_iter().filter(free).collect();
    decided.extend(free);
}

/// The settings that one setting replaces: there is one way to seed and one way to log in.
fn rivals(name: &str) -> Vec<&'static str> {
    match name {
        "seed" => vec!["seeds"],
        "seeds" => vec!["seed"],
        name => login::rivals(name),
    }
}

/// Parses settings as flags before the user's own; a mistake is told with its place.
fn parse(command: &clap::Command, program: &[OsString], given: &[Given], arguments: &[OsString]) -> Result<ArgMatches, Stop> {
    let as_flag = |g: &Given, value: &OsStr| {
        let mut flag = OsString::from(format!("--{}=", g.name));
        flag.push(value);
        flag
    };
    let flags = given.iter().flat_map(|g| g.values.iter().map(|v| as_flag(g, v)).collect::<Vec<_>>());
    let all = program.iter().cloned().chain(flags).chain(arguments.iter().cloned());
    command.clone().try_get_matches_from(all).map_err(|error| {
        let argument = invalid_argument(&error);
        match given.iter().find(|g| argument.as_deref() == Some(&g.name)) {
            Some(culprit) => culprit.place.refuse(format!("{} {}", culprit.name, reason(&error, &culprit.name))).into(),
            None => Stop::CommandLine(without_secrets(error)),
        }
    })
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "settings_example_tests.rs"]
mod example_tests;
