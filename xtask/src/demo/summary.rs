//! What the demo did, on one screen.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lifeboat_testing::World;

use crate::shell::{Done, say, show_chain, show_time};

/// Sizes and times of one run.
#[derive(Default)]
pub(super) struct Summary {
    database_bytes: u64,
    media: Folder,
    package_bytes: u64,
    pub(super) export: Duration,
    pub(super) verify: Duration,
    pub(super) import: Duration,
    /// What `compare` printed.
    pub(super) comparison: String,
}

/// How much lies in a folder.
#[derive(Default)]
struct Folder {
    files: u64,
    bytes: u64,
}

impl Summary {
    /// Measures the database and the media of the first server.
    pub(super) fn measure_source(&mut self, world: &World) -> Done {
        let sql = "SELECT pg_database_size(current_database())";
        let size = world.cluster.psql(world.server.database(), sql).map_err(|e| show_chain(&e))?;
        self.database_bytes = size.parse().map_err(|_| format!("`{size}` is not a size"))?;
        self.media = Folder::measure(&world.server.media_store())
            .map_err(|e| format!("measure the media store: {e}"))?;
        Ok(())
    }

    /// Measures the finished package.
    pub(super) fn measure_package(&mut self, package: &Path) -> Done {
        let facts = fs::metadata(package).map_err(|e| format!("measure the package: {e}"))?;
        self.package_bytes = facts.len();
        Ok(())
    }

    /// Prints the summary.
    pub(super) fn say(&self, package: &Path, identity: &Path) {
        say("\n=== summary");
        let Folder { files, bytes } = &self.media;
        say(&format!("  source    {} database", show_size(self.database_bytes)));
        say(&format!("            {} media in {files} files", show_size(*bytes)));
        say(&format!("  package   {}  {}", show_size(self.package_bytes), package.display()));
        say(&format!("  identity  {}", identity.display()));
        say(&format!("  export    {}", show_time(self.export)));
        say(&format!("  verify    {}", show_time(self.verify)));
        say(&format!("  import    {}", show_time(self.import)));
        say("  compared through the client API:");
        for line in self.comparison.lines() {
            say(&format!("    {line}"));
        }
    }
}

impl Folder {
    fn measure(path: &Path) -> std::io::Result<Self> {
        let mut sum = Self::default();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let facts = entry.metadata()?;
            let inside = if facts.is_dir() {
                Self::measure(&entry.path())?
            } else {
                Self { files: 1, bytes: facts.len() }
            };
            sum.files += inside.files;
            sum.bytes += inside.bytes;
        }
        Ok(sum)
    }
}

/// `12.3 MB`, rounded down.
fn show_size(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
