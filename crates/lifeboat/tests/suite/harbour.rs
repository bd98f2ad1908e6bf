//! A suite: a seeded homeserver that runs, a database of accounts beside it, a SQLite database, a
//! folder of a bot; and the lifeboat.yaml that names them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use lifeboat_testing::World;
use rusqlite::Connection;
use serde_json::Value;

use crate::program::{Said, lifeboat};

static SHARED: LazyLock<World> = LazyLock::new(|| World::small().unwrap());

/// Held while a role is altered.
static ALONE: Mutex<()> = Mutex::new(());

/// An installation and its vault.
pub(crate) struct Suite {
    /// The folder of everything but the homeserver.
    pub(crate) folder: PathBuf,
    /// `lifeboat.yaml`.
    pub(crate) yaml: PathBuf,
    /// What opens the backups.
    pub(crate) identity: PathBuf,
    /// The vault.
    pub(crate) vault: PathBuf,
    /// The name of the database of accounts.
    pub(crate) accounts: String,
    /// Sydent's database.
    pub(crate) sydent: PathBuf,
    /// The bot's folder.
    pub(crate) bot: PathBuf,
}

/// The homeserver that the tests of this process share, and only read.
pub(crate) fn world() -> &'static World {
    &SHARED
}

/// An installation around the shared homeserver.
pub(crate) fn suite(name: &str) -> Suite {
    Suite::around(world(), name)
}

/// Makes an identity; its recipient.
pub(crate) fn keygen(identity: &Path) -> String {
    let said = lifeboat(["keygen", "--json", "-o", identity.to_str().unwrap()]);
    said.result(0)["recipient"].as_str().unwrap().to_owned()
}

impl Suite {
    /// An installation around a homeserver.
    pub(crate) fn around(world: &World, name: &str) -> Self {
        let folder = world.directory().join(format!("suite-{name}"));
        fs::create_dir(&folder).unwrap();
        let identity = folder.join("identity.txt");
        let recipient = keygen(&identity);
        let role = world.server.role();
        let accounts = format!("accounts_{name}");
        world.cluster.create_database(&accounts, role).unwrap();
        world.cluster.psql(&accounts, ACCOUNTS).unwrap();
        let owner =
            format!("ALTER TABLE sessions OWNER TO {0}; ALTER ROLE {0} CREATEDB", role.name);
        {
            // The server refuses to alter a role twice at once.
            let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
            world.cluster.psql(&accounts, &owner).unwrap();
        }
        let address = folder.join("accounts.url");
        fs::write(&address, world.cluster.url(&accounts, role)).unwrap();
        let (sydent, bot) = (folder.join("sydent.db"), folder.join("bot"));
        Connection::open(&sydent).unwrap().execute_batch(SYDENT).unwrap();
        let conf = folder.join("sydent.conf");
        fs::write(&conf, sydent_conf(&sydent)).unwrap();
        fill_bot(&bot);
        let vault = folder.join("vault");
        let yaml = folder.join("lifeboat.yaml");
        let configs = world.server.config_paths();
        let configs: Vec<String> = configs.iter().map(|path| path.display().to_string()).collect();
        let text = format!(
            "server_name: {server}\nvault: {vault}\nrecipients: [{recipient}]\nstate: {state}\n\
             retention: {{keep_last: 2}}\ncomponents:\n  - kind: synapse\n    config: [{configs}]\n\
             \x20 - kind: database\n    name: accounts\n    database_url_file: {address}\n\
             \x20 - kind: sydent\n    config: {conf}\n\
             \x20 - kind: files\n    name: bot\n    paths: [{bot}]\n",
            server = world.server.server_name(),
            vault = vault.display(),
            state = folder.join("state").display(),
            configs = configs.join(", "),
            address = address.display(),
            conf = conf.display(),
            bot = bot.display(),
        );
        fs::write(&yaml, text).unwrap();
        Self { folder, yaml, identity, vault, accounts, sydent, bot }
    }

    /// Runs a command about this installation.
    pub(crate) fn lifeboat(&self, words: &[&str]) -> Said {
        let yaml = self.yaml.to_str().unwrap();
        lifeboat(words.iter().copied().chain(["--json", "-c", yaml]))
    }

    /// As [`Self::lifeboat`], with what opens the backups.
    pub(crate) fn lifeboat_opened(&self, words: &[&str]) -> Said {
        let identity = ["-i", self.identity.to_str().unwrap()];
        let words: Vec<&str> = words.iter().copied().chain(identity).collect();
        self.lifeboat(&words)
    }

    /// Backs up, and gives the outcome.
    pub(crate) fn back_up(&self) -> Value {
        self.lifeboat(&["backup", "run"]).result(0)
    }
}

const ACCOUNTS: &str = "
    CREATE TABLE sessions (id bigint PRIMARY KEY, who text NOT NULL, at timestamptz DEFAULT now());
    INSERT INTO sessions SELECT n, 'user ' || n FROM generate_series(1, 5000) n;";

const SYDENT: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE local_threepid_associations (id INTEGER PRIMARY KEY, address TEXT, mxid TEXT);
    INSERT INTO local_threepid_associations VALUES (1, 'a@b.test', '@a:lifeboat.test');";

fn sydent_conf(database: &Path) -> String {
    format!(
        "[general]\nserver.name = lifeboat.test\n[db]\ndb.file = {}\n[crypto]\n\
         ed25519.signingkey = ed25519 0 b7l1ezN0UWmvY9KXWOSHcTMVKxj5pbjcTnJ4HX6rEAY\n",
        database.display()
    )
}

fn fill_bot(bot: &Path) {
    fs::create_dir_all(bot.join("store/deep")).unwrap();
    fs::write(bot.join("store/keys.bin"), vec![7; 70_000]).unwrap();
    fs::write(bot.join("store/deep/ünïcode näme"), "x").unwrap();
    std::os::unix::fs::symlink("store/keys.bin", bot.join("link")).unwrap();
}
