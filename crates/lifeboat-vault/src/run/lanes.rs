//! Lanes: what a backup reads, part by part, so many at a time.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use lifeboat_engine::context::Event;
use lifeboat_engine::failure::Failure;
use lifeboat_engine::writer::sink::{PartSink, ToPackage};
use lifeboat_package::backup::{
    Component, Content, DATABASES, Database, DatabaseRecord, Group, Member,
};
use lifeboat_package::flow::{Batch, Gap, Sink};
use lifeboat_package::id::{PartPath, Section};
use lifeboat_postgres::archive::TableShape;
use lifeboat_postgres::schema_text::SearchPlaces;
use tokio::task::JoinSet;

use super::database::{self, Ready};
use super::groups::{self, CutDatabase, Work};
use super::lines::Lines;
use super::tree::{self, Tree};
use super::union::{self, Union};
use super::{BackupRequest, DatabaseAt, Poured, above, flow, media, sqlite};
use crate::known::Known;
use crate::ledger::State;

/// What of a file's mode is its permissions.
const MODE_BITS: u32 = 0o7777;

/// How the lanes pour.
pub struct Setting<'a> {
    /// To the writer; dropped at the end, which ends it.
    pub to: ToPackage,
    /// The number of this run.
    pub run: u32,
    /// Now, seconds since 1970.
    pub now: i64,
    /// What the vault has.
    pub known: &'a Known,
    /// Where programs are looked for.
    pub places: SearchPlaces,
    /// The state folder.
    pub state: &'a State,
}

/// What was poured.
pub struct Done {
    /// The components.
    pub components: Vec<Component>,
    /// The groups.
    pub groups: Vec<Group>,
}

/// A part to pour.
struct Unit {
    component: usize,
    /// Which of the component's databases it belongs to.
    database: Option<usize>,
    what: What,
}

impl Unit {
    /// A failure while this was poured, of a database's rows or schema with its name.
    fn named(&self, components: &[String], failure: Failure) -> Failure {
        let (What::Schema(ready) | What::Tables(ready, _)) = &self.what else { return failure };
        let component = components.get(self.component).map(String::as_str).unwrap_or_default();
        groups::named(&format!("{component}/{}", ready.name), failure)
    }
}

enum What {
    Schema(Arc<Ready>),
    Tables(Arc<Ready>, Vec<TableShape>),
    Sqlite {
        name: String,
        path: PathBuf,
        folder: PathBuf,
    },
    Tree(Tree),
    /// A media store and its storage providers.
    Union(Union),
    /// A database that could not be read.
    Unread(Gap),
    /// The rows of media against the files of the media store.
    Media {
        ready: Arc<Ready>,
        server: String,
        store: PathBuf,
        union: Option<Union>,
    },
}

/// What every unit is poured with.
#[derive(Clone)]
struct Around {
    known: Known,
    places: SearchPlaces,
    now: i64,
    report: Arc<dyn Fn(Event) + Send + Sync>,
}

/// A part that was poured.
type PartPoured = (Unit, PartPath, Poured);

/// Pours everything. Rows and files together: files were written before the rows that name them,
/// and the rows are those of the cut.
///
/// # Errors
/// [`Failure`] of the first lane that fails.
pub async fn pour(
    request: &BackupRequest,
    work: Work,
    setting: Setting<'_>,
) -> Result<Done, Failure> {
    let Work { databases, mut groups, gaps } = work;
    let mut components: Vec<Component> = request.components.iter().map(empty).collect();
    let mut units = units(request, &databases, (&mut components, &mut groups), setting.state);
    let unread = gaps.into_iter().map(|(component, gap)| (component, What::Unread(gap)));
    units.extend(unread.map(|(component, what)| Unit { component, database: None, what }));
    let queue = Arc::new(Mutex::new(units.into_iter().zip(1..).collect::<VecDeque<_>>()));
    let mut tasks: JoinSet<Result<Vec<PartPoured>, Failure>> = JoinSet::new();
    let around = Around {
        known: setting.known.clone(),
        places: setting.places,
        now: setting.now,
        report: setting.to.report.clone(),
    };
    let names = request.components.iter().map(|component| component.name.clone());
    let names: Arc<[String]> = names.collect();
    for _ in 0..request.lanes.max(1) {
        let (queue, to, run) = (queue.clone(), setting.to.clone(), setting.run);
        let (around, names) = (around.clone(), names.clone());
        tasks.spawn(async move {
            let next = || queue.lock().ok().and_then(|mut queue| queue.pop_front());
            let mut done = Vec::new();
            while let Some((unit, number)) = next() {
                let part = PartPath { section: Section::Backup, number, run };
                let mut sink = PartSink::new(&to, part, (number, run));
                let poured = pour_unit(&unit, &around, &mut sink).await;
                let poured = poured.map_err(|failure| unit.named(&names, failure))?;
                sink.finish().await.map_err(flow)?;
                done.push((unit, part, poured));
            }
            Ok(done)
        });
    }
    drop(setting.to);
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let early = |e| Failure::failed("a lane ended early", "run the command again").because(e);
        all.extend(ended.map_err(early)??);
    }
    all.sort_by_key(|(_, part, _)| part.number);
    for (unit, part, poured) in all {
        if let Some(component) = components.get_mut(unit.component) {
            account(component, (&unit, part), poured);
        }
    }
    for component in &mut components {
        // One that could not be copied is a gap, and not there to be restored.
        component.databases.retain(|database| database.engine != "sqlite" || database.bytes > 0);
    }
    Ok(Done { components, groups })
}

