//! Files with secrets that more people can read than have to: told, never refused, because on the
//! worst day a key in the wrong mode is better than none.

#[cfg(test)]
mod tests;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lifeboat_engine::context::Context;

/// Warns where a file with a secret, which was just read, can be read by others.
pub(super) fn warn_of_readers(cx: &Context, path: &Path) {
    // What a process was handed open has no mode that anybody could mend.
    let is_handed = ["/dev/", "/proc/"].iter().any(|folder| path.starts_with(folder));
    let Ok(found) = fs::metadata(path) else { return };
    if is_handed || !found.is_file() {
        return;
    }
    if let Some(who) = readers(found.mode(), found.uid()) {
        let shown = path.display();
        cx.note(format!("warning: {who} can read the secret in {shown}: chmod 600 {shown}"));
    }
}

/// Who can read a file of this mode and owner besides its owner and root.
fn readers(mode: u32, owner: u32) -> Option<&'static str> {
    // Kubernetes mounts secrets as root's, 0440, so that a pod's group can read them.
    let is_roots = owner == 0;
    match (mode & 0o040 != 0, mode & 0o004 != 0) {
        (_, true) => Some("everybody on this machine"),
        (true, false) if !is_roots => Some("a group"),
        _ => None,
    }
}
