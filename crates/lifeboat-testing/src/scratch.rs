//! Folders that go away with the process that made them, however it ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::WorldError;

/// Servers that die with us may write for a moment longer, so the removal is tried again.
const SWEEP: &str = r#"
cat >/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    rm -rf -- "$1" 2>/dev/null && exit 0
    sleep 0.2
done
"#;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder with a short path that other accounts may pass through; removed at the end.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    sweeper: Child,
}

impl Scratch {
    /// Makes `TMP/lifeboat-LABEL-PID-N`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(label: &str) -> Result<Self, WorldError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lifeboat-{label}-{}-{number}", process::id());
        let path = std::env::temp_dir().join(name);
        if path.exists() {
            // Process ids come back; what an earlier one could not remove is nobody's.
            fs::remove_dir_all(&path)
                .map_err(WorldError::io(format!("clear {}", path.display())))?;
        }
        fs::create_dir_all(&path).map_err(WorldError::io(format!("make {}", path.display())))?;
        fs::set_permissions(&path, Permissions::from_mode(0o711))
            .map_err(WorldError::io("open the scratch folder"))?;
        let sweeper = Command::new("/bin/sh")
            .args(["-c", SWEEP, "sweep"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(WorldError::io("start the sweeper of the scratch folder"))?;
        Ok(Self { path, sweeper })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        drop(self.sweeper.wait());
    }
}
