//! HTTP to the provider: short answers, within a time, from whom its certificate says.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use ureq::Agent as Http;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::Trouble;
use crate::jws::shown;

/// A client of the provider. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Agent(Http);

impl Agent {
    pub(crate) fn new() -> Self {
        let system = rustls_native_certs::load_native_certs().certs;
        let roots: Vec<Certificate<'static>> =
            system.iter().map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned()).collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .build();
        let config = Http::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .tls_config(tls)
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")));
        Self(config.build().into())
    }

    /// Reads a document; with a token, if one is given.
    pub(crate) async fn get<T: DeserializeOwned + Send + 'static>(
        &self,
        url: &str,
        bearer: Option<SecretString>,
    ) -> Result<T, Trouble> {
        let (status, text) = self.ask(url, bearer.map(|token| ("Bearer", token)), None).await?;
        if status != 200 {
            return Err(unexpected(url, status, &text));
        }
        serde_json::from_str(&text)
            .map_err(|error| Trouble::Misconfigured(format!("{url} is not what it should be: {error}")))
    }

    /// Sends a form, and returns status and answer.
    pub(crate) async fn post(
        &self,
        url: &str,
        authorization: Option<(&'static str, SecretString)>,
        form: SecretString,
    ) -> Result<(u16, String), Trouble> {
        self.ask(url, authorization, Some(form)).await
    }

    async fn ask(
        &self,
        url: &str,
        authorization: Option<(&'static str, SecretString)>,
        form: Option<SecretString>,
    ) -> Result<(u16, String), Trouble> {
        let (http, url) = (self.0.clone(), url.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let mut request = ureq::http::Request::builder().uri(&url).header("Accept", "application/json");
            if let Some((scheme, secret)) = &authorization {
                request = request.header("Authorization", format!("{scheme} {}", secret.expose_secret()));
            }
            let failed = |error: ureq::Error| Trouble::Unreachable(format!("{url}: {error}"));
            let answer = match form {
                None => http.run(request.body(()).map_err(|error| failed(error.into()))?),
                Some(form) => {
                    let request = request.method("POST").header("Content-Type", "application/x-www-form-urlencoded");
                    let request =
                        request.body(form.expose_secret().to_owned()).map_err(|error| failed(error.into()))?;
                    http.run(request)
                }
            };
            let answer = answer.map_err(failed)?;
            let status = answer.status().as_u16();
            let text = answer.into_body().into_with_config().limit(LONGEST).read_to_string().map_err(failed)?;
            Ok((status, text))
        });
        asked.await.map_err(|error| Trouble::Unreachable(error.to_string()))?
    }
}

/// What is said of a status that was not expected. Trouble at the provider says nothing about anybody.
pub(crate) fn unexpected(url: &str, status: u16, text: &str) -> Trouble {
    let said = format!("{url} answers {status}: {}", shown(text));
    if status >= 500 || status == 429 { Trouble::Unreachable(said) } else { Trouble::Misconfigured(said) }
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LONGEST: u64 = 1024 * 1024;
