//! Connections: plain or TLS, over TCP or a Unix socket.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, InconsistentKeys, RootCertStore,
    SignatureScheme,
};
pub use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres::{AsyncMessage, Client};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::{Zeroize, Zeroizing};

use super::PostgresError;

/// PostgreSQL's limit for names.
const NAME_BYTES: usize = 63;

/// How far the server's certificate is checked (libpq's `sslmode`, PostgreSQL documentation 34.19).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateCheck {
    /// Encrypt, trust any certificate: `prefer`, `require` without a root certificate.
    Nothing,
    /// The chain must end in one of these roots (PEM): `verify-ca`.
    Chain(Vec<u8>),
    /// Chain and host name: `verify-full`.
    ChainAndName(Vec<u8>),
}

/// What we show a server that asks who we are (libpq's `sslcert` and `sslkey`). No `Debug`: it
/// holds a private key.
#[derive(Clone)]
pub struct ClientIdentity {
    /// Our certificate, then those that lead to the server's authority: PEM.
    pub certificates: Vec<u8>,
    /// Its private key, PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: Zeroizing<Vec<u8>>,
}

/// What it takes to open a session; cheap to clone.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    /// What `tls` was made from, for programs that make their own connections.
    trust: Arc<(CertificateCheck, Option<ClientIdentity>)>,
}

impl Connector {
    /// A connector for `config`, whose own `ssl_mode` says whether TLS is used at all.
    ///
    /// # Errors
    /// [`PostgresError::Tls`] when the certificates or the private key cannot be used.
    pub fn new(
        config: Config,
        check: &CertificateCheck,
        identity: Option<&ClientIdentity>,
    ) -> Result<Self, PostgresError> {
        let mut config = config;
        config.application_name("lifeboat");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(15));
        }
        let tls = MakeRustlsConnect::new(client_config(check, identity)?);
        Ok(Self { config, tls, trust: Arc::new((check.clone(), identity.cloned())) })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn tls(&self) -> (&CertificateCheck, Option<&ClientIdentity>) {
        (&self.trust.0, self.trust.1.as_ref())
    }

    /// Opens a session. Its connection task ends with the client.
    ///
    /// # Errors
    /// [`PostgresError::Connect`].
    pub async fn connect(&self) -> Result<Client, PostgresError> {
        let (client, connection) =
            self.config.connect(self.tls.clone()).await.map_err(|source| {
                PostgresError::Connect { database: self.database(), place: self.place(), source }
            })?;
        // An error of the connection reaches the user through the client's next call.
        tokio::spawn(async move { connection.await.ok() });
        Ok(client)
    }

    /// Opens a session that keeps what the server warns of, by SQLSTATE: each is there when the
    /// statement that it is about has ended.
    pub(crate) async fn connect_warned(&self) -> Result<(Client, Warnings), PostgresError> {
        let (client, mut connection) =
            self.config.connect(self.tls.clone()).await.map_err(|source| {
                PostgresError::Connect { database: self.database(), place: self.place(), source }
            })?;
        let warnings = Warnings::default();
        let noted = warnings.clone();
        tokio::spawn(async move {
            // An error of the connection reaches the user through the client's next call.
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message {
                    noted.note((notice.code().code().to_owned(), notice.message().to_owned()));
                }
            }
        });
        Ok((client, warnings))
    }

    /// The same server, another database.
    #[must_use]
    pub fn to_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    /// The same server, the database whose name has `suffix` at its end. `None` when that is too
    /// long: PostgreSQL would cut it off, and leave the name of the database in use.
    #[must_use]
    pub fn beside(&self, suffix: &str) -> Option<Self> {
        let name = format!("{}{suffix}", self.database());
        (name.len() <= NAME_BYTES).then(|| self.to_database(&name))
    }

    /// The same way in, where every session acts as another role from its beginning: what a
    /// superuser makes then belongs to the owner of the database.
    #[must_use]
    pub fn acting_as(&self, role: &str) -> Self {
        let mut other = self.clone();
        let before = self.config.get_options().map_or_else(String::new, |text| format!("{text} "));
        // A space ends an option, unless a backslash is before it.
        let escaped = role.replace('\\', "\\\\").replace(' ', "\\ ");
        other.config.options(format!("{before}-c role={escaped}"));
        other
    }

    /// The database's name.
    pub fn database(&self) -> String {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or("(default)").to_owned()
    }

    /// The role we connect as.
    pub fn role(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// Host and port, or socket folder, for messages.
    pub fn place(&self) -> String {
        let host = self.config.get_hosts().first().map_or_else(
            || "(no host)".to_owned(),
            |host| match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            },
        );
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        format!("{host}:{port}")
    }
}

