//! Where a database is and how to log in: libpq's parameters, understood (PostgreSQL manual
//! §34.1.2).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslMode, TargetSessionAttrs};

use super::conninfo::{self, Parameters};
use super::database::DatabaseError;
use super::disk;
use super::identity::IdentityFiles;
use super::passfile::{self, Login};
use super::secret::Secret;
use lifeboat_postgres::connect::{CertificateCheck, Connector};

/// Parameters that go into the connection as they are, checked when it is configured.
const CARRIED: &[&str] = &[
    "channel_binding",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "load_balance_hosts",
    "options",
    "target_session_attrs",
    "tcp_user_timeout",
];
/// Parameters that change nothing for us.
const HARMLESS: &[&str] = &[
    "application_name",
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    "keepalives_count",
    "keepalives_interval",
    "sslcompression",
    "sslsni",
];
/// Where systems keep the certificates of public authorities, for `sslrootcert=system`.
const SYSTEM_ROOTS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// What libpq takes from its surroundings. Nothing is read from the environment here: the program
/// fills this in, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The user name when none is given: the login name.
    pub user: Option<String>,
    /// The home folder, for `.pgpass` and `.postgresql/root.crt`.
    pub home: Option<PathBuf>,
    /// The password file to use instead of `.pgpass`: PGPASSFILE.
    pub passfile: Option<PathBuf>,
    /// Socket folders to try when no host is given.
    pub socket_dirs: Vec<PathBuf>,
    /// A folder that stands for `/`, where a copy of the installation was put.
    pub root: Option<PathBuf>,
}

impl Default for Surroundings {
    /// Debian's and PostgreSQL's own socket folder; no user, no home.
    fn default() -> Self {
        let socket_dirs = vec![PathBuf::from("/var/run/postgresql"), PathBuf::from("/tmp")];
        Self { user: None, home: None, passfile: None, socket_dirs, root: None }
    }
}

/// Where a database is and how to log in. No `Debug`: it holds the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseTarget {
    /// Tried in order.
    pub hosts: Vec<DatabaseHost>,
    /// Role.
    pub user: String,
    /// Password, once known.
    pub password: Option<Secret>,
    /// Database name.
    pub dbname: String,
    /// Encryption.
    pub tls: TlsSettings,
    /// A password file that the configuration names.
    pub passfile: Option<PathBuf>,
    /// Further parameters, by libpq name.
    pub options: BTreeMap<String, String>,
    /// Names of parameters that we do not act on; worth a warning.
    pub ignored: Vec<String>,
}

/// One place to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseHost {
    /// Name, address, or the folder of a Unix socket.
    pub place: HostPlace,
    /// Port; also part of a socket's name.
    pub port: u16,
}

/// What kind of place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPlace {
    /// A host name, and its address where `hostaddr` gives it.
    Tcp {
        /// Name, checked by `verify-full`.
        name: String,
        /// Address.
        address: Option<IpAddr>,
    },
    /// The folder of a Unix socket.
    Socket(PathBuf),
}

/// `sslmode` and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// How much is asked for.
    pub mode: TlsMode,
    /// `sslrootcert`, or where libpq looks for it; `None` when there is none to check with.
    pub root: Option<PathBuf>,
    /// `sslcert` and `sslkey`: what we show a server that asks.
    pub identity: Option<IdentityFiles>,
}

/// libpq's `sslmode`. Unix sockets are never encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// libpq tries without first. We try with first: never weaker.
    Allow,
    /// With, if the server can; else without. The default. Certificates are not checked.
    Prefer,
    /// Always. The certificate's chain is checked if there is a root certificate.
    Require,
    /// Always, chain checked.
    VerifyCa,
    /// Always, chain and host name checked.
    VerifyFull,
}

