//! Inspect: what a package is and holds. Without an identity, only what is in the clear.

use lifeboat_components::synapse::read::summary::RoomSummary;
use lifeboat_package::id;
use lifeboat_package::manifest::{Gaps, Manifest, Part, Table};
use lifeboat_package::selection::{RoomPick, Scope, Selection};
use lifeboat_storage::Access;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::reader::picked;
use crate::reader::{Package, PackageRequest, open_clear};
use crate::signature::signers;

/// Rooms that are listed, at most; the package may hold more.
pub const LISTED_ROOMS: usize = 10_000;

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct InspectOutcome {
    /// Package id.
    pub package: String,
    /// Format version.
    pub version: String,
    /// Files, `seal.json` included.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// What an identity shows.
    pub content: Option<Content>,
}

/// The content in short.
#[derive(Debug, Clone, Serialize)]
pub struct Content {
    /// Server.
    pub server_name: String,
    /// When it was exported.
    pub export_date: String,
    /// `full` or `partial`.
    pub export_type: String,
    /// What made it.
    pub generator: String,
    /// Versions of the source.
    pub source: std::collections::BTreeMap<String, String>,
    /// Who says to have signed it: server name and key id.
    pub signed_by: Vec<String>,
    /// Parts, records and raw bytes by section.
    pub sections: Vec<Section>,
    /// Tables with rows.
    pub tables: Vec<Table>,
    /// Snapshots the rows were read under.
    pub cuts: u64,
    /// What is missing.
    pub gaps: Gaps,
    /// Rooms, when asked for.
    pub rooms: Vec<RoomSummary>,
}

/// A section in short.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// Name.
    pub section: String,
    /// Parts.
    pub parts: u64,
    /// Records.
    pub records: u64,
    /// Raw bytes of the records.
    pub bytes: u64,
}

/// Inspects a package, and lists those of its rooms.
///
/// # Errors
/// [`Failure`] when it cannot be read or opened.
pub async fn inspect(
    _cx: &Context,
    request: &PackageRequest,
    rooms: Scope<RoomPick>,
) -> Result<InspectOutcome, Failure> {
    let access = Access::new(request.environment.iter().cloned());
    let clear = open_clear(&request.package, &access).await?;
    let mut outcome = InspectOutcome {
        package: clear.header.package().to_string(),
        version: clear.header.version().to_owned(),
        files: clear.contents.files.len() as u64 + 1,
        size_bytes: clear.files.found().iter().map(|file| file.size).sum(),
        content: None,
    };
    if let Some(identities) = &request.identities {
        let package = clear.open(identities).await?;
        let listed = list_rooms(&package, rooms).await?;
        outcome.content = Some(content(&package.manifest, listed));
    }
    Ok(outcome)
}

/// Those rooms of a package, at most [`LISTED_ROOMS`].
///
/// # Errors
/// [`Failure`] when an entry is damaged, or a pick fits no room.
pub async fn list_rooms(
    package: &Package,
    rooms: Scope<RoomPick>,
) -> Result<Vec<RoomSummary>, Failure> {
    let mut listed = Vec::new();
    if rooms.is_none() {
        return Ok(listed);
    }
    let selection = Selection { rooms, ..Selection::EVERYTHING };
    let of_rooms = |part: &Part| part.part.section == id::Section::Rooms;
    let entries = picked::entries_where(package, &selection, of_rooms).await?;
    let mut picked = picked::pick(package, &entries, &selection).await?;
    for (part, name, place) in picked.entries.iter().filter(|(_, name, _)| name == "summary") {
        let broken = |e| crate::reader::damaged(place.record.path.as_str()).because(e);
        let lines = package.content(place).await?;
        let lines = picked.filter.lines(part.section, name, &lines).map_err(broken)?;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            listed.push(serde_json::from_slice(line).map_err(broken)?);
        }
        if listed.len() >= LISTED_ROOMS {
            listed.truncate(LISTED_ROOMS);
            break;
        }
    }
    Ok(listed)
}

fn content(manifest: &Manifest, rooms: Vec<RoomSummary>) -> Content {
    let of_an_export = |section: &_| *section != id::Section::Backup;
    let sections = id::Section::ALL.into_iter().filter(of_an_export).map(|section| {
        let parts = manifest.sections.get(section);
        Section {
            section: section.to_string(),
            parts: parts.len() as u64,
            records: parts.iter().map(|part| part.records).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
        }
    });
    let partial = manifest.metadata.export_type == lifeboat_package::manifest::ExportType::Partial;
    Content {
        server_name: manifest.metadata.server_id.clone(),
        export_date: manifest.metadata.export_date.clone(),
        export_type: if partial { "partial" } else { "full" }.to_owned(),
        generator: manifest.metadata.generator.clone(),
        source: manifest.metadata.source.clone(),
        signed_by: signers(manifest),
        sections: sections.collect(),
        tables: manifest.tables.iter().filter(|table| table.rows > 0).cloned().collect(),
        cuts: manifest.cuts.len() as u64,
        gaps: manifest.gaps.clone(),
        rooms,
    }
}