/// What a server warned of: SQLSTATE and its words.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<(String, String)>>>);

/// More than this are not kept.
const WARNINGS: usize = 1000;

impl Warnings {
    fn note(&self, warning: (String, String)) {
        if let Ok(mut noted) = self.0.lock()
            && noted.len() < WARNINGS
        {
            noted.push(warning);
        }
    }

    /// Those since the last time.
    pub(crate) fn take(&self) -> Vec<(String, String)> {
        self.0.lock().map(|mut noted| std::mem::take(&mut *noted)).unwrap_or_default()
    }
}

fn client_config(
    check: &CertificateCheck,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, PostgresError> {
    let unproven = server_check(check)?;
    Ok(match identity {
        None => unproven.with_no_client_auth(),
        Some(identity) => {
            let proof = SingleCertAndKey::from(certified_key(identity)?);
            unproven.with_client_cert_resolver(Arc::new(proof))
        }
    })
}

fn certified_key(identity: &ClientIdentity) -> Result<CertifiedKey, PostgresError> {
    let fail = |detail: String| PostgresError::Tls { detail };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&identity.certificates).collect();
    let certificates = certificates.map_err(|e| fail(format!("the client certificate: {e}")))?;
    if certificates.is_empty() {
        return Err(fail("the client certificate file holds no certificate".to_owned()));
    }
    let mut der = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|_| {
        // The cause is not told: it could quote the file.
        fail("the client's private key is no PEM key without a passphrase".to_owned())
    })?;
    let key = any_supported_type(&der);
    der.zeroize();
    let key = key.map_err(|_| fail("the client's private key is of no usable kind".to_owned()))?;
    let certified = CertifiedKey::new(certificates, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(_) => {
            let detail = "the client's private key is not that of its certificate";
            Err(fail(detail.to_owned()))
        }
    }
}

fn server_check(
    check: &CertificateCheck,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, PostgresError> {
    let fail = |e: &dyn std::fmt::Display| PostgresError::Tls { detail: e.to_string() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| fail(&e))?;
    let (roots, name) = match check {
        CertificateCheck::Nothing => (None, false),
        CertificateCheck::Chain(pem) => (Some(root_store(pem)?), false),
        CertificateCheck::ChainAndName(pem) => (Some(root_store(pem)?), true),
    };
    let chain = match roots {
        None => None,
        Some(roots) if name => {
            return Ok(builder.with_root_certificates(roots));
        }
        Some(roots) => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|e| fail(&e))?,
        ),
    };
    let verifier = Arc::new(Lenient { chain, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

fn root_store(pem: &[u8]) -> Result<RootCertStore, PostgresError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| PostgresError::Tls { detail: e.to_string() })?;
        roots.add(certificate).map_err(|e| PostgresError::Tls { detail: e.to_string() })?;
    }
    if roots.is_empty() {
        let detail = "the root certificate file holds no certificate".to_owned();
        return Err(PostgresError::Tls { detail });
    }
    Ok(roots)
}

/// What libpq does below `verify-full`: encrypt, and check no more than asked for.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                NotValidForName | NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