fn empty(subject: &super::Subject) -> Component {
    Component {
        name: subject.name.clone(),
        kind: subject.kind.clone(),
        parts: Vec::new(),
        databases: Vec::new(),
        files: 0,
        file_bytes: 0,
        new_bytes: 0,
    }
}

fn account(component: &mut Component, (unit, part): (&Unit, PartPath), poured: Poured) {
    component.parts.push(part);
    component.files += poured.files;
    component.file_bytes += poured.file_bytes;
    component.new_bytes += poured.new_bytes;
    if let Some(database) = unit.database.and_then(|at| component.databases.get_mut(at)) {
        database.tables += poured.tables;
        database.rows += poured.rows;
        database.bytes += poured.row_bytes;
    }
}

fn units(
    request: &BackupRequest,
    cut: &[CutDatabase],
    (components, groups): (&mut [Component], &mut Vec<Group>),
    state: &State,
) -> Vec<Unit> {
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for CutDatabase { component, ready, group } in cut {
        let listed = &mut components[*component].databases;
        let database = Some(listed.len());
        listed.push(Database {
            name: ready.name.clone(),
            engine: "postgresql".to_owned(),
            version: version(&ready.facts.server_text),
            group: *group,
            tables: 0,
            rows: 0,
            bytes: 0,
        });
        let unit = |what| Unit { component: *component, database, what };
        first.push(unit(What::Schema(ready.clone())));
        let subject = &request.components[*component];
        if let Some(store) = &subject.media_store {
            let (server, store) = (request.server_name.clone(), store.clone());
            let union = subject.union.clone();
            let what = What::Media { ready: ready.clone(), server, store, union };
            later.push(Unit { component: *component, database, what });
        }
        let shares = ready.shares(request.lanes);
        first.extend(shares.into_iter().map(|share| unit(What::Tables(ready.clone(), share))));
    }
    for (component, subject) in request.components.iter().enumerate() {
        for database in &subject.databases {
            let DatabaseAt::Sqlite(path) = &database.at else { continue };
            let group = u32::try_from(groups.len() + 1).unwrap_or(u32::MAX);
            groups.push(online_copy(group, (&subject.name, &database.name)));
            let listed = &mut components[component].databases;
            let at = Some(listed.len());
            listed.push(Database {
                name: database.name.clone(),
                engine: "sqlite".to_owned(),
                version: rusqlite::version().to_owned(),
                group,
                tables: 0,
                rows: 0,
                bytes: 0,
            });
            let (name, path) = (database.name.clone(), path.clone());
            let what = What::Sqlite { name, path, folder: state.folder().to_owned() };
            later.push(Unit { component, database: at, what });
        }
        let trees = subject.trees.iter().cloned();
        later.extend(trees.map(|tree| Unit { component, database: None, what: What::Tree(tree) }));
    }
    // Before the rows of media are checked, which waits for them.
    first.extend(request.components.iter().enumerate().filter_map(|(component, subject)| {
        let what = What::Union(subject.union.clone()?);
        Some(Unit { component, database: None, what })
    }));
    first.extend(later);
    first
}

/// `PostgreSQL 15.18` without where and with what it was built.
fn version(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn online_copy(group: u32, (component, database): (&str, &str)) -> Group {
    Group {
        group,
        method: "online-copy".to_owned(),
        tries: 1,
        window_micros: 0,
        opened_at: String::new(),
        members: vec![Member {
            component: component.to_owned(),
            database: database.to_owned(),
            snapshot: String::new(),
        }],
    }
}

async fn pour_unit(
    unit: &Unit,
    Around { known, places, now, report }: &Around,
    sink: &mut PartSink,
) -> Result<Poured, Failure> {
    match &unit.what {
        What::Schema(ready) => database::pour_schema(ready, (known, places), sink).await,
        What::Tables(ready, tables) => {
            database::pour_tables((&ready.name, &ready.cut), tables, known, sink).await
        }
        What::Sqlite { name, path, folder } => {
            let copy = match sqlite::copy(path, folder).await {
                Ok(copy) => copy,
                Err(failure) => {
                    let gap = groups::unreadable(&path.display().to_string(), &failure);
                    sink.accept(Batch::Gap(gap)).await.map_err(flow)?;
                    return Ok(Poured::default());
                }
            };
            let mut facts = serde_json::json!({ "path": path.display().to_string() });
            if let Ok(found) = std::fs::metadata(path) {
                facts["uid"] = found.uid().into();
                facts["gid"] = found.gid().into();
                facts["mode"] = (found.mode() & MODE_BITS).into();
            }
            let (content, poured) = tree::file_segments(copy.path(), known, sink).await?;
            let record = DatabaseRecord {
                database: name.clone(),
                engine: "sqlite".to_owned(),
                facts,
                pre_data: None,
                post_data: None,
                rights: None,
                sequences: serde_json::Value::Null,
                file: Some(Content::Segments(content)),
            };
            let mut lines = Lines::of(DATABASES);
            lines.add(&record, sink).await?;
            lines.flush(sink).await?;
            above::pour(path, sink).await?;
            Ok(poured)
        }
        What::Unread(gap) => {
            sink.accept(Batch::Gap(gap.clone())).await.map_err(flow)?;
            Ok(Poured::default())
        }
        What::Tree(tree) => tree::pour(tree, (known, *now), sink).await,
        What::Union(media) => union::pour(media, (known, *now), sink).await,
        What::Media { ready, server, store, union } => {
            media::check(ready, (server, store, union.as_ref()), report.as_ref(), sink).await
        }
    }
}
