//! The command line, with what the environment says where a flag does not: the variables of `doom-agent`, so that one environment serves both.

use std::env;

use clap::FromArgMatches;
use cli_common::refusal::without_secrets;

use crate::cli::{self, Cli};

/// The orchestrator's own name for `--nats`; `DOOM_AGENT_NATS` beats it.
const URL_ALIAS: &str = "NATS_URL";

/// What this process was told; help, version and mistakes end it here.
pub(crate) fn of_process() -> Cli {
    let present = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let command = with_variables(cli::command(), &present);
    let parsed = command.try_get_matches().and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    parsed.unwrap_or_else(|error| without_secrets(error).exit())
}

/// Gives the connection's flags the variables that are there; an empty one counts as none.
fn with_variables(command: clap::Command, present: &dyn Fn(&str) -> bool) -> clap::Command {
    command.mut_args(|argument| {
        let Some(flag) = argument.get_long().filter(|flag| flag.starts_with("nats") || *flag == "subject-root") else { return argument };
        let own = format!("DOOM_AGENT_{}", flag.to_ascii_uppercase().replace('-', "_"));
        let alias = (flag == "nats").then(|| URL_ALIAS.to_owned());
        match [Some(own), alias].into_iter().flatten().find(|name| present(name)) {
            Some(name) => argument.env(name).hide_env(true),
            None => argument,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_own_variable_beats_the_orchestrators() {
        let variable_of_nats = |present: &dyn Fn(&str) -> bool| {
            let command = with_variables(cli::command(), present);
            let argument = command.get_arguments().find(|a| a.get_long() == Some("nats")).unwrap();
            argument.get_env().map(|name| name.to_string_lossy().into_owned())
        };
        assert_eq!(variable_of_nats(&|_| true).as_deref(), Some("DOOM_AGENT_NATS"));
        assert_eq!(variable_of_nats(&|name| name == "NATS_URL").as_deref(), Some("NATS_URL"));
        assert_eq!(variable_of_nats(&|_| false), None);
    }

    #[test]
    fn the_parser_is_consistent() {
        cli::command().debug_assert();
    }
}
