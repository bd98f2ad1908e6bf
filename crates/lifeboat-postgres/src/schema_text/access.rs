//! How `pg_dump` reaches the server as we do, without a secret in its arguments, its environment
//! or a file on disk.
//!
//! libpq takes passwords and keys from files. Ours are in memory (`memfd_create`), without a name:
//! the password is the program's standard input, which no other child of ours inherits, and the
//! certificates and the key are read through our own `/proc` folder, where only we, the same
//! account and root may look. All of it is gone with the last of the two processes.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use tokio_postgres::config::{Host, SslMode};
use zeroize::Zeroizing;

use super::SchemaTextError;
use crate::connect::{CertificateCheck, Connector};

/// What a child process needs to open a session.
pub(super) struct Access {
    environment: Vec<(&'static str, String)>,
    password: Option<File>,
    /// Open as long as the child may read them.
    files: Vec<File>,
}

impl Access {
    pub(super) fn to(connector: &Connector) -> Result<Self, SchemaTextError> {
        let config = connector.config();
        let mut environment = vec![
            ("LC_ALL", "C".to_owned()),
            ("PGHOST", hosts(config.get_hosts(), config.get_hostaddrs())),
            ("PGDATABASE", connector.database()),
            ("PGAPPNAME", "lifeboat".to_owned()),
            ("PGGSSENCMODE", "disable".to_owned()),
            // Nothing is taken from the account's own folder.
            ("HOME", "/nonexistent".to_owned()),
        ];
        let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
        if !ports.is_empty() {
            environment.push(("PGPORT", ports.join(",")));
        }
        if let Some(user) = config.get_user() {
            environment.push(("PGUSER", user.to_owned()));
        }
        if let Some(limit) = config.get_connect_timeout() {
            environment.push(("PGCONNECT_TIMEOUT", limit.as_secs().max(2).to_string()));
        }
        if let Some(options) = config.get_options() {
            environment.push(("PGOPTIONS", options.to_owned()));
        }
        let addresses: Vec<String> =
            config.get_hostaddrs().iter().map(ToString::to_string).collect();
        if !addresses.is_empty() {
            environment.push(("PGHOSTADDR", addresses.join(",")));
        }
        let mut access = Self { environment, password: None, files: Vec::new() };
        access.add_tls(connector)?;
        if let Some(password) = config.get_password() {
            access.password = Some(password_file(password)?);
            access.environment.push(("PGPASSFILE", "/proc/self/fd/0".to_owned()));
        }
        Ok(access)
    }

    pub(super) fn environment(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// What the child's standard input is.
    pub(super) fn input(&self) -> Stdio {
        let password = self.password.as_ref().map(File::try_clone);
        password.and_then(Result::ok).map_or_else(Stdio::null, Stdio::from)
    }

    /// `sslmode` and the files it speaks of.
    fn add_tls(&mut self, connector: &Connector) -> Result<(), SchemaTextError> {
        let (check, identity) = connector.tls();
        let wanted = connector.config().get_ssl_mode();
        let (mode, roots) = match (wanted, check) {
            (SslMode::Disable, _) => ("disable", None),
            (_, CertificateCheck::Chain(roots)) => ("verify-ca", Some(roots)),
            (_, CertificateCheck::ChainAndName(roots)) => ("verify-full", Some(roots)),
            (SslMode::Prefer, CertificateCheck::Nothing) => ("prefer", None),
            (_, CertificateCheck::Nothing) => ("require", None),
        };
        self.environment.push(("PGSSLMODE", mode.to_owned()));
        if let Some(roots) = roots {
            self.add_file("PGSSLROOTCERT", "the root certificates", roots)?;
        }
        if let Some(identity) = identity
            && mode != "disable"
        {
            self.add_file("PGSSLCERT", "the client certificate", &identity.certificates)?;
            self.add_file("PGSSLKEY", "the client's private key", &identity.key)?;
        }
        Ok(())
    }

    fn add_file(
        &mut self,
        name: &'static str,
        what: &'static str,
        content: &[u8],
    ) -> Result<(), SchemaTextError> {
        let file = memory_file(what, content)?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        self.environment.push((name, path));
        self.files.push(file);
        Ok(())
    }
}

/// Host names, addresses where there are no names, folders of sockets.
fn hosts(hosts: &[Host], addresses: &[std::net::IpAddr]) -> String {
    let name = |host: &Host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    };
    let mut names: Vec<String> = hosts.iter().map(name).collect();
    if names.is_empty() {
        names = addresses.iter().map(ToString::to_string).collect();
    }
    names.join(",")
}

/// A line for all servers, as libpq reads it (PostgreSQL documentation, "The Password File").
fn password_file(password: &[u8]) -> Result<File, SchemaTextError> {
    if password.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        let detail = "it has a line break, which a password file cannot hold".to_owned();
        return Err(SchemaTextError::Access { what: "the password", detail });
    }
    let mut line = Zeroizing::new(Vec::with_capacity(2 * password.len() + 16));
    line.extend_from_slice(b"*:*:*:*:");
    for byte in password {
        if matches!(byte, b':' | b'\\') {
            line.push(b'\\');
        }
        line.push(*byte);
    }
    line.push(b'\n');
    memory_file("the password", &line)
}

/// A file without a name that only we may read, at its beginning.
fn memory_file(what: &'static str, content: &[u8]) -> Result<File, SchemaTextError> {
    let fail = |detail: String| SchemaTextError::Access { what, detail };
    let file = memfd_create("lifeboat", MemfdFlags::CLOEXEC).map_err(|e| fail(e.to_string()))?;
    fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(|e| fail(e.to_string()))?;
    let mut file = File::from(file);
    file.write_all(content).and_then(|()| file.rewind()).map_err(|e| fail(e.to_string()))?;
    Ok(file)
}
