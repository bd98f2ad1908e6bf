//! The one seeded server of these tests, at rest, with enough media for many volumes.
//!
//! Synapse is stopped: the tests read a database that nobody changes, so that two exports of it can
//! be compared record by record. Whoever changes something makes a copy ([`Harbour::database`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use lifeboat_testing::http::Request;
use lifeboat_testing::seaweed::Seaweed;
use lifeboat_testing::synapse::APPSERVICE_TOKEN;
use lifeboat_testing::{World, world};
use serde_json::Value;

use crate::conversation::{lifeboat, run};
use crate::noise::Noise;

/// The database as it was seeded; the server's own one may be written by a test.
const FROZEN: &str = "frozen";
/// Uploads of this size make a volume of 1 MiB each three or four.
const UPLOAD_BYTES: usize = 300_000;
const UPLOADS: u64 = 90;
/// Above 16 MiB a blob is stored in pieces.
const LARGE_UPLOAD_BYTES: usize = 18 << 20;

/// The server and what tests need besides.
pub(crate) struct Harbour {
    world: RwLock<World>,
    seaweed: Seaweed,
    copying: Mutex<()>,
    config: Vec<PathBuf>,
    media_store: PathBuf,
    directory: PathBuf,
    /// An identity file, and its recipient.
    pub(crate) identity: PathBuf,
    pub(crate) recipient: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The harbour, made by the first test that asks.
pub(crate) fn harbour() -> &'static Harbour {
    static HARBOUR: OnceLock<Harbour> = OnceLock::new();
    HARBOUR.get_or_init(Harbour::build)
}

impl Harbour {
    fn build() -> Self {
        let mut world = World::small().unwrap();
        upload(world.server.port());
        world.server.stop();
        copy_database(&world, FROZEN);
        let seaweed = Seaweed::start(world.tools(), &world::say_on_stderr).unwrap();
        let directory = world.directory().join("faults");
        fs::create_dir_all(&directory).unwrap();
        let identity = directory.join("identity.txt");
        let said = run(lifeboat().arg("keygen").arg("-o").arg(&identity));
        assert_eq!(said.exit, Some(0), "{said:?}");
        let text = fs::read_to_string(&identity).unwrap();
        let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
        Self {
            seaweed,
            copying: Mutex::new(()),
            config: world.server.config_paths(),
            media_store: world.server.media_store(),
            directory,
            identity,
            recipient: public.to_owned(),
            world: RwLock::new(world),
        }
    }

