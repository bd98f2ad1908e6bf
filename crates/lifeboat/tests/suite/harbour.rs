//! A suite: a seeded homeserver that runs, a database of accounts beside it, a SQLite database, a
//! folder of a bot; and the lifeboat.yaml that names them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use lifeboat_testing::World;
use rusqlite::Connection;
use serde_json::Value;

use crate::program::{DONE, Said, lifeboat};

static SHARED: LazyLock<Suite> = LazyLock::new(|| Suite::of(World::small().unwrap()));

/// A suite and its vault.
pub(crate) struct Suite {
    pub(crate) world: World,
    /// `lifeboat.yaml`.
    pub(crate) yaml: PathBuf,
    /// What opens the backups.
    pub(crate) identity: PathBuf,
    /// The vault.
    pub(crate) vault: PathBuf,
    /// The SQLite database.
    pub(crate) sqlite: PathBuf,
    /// The bot's folder.
    pub(crate) bot: PathBuf,
}

/// The suite of this process.
pub(crate) fn suite() -> &'static Suite {
    &SHARED
}

impl Suite {
    fn of(world: World) -> Self {
        let folder = world.directory().join("suite");
        fs::create_dir(&folder).unwrap();
        let identity = folder.join("identity.txt");
        let said = lifeboat(["keygen", "--json", "-o", identity.to_str().unwrap()]);
        let recipient = said.result(DONE)["recipient"].as_str().unwrap().to_owned();
        let role = world.server.role();
        world.cluster.create_database("accounts", role).unwrap();
        world.cluster.psql("accounts", ACCOUNTS).unwrap();
        let grant = format!("ALTER TABLE sessions OWNER TO {}", role.name);
        world.cluster.psql("accounts", &grant).unwrap();
        let (sqlite, bot) = (folder.join("sydent.db"), folder.join("bot"));
        Connection::open(&sqlite).unwrap().execute_batch(SYDENT).unwrap();
        fill_bot(&bot);
        let vault = folder.join("vault");
        let yaml = folder.join("lifeboat.yaml");
        let accounts = world.cluster.url("accounts", role);
        let may_make = format!("ALTER ROLE {} CREATEDB", role.name);
        world.cluster.psql("accounts", &may_make).unwrap();
        let address = folder.join("accounts.url");
        fs::write(&address, accounts).unwrap();
        let text = format!(
            "server_name: {server}\nvault: {vault}\nrecipients: [{recipient}]\nstate: {state}\n\
             retention: {{keep_last: 2}}\ncomponents:\n  - kind: synapse\n    config: [{configs}]\n\
             \x20 - kind: database\n    name: accounts\n    database_url_file: {accounts}\n\
             \x20 - kind: files\n    name: bot\n    paths: [{bot}]\n",
            server = world.server.server_name(),
            vault = vault.display(),
            state = folder.join("state").display(),
            configs = world
                .server
                .config_paths()
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join(", "),
            accounts = address.display(),
            bot = bot.display(),
        );
        fs::write(&yaml, text).unwrap();
        Self { world, yaml, identity, vault, sqlite, bot }
    }

    /// Runs a command about this installation.
    pub(crate) fn lifeboat(&self, words: &[&str]) -> Said {
        let yaml = self.yaml.to_str().unwrap();
        let all = words.iter().copied().chain(["--json", "-c", yaml]);
        lifeboat(all)
    }

    /// What a command says to people.
    pub(crate) fn text(&self, words: &[&str]) -> String {
        let yaml = self.yaml.to_str().unwrap();
        let said = lifeboat(words.iter().copied().chain(["-c", yaml]));
        format!("{}{}", said.stdout, said.stderr)
    }

    /// As [`Self::lifeboat`], with what opens the backups.
    pub(crate) fn lifeboat_opened(&self, words: &[&str]) -> Said {
        let identity = ["-i", self.identity.to_str().unwrap()];
        let words: Vec<&str> = words.iter().copied().chain(identity).collect();
        self.lifeboat(&words)
    }

    /// Backs up, and gives the outcome.
    pub(crate) fn back_up(&self) -> Value {
        let said = self.lifeboat(&["backup", "run"]);
        assert!([0, 3].contains(&said.exit), "{said:?}");
        said.last_json()["outcome"].clone()
    }
}

const ACCOUNTS: &str = "
    CREATE TABLE sessions (id bigint PRIMARY KEY, who text NOT NULL, at timestamptz DEFAULT now());
    INSERT INTO sessions SELECT n, 'user ' || n FROM generate_series(1, 5000) n;";

const SYDENT: &str = "
    CREATE TABLE local_threepid_associations (id INTEGER PRIMARY KEY, address TEXT, mxid TEXT);
    INSERT INTO local_threepid_associations VALUES (1, 'a@b.test', '@a:lifeboat.test');";

fn fill_bot(bot: &Path) {
    fs::create_dir_all(bot.join("store/deep")).unwrap();
    fs::write(bot.join("store/keys.bin"), [7; 70_000]).unwrap();
    fs::write(bot.join("store/deep/ünïcode näme"), "x").unwrap();
    std::os::unix::fs::symlink("store/keys.bin", bot.join("link")).unwrap();
}
