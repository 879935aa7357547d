//! Who we are: a login of whatever kind, certificates, and the files that they are in.
//!
//! Files are looked at before the first try and read anew for each: credentials and certificates that somebody renews are taken without a restart.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_nats::{AuthError, ConnectOptions, ServerAddr};
use data_encoding::BASE64URL_NOPAD;
use doom_protocol::Timestamp;
use nkeys::KeyPair;
use percent_encoding::percent_decode_str;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::Deserialize;

/// Files with secrets are short; more is not read.
const MOST_BYTES: u64 = 64 * 1024;

/// How the agent proves who it is. Secrets never appear in `Debug`.
#[derive(Clone, Default)]
pub enum Auth {
    /// Nothing, or what the first URL with a login says.
    #[default]
    None,
    /// User name and password.
    UserPassword(String, String),
    /// A token.
    Token(String),
    /// A file with an nkey seed.
    NKey(PathBuf),
    /// A file with a JWT and an nkey seed.
    Credentials(PathBuf),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::UserPassword(..) => "UserPassword(hidden)",
            Self::Token(_) => "Token(hidden)",
            Self::NKey(_) => "NKey(hidden)",
            Self::Credentials(_) => "Credentials(hidden)",
        })
    }
}

/// What a file with secrets holds.
struct Secrets {
    jwt: Option<String>,
    key: KeyPair,
}

impl Auth {
    /// Looks at the file, where there is one.
    pub(crate) fn check(&self) -> Result<(), ConnectError> {
        self.read().map(drop)
    }

    /// Errors name the file and never its content.
    fn read(&self) -> Result<Option<Secrets>, ConnectError> {
        let (path, what, should) = match self {
            Self::Credentials(path) => (path, "credentials", "a user JWT and an nkey seed, as nsc writes them"),
            Self::NKey(path) => (path, "nkey seed", "an nkey seed, which begins with SU"),
            _ => return Ok(None),
        };
        let refuse = |problem: String| ConnectError::File { what, path: path.clone(), problem };
        let text = read_short(path).map_err(|e| refuse(format!("cannot be read: {e}")))?;
        let secrets = if matches!(self, Self::NKey(_)) { seed(text.trim()) } else { credentials(&text) };
        secrets.map(Some).ok_or_else(|| refuse(format!("cannot be used: it should hold {should}")))
    }

    /// This, or else the login in the first URL that has one (the client ignores it there): `USER:PASSWORD@`, or `TOKEN@`.
    pub(crate) fn or_of_url(&self, servers: &[ServerAddr]) -> Self {
        let Self::None = self else { return self.clone() };
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        match servers.iter().find_map(|server| Some((server.username()?, server.password()))) {
            Some((user, Some(password))) => Self::UserPassword(plain(user), plain(password)),
            Some((token, None)) => Self::Token(plain(token)),
            None => Self::None,
        }
    }

    /// What the client is told.
    pub(crate) fn options(&self) -> ConnectOptions {
        match self.clone() {
            Self::None => ConnectOptions::new(),
            Self::UserPassword(user, password) => ConnectOptions::with_user_and_password(user, password),
            Self::Token(token) => ConnectOptions::with_token(token),
            file => ConnectOptions::with_auth_callback(move |nonce| {
                let file = file.clone();
                async move {
                    let proof = tokio::task::spawn_blocking(move || file.prove(&nonce)).await;
                    proof.map_err(AuthError::new)?.map_err(AuthError::new)
                }
            }),
        }
    }

    /// Signs what the server has sent, by the file as it is now.
    fn prove(&self, nonce: &[u8]) -> Result<async_nats::Auth, ConnectError> {
        let mut proof = async_nats::Auth::new();
        if let Some(secrets) = self.read()? {
            let signature = secrets.key.sign(nonce).map_err(|e| ConnectError::Setup(format!("the nkey cannot sign: {e}")))?;
            proof.signature = Some(signature);
            proof.nkey = secrets.jwt.is_none().then(|| secrets.key.public_key());
            proof.jwt = secrets.jwt;
        }
        Ok(proof)
    }

    /// Says when credentials ended, where they have.
    pub(crate) fn expired(&self) -> Option<String> {
        let Self::Credentials(path) = self else { return None };
        let end = self.read().ok()??.jwt.as_deref().and_then(end_of)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        (0 < end && end <= now).then(|| format!("{} held until {}", path.display(), instant(end)))
    }
}

