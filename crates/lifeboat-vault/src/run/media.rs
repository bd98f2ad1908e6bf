//! The cross-check of media: every upload that a row of the cut names has its file.

use std::path::Path;

use lifeboat_components::synapse::media_path::MediaFile;
use lifeboat_components::synapse::media_rows;
use lifeboat_components::synapse::read::media::MEDIA_MISSING;
use lifeboat_engine::context::Event;
use lifeboat_engine::export::source::database_fault;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::writer::sink::PartSink;
use lifeboat_package::flow::{Batch, Gap, Sink};

use super::database::Ready;
use super::union::Union;
use super::{Poured, flow};

/// Looks for the file of every row: after the cut, so that it was there when the row was written.
/// Where there are storage providers, what was taken from disk and providers counts.
/// An upload without its file is a gap. Files of other servers are told and no gap: another server
/// has them.
///
/// # Errors
/// [`Failure`] when the database or the package fails.
pub async fn check(
    ready: &Ready,
    (server, store, union): (&str, &Path, Option<&Union>),
    report: &(dyn Fn(Event) + Send + Sync),
    sink: &mut PartSink,
) -> Result<Poured, Failure> {
    let lane = ready.cut.lane();
    let missing = if let Some(union) = union {
        let is_taken = union.is_taken().await;
        media_rows::missing(&lane.await.map_err(database_fault)?, server, is_taken).await
    } else {
        let is_there = |file: &MediaFile| {
            std::fs::metadata(store.join(&file.path)).is_ok_and(|found| found.is_file())
        };
        media_rows::missing(&lane.await.map_err(database_fault)?, server, is_there).await
    };
    let missing = missing.map_err(database_fault)?;
    for file in &missing.local {
        sink.accept(Batch::Gap(gap(file, store))).await.map_err(flow)?;
    }
    if let Some(example) = &missing.remote_example {
        report(Event::Note(format!(
            "remote-media-missing: files of other servers that are not in the media store: {}, for \
             example {}; Synapse answers 404 for them until their rows in its cache of remote \
             media are deleted, then it fetches them when somebody asks",
            missing.remote, example.mxc
        )));
    }
    Ok(Poured::default())
}

fn gap(file: &MediaFile, store: &Path) -> Gap {
    Gap {
        kind: MEDIA_MISSING.to_owned(),
        object: store.join(&file.path).display().to_string(),
        detail: format!("{} (the row is there, the file is not)", file.mxc),
        remedy: "look for the file in other backups or in the media storage provider".to_owned(),
    }
}
