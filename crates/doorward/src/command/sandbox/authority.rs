//! An authority that is made for one run, and its certificate for Bitbucket Cloud's names.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::failure::{Code, Failure};

/// The files of the authority and of what it has signed.
#[derive(Debug)]
pub(super) struct Authority {
    /// The authority's own certificate, to be trusted by clients.
    pub(super) root: PathBuf,
    /// The server's certificate.
    pub(super) certificate: PathBuf,
    /// The server's key. The authority's own key is gone.
    pub(super) key: PathBuf,
}

impl Authority {
    /// Makes an authority that trusts nobody but the server of this sandbox.
    pub(super) fn make(directory: &Path) -> Result<Self, Failure> {
        let files = Self {
            root: directory.join("ca.pem"),
            certificate: directory.join("server.pem"),
            key: directory.join("server.key"),
        };
        let (root, certificate, key) = pems().map_err(|error| failed(&error))?;
        for (path, text) in [(&files.root, root), (&files.certificate, certificate), (&files.key, key)] {
            fs::write(path, text).map_err(|error| failed(&error))?;
        }
        Ok(files)
    }
}

fn pems() -> Result<(String, String, String), rcgen::Error> {
    let now = SystemTime::now();
    let (begin, end) = (now - DAY, now + 30 * DAY);
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "doorward sandbox, for tests alone");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (root.not_before, root.not_after) = (begin.into(), end.into());
    let root_key = KeyPair::generate()?;
    let root_certificate = root.self_signed(&root_key)?;
    let issuer = Issuer::new(root, root_key);
    let mut server = CertificateParams::new(NAMES.map(str::to_owned).to_vec())?;
    server.distinguished_name.push(DnType::CommonName, "bitbucket.org");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (server.not_before, server.not_after) = (begin.into(), end.into());
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?;
    Ok((root_certificate.pem(), certificate.pem(), key.serialize_pem()))
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::Failed, format!("no certificate can be made: {error}"))
}

const NAMES: [&str; 6] = ["bitbucket.org", "www.bitbucket.org", "api.bitbucket.org", "localhost", "127.0.0.1", "::1"];
const DAY: Duration = Duration::from_secs(86_400);