    /// The world, for tests that leave its servers as they are.
    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, for a test that stops or starts servers; no other test runs meanwhile.
    pub(crate) fn whole_world(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new folder for one test.
    pub(crate) fn folder(&self) -> PathBuf {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = self.directory.join(format!("test-{number}"));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A copy of the seeded database that a test may change.
    pub(crate) fn database(&self, world: &World) -> String {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("copy{number}");
        let _turn: MutexGuard<'_, ()> = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        // The server's own database has no sessions while Synapse is stopped; exports read the
        // frozen one, which therefore cannot be copied.
        copy_database(world, &name);
        name
    }

    /// The media store.
    pub(crate) fn media_store(&self) -> &Path {
        &self.media_store
    }

    /// Variables with which the binary reaches a new bucket, whose name comes with them.
    pub(crate) fn bucket(&self) -> (String, Vec<(String, String)>) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("harbour{number}");
        self.seaweed.make_bucket(&name).unwrap();
        (name, self.seaweed.writer())
    }

    /// An export of the seeded database to `target`, with small volumes. The state folder is
    /// `folder`'s.
    pub(crate) fn export(&self, world: &World, folder: &Path, target: &str) -> Command {
        self.export_of(world, FROZEN, folder, target)
    }

    /// An export of a database.
    pub(crate) fn export_of(
        &self,
        world: &World,
        database: &str,
        folder: &Path,
        target: &str,
    ) -> Command {
        let address = folder.join("database.url");
        fs::write(&address, world.cluster.url(database, world.server.role())).unwrap();
        self.export_by(&address, folder, target)
    }

    /// An export of the database whose address is in a file.
    pub(crate) fn export_by(&self, address: &Path, folder: &Path, target: &str) -> Command {
        let mut command = lifeboat();
        command.arg("export");
        for path in &self.config {
            command.arg("--synapse").arg(path);
        }
        command.arg("--database-url-file").arg(address);
        command.args(["-r", &self.recipient, "-o", target, "--volume-size", "1MiB"]);
        command.args(["--lanes", "2"]);
        command.env("HOME", folder).env("XDG_STATE_HOME", folder.join("state"));
        command
    }

    /// A command about a package, with the identity.
    pub(crate) fn about(&self, verb: &str, package: &str) -> Command {
        let mut command = lifeboat();
        command.arg(verb).arg(package).arg("-i").arg(&self.identity);
        command
    }

    /// The package is complete and valid.
    pub(crate) fn assert_valid(&self, package: &str, environment: &[(String, String)]) {
        let said = run(self.about("verify", package).envs(environment.iter().cloned()));
        assert_eq!(said.exit, Some(0), "{said:?}");
        assert_eq!(said.outcome()["content_checked"], true);
    }

    /// Every record and media file of the package, each file's lines in order.
    pub(crate) fn content(
        &self,
        package: &str,
        environment: &[(String, String)],
    ) -> Vec<(String, Vec<u8>)> {
        let opened = self.folder();
        let mut command = self.about("unpack", package);
        let said = run(command.arg("-d").arg(&opened).envs(environment.iter().cloned()));
        assert!(matches!(said.exit, Some(0 | 3)), "{said:?}");
        let mut files = Vec::new();
        for name in crate::conversation::files_under(&opened) {
            let path = opened.join(&name);
            // The manifest names volumes and cuts, which may differ.
            if path.is_dir() || name == "manifest.json" {
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
                lines.sort_unstable();
                bytes = lines.concat();
            }
            files.push((name, bytes));
        }
        fs::remove_dir_all(&opened).unwrap();
        files
    }

    /// The content of an export that nothing disturbed.
    pub(crate) fn undisturbed(&self) -> &'static Undisturbed {
        static UNDISTURBED: OnceLock<Undisturbed> = OnceLock::new();
        UNDISTURBED.get_or_init(|| {
            let folder = self.folder();
            let target = folder.join("calm.lifeboat").display().to_string();
            let said = run(&mut self.export(&self.world(), &folder, &target));
            assert_eq!(said.exit, Some(3), "{said:?}");
            let outcome = said.outcome().clone();
            Undisturbed { content: self.content(&target, &[]), package: target, outcome }
        })
    }

    /// The package holds what an undisturbed export holds, record by record, byte by byte.
    pub(crate) fn assert_undisturbed(&self, package: &str, environment: &[(String, String)]) {
        self.assert_valid(package, environment);
        let calm = &self.undisturbed().content;
        let found = self.content(package, environment);
        let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
            files.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&found), names(calm));
        for ((name, found), (_, calm)) in found.iter().zip(calm) {
            assert!(found == calm, "{name} differs");
        }
    }
}

/// An export that nothing disturbed.
pub(crate) struct Undisturbed {
    pub(crate) package: String,
    pub(crate) content: Vec<(String, Vec<u8>)>,
    pub(crate) outcome: Value,
}

fn copy_database(world: &World, name: &str) {
    let owner = &world.server.role().name;
    let from = world.server.database();
    let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{from}\" OWNER \"{owner}\"");
    world.cluster.psql("postgres", &sql).unwrap();
}

/// Registers random files as uploads, through the server.
fn upload(port: u16) {
    let mut noise = Noise::seeded(7);
    for number in 0..=UPLOADS {
        let large = number == UPLOADS;
        let text = noise.text(if large { LARGE_UPLOAD_BYTES } else { UPLOAD_BYTES });
        let path = format!("/_matrix/media/v3/upload?filename=noise-{number}.txt");
        let request = Request { token: Some(APPSERVICE_TOKEN), ..Request::get(port, &path) };
        let request = Request { method: "POST", json: Some(&text), ..request };
        let answer = request.send().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
