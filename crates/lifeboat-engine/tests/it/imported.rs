//! A real, seeded Synapse, exported and imported once; each test gets a copy of the result to
//! damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::{LazyLock, Mutex};

use lifeboat_engine::context::{Context, Stop};
use lifeboat_engine::export::{self, ExportRequest};
use lifeboat_engine::failure::Failure;
use lifeboat_engine::import::{self, ImportReport, ImportRequest, SEQUENCE_MARGIN};
use lifeboat_engine::keyring::{self, Identities, Recipients};
use lifeboat_engine::server::ServerRequest;
use lifeboat_package::selection::Selection;
use lifeboat_testing::{Homeserver, World};

/// What every test of this file starts from.
pub(crate) struct Imported {
    pub(crate) world: World,
    /// The target; its database is the model of the copies, and nobody connects to it.
    pub(crate) target: Homeserver,
    identity: String,
    package: PathBuf,
}

/// A copy of the imported server: a database and a media store of its own.
pub(crate) struct Damaged {
    pub(crate) database: String,
    pub(crate) media_store: PathBuf,
}

static IMPORTED: LazyLock<Imported> = LazyLock::new(|| {
    let mut world = World::small().expect("the test world starts");
    world.server.stop();
    let target = world.empty_server("imported").expect("the target is prepared");
    let package = world.directory().join("server.lifeboat");
    let (identity, recipient) = keyring::generate();
    let made = Imported { world, target, identity: identity.to_string(), package };
    run(async {
        let cx = context();
        let request = ExportRequest {
            server: server_request(&made.world.server),
            recipients: Recipients::parse(&[recipient]).expect("a good recipient"),
            target: made.package.display().to_string(),
            selection: Selection::EVERYTHING,
            lanes: 2,
            level: 3,
            volume_bytes: 64 << 20,
            journal: None,
            of_backup: None,
        };
        export::export(&cx, request).await.map_err(told).expect("exports");
    });
    made.import_into(&made.target);
    made
});

/// Only one database is copied at a time, and none while a session looks at the model.
static COPYING: Mutex<()> = Mutex::new(());

pub(crate) fn imported() -> &'static Imported {
    &IMPORTED
}

impl Imported {
    /// Imports the package into an empty server.
    pub(crate) fn import_into(&self, target: &Homeserver) {
        let request = self.request(server_request(target));
        run(import::import(&context(), request)).map_err(told).expect("imports");
    }

    /// Copies the imported server, for a test of this name.
    pub(crate) fn copy(&self, name: &str) -> Damaged {
        let _turn = COPYING.lock().expect("no other copy failed");
        let (model, role) = (self.target.database(), &self.target.role().name);
        let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{model}\" OWNER \"{role}\"");
        self.world.cluster.psql("postgres", &sql).expect("the model is copied");
        let media_store = self.world.directory().join(format!("media-{name}"));
        let copied = Command::new("cp")
            .arg("-a")
            .args([&self.target.media_store(), &media_store])
            .status()
            .expect("cp runs");
        assert!(copied.success(), "the media store is copied");
        Damaged { database: name.to_owned(), media_store }
    }

    /// Damages a copy.
    pub(crate) fn sql(&self, damaged: &Damaged, sql: &str) -> String {
        self.world.cluster.psql(&damaged.database, sql).expect(sql)
    }

    /// The report on a copy.
    pub(crate) fn verify(&self, damaged: &Damaged) -> ImportReport {
        let mut server = server_request(&self.target);
        server.database_url = Some(self.world.cluster.url(&damaged.database, self.target.role()));
        server.media_store = Some(damaged.media_store.clone());
        self.verify_at(server).map_err(told).expect("can be verified")
    }

    /// The report on any server.
    pub(crate) fn verify_at(&self, server: ServerRequest) -> Result<ImportReport, Failure> {
        run(import::verify(&context(), &self.request(server)))
    }

    fn request(&self, server: ServerRequest) -> ImportRequest {
        ImportRequest {
            package: self.package.display().to_string(),
            identities: Identities::from_file(self.identity.as_bytes()).expect("our identity"),
            server,
            lanes: 2,
            accept_signer: None,
            trusted_keys: trusted(&self.world.server),
            accept_unsigned: false,
            margin: SEQUENCE_MARGIN,
            synapse_python: None,
        }
    }
}

/// The source's own key, which an empty target does not have yet.
fn trusted(source: &Homeserver) -> Vec<String> {
    let opened = server_request(source).open().map_err(told).expect("the source is readable");
    let keys = opened.config.signing_keys().expect("it has a key");
    let line = |key: &lifeboat_components::matrix::SigningKey| {
        format!("{} {} {}", source.server_name(), key.key_id(), key.public_base64())
    };
    keys.iter().map(line).collect()
}

pub(crate) fn server_request(server: &Homeserver) -> ServerRequest {
    ServerRequest {
        config_paths: server.config_paths(),
        database_url: None,
        database_suffix: None,
        media_store: None,
        workdir: server.directory().to_owned(),
        environment: Vec::new(),
    }
}

/// The largest upload of a media store.
pub(crate) fn largest_file(folder: &Path) -> PathBuf {
    let mut largest = (0, PathBuf::new());
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            if entry.file_type().expect("a type").is_dir() {
                folders.push(entry.path());
            } else {
                largest = largest.max((entry.metadata().expect("a length").len(), entry.path()));
            }
        }
    }
    largest.1
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(work)
}

fn context() -> Context {
    let (sender, stop) = tokio::sync::watch::channel(Stop::Go);
    drop(sender);
    Context {
        report: Arc::new(|_| {}),
        stop,
        now: || 1_770_000_000,
        entropy: |buffer| {
            // Package keys of a test need no secrecy, but packages must differ.
            let mut source = fs::File::open("/dev/urandom").expect("the system has entropy");
            std::io::Read::read_exact(&mut source, buffer).expect("it gives some");
        },
        generator: "lifeboat test".to_owned(),
    }
}

/// A failure with everything it says, for the panic.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn told(failure: Failure) -> String {
    format!("{failure}; {}; {:?}", failure.remedy, failure.cause)
}
