//! A vault in a scratch folder, a tree of files to back up into it, and a clock that is set.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_components::matrix::PublicKeys;
use lifeboat_engine::context::{Context, Event, Stop};
use lifeboat_engine::failure::Failure;
use lifeboat_engine::keyring::{Identities, Recipients, generate};
use lifeboat_package::backup::{DATABASES, DatabaseRecord, FILES, FileRecord};
use lifeboat_storage::Access;
use lifeboat_vault::backup::OpenBackup;
use lifeboat_vault::place::{Sealed, Survey, Vault};
use lifeboat_vault::run::tree::Tree;
use lifeboat_vault::run::{BackupOutcome, BackupRequest, ServerKeys, Subject, run};
use lifeboat_vault::verify::verify;
use tempfile::TempDir;

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(1_790_000_000) };
}

/// Files by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A vault, what is backed up into it, and who can open it.
pub(crate) struct Berth {
    scratch: TempDir,
    recipients: Vec<String>,
    pub(crate) identities: Identities,
    /// What its trees are to their component.
    pub(crate) role: &'static str,
    notes: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Berth {
    pub(crate) fn new(role: &'static str) -> Self {
        let memory = Path::new("/dev/shm");
        let scratch = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        fs::create_dir(scratch.path().join("tree")).unwrap();
        let (identity, recipient) = generate();
        let identities = Identities::from_file(identity.as_bytes()).unwrap();
        let notes = Arc::default();
        Self { scratch, recipients: vec![recipient], identities, role, notes }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub(crate) fn location(&self) -> String {
        self.path("vault").display().to_string()
    }

    /// Lets time pass.
    pub(crate) fn wait(seconds: i64) {
        NOW.set(NOW.get() + seconds);
    }

    /// What was told since the last time.
    pub(crate) fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap())
    }

    pub(crate) fn context(&self) -> Context {
        let (sender, stop) = tokio::sync::watch::channel(Stop::Go);
        drop(sender);
        let notes = Arc::clone(&self.notes);
        Context {
            report: Arc::new(move |event| {
                if let Event::Note(text) = event {
                    notes.lock().unwrap().push(text);
                }
            }),
            stop,
            now: || NOW.get(),
            entropy: |buffer| {
                let mut source = fs::File::open("/dev/urandom").unwrap();
                std::io::Read::read_exact(&mut source, buffer).unwrap();
            },
            generator: "lifeboat test".to_owned(),
        }
    }

    pub(crate) fn request(&self) -> BackupRequest {
        let tree = Tree { role: self.role.to_owned(), root: self.path("tree"), without: vec![] };
        BackupRequest {
            vault: self.location(),
            recipients: Recipients::parse(&self.recipients).unwrap(),
            state: self.path("state"),
            server_name: "lifeboat.test".to_owned(),
            keys: ServerKeys { signing: Vec::new(), known: PublicKeys::new(), is_due: true },
            components: vec![Subject {
                name: "bot".to_owned(),
                kind: "files".to_owned(),
                databases: Vec::new(),
                trees: vec![tree],
                media_store: None,
                union: None,
            }],
            is_partial: false,
            environment: Vec::new(),
            client_folder: None,
            lanes: 1,
            level: 1,
            volume_bytes: 10_000,
            object_lock: None,
            budget: Duration::from_secs(1),
            allow_skew: false,
        }
    }

    /// Backs up.
    pub(crate) fn back_up(&self) -> Result<BackupOutcome, Failure> {
        now(run(&self.context(), self.request()))
    }

    pub(crate) async fn open(&self) -> (Vault, Survey) {
        let vault = Vault::open(&self.location(), &Access::new([]), None).await.unwrap();
        let survey = vault.survey().await.unwrap();
        (vault, survey)
    }

    /// Every kept backup is whole, by verify and by its files; gives their files by backup.
    pub(crate) fn kept(&self, which: &str) -> BTreeMap<String, Files> {
        now(async {
            let (vault, survey) = self.open().await;
            let mut all = BTreeMap::new();
            for sealed in survey.kept() {
                let subject = (sealed, Some(&self.identities));
                let found = verify(&self.context(), &vault, &survey, subject).await.unwrap();
                assert!(found.valid, "{which}: {found:?}");
                let files = self.files(&vault, &survey, sealed).await;
                all.insert(sealed.folder.id().to_string(), files);
            }
            all
        })
    }

    /// The records of files in a backup.
    pub(crate) async fn records(
        &self,
        vault: &Vault,
        survey: &Survey,
        sealed: &Sealed,
    ) -> (OpenBackup, Vec<FileRecord>) {
        let keys = (&sealed.folder, &self.identities);
        let open = OpenBackup::open(vault, survey, keys).await.unwrap();
        let component = open.component("bot").unwrap().clone();
        let records = open.records::<FileRecord>(&component, FILES).await.unwrap();
        (open, records)
    }

    /// The SQLite database of the newest backup, as a file.
    pub(crate) async fn sqlite_file(&self) -> Vec<u8> {
        let (vault, survey) = self.open().await;
        let keys = (&survey.kept().next_back().unwrap().folder, &self.identities);
        let open = OpenBackup::open(&vault, &survey, keys).await.unwrap();
        let component = open.component("bot").unwrap().clone();
        let records = open.records::<DatabaseRecord>(&component, DATABASES).await.unwrap();
        open.whole(records[0].file.as_ref().unwrap(), 1 << 30).await.unwrap()
    }

    async fn files(&self, vault: &Vault, survey: &Survey, sealed: &Sealed) -> Files {
        let (open, records) = self.records(vault, survey, sealed).await;
        let mut files = Files::new();
        for record in records {
            if let Some(content) = &record.content {
                let bytes = open.whole(content, 1 << 30).await.unwrap();
                files.insert(record.path.clone(), bytes);
            }
        }
        files
    }
}

/// Runs to the end on a runtime of its own. What it left in threads has ended afterwards, as the
/// end of a process would have it.
pub(crate) fn now<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
