//! What there is in a sandbox: two people, their workspaces and repositories, and a credential of every kind.

use doorward_git::Repositories;
use doorward_rules::{Kind, Schedule, Scope, Scopes, Timestamp};
use doorward_store::{Holder, NewCredential, Store};
use doorward_wire::{AccountName, Email, ProjectName, RepositoryName, TokenShape, WorkspaceSlug};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::print;

/// The repositories: one for work, one that anybody may read, one in another project, one that is somebody else's.
pub(super) const REPOSITORIES: &[&str] = &["acme/site", "acme/docs", "acme/infra", "other/secret"];

/// What was made.
pub(super) struct World {
    pub(super) credentials: Vec<Shown>,
}

/// One credential, with its secret.
#[derive(Serialize)]
pub(super) struct Shown {
    kind: &'static str,
    /// `valid` or `read_only`; `expired`, `revoked` or `unscoped` if it is refused.
    state: &'static str,
    secret: String,
    /// The user name of its owner; for access tokens, the fixed one that they are presented with.
    username: &'static str,
    /// The e-mail address of its owner.
    email: Option<&'static str>,
    scopes: Vec<&'static str>,
    /// A repository that it is of use for.
    workspace: &'static str,
    repository: &'static str,
}

/// What to make one of.
struct Plan {
    kind: Kind,
    owner: Owner,
    scopes: &'static [Scope],
    state: State,
}

#[derive(Clone, Copy)]
enum Owner {
    Ada,
    Bob,
    Workspace,
    Project,
    Repository,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Valid,
    ReadOnly,
    Expired,
    Revoked,
    Unscoped,
    AdminOnly,
}

impl World {
    /// Makes everything in an empty store.
    pub(super) async fn make(store: &Store, repositories: &Repositories, at: Timestamp) -> Result<Self, Failure> {
        // Made long ago, so that it is there at whatever date the sandbox is set to.
        let long_ago = Timestamp::utc(2021, 1, 1).min(at);
        // A store of our own knows no app passwords unless they are announced to end.
        let announced = Schedule { announced_at: Some(Timestamp(0)), ..Schedule::default() };
        store.change_schedule(Kind::AppPassword, |_| announced, "app passwords are in use".into(), long_ago).await?;
        for (name, email, workspace) in [("ada", ADA, "acme"), ("bob", BOB, "other")] {
            let account: AccountName = parsed(name)?;
            store.create_account(&account, &parsed::<Email>(email)?, long_ago).await?;
            store.create_workspace(&parsed(workspace)?, &account, long_ago).await?;
        }
        let operations: ProjectName = parsed("acme/OPS")?;
        store.create_project(&operations, "Operations", long_ago).await?;
        for name in REPOSITORIES {
            let name: RepositoryName = parsed(name)?;
            let id = store.new_repository_id(long_ago);
            repositories.create_with(id, FILES, &format!("Ada <{ADA}>"), long_ago.0 / 1000).await?;
            let public = name.slug.as_str() == "docs";
            let project = (name.slug.as_str() == "infra").then_some(&operations.key);
            store.create_repository(id, &name, project, public, long_ago).await?;
        }
        let mut credentials = Vec::new();
        for plan in PLANS {
            credentials.push(plan.make(store, long_ago, at).await?);
        }
        Ok(Self { credentials })
    }
}

impl Plan {
    async fn make(&self, store: &Store, long_ago: Timestamp, at: Timestamp) -> Result<Shown, Failure> {
        let (ada, bob): (AccountName, AccountName) = (parsed("ada")?, parsed("bob")?);
        let (workspace, project): (WorkspaceSlug, ProjectName) = (parsed("acme")?, parsed("acme/PROJ")?);
        let repository: RepositoryName = parsed("acme/site")?;
        let holder = match self.owner {
            Owner::Ada => Holder::Account(&ada, None),
            Owner::Bob => Holder::Account(&bob, None),
            Owner::Workspace => Holder::Workspace(&workspace),
            Owner::Project => Holder::Project(&project),
            Owner::Repository => Holder::Repository(&repository),
        };
        let new = NewCredential {
            kind: self.kind,
            shape: TokenShape::Bitbucket,
            name: "sandbox",
            scopes: Scopes::of(self.scopes),
            expires_at: (self.state == State::Expired).then(|| Timestamp(long_ago.0 + 1)),
        };
        let (credential, secret) = store.create_credential(holder, new, long_ago).await?;
        if self.state == State::Revoked {
            store.revoke_credential(credential.id, None, long_ago.min(at)).await?;
        }
        Ok(self.shown(&secret))
    }

