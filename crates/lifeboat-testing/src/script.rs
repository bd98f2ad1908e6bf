//! The Python programs that fill a homeserver and read it back as clients see it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::synapse::{APPSERVICE_TOKEN, REGISTRATION_SECRET};
use crate::{Homeserver, Size, Tools, WorldError};

/// The folder of the programs.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// Fills a running, empty homeserver; what it did, with tokens and keys, is written to `state`.
///
/// # Errors
/// When a call to the homeserver fails that must not.
pub fn seed(
    tools: &Tools,
    server: &Homeserver,
    size: Size,
    state: &Path,
) -> Result<(), WorldError> {
    let url = server.base_url();
    run(
        tools,
        "seed.py",
        [
            "--base-url".as_ref(),
            url.as_ref(),
            "--shared-secret".as_ref(),
            REGISTRATION_SECRET.as_ref(),
            "--as-token".as_ref(),
            APPSERVICE_TOKEN.as_ref(),
            "--size".as_ref(),
            size.name().as_ref(),
            "--out".as_ref(),
            state.as_os_str(),
        ],
    )
    .map(drop)
}

/// Reads everything that the clients in `state` can see of a homeserver into `facts`.
///
/// # Errors
/// When the server cannot be reached or the tokens are refused.
pub fn capture(
    tools: &Tools,
    server: &Homeserver,
    state: &Path,
    facts: &Path,
) -> Result<(), WorldError> {
    let url = server.base_url();
    let arguments = ["capture".as_ref(), url.as_ref(), state.as_os_str(), facts.as_os_str()];
    run(tools, "fingerprint.py", arguments).map(drop)
}

/// Compares two captures. The text lists counts and differences. `allowed` are shell patterns of
/// names of facts that may differ.
///
/// # Errors
/// When they differ, with the differences, or cannot be read.
pub fn compare(
    tools: &Tools,
    left: &Path,
    right: &Path,
    allowed: &[&str],
) -> Result<String, WorldError> {
    let mut arguments = vec!["compare".as_ref(), left.as_os_str(), right.as_os_str()];
    for pattern in allowed {
        arguments.push("--allow".as_ref());
        arguments.push(pattern.as_ref());
    }
    let output = run(tools, "fingerprint.py", arguments)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs one of the programs to its end.
///
/// # Errors
/// When it cannot be started or fails; the error has the end of what it printed.
pub fn run<'a>(
    tools: &Tools,
    name: &str,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> Result<Output, WorldError> {
    let output = Command::new(tools.probe_python())
        .arg("-B")
        .arg(folder().join(name))
        .args(arguments)
        .output()
        .map_err(WorldError::io(format!("run {name}")))?;
    if output.status.success() { Ok(output) } else { Err(WorldError::command(name, &output)) }
}
