//! `doorward upstream credential`: credentials of the gateway's own, kept sealed in the data directory.

use doorward_store::{Store, UpstreamCredential};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::arguments::UpstreamCredentialCommand;
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::{Code, Failure};
use crate::print;

use super::upstream::secret;

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    created_at: String,
    expires_at: Option<String>,
}

impl Row {
    fn of(credential: UpstreamCredential) -> Self {
        let UpstreamCredential { name, expires_at, created_at } = credential;
        Self { name, created_at: created_at.to_string(), expires_at: expires_at.map(|at| at.to_string()) }
    }
}

pub(super) async fn run(
    command: UpstreamCredentialCommand,
    configuration: &Configuration,
    json: bool,
) -> Result<(), Failure> {
    match command {
        UpstreamCredentialCommand::List => list(&Data::open(configuration).await?.store, json).await,
        UpstreamCredentialCommand::Add { name, expires } => {
            check_name(&name)?;
            let secret = secret()?;
            let secret = SecretString::from(secret.expose_secret().trim());
            if secret.expose_secret().is_empty() || secret.expose_secret().contains(char::is_control) {
                return Err(Failure::new(Code::Usage, "it is empty, or has more than one line")
                    .hint("give USER:SECRET or a token alone"));
            }
            if expires.is_some_and(|at| at <= now()) {
                return Err(Failure::new(Code::Usage, "it has ended already").hint("make a new one at the upstream"));
            }
            // A gateway has no data directory before it was started first.
            let data = Data::open_or_create(configuration).await?;
            data.store.keep_upstream_credential(&name, &secret, expires, now()).await?;
            if json {
                return print::json(&serde_json::json!({ "kept": name }));
            }
            print::line(&format!("Kept {name}. An upstream uses it with credentials = \"store:{name}\"."))
        }
        UpstreamCredentialCommand::Remove { name } => {
            Data::open(configuration).await?.store.forget_upstream_credential(&name, now()).await?;
            if json {
                return print::json(&serde_json::json!({ "removed": name }));
            }
            print::line(&format!("Removed {name}. A running server forgets it within a minute."))
        }
    }
}

async fn list(store: &Store, json: bool) -> Result<(), Failure> {
    let rows: Vec<Row> = store.upstream_credentials().await?.into_iter().map(Row::of).collect();
    if json {
        return print::json(&rows);
    }
    let cells =
        rows.into_iter().map(|row| [row.name, row.created_at, row.expires_at.unwrap_or_else(|| "not told".into())]);
    print::table(["name", "kept", "ends"], &cells.collect::<Vec<_>>())
}

/// A name that can stand in the configuration.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(is_good) {
        return Ok(());
    }
    Err(Failure::new(Code::Usage, format!("`{name}` is no name of a credential"))
        .hint("use letters, digits, `-`, `_` and `.`"))
}

const LONGEST_NAME: usize = 100;
