//! The sliding sync proxy: everything stands in its environment.

use super::{Finding, Known};
use crate::env_file::EnvFile;
use crate::error::SuiteError;

/// The variable of the secret that tokens are encrypted with.
pub(crate) const SECRET: &str = "SYNCV3_SECRET";
const DATABASE: &str = "SYNCV3_DB";
const KNOWN: Known = Known {
    name: SECRET,
    without_it: "no token in the database can be read: every client must begin anew",
};

pub(super) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    let item = at.item;
    let Some(path) = item.text(&["env_file"])? else {
        return Err(item.missing(&["env_file"], "name the file that sets SYNCV3_SECRET"));
    };
    let path = at.named(path);
    let variables = EnvFile::read(&path)?;
    if variables.get(SECRET).is_some() {
        let without_it = KNOWN.without_it;
        let setting = Some(SECRET.to_owned());
        let secret = crate::installation::SecretFile { name: SECRET, path, setting, without_it };
        at.component.secrets.push(secret);
    } else {
        let what = format!("{SECRET} is not set in {}", path.display());
        at.component.note(what, "name the file that sets it: its tokens are lost without");
    }
    match variables.get(DATABASE) {
        Some(text) => at.postgres(text.expose(), DATABASE)?,
        None if !at.is_given => {
            return Err(item.missing(&["database_url"], "SYNCV3_DB is not in its env_file"));
        }
        None => {}
    }
    at.component.note(
        "the sliding sync proxy is retired; Synapse answers sliding sync itself",
        "point clients at Synapse, then remove this component",
    );
    Ok(())
}
