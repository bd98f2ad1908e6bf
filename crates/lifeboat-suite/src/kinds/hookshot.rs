//! Hookshot: most of its state is in Synapse; here are its keys, and its store of encryption.

use super::{Finding, Known};
use crate::error::SuiteError;
use crate::installation::Role;

const PASSKEY: Known = Known {
    name: "passkey",
    without_it: "what people signed in to, kept encrypted in Synapse, cannot be read",
};
const GITHUB: Known = Known {
    name: "key of the GitHub app",
    without_it: "GitHub does not know the bridge until the app has another",
};

pub(super) fn find(at: &mut Finding<'_>) -> Result<(), SuiteError> {
    let document = at.needed_document()?;
    let view = document.view()?;
    let passkey = view.text(&["passFile"])?.unwrap_or("passkey.pem");
    at.secret_file(PASSKEY, at.resolve(passkey));
    if let Some(path) = view.text(&["github", "auth", "privateKeyFile"])? {
        at.secret_file(GITHUB, at.resolve(path));
    }
    for setting in [["encryption", "storagePath"], ["experimentalEncryption", "storagePath"]] {
        if let Some(path) = view.text(&setting)? {
            at.file(Role::Data, at.resolve(path));
            at.component.note(
                "its store of encryption must be of the same moment as Synapse's database",
                "after a restore of Synapse to an older moment, empty this store and its Redis",
            );
        }
    }
    at.registration(&["registration.yml", "registration.yaml"])
}