impl DatabaseTarget {
    /// Reads `postgres://…` or `key=value …`, as `--database-url` takes it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub fn parse(text: &str, around: &Surroundings) -> Result<Self, DatabaseError> {
        Self::from_parameters(conninfo::parse(text)?, around)
    }

    /// Understands libpq parameters.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub fn from_parameters(
        mut given: Parameters,
        around: &Surroundings,
    ) -> Result<Self, DatabaseError> {
        if given.contains_key("service") {
            return Err(DatabaseError::Unsupported { parameter: "service" });
        }
        let mut take = |name: &str| {
            given.remove(name).map(|value| value.expose().to_owned()).filter(|v| !v.is_empty())
        };
        let user = take("user").or_else(|| around.user.clone()).ok_or(DatabaseError::NoUser)?;
        let dbname = take("dbname").unwrap_or_else(|| user.clone());
        let lists =
            HostLists { names: take("host"), addresses: take("hostaddr"), ports: take("port") };
        let (mode, root) = (take("sslmode"), take("sslrootcert"));
        let mut tls = tls(mode.as_deref(), root, around)?;
        let (certificate, key) = (take("sslcert"), take("sslkey"));
        if take("sslcertmode").as_deref() != Some("disable") {
            tls.identity = IdentityFiles::find(certificate, key, around);
        }
        let passfile = take("passfile").map(PathBuf::from);
        let password = given.remove("password").filter(|password| !password.expose().is_empty());
        let mut target = Self {
            hosts: lists.hosts(around)?,
            user,
            password,
            dbname,
            tls,
            passfile,
            options: BTreeMap::new(),
            ignored: Vec::new(),
        };
        for (name, value) in given {
            if CARRIED.contains(&name.as_str()) {
                target.options.insert(name, value.expose().to_owned());
            } else if !HARMLESS.contains(&name.as_str()) {
                target.ignored.push(name);
            }
        }
        target.configure()?;
        Ok(target)
    }

    /// Fills in a missing password from the named password file, else from PGPASSFILE, else from
    /// `.pgpass` in the home folder. Like libpq, a file that others can read is not used. Blocks on
    /// the disk.
    ///
    /// Returns what is wrong with the file, if something is.
    pub fn find_password(&mut self, around: &Surroundings) -> Option<String> {
        if self.password.is_some() {
            return None;
        }
        let home = around.home.as_ref().map(|home| home.join(".pgpass"));
        let path = self.passfile.clone().or(around.passfile.clone()).or(home)?;
        let file = disk::read_file(&path).ok()?;
        if file.mode & 0o077 != 0 {
            let path = path.display();
            return Some(format!(
                "{path} can be read by others and was not used; chmod 600 {path}"
            ));
        }
        let text = std::str::from_utf8(&file.bytes).ok()?;
        self.password = self.hosts.iter().find_map(|host| {
            let name = host.login_name(around);
            let login =
                Login { host: &name, port: host.port, dbname: &self.dbname, user: &self.user };
            passfile::find(text, &login)
        });
        None
    }

    /// For people, without the password: `postgres://user@host:5432/name`.
    pub fn shown(&self) -> String {
        let place = |host: &DatabaseHost| match &host.place {
            HostPlace::Tcp { name, .. } => format!("{name}:{}", host.port),
            HostPlace::Socket(folder) => format!("{}:{}", folder.display(), host.port),
        };
        let places: Vec<String> = self.hosts.iter().map(place).collect();
        format!("postgres://{}@{}/{}", self.user, places.join(","), self.dbname)
    }

    /// The driver's configuration; how certificates are checked is not part of it.
    ///
    /// # Errors
    /// When a parameter has a value that libpq would not take either.
    pub fn configure(&self) -> Result<Config, DatabaseError> {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.dbname);
        if let Some(password) = &self.password {
            config.password(password.expose());
        }
        let addresses = self.hosts.iter().filter_map(DatabaseHost::address).count();
        if addresses != 0 && addresses != self.hosts.len() {
            return Err(DatabaseError::Uneven);
        }
        for host in &self.hosts {
            match &host.place {
                HostPlace::Socket(folder) => config.host_path(folder),
                HostPlace::Tcp { name, .. } => config.host(name),
            };
            if let Some(address) = host.address() {
                config.hostaddr(address);
            }
            config.port(host.port);
        }
        config.ssl_mode(match self.tls.mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Allow | TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        for (name, value) in &self.options {
            carry(&mut config, name, value)?;
        }
        Ok(config)
    }

    /// A connector that logs in here; reads the certificates and our key. Blocks on the disk.
    ///
    /// # Errors
    /// When certificates or key cannot be read, others can read the key, or certificates are to be
    /// checked without any.
    pub fn connector(&self) -> Result<Connector, DatabaseError> {
        let pem =
            match &self.tls.root {
                None => None,
                Some(path) => Some(disk::read_file(path).map(|file| file.bytes.to_vec()).map_err(
                    |error| DatabaseError::RootCertificate {
                        path: path.display().to_string(),
                        source: error.into_io(),
                    },
                )?),
            };
        let check = match (self.tls.mode, pem) {
            (TlsMode::Disable | TlsMode::Allow | TlsMode::Prefer, _) | (TlsMode::Require, None) => {
                CertificateCheck::Nothing
            }
            (TlsMode::Require | TlsMode::VerifyCa, Some(pem)) => CertificateCheck::Chain(pem),
            (TlsMode::VerifyFull, Some(pem)) => CertificateCheck::ChainAndName(pem),
            (_, None) => return Err(DatabaseError::NoRootCertificate),
        };
        let is_tcp = |host: &DatabaseHost| matches!(host.place, HostPlace::Tcp { .. });
        let is_encrypted = self.tls.mode != TlsMode::Disable && self.hosts.iter().any(is_tcp);
        let identity = match &self.tls.identity {
            Some(files) if is_encrypted => files.read()?,
            _ => None,
        };
        let connector = Connector::new(self.configure()?, &check, identity.as_ref());
        connector.map_err(DatabaseError::Connector)
    }
}

