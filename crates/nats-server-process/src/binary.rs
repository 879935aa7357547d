//! Where the executable is.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::NatsServerError;

const NAME: &str = "nats-server";

/// Where the executable is: `NATS_SERVER`, beside our own executable, `../share/doom-agent`, the workspace's `vendor`, the `PATH`.
///
/// # Errors
/// [`NatsServerError::NotFound`] with the places that were looked at.
pub fn find() -> Result<PathBuf, NatsServerError> {
    let mut places = Vec::new();
    if let Some(named) = env::var_os("NATS_SERVER").filter(|v| !v.is_empty()) {
        // Who names a place means that place.
        places.push(PathBuf::from(named));
    } else {
        if let Some(beside) = env::current_exe().ok().as_deref().and_then(Path::parent) {
            places.push(beside.join(NAME));
            places.push(beside.join("../share/doom-agent").join(NAME));
        }
        places.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vendor/nats-server").join(NAME));
        places.extend(env::var_os("PATH").iter().flat_map(env::split_paths).map(|dir| dir.join(NAME)));
    }
    places.iter().find(|p| p.is_file()).cloned().ok_or(NatsServerError::NotFound { places })
}
