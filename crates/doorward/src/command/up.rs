//! `doorward up`: from nothing to a clone line in one command.

use doorward_rules::{Kind, Scope, Scopes};
use doorward_store::{Account, AccountChange, Credentials, Holder, NewCredential, StoreError};
use doorward_wire::{AccountName, Email, RepositoryName};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::serve::Ready;
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::{Code, Failure};
use crate::print;

/// What `up` found or made. The token is there only on the run that made it.
#[derive(Serialize)]
struct Up {
    address: String,
    data: String,
    account: String,
    email: String,
    workspace: String,
    repository: String,
    token: Option<String>,
    /// Where a password for the web pages is chosen, once.
    sign_in: Option<String>,
    clone_url: String,
}

/// The names in a data directory that `up` prints.
struct Names {
    account: AccountName,
    email: Email,
    repository: RepositoryName,
}

pub(crate) async fn run(configuration: Configuration, json: bool) -> Result<(), Failure> {
    let data = Data::open_or_create(&configuration).await?;
    // First the address and the lock: the token is made for a server that can be reached, and by one program alone.
    let ready = Ready::prepare(configuration, data).await?;
    let secret = if is_new(&ready.data).await? { Some(begin(&ready).await?) } else { None };
    let link = if secret.is_some() { Some(link(&ready).await?) } else { None };
    let names = first(&ready.data).await?;
    let up = Up::new(ready.address.clone(), ready.data.directory.display().to_string(), &names, secret.as_ref(), link);
    if json { print::json(&up) } else { up.tell() }?;
    ready.serve().await
}

/// Whether nobody has used the data directory yet; also if an earlier `up` was killed before it had made the token.
async fn is_new(data: &Data) -> Result<bool, Failure> {
    let ours = |account: &Account| account.name.as_str() == NAME;
    Ok(data.store.credentials(Credentials::All).await?.is_empty() && data.store.accounts().await?.iter().all(ours))
}

/// Makes what is not there yet: an account, a workspace, a repository with something in it, and a token that may do
/// everything with it. The token comes last, so that this begins anew if it did not get so far.
async fn begin(ready: &Ready) -> Result<SecretString, Failure> {
    let now = now();
    let store = &ready.data.store;
    let fixed = |error| Failure::new(Code::Failed, format!("{error}"));
    let account: AccountName = NAME.parse().map_err(fixed)?;
    let email: Email = "admin@localhost".parse().map_err(fixed)?;
    let name: RepositoryName = "home/hello".parse().map_err(fixed)?;
    unless_there(store.create_account(&account, &email, now).await)?;
    // Whoever has the data directory may do everything; so may the account that is theirs, with a token that says so.
    let change = AccountChange { administrator: Some(true), ..AccountChange::default() };
    store.change_account(&account, change, now).await?;
    unless_there(store.create_workspace(&name.workspace, &account, now).await)?;
    if store.repositories(None).await?.is_empty() {
        let id = store.new_repository_id(now);
        ready.repositories.create_with(id, FILES, &format!("Doorward <{email}>"), now.0 / 1000).await?;
        store.create_repository(id, &name, None, false, now).await?;
    }
    let new = NewCredential {
        kind: Kind::ApiToken,
        shape: ready.shape,
        name: "made by doorward up",
        scopes: Scopes::of(&[Scope::ReadRepository, Scope::WriteRepository]),
        expires_at: Some(now.after(YEAR)),
    };
    Ok(store.create_credential(Holder::Account(&account, None), new, now).await?.1)
}

/// A link by which the first account gets a password for the web pages.
async fn link(ready: &Ready) -> Result<SecretString, Failure> {
    let name: AccountName = NAME.parse().map_err(|error| Failure::new(Code::Failed, format!("{error}")))?;
    let (secret, _) = ready.data.store.create_sign_in_link(&name, DAY, now()).await?;
    Ok(format!("/account/welcome/{}", secret.expose_secret()).into())
}

fn unless_there<T>(made: Result<T, StoreError>) -> Result<(), Failure> {
    match made {
        Ok(_) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The first account and repository: what `up` made, unless somebody has changed it since.
async fn first(data: &Data) -> Result<Names, Failure> {
    let (account, repository) =
        (data.store.accounts().await?.into_iter().next(), data.store.repositories(None).await?.into_iter().next());
    match (account, repository) {
        (Some(account), Some(repository)) => {
            Ok(Names { account: account.name, email: account.email, repository: repository.name })
        }
        _ => {
            let sentence = format!("{} has accounts but no repository", data.directory.display());
            Err(Failure::new(Code::State, sentence)
                .hint("use `doorward serve`, or make one with `doorward repository create`"))
        }
    }
}

impl Up {
    fn new(
        address: String,
        data: String,
        names: &Names,
        secret: Option<&SecretString>,
        link: Option<SecretString>,
    ) -> Self {
        let token = secret.map(|secret| secret.expose_secret().to_owned());
        let (scheme, host) = address.split_once("://").unwrap_or(("http", &address));
        let user = match &token {
            Some(token) => format!("{}:{token}", names.account),
            None => names.account.to_string(),
        };
        Self {
            clone_url: format!("{scheme}://{user}@{host}/{}.git", names.repository),
            sign_in: link.map(|link| format!("{address}{}", link.expose_secret())),
            address,
            data,
            account: names.account.to_string(),
            email: names.email.to_string(),
            workspace: names.repository.workspace.to_string(),
            repository: names.repository.to_string(),
            token,
        }
    }

    fn tell(&self) -> Result<(), Failure> {
        let token = self.token.clone().map_or_else(
            || format!(
                    "shown when it was made; another one:\n              doorward token create --account {} --name mine \\\n              \
                     --scope read:repository:bitbucket --scope write:repository:bitbucket",
                    self.account
                ),
            |token| format!("{token}\n            (shown this once)"),
        );
        print::line(&format!("Doorward keeps the door at {}\n", self.address))?;
        print::pairs(&[
            ("  account", format!("{} <{}>", self.account, self.email)),
            ("  repository", self.repository.clone()),
            ("  token", token),
            ("  data", self.data.clone()),
        ])?;
        print::line(&format!("\n  git clone {}\n", self.clone_url))?;
        if let Some(link) = &self.sign_in {
            print::line(&format!("To sign in to the web pages, choose a password within a day at\n\n  {link}\n"))?;
        }
        print::line("Ctrl-C stops.")
    }
}

const NAME: &str = "admin";
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
const YEAR: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);

const FILES: &[(&str, &str)] = &[(
    "README.md",
    "# Hello\n\nThis repository was made by `doorward up`. Change this file and push:\n\n    git commit -am 'My first change'\n    git push\n",
)];
