//! The flags that say who we are to a NATS server, and by which certificates it is known.

use std::path::PathBuf;

use clap::Args;
use doom_bus::{Auth, Tls};

use crate::{
    exit::{self, Failure},
    secret::Secret,
};

/// Heading of the connection's flags in the help.
pub const HEADING: &str = "The connection to NATS";

/// How to log in, one way of several, and the files of TLS.
#[derive(Debug, Clone, Default, Args)]
pub struct Login {
    /// Log in with a credentials file (JWT and nkey seed)
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", hide_short_help = true)]
    pub nats_creds: Option<PathBuf>,
    /// Log in with the nkey seed in a file
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", hide_short_help = true)]
    pub nats_nkey: Option<PathBuf>,
    /// Log in with a user name and --nats-password
    #[arg(long, global = true, help_heading = HEADING, value_name = "NAME", hide_short_help = true)]
    pub nats_user: Option<String>,
    /// The user's password; better given as DOOM_AGENT_NATS_PASSWORD, since others can see flags
    #[arg(long, global = true, help_heading = HEADING, value_name = "SECRET", hide_short_help = true)]
    pub nats_password: Option<Secret>,
    /// Log in with a token; better given as DOOM_AGENT_NATS_TOKEN
    #[arg(long, global = true, help_heading = HEADING, value_name = "SECRET", hide_short_help = true)]
    pub nats_token: Option<Secret>,
    /// Certificates to trust for TLS, in PEM, instead of the system's
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", hide_short_help = true)]
    pub nats_ca: Option<PathBuf>,
    /// Our certificate for mutual TLS, in PEM; goes with --nats-key
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", hide_short_help = true)]
    pub nats_cert: Option<PathBuf>,
    /// The key of our certificate, in PEM
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", hide_short_help = true)]
    pub nats_key: Option<PathBuf>,
}

/// The ways to log in, of which one replaces every other; a user goes with a password.
const WAYS: [&[&str]; 4] = [&["nats-creds"], &["nats-nkey"], &["nats-token"], &["nats-user", "nats-password"]];

/// The flags that exclude this one.
#[must_use]
pub fn rivals(flag: &str) -> Vec<&'static str> {
    if !WAYS.iter().any(|way| way.contains(&flag)) {
        return Vec::new();
    }
    WAYS.iter().filter(|way| !way.contains(&flag)).flat_map(|way| way.iter().copied()).collect()
}

impl Login {
    /// The one way that is given.
    ///
    /// # Errors
    /// Exit code 2 for a user without password or the reverse.
    pub fn auth(&self) -> Result<Auth, Failure> {
        Ok(match self {
            Self { nats_creds: Some(path), .. } => Auth::Credentials(path.clone()),
            Self { nats_nkey: Some(path), .. } => Auth::NKey(path.clone()),
            Self { nats_token: Some(token), .. } => Auth::Token(token.expose().to_owned()),
            Self { nats_user: Some(user), nats_password: Some(password), .. } => {
                Auth::UserPassword(user.clone(), password.expose().to_owned())
            }
            Self { nats_user: Some(_), .. } => return Err(alone("user", "password")),
            Self { nats_password: Some(_), .. } => return Err(alone("password", "user")),
            _ => Auth::None,
        })
    }

    /// The files of TLS.
    ///
    /// # Errors
    /// Exit code 2 for a certificate without key or the reverse.
    pub fn tls(&self) -> Result<Tls, Failure> {
        match (&self.nats_cert, &self.nats_key) {
            (Some(_), None) => Err(alone("cert", "key")),
            (None, Some(_)) => Err(alone("key", "cert")),
            (certificate, key) => Ok(Tls { ca: self.nats_ca.clone(), certificate: certificate.clone().zip(key.clone()) }),
        }
    }
}

fn alone(given: &str, needed: &str) -> Failure {
    Failure::new(exit::USAGE, format!("--nats-{given} needs --nats-{needed}; give both or none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_to_log_in_excludes_the_others_and_not_itself() {
        assert_eq!(rivals("nats-user"), ["nats-creds", "nats-nkey", "nats-token"]);
        assert!(rivals("nats-creds").contains(&"nats-password"));
        assert!(rivals("nats-ca").is_empty());
    }

    #[test]
    fn half_of_a_pair_is_refused() {
        let user = Login { nats_user: Some("me".to_owned()), ..Login::default() };
        assert_eq!(user.auth().unwrap_err().code, exit::USAGE);
        let key = Login { nats_key: Some("key.pem".into()), ..Login::default() };
        assert!(key.tls().unwrap_err().message.contains("--nats-key needs --nats-cert"));
    }
}
