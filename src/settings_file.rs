//! The file of `--config`: TOML whose keys are the flags' names, with the line of each.

use std::{ffi::OsString, fmt::Display, ops::Range, path::Path};

use clap::{ArgAction, Command, error::ContextKind};
use toml::de::{DeTable, DeValue};

use crate::{
    exit::{self, Failure},
    settings::{Given, Place},
};

/// A larger file is none of ours.
const MOST_BYTES: u64 = 256 * 1024;

/// Every setting of the file, as text.
///
/// # Errors
/// Exit code 65, with file and line, for what is no TOML, no setting, or no text, number or flag.
pub(crate) fn read(path: &Path, command: &Command) -> Result<Vec<Given>, Failure> {
    let fail = |what: &dyn Display| Failure::new(exit::DATA, format!("{}: {what}", path.display()));
    let unreadable = |e| fail(&format!("the configuration cannot be read: {e}"));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MOST_BYTES {
        return Err(fail(&format!("the configuration has {size} bytes; at most {MOST_BYTES} are read")));
    }
    of_text(path, &std::fs::read_to_string(path).map_err(unreadable)?, command)
}

/// As [`read`], of what the file holds.
pub(crate) fn of_text(path: &Path, text: &str, command: &Command) -> Result<Vec<Given>, Failure> {
    let line = |span: Range<usize>| 1 + text.get(..span.start).unwrap_or(text).matches('\n').count();
    let fail = |line: usize, what: String| Failure::new(exit::DATA, format!("{}:{line}: {what}", path.display()));
    // The parser's own text shows the line, which may hold a password; its message alone does not.
    let table = DeTable::parse(text).map_err(|e| fail(e.span().map_or(1, line), format!("not valid TOML: {}", e.message())))?;
    let mut all: Vec<Given> = Vec::new();
    for (key, value) in table.get_ref() {
        let (written, line) = (key.get_ref().as_ref(), line(key.span()));
        let name = written.replace('_', "-");
        let Some(argument) = command.get_arguments().find(|a| a.get_long() == Some(&name) && !is_no_setting(&name)) else {
            return Err(fail(line, unknown(written, &name, command)));
        };
        let takes_several = matches!(argument.get_action(), ArgAction::Append);
        let takes_pairs = matches!(name.as_str(), "set" | "policy-param");
        let values = texts(value.get_ref(), takes_several, takes_pairs).map_err(|what| fail(line, format!("{written} {what}")))?;
        if let Some(Given { place: Place::File(_, first), .. }) = all.iter().find(|g| g.name == name) {
            return Err(fail(line, format!("{written} is given twice, first in line {first}")));
        }
        all.push(Given { name, values, place: Place::File(path.to_owned(), line) });
    }
    Ok(all)
}

fn is_no_setting(name: &str) -> bool {
    matches!(name, "config" | "help" | "version")
}

fn unknown(written: &str, name: &str, command: &Command) -> String {
    let valid: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).filter(|n| !is_no_setting(n)).collect();
    // Clap knows which flag may have been meant.
    let error = command.clone().try_get_matches_from(["doom-agent", &format!("--{name}=x")]).err();
    let meant = error.as_ref().and_then(|e| e.get(ContextKind::SuggestedArg)).map(|s| s.to_string().trim_start_matches("--").to_owned());
    let meant = meant.filter(|m| valid.contains(&m.as_str())).map_or(String::new(), |m| format!(" (did you mean {m}?)"));
    format!("unknown key `{written}`{meant}; valid are {}", valid.join(", "))
}

/// One text for each value; a table becomes `NAME=VALUE` pairs.
fn texts(value: &DeValue<'_>, takes_several: bool, takes_pairs: bool) -> Result<Vec<OsString>, String> {
    let scalar = |v: &DeValue<'_>| match v {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        _ => Err(match (takes_several, takes_pairs) {
            (_, true) => "must be a table such as { NAME = 1 }, or a list of texts such as \"NAME=1\"",
            (true, _) => "must be a text or a number, or a list of these",
            _ => "must be a text, a number, true or false",
        }),
    };
    match value {
        DeValue::Array(list) if takes_several => list.iter().map(|v| scalar(v.get_ref()).map(OsString::from)).collect(),
        DeValue::Table(table) if takes_pairs => {
            table.iter().map(|(k, v)| Ok(format!("{}={}", k.get_ref(), scalar(v.get_ref())?).into())).collect()
        }
        other => Ok(vec![scalar(other)?.into()]),
    }
    .map_err(|what: &str| what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    fn refused(text: &str) -> String {
        let failure = of_text(Path::new("agent.toml"), text, &cli::command()).unwrap_err();
        assert_eq!(failure.code, exit::DATA);
        failure.message
    }

    #[test]
    fn keys_are_the_flags_names_and_know_their_line() {
        let text = "# ours\nid = \"A\"\n\nframe_skip = 4\nstart-paused = true\nseeds = [1, 2]\n[set]\nepisode_timeout = 2100\n";
        let given = of_text(Path::new("agent.toml"), text, &cli::command()).unwrap();
        let shown: Vec<String> = given.iter().map(|g| format!("{g} {}", g.place)).collect();
        let all = [
            "frame-skip=4 agent.toml:4",
            "id=A agent.toml:2",
            "seeds=1,2 agent.toml:6",
            "set=episode_timeout=2100 agent.toml:7",
            "start-paused=true agent.toml:5",
        ];
        assert!(all.iter().all(|s| shown.contains(&(*s).to_owned())) && shown.len() == all.len(), "{shown:?}");
    }

    #[test]
    fn mistakes_are_told_with_file_and_line() {
        let error = refused("\nframe-skp = 4\n");
        assert!(error.starts_with("agent.toml:2: unknown key `frame-skp` (did you mean frame-skip?); valid are id, "), "{error}");
        assert!(refused("config = \"b.toml\"").starts_with("agent.toml:1: unknown key `config`; valid are"));
        assert_eq!(refused("frame-skip = 1\nframe_skip = 2"), "agent.toml:2: frame_skip is given twice, first in line 1");
        assert_eq!(refused("\nid = [\"A\", \"B\"]"), "agent.toml:2: id must be a text, a number, true or false");
        assert_eq!(refused("seeds = [[1]]"), "agent.toml:1: seeds must be a text or a number, or a list of these");
        assert!(refused("[id]\nx = 1").starts_with("agent.toml:1: id must be"));
        assert!(refused("id = \"A\"\nid = \"B\"").starts_with("agent.toml:2: not valid TOML: "));
    }

    #[test]
    fn a_password_in_a_file_that_is_no_toml_is_not_repeated() {
        let error = refused("\nnats-password = hunter2\n");
        assert!(error.starts_with("agent.toml:2: not valid TOML: ") && !error.contains("hunter2"), "{error}");
    }
}
