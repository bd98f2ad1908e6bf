//! A real connection pooler before a PostgreSQL: `PgBouncer`, which shares the server's sessions
//! out among more clients.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::child::{Guarded, Launch};
use crate::port::Port;
use crate::postgres::unprivileged_account;
use crate::{Cluster, Role, Scratch, WorldError, wait};

const PROGRAM: &str = "/usr/sbin/pgbouncer";
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running pooler; it ends when this is dropped.
#[derive(Debug)]
pub struct Pooler {
    // Dropped first to last: the server stops before its folder goes.
    _server: Guarded,
    port: Port,
    _files: Scratch,
}

impl Pooler {
    /// Starts one before all databases of `cluster`, for one role. `mode` is how long a client
    /// keeps a session: `session`, `transaction` or `statement`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn start(cluster: &Cluster, role: &Role, mode: &str) -> Result<Self, WorldError> {
        let files = Scratch::new("pooler")?;
        let port = Port::claim()?;
        let settings = files.path().join("pgbouncer.ini");
        let roles = files.path().join("roles");
        let write = |path: &std::path::Path, text: String| {
            fs::write(path, text).map_err(WorldError::io(format!("write {}", path.display())))
        };
        write(&roles, format!("\"{}\" \"{}\"\n", role.name, role.password))?;
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = {mode}\nmax_client_conn = 100\ndefault_pool_size = 20\n",
            cluster.socket_directory().display(),
            cluster.port(),
            port.number(),
            roles.display(),
        );
        write(&settings, text)?;
        let command: Vec<OsString> = vec![PROGRAM.into(), settings.into()];
        let mut server = Guarded::spawn(Launch {
            name: "PgBouncer".into(),
            command,
            directory: files.path().to_owned(),
            log: files.path().join("pooler.log"),
            stop_signal: "TERM",
            account: unprivileged_account()?,
        })?;
        let address = (Ipv4Addr::LOCALHOST, port.number());
        let is_there = wait::until(START_LIMIT, || {
            Ok(server.has_ended() || TcpStream::connect(address).is_ok())
        })?;
        if !is_there || server.has_ended() {
            return Err(server.not_ready("waited for a connection"));
        }
        Ok(Self { _server: server, port, _files: files })
    }

    /// A connection URL through it.
    pub fn url(&self, database: &str, role: &Role) -> String {
        let Role { name, password } = role;
        format!("postgresql://{name}:{password}@127.0.0.1:{}/{database}", self.port.number())
    }
}