impl DatabaseHost {
    fn address(&self) -> Option<IpAddr> {
        match &self.place {
            HostPlace::Tcp { address, .. } => *address,
            HostPlace::Socket(_) => None,
        }
    }

    /// What a password file calls this host.
    fn login_name(&self, around: &Surroundings) -> String {
        match &self.place {
            HostPlace::Tcp { name, .. } => name.clone(),
            HostPlace::Socket(folder) if around.socket_dirs.contains(folder) => {
                "localhost".to_owned()
            }
            HostPlace::Socket(folder) => folder.display().to_string(),
        }
    }
}

/// Comma-separated lists that belong together by position.
struct HostLists {
    names: Option<String>,
    addresses: Option<String>,
    ports: Option<String>,
}

impl HostLists {
    fn hosts(&self, around: &Surroundings) -> Result<Vec<DatabaseHost>, DatabaseError> {
        let list = |text: &Option<String>| -> Vec<String> {
            text.iter()
                .flat_map(|text| text.split(','))
                .map(|part| part.trim().to_owned())
                .collect()
        };
        let (names, addresses, ports) =
            (list(&self.names), list(&self.addresses), list(&self.ports));
        let count = names.len().max(addresses.len()).max(1);
        let uneven = |length: usize| length > 1 && length != count;
        if uneven(ports.len()) || !names.is_empty() && uneven(addresses.len()) {
            return Err(DatabaseError::Uneven);
        }
        let mut hosts = Vec::new();
        for number in 0..count {
            let port = ports.get(number).or_else(|| ports.first()).map_or("", String::as_str);
            let port = if port.is_empty() { 5432 } else { parsed("port", port)? };
            let name = names.get(number).map_or("", String::as_str);
            let address = addresses.get(number).filter(|address| !address.is_empty());
            let address = address.map(|text| parsed::<IpAddr>("hostaddr", text)).transpose()?;
            hosts.extend(
                places(name, address, around)?
                    .into_iter()
                    .map(|place| DatabaseHost { place, port }),
            );
        }
        Ok(hosts)
    }
}

