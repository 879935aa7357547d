//! Settings from a file and from the orchestrator's own variables, as arguments put before the user's, so that one parser reads all.
//!
//! Precedence: flag, then environment, then file, then default. What the environment sets is therefore left out of the file's arguments.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{ArgAction, Command, CommandFactory};

use crate::{
    cli::Cli,
    exit::{self, Failure},
};

/// Variables that orchestrators of clau-doom set, and the flags they mean.
const ALIASES: [(&str, &str); 5] =
    [("AGENT_ID", "id"), ("NATS_URL", "nats"), ("GENERATION", "generation"), ("SCENARIO", "scenario"), ("SEED", "seed")];
/// A larger file is none of ours.
const MOST_BYTES: u64 = 256 * 1024;

/// The arguments to parse: the program's name, the file's, the aliases', the user's.
///
/// # Errors
/// Exit code 65, with file and key, for a file that cannot be read or a setting that does not parse.
pub fn arguments(given: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, Failure> {
    let mut given = given.into_iter();
    let program = given.next().unwrap_or_else(|| "doom-agent".into());
    let given: Vec<OsString> = given.collect();
    let command = Cli::command();
    let mut all = vec![program.clone()];
    if let Some(path) = config_path(&given) {
        all.extend(from_file(&path, &command, &program)?);
    }
    for (variable, flag) in ALIASES {
        if let Some(value) = env::var_os(variable).filter(|v| !v.is_empty())
            && !is_in_environment(&command, flag)
        {
            let mut argument = OsString::from(format!("--{flag}="));
            argument.push(value);
            all.push(argument);
        }
    }
    all.extend(given);
    Ok(all)
}

fn config_path(given: &[OsString]) -> Option<PathBuf> {
    let mut arguments = given.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|a| a.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    env::var_os("DOOM_AGENT_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from)
}

fn is_in_environment(command: &Command, flag: &str) -> bool {
    let variable = command.get_arguments().find(|a| a.get_long() == Some(flag)).and_then(|a| a.get_env());
    variable.is_some_and(|v| env::var_os(v).is_some())
}

fn from_file(path: &Path, command: &Command, program: &OsString) -> Result<Vec<OsString>, Failure> {
    let fail = |what: String| Failure::new(exit::DATA, format!("{}: {what}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| fail(format!("the configuration cannot be read: {e}")))?.len();
    if size > MOST_BYTES {
        return Err(fail(format!("the configuration has {size} bytes; at most {MOST_BYTES} are read")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| fail(format!("the configuration cannot be read: {e}")))?;
    let table: toml::Table = toml::from_str(&text).map_err(|e| fail(format!("not valid TOML: {e}")))?;
    let mut flags = Vec::new();
    for (key, value) in &table {
        let flag = key.replace('_', "-");
        let place =
            text.lines().position(|l| l.trim_start().starts_with(key.as_str())).map_or(String::new(), |l| format!("line {}: ", l + 1));
        let argument = command.get_arguments().find(|a| a.get_long() == Some(flag.as_str())).filter(|a| a.get_long() != Some("config"));
        let Some(argument) = argument else {
            let valid: Vec<&str> = command
                .get_arguments()
                .filter_map(clap::Arg::get_long)
                .filter(|n| *n != "config" && *n != "help" && *n != "version")
                .collect();
            return Err(fail(format!("{place}unknown key `{key}`; valid are {}", valid.join(", "))));
        };
        let own = match argument.get_action() {
            ArgAction::SetTrue => match value {
                toml::Value::Boolean(true) => vec![format!("--{flag}")],
                toml::Value::Boolean(false) => Vec::new(),
                _ => return Err(fail(format!("{place}`{key}` must be true or false"))),
            },
            _ => {
                texts(value).map_err(|what| fail(format!("{place}`{key}` {what}")))?.into_iter().map(|v| format!("--{flag}={v}")).collect()
            }
        };
        let alone = std::iter::once(program.clone()).chain(own.iter().map(OsString::from));
        // Other flags may be missing here; only what is wrong with this one counts.
        if let Err(error) = command.clone().try_get_matches_from(alone)
            && error.kind() != clap::error::ErrorKind::MissingRequiredArgument
        {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            return Err(fail(format!("{place}{first}")));
        }
        if !is_in_environment(command, &flag) {
            flags.extend(own.into_iter().map(OsString::from));
        }
    }
    Ok(flags)
}

/// One text for each value of a setting; a table (`[set]`, `[policy-param]`) becomes NAME=VALUE pairs.
fn texts(value: &toml::Value) -> Result<Vec<String>, String> {
    let scalar = |v: &toml::Value| match v {
        toml::Value::String(s) => Ok(s.clone()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => Ok(v.to_string()),
        _ => Err("must be a text, a number, a list of these, or a table of them".to_owned()),
    };
    match value {
        toml::Value::Array(list) => list.iter().map(scalar).collect(),
        toml::Value::Table(table) => table.iter().map(|(k, v)| Ok(format!("{k}={}", scalar(v)?))).collect(),
        other => scalar(other).map(|v| vec![v]),
    }
}
