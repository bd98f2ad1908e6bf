//! Seeded worlds that are kept, stopped, for the next process.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Databases, Size, copy_tree, make_databases, options, planted, seeded_server};
use crate::install::{Say, lock};
use crate::{Cluster, Role, Scratch, Tools, WorldError, postgres, script};

/// What the seeding wrote down: users, tokens, rooms, media.
pub(super) const STATE: &str = "state.json";
const KEPT: [&str; 3] = ["pgdata", "server", STATE];
/// Synapse forgets notifications that are a day old, half a minute after it was started.
const FRESH: Duration = Duration::from_hours(20);

/// Puts the files of a seeded, stopped world into `target`, seeding one first when none is kept.
pub(super) fn copy_into(
    target: &Path,
    tools: &Tools,
    (size, databases): (Size, Databases),
    say: Say<'_>,
) -> Result<(), WorldError> {
    let kind = match databases {
        Databases::One => size.name().to_owned(),
        Databases::Split => format!("split-{}", size.name()),
    };
    let folder = tools.root().join("worlds");
    fs::create_dir_all(&folder).map_err(WorldError::io(format!("make {}", folder.display())))?;
    let name = format!("{kind}-{:016x}", recipe(tools)?);
    let kept = folder.join(&name);
    let _turn = lock(&folder.join(format!("{kind}.lock")))?;
    if !is_fresh(&kept) {
        say(&format!("filling a new Synapse ({kind} community)"));
        forget_older(&folder, &kind)?;
        let fresh = build(tools, (size, databases))?;
        let part = folder.join(format!("{name}.part"));
        fs::create_dir_all(&part).map_err(WorldError::io("make the kept world's folder"))?;
        move_files(fresh.path(), &part)?;
        fs::rename(&part, &kept).map_err(WorldError::io("keep the seeded world"))?;
    }
    move_files(&kept, target)
}

/// Seeds a world in a scratch folder and stops its servers.
fn build(tools: &Tools, (size, databases): (Size, Databases)) -> Result<Scratch, WorldError> {
    let scratch = Scratch::new("seed")?;
    let cluster = Cluster::start(scratch.path())?;
    let role = Role::named(super::DATABASE);
    cluster.create_role(&role, false)?;
    make_databases(&cluster, &options(super::DATABASE, databases))?;
    let mut server = seeded_server(tools, scratch.path(), &cluster, databases)?;
    server.make_signing_key()?;
    server.start()?;
    script::seed(tools, &server, size, &scratch.path().join(STATE))?;
    super::settle(&cluster, &server)?;
    server.stop();
    planted::plant(&cluster, &server.media_store())?;
    cluster.psql("postgres", "CHECKPOINT")?;
    cluster.stop();
    Ok(scratch)
}

/// Whether a world is kept there that was filled within the last day.
fn is_fresh(kept: &Path) -> bool {
    let filled = fs::metadata(kept.join(STATE)).and_then(|found| found.modified());
    filled.is_ok_and(|filled| filled.elapsed().is_ok_and(|age| age < FRESH))
}

fn move_files(from: &Path, to: &Path) -> Result<(), WorldError> {
    KEPT.iter().try_for_each(|name| copy_tree(&from.join(name), &to.join(name)))
}

/// Removes what older recipes of this kind left. The caller holds the kind's lock, so nobody reads.
fn forget_older(folder: &Path, kind: &str) -> Result<(), WorldError> {
    let prefix = format!("{kind}-");
    for entry in fs::read_dir(folder).map_err(WorldError::io("list kept worlds"))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            fs::remove_dir_all(entry.path()).map_err(WorldError::io("remove an older world"))?;
        }
    }
    Ok(())
}

/// A number for everything that a seeded world depends on.
fn recipe(tools: &Tools) -> Result<u64, WorldError> {
    let mut hasher = DefaultHasher::new();
    include_str!("../world.rs").hash(&mut hasher);
    include_str!("../synapse/settings.rs").hash(&mut hasher);
    include_str!("../postgres.rs").hash(&mut hasher);
    include_str!("planted.rs").hash(&mut hasher);
    tools.synapse_version()?.hash(&mut hasher);
    postgres::newest_programs()?.hash(&mut hasher);
    for program in programs_of_seeding()? {
        let text =
            fs::read(&program).map_err(WorldError::io(format!("read {}", program.display())))?;
        text.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// `seed.py` and the modules it is made of, in a fixed order.
fn programs_of_seeding() -> Result<Vec<PathBuf>, WorldError> {
    let folder = script::folder().join("community");
    let entries = fs::read_dir(&folder)
        .map_err(WorldError::io(format!("list {}", folder.display())))?
        .flatten();
    let mut programs: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    programs.push(script::folder().join("seed.py"));
    programs.sort();
    Ok(programs)
}