    fn shown(&self, secret: &SecretString) -> Shown {
        let (username, email, workspace, repository) = match self.owner {
            Owner::Ada => ("ada", Some(ADA), "acme", "site"),
            Owner::Bob => ("bob", Some(BOB), "other", "secret"),
            _ => ("x-token-auth", None, "acme", "site"),
        };
        Shown {
            kind: self.kind.word(),
            state: match self.state {
                State::Valid => "valid",
                State::ReadOnly => "read_only",
                State::Expired => "expired",
                State::Revoked => "revoked",
                State::Unscoped => "unscoped",
                State::AdminOnly => "admin_only",
            },
            secret: secret.expose_secret().to_owned(),
            username,
            email,
            scopes: Scopes::of(self.scopes).names(),
            workspace,
            repository,
        }
    }
}

impl Shown {
    pub(super) fn tell(&self) -> Result<(), Failure> {
        let who = match self.email {
            Some(email) => format!("{} <{email}>", self.username),
            None => self.username.to_owned(),
        };
        print::pairs(&[
            ("  kind", format!("{} ({}), for {}/{}", self.kind, self.state, self.workspace, self.repository)),
            ("  user", who),
            ("  scopes", if self.scopes.is_empty() { "none".into() } else { self.scopes.join(" ") }),
            ("  secret", self.secret.clone()),
        ])
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Failure::new(Code::Failed, format!("{error}")))
}

const ADA: &str = "ada@example.org";
const BOB: &str = "bob@example.org";
const FILES: &[(&str, &str)] = &[("README.md", "# Scratch\n\nThis repository is gone when the sandbox stops.\n")];

const NEW: &[Scope] = &[Scope::ReadRepository, Scope::WriteRepository, Scope::ReadUser, Scope::ReadWorkspace];
const OLD: &[Scope] = &[Scope::RepositoryWrite, Scope::Account];
const RESOURCE: &[Scope] = &[Scope::RepositoryWrite];

const fn plan(kind: Kind, owner: Owner, scopes: &'static [Scope], state: State) -> Plan {
    Plan { kind, owner, scopes, state }
}

/// Of each kind, first one that works.
const PLANS: &[Plan] = &[
    plan(Kind::ApiToken, Owner::Ada, NEW, State::Valid),
    plan(Kind::AppPassword, Owner::Ada, OLD, State::Valid),
    plan(Kind::RepositoryToken, Owner::Repository, RESOURCE, State::Valid),
    plan(Kind::ProjectToken, Owner::Project, RESOURCE, State::Valid),
    plan(Kind::WorkspaceToken, Owner::Workspace, RESOURCE, State::Valid),
    plan(Kind::OAuthToken, Owner::Ada, OLD, State::Valid),
    plan(Kind::AccountPassword, Owner::Ada, &[], State::Valid),
    plan(Kind::ApiToken, Owner::Bob, NEW, State::Valid),
    plan(Kind::ApiToken, Owner::Ada, &[Scope::ReadRepository], State::ReadOnly),
    plan(Kind::ApiToken, Owner::Ada, &[], State::Unscoped),
    plan(Kind::ApiToken, Owner::Ada, &[Scope::AdminRepository], State::AdminOnly),
    plan(Kind::ApiToken, Owner::Ada, NEW, State::Expired),
    plan(Kind::ApiToken, Owner::Ada, NEW, State::Revoked),
    plan(Kind::RepositoryToken, Owner::Repository, &[Scope::Repository], State::ReadOnly),
    plan(Kind::RepositoryToken, Owner::Repository, RESOURCE, State::Revoked),
    plan(Kind::OAuthToken, Owner::Ada, OLD, State::Expired),
];