/// Such as `2026-01-02T03:04:05.000000Z`.
fn instant(seconds: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.map_or_else(|| format!("second {seconds}"), |time| Timestamp::from_system(time).to_string())
}

/// The text of a file of at most [`MOST_BYTES`].
fn read_short(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MOST_BYTES {
        return Err(std::io::Error::other(format!("it is longer than {MOST_BYTES} bytes")));
    }
    Ok(text)
}

fn seed(text: &str) -> Option<Secrets> {
    Some(Secrets { jwt: None, key: KeyPair::from_seed(text).ok()? })
}

/// As nsc decorates them: a JWT and a seed, each the line after one that says `BEGIN`.
fn credentials(text: &str) -> Option<Secrets> {
    let block = |name: &str| {
        let mut lines = text.lines().skip_while(|line| !(line.starts_with("---") && line.contains("BEGIN") && line.contains(name)));
        lines.next()?;
        lines.map(str::trim).find(|line| !line.is_empty()).filter(|line| !line.starts_with("---"))
    };
    let jwt = block("JWT")?.to_owned();
    Some(Secrets { jwt: Some(jwt), ..seed(block("SEED")?)? })
}

/// When a JWT ends, in seconds since 1970; 0 where it never does.
fn end_of(jwt: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        exp: u64,
    }
    let claims = BASE64URL_NOPAD.decode(jwt.split('.').nth(1)?.as_bytes()).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
}

/// Files for TLS.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Root certificates that are trusted in the place of the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, for mutual TLS.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// Looks at the files.
    pub(crate) fn check(&self) -> Result<(), ConnectError> {
        let refuse = |path: &PathBuf, problem: String| ConnectError::File { what: "TLS", path: path.clone(), problem };
        let certificates = self.ca.iter().chain(self.certificate.iter().map(|(certificate, _)| certificate));
        for path in certificates {
            let bytes = std::fs::read(path).map_err(|e| refuse(path, format!("cannot be read: {e}")))?;
            let some = CertificateDer::pem_slice_iter(&bytes).next().is_some_and(|first| first.is_ok());
            if !some {
                return Err(refuse(path, "cannot be used: it should hold a certificate in PEM".to_owned()));
            }
        }
        if let Some((_, key)) = &self.certificate {
            let bytes = std::fs::read(key).map_err(|e| refuse(key, format!("cannot be read: {e}")))?;
            PrivateKeyDer::from_pem_slice(&bytes)
                .map_err(|_| refuse(key, "cannot be used: it should hold a private key in PEM".to_owned()))?;
        }
        Ok(())
    }
}

/// Why no connection can even be tried.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL does not parse.
    #[error("the NATS URL is not valid: {0}; write it like nats://127.0.0.1:4222")]
    Url(String),
    /// A file with credentials, keys or certificates cannot be read or is none.
    #[error("the NATS {what} file {} {problem}", path.display())]
    File {
        /// What it should be: `credentials`, `nkey seed` or `TLS`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Any other refusal before the first try (certificates, for instance).
    #[error("cannot set up the NATS connection: {0}")]
    Setup(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_appear_in_debug() {
        let text = format!("{:?}", Auth::UserPassword("me".into(), "hunter2".into()));
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn credentials_are_read_as_they_are_decorated_and_nothing_else_is() {
        let seed = KeyPair::new_user().seed().unwrap();
        let file = |jwt: &str, seed: &str| {
            format!(
                "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n***\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
            )
        };
        let claims = BASE64URL_NOPAD.encode(br#"{"exp":1767323045}"#);
        let read = credentials(&file(&format!("e.{claims}.s"), &seed)).unwrap();
        assert_eq!((read.key.seed().unwrap(), end_of(&read.jwt.unwrap())), (seed.clone(), Some(1_767_323_045)));
        assert_eq!(instant(1_767_323_045), "2026-01-02T03:04:05.000000Z");
        for bad in ["", &seed, &file("", &seed), &file("e.c.s", "SUnone")] {
            assert!(credentials(bad).is_none(), "{bad}");
        }
        assert!(["", "a", "a.b", "a.!.c", "a.e30.c"].map(end_of)[..4].iter().all(Option::is_none));
    }
}
