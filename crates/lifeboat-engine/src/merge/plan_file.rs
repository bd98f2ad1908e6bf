//! The plan in a file: YAML when we write it, YAML or JSON when we read it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use lifeboat_rules::plan::Plan;

use crate::failure::Failure;

/// Bytes of a plan, at most: a million objects.
const PLAN_BYTES: u64 = 512 << 20;

/// Reads a plan; none when there is no file.
///
/// # Errors
/// [`Failure`] when it cannot be read or is no plan.
pub(super) fn read(path: &Path) -> Result<Option<Plan>, Failure> {
    let cannot = |cause: Box<dyn std::error::Error + Send + Sync>| {
        let what = format!("cannot read the plan {}", path.display());
        Failure::failed(what, "have it written anew into another file").because(cause)
    };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(cannot(e.into())),
    };
    let mut text = String::new();
    file.take(PLAN_BYTES).read_to_string(&mut text).map_err(|e| cannot(e.into()))?;
    parse(&text).map(Some).map_err(cannot)
}

fn parse(text: &str) -> Result<Plan, Box<dyn std::error::Error + Send + Sync>> {
    // JSON first: it is what machines write, and costs less.
    if text.trim_start().starts_with('{') {
        return Ok(serde_json::from_str(text)?);
    }
    serde_saphyr::from_str(text).map_err(|e| e.to_string().into())
}

/// Writes a plan to a file that is not there.
///
/// # Errors
/// [`Failure`] when it cannot be written.
pub(super) fn write(path: &Path, plan: &Plan) -> Result<(), Failure> {
    // It names users and rooms.
    let mut how = OpenOptions::new();
    how.write(true).create_new(true).mode(0o600);
    let written = how.open(path).and_then(|mut file| file.write_all(plan.to_yaml().as_bytes()));
    written.map_err(|e| {
        let what = format!("cannot write the plan {}", path.display());
        Failure::failed(what, "name a file in a folder that can be written").because(e)
    })
}

#[cfg(test)]
mod tests;
