//! The folders above what is kept. Where a restore makes them, they must let in who they let in,
//! and keep out who they kept out.

use std::path::Path;

use lifeboat_engine::failure::Failure;
use lifeboat_engine::writer::sink::PartSink;
use lifeboat_package::backup::{ABOVE, FileKind};

use super::lines::Lines;
use super::tree::{Tree, attributes, record};

/// Pours the folders above a path, the uppermost first. One that is a link stands for what it leads
/// to; one that cannot be looked at is made by a restore as nobody's but root's.
///
/// # Errors
/// [`Failure`] when the package cannot be written.
pub(super) async fn pour(path: &Path, sink: &mut PartSink) -> Result<(), Failure> {
    let mut lines = Lines::of(ABOVE);
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    // Whatever is restored has a root.
    folders.pop();
    for folder in folders.into_iter().rev() {
        let Ok(metadata) = std::fs::metadata(folder) else { continue };
        let root = folder.to_owned();
        let tree = Tree { role: ABOVE.to_owned(), root, without: Vec::new() };
        let mut record = record(&tree, folder, &metadata);
        record.kind = FileKind::Folder;
        record.size = 0;
        record.attributes = attributes(folder);
        lines.add(&record, sink).await?;
    }
    lines.flush(sink).await
}
