//! Does the Synapse that will run on the target know the package's schema? Only Synapse itself can
//! say.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// Where Element's Debian packages put Synapse's Python.
const USUAL_PYTHON: &str = "/opt/venvs/matrix-synapse/bin/python";

/// Asks Synapse for its schema version; `None` when no Synapse was found.
///
/// # Errors
/// [`Failure`] when a Python was named and has no Synapse, or its Synapse is too old.
pub fn demand(named: Option<&Path>, compat: i64) -> Result<Option<i64>, Failure> {
    let python = match named {
        Some(python) => python.to_owned(),
        None if Path::new(USUAL_PYTHON).exists() => PathBuf::from(USUAL_PYTHON),
        None => return Ok(None),
    };
    let program = "from synapse.storage.schema import SCHEMA_VERSION; print(SCHEMA_VERSION)";
    let output = Command::new(&python).args(["-I", "-c", program]).env_clear().output();
    let version = output
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .and_then(|text| text.trim().parse::<i64>().ok());
    match version {
        Some(version) if version < compat => Err(Failure::failed(
            format!("Synapse here knows schema {version}, the package needs at least {compat}"),
            "install the Synapse that the package was made from, or a newer one",
        )),
        None if named.is_some() => Err(Failure::usage(
            format!("{} has no Synapse", python.display()),
            "name the Python of Synapse's own environment with --synapse-python",
        )),
        version => Ok(version),
    }
}
