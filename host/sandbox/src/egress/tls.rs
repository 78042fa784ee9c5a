//! The client's side of TLS. Trust comes from the certificate authorities of the system, so that what
//! the operator added or removed there holds for plugins too, and updates of the system are enough;
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. Certificates are always checked.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::target::Host;

/// The error where nobody is trusted.
pub(super) const NO_AUTHORITIES: io::ErrorKind = io::ErrorKind::NotFound;

/// Makes TLS of connections.
pub(super) struct Tls {
    authorities: Option<PathBuf>,
    connector: OnceCell<TlsConnector>,
}

impl Tls {
    pub(super) fn new(authorities: Option<PathBuf>) -> Self {
        Self {
            authorities,
            connector: OnceCell::new(),
        }
    }

    /// Talks TLS to `host` over `stream`. The authorities are read at the first use.
    ///
    /// # Errors
    /// No authorities, or a peer that is not `host`.
    pub(super) async fn connect(
        &self,
        host: &Host,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let connector = self
            .connector
            .get_or_try_init(|| async {
                let file = self.authorities.clone();
                let work = tokio::task::spawn_blocking(move || connector(file.as_deref()));
                work.await.map_err(io::Error::other)?
            })
            .await?;
        connector.connect(server_name(host)?, stream).await
    }
}

fn server_name(host: &Host) -> io::Result<ServerName<'static>> {
    match host {
        Host::Address(IpAddr::V4(address)) => Ok(ServerName::from(*address)),
        Host::Address(IpAddr::V6(address)) => Ok(ServerName::from(*address)),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
    }
}

fn connector(file: Option<&Path>) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let (added, _) = match file {
        Some(file) => {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)
                .map_err(io::Error::other)?
                .collect();
            roots.add_parsable_certificates(certificates.map_err(io::Error::other)?)
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a certificate authority of the system cannot be read");
            }
            roots.add_parsable_certificates(found.certs)
        }
    };
    if added == 0 {
        return Err(io::Error::new(
            NO_AUTHORITIES,
            "no certificate authority was found: install the system's (often the package \
             `ca-certificates`), or set SSL_CERT_FILE",
        ));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Tickets would tie the connections of one plugin to those of another.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.authorities)
            .finish_non_exhaustive()
    }
}