fn places(
    name: &str,
    address: Option<IpAddr>,
    around: &Surroundings,
) -> Result<Vec<HostPlace>, DatabaseError> {
    Ok(match (name, address) {
        ("", None) => around.socket_dirs.iter().cloned().map(HostPlace::Socket).collect(),
        ("", Some(address)) => {
            vec![HostPlace::Tcp { name: address.to_string(), address: Some(address) }]
        }
        (name, _) if name.starts_with('@') => {
            return Err(DatabaseError::Unsupported { parameter: "host=@… (abstract socket)" });
        }
        (name, _) if name.starts_with('/') => vec![HostPlace::Socket(PathBuf::from(name))],
        (name, address) => vec![HostPlace::Tcp { name: name.to_owned(), address }],
    })
}

fn tls(
    mode: Option<&str>,
    root: Option<String>,
    around: &Surroundings,
) -> Result<TlsSettings, DatabaseError> {
    let system = root.as_deref() == Some("system");
    let mode = match mode {
        None if system => TlsMode::VerifyFull,
        None | Some("prefer") => TlsMode::Prefer,
        Some("disable") => TlsMode::Disable,
        Some("allow") => TlsMode::Allow,
        Some("require") => TlsMode::Require,
        Some("verify-ca") => TlsMode::VerifyCa,
        Some("verify-full") => TlsMode::VerifyFull,
        Some(_) => return Err(DatabaseError::Value { parameter: "sslmode".to_owned() }),
    };
    let exists = |path: &PathBuf| path.is_file();
    let root = match root {
        Some(_) if system => SYSTEM_ROOTS.iter().map(PathBuf::from).find(exists),
        Some(path) => Some(PathBuf::from(path)).filter(|path| {
            // As libpq: with `require` and below, a missing root file means no check.
            matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyFull) || exists(path)
        }),
        None => {
            let own = |home: &Path| home.join(".postgresql/root.crt");
            around.home.as_deref().map(own).filter(exists)
        }
    };
    Ok(TlsSettings { mode, root, identity: None })
}

fn carry(config: &mut Config, name: &str, value: &str) -> Result<(), DatabaseError> {
    let wrong = || DatabaseError::Value { parameter: name.to_owned() };
    let seconds = || value.trim().parse::<u64>().map(Duration::from_secs).map_err(|_| wrong());
    match name {
        "connect_timeout" => {
            // Zero and negative mean: wait for ever. libpq never waits less than two seconds.
            let wait: i64 = parsed(name, value)?;
            if let Ok(wait @ 1..) = u64::try_from(wait) {
                config.connect_timeout(Duration::from_secs(wait.max(2)));
            }
        }
        "tcp_user_timeout" => {
            let wait: u64 = parsed(name, value)?;
            config.tcp_user_timeout(Duration::from_millis(wait));
        }
        "keepalives" => drop(config.keepalives(parsed::<i32>(name, value)? != 0)),
        "keepalives_idle" => {
            let idle = seconds()?;
            if !idle.is_zero() {
                config.keepalives_idle(idle);
            }
        }
        "options" => drop(config.options(value)),
        "channel_binding" => drop(config.channel_binding(match value {
            "disable" => ChannelBinding::Disable,
            "prefer" => ChannelBinding::Prefer,
            "require" => ChannelBinding::Require,
            _ => return Err(wrong()),
        })),
        "load_balance_hosts" => drop(config.load_balance_hosts(match value {
            "disable" => LoadBalanceHosts::Disable,
            "random" => LoadBalanceHosts::Random,
            _ => return Err(wrong()),
        })),
        "target_session_attrs" => drop(config.target_session_attrs(match value {
            "any" | "prefer-standby" => TargetSessionAttrs::Any,
            "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
            "read-only" | "standby" => TargetSessionAttrs::ReadOnly,
            _ => return Err(wrong()),
        })),
        _ => {}
    }
    Ok(())
}

fn parsed<T: std::str::FromStr>(parameter: &str, value: &str) -> Result<T, DatabaseError> {
    let wrong = |_| DatabaseError::Value { parameter: parameter.to_owned() };
    value.trim().parse().map_err(wrong)
}
