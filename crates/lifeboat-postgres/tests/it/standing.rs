//! Servers that all tests share, each with databases of its own.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use lifeboat_postgres::connect::{CertificateCheck, Connector};
use lifeboat_testing::{Cluster, Part, Role, Scratch, Tools};

/// Owns the databases of the tests, and nothing else.
pub(crate) const OWNER: &str = "harbour";

static ONE: LazyLock<Standing> = LazyLock::new(|| Standing::start(None));
static OTHER: LazyLock<Standing> = LazyLock::new(|| Standing::start(None));
static NEWER: LazyLock<Standing> = LazyLock::new(|| Standing::start(Some(18)));

/// A server with a plain owner that may make databases.
pub(crate) struct Standing {
    pub(crate) cluster: Cluster,
    pub(crate) owner: Role,
    _files: Scratch,
}

impl Standing {
    fn start(major: Option<u32>) -> Self {
        let say = |line: &str| println!("{line}");
        let tools =
            Tools::ready(&[Part::Postgres, Part::Pooler], &say).expect("PostgreSQL is installed");
        let files = Scratch::new("harbour").expect("a folder");
        let cluster = match major {
            None => Cluster::start(files.path()).expect("the server starts"),
            Some(major) => {
                let archive = tools.postgres_archive(major, &say).expect("the archive");
                Cluster::start_other(files.path(), &archive).expect("the server starts")
            }
        };
        let owner = Role::named(OWNER);
        cluster.create_role(&owner, true).expect("the owner is made");
        Self { cluster, owner, _files: files }
    }

    /// A connector to a database of it, as its owner.
    pub(crate) fn connector(&self, database: &str) -> Connector {
        let config = self.cluster.url(database, &self.owner).parse().expect("a URL");
        Connector::new(config, &CertificateCheck::Nothing, None).expect("a connector")
    }

    /// A connector over the socket, where the server asks for no password.
    pub(crate) fn beside(&self, database: &str) -> Connector {
        self.beside_as(OWNER, database)
    }

    /// The same as another role.
    pub(crate) fn beside_as(&self, role: &str, database: &str) -> Connector {
        let mut config = lifeboat_postgres::connect::Config::new();
        config.host_path(self.cluster.socket_directory()).port(self.cluster.port());
        config.user(role).dbname(database);
        Connector::new(config, &CertificateCheck::Nothing, None).expect("a connector")
    }

    /// An empty database and a connector to it.
    pub(crate) fn fresh(&self, label: &str) -> Connector {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{label}_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.cluster.create_database(&name, &self.owner).expect("a database");
        self.connector(&name)
    }
}

/// Debian's PostgreSQL.
pub(crate) fn one() -> &'static Standing {
    &ONE
}

/// A second server of the same version.
pub(crate) fn other() -> &'static Standing {
    &OTHER
}

/// A server of a newer version.
pub(crate) fn newer() -> &'static Standing {
    &NEWER
}
