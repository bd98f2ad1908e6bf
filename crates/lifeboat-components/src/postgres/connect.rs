//! Connections: plain or TLS, over TCP or a Unix socket.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresError;

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

/// What it takes to open a session; cheap to clone.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Connector {
    /// A connector for `config`, whose own `ssl_mode` says whether TLS is used at all.
    ///
    /// # Errors
    /// [`PostgresError::Tls`] when the root certificates cannot be used.
    pub fn new(config: Config, check: &CertificateCheck) -> Result<Self, PostgresError> {
        let mut config = config;
        config.application_name("lifeboat");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(15));
        }
        Ok(Self { config, tls: MakeRustlsConnect::new(client_config(check)?) })
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

    /// The same server, another database.
    #[must_use]
    pub fn to_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(name);
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

fn client_config(check: &CertificateCheck) -> Result<ClientConfig, PostgresError> {
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
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        }
        Some(roots) => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|e| fail(&e))?,
        ),
    };
    let verifier = Arc::new(Lenient { chain, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
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
