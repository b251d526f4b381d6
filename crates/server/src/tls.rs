//! Certificates: read from PEM files, and read again on request.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use crate::TlsSettings;

/// The certificate that new connections get. Cheap to clone; a reload changes all clones.
#[derive(Debug, Clone)]
pub struct Tls {
    settings: TlsSettings,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing that was looked for.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not belong together, or are of a sort that is not supported.
    #[error("the certificate and key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be used.
    pub fn load(settings: TlsSettings) -> Result<Self, TlsError> {
        let config = read(&settings)?;
        Ok(Self { settings, current: Arc::new(RwLock::new(Arc::new(config))) })
    }

    /// Reads both files again, for new connections. Those that are open keep theirs.
    ///
    /// # Errors
    /// [`TlsError`] if the new ones cannot be used; the old ones stay then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.settings)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

fn read(settings: &TlsSettings) -> Result<ServerConfig, TlsError> {
    let certificate = &settings.certificate;
    let failed = |error| TlsError::File { path: certificate.clone(), error };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(certificate).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key)
        .map_err(|error| TlsError::File { path: settings.key.clone(), error })?;
    // The provider is named here and nowhere else: two in one program panic at first use.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
