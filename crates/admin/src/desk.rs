//! Where administering is done: the store, the repositories, the time, and the credential of whoever does it.

use std::net::IpAddr;

use doorward_git::{GitError, Repositories};
use doorward_rules::{Credential, Kind, Limit, Scope, Scopes, Timestamp};
use doorward_store::{Reach, Store};
use doorward_wire::TokenShape;

use crate::AdminError;

/// Where administering is done.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The store; on behalf of a request, if it was one.
    pub store: Store,
    /// The repositories, if it may be about them.
    pub repositories: Option<Repositories>,
    /// What new tokens look like.
    pub shape: TokenShape,
    /// What time it is.
    pub now: Timestamp,
    /// The credential of whoever does it; `None` for who is at the machine, and may do everything there.
    pub maker: Option<Credential>,
    /// Where that comes from, if it is known.
    pub address: Option<IpAddr>,
}

impl Desk {
    pub(crate) fn repositories(&self) -> Result<&Repositories, AdminError> {
        self.repositories.as_ref().ok_or(AdminError::Git(GitError::Misdirected))
    }

    /// Whether whoever does it may know of everything that there is.
    pub(crate) fn sees_everything(&self) -> bool {
        self.maker.as_ref().is_none_or(|maker| maker.administrator)
    }

    /// Whose credentials whoever does it may administer.
    pub(crate) fn reach(&self) -> Reach {
        match &self.maker {
            None => Reach::Everybodys,
            Some(maker) if maker.administrator => Reach::Everybodys,
            Some(Credential { owner: Some(account), .. }) => Reach::Account(*account),
            Some(Credential { limit: Limit::Workspace(id), .. }) => Reach::Workspace(*id),
            Some(_) => Reach::Nobodys,
        }
    }

    /// When whatever is made must end: with the token of whoever makes it. What a person makes outlives its session.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        self.maker.as_ref().filter(|maker| !maker.kind.is_sign_in()).and_then(|maker| maker.expires_at)
    }

    /// Refuses to make a token for somebody else, or in somebody else's workspace, with one that is not for administering: an
    /// administrator's token for tokens alone would be everybody's.
    pub(crate) async fn check_holder(&self, account: Option<&str>, place: Option<&str>) -> Result<(), AdminError> {
        let Some(maker) = self.maker.as_ref().filter(|maker| maker.administrator) else { return Ok(()) };
        if maker.scopes.contains(Scope::WriteAdmin) || maker.kind.is_sign_in() {
            return Ok(());
        }
        let own = match maker.owner {
            Some(id) => Some(self.store.account_by_id(id).await?.name),
            None => None,
        };
        let own = own.as_ref().map(ToString::to_string);
        let workspace = place.and_then(|place| place.split('/').next()).unwrap_or_default();
        let held_by = match (account, workspace.parse()) {
            (Some(account), _) => Some(account.to_owned()),
            (None, Ok(slug)) => Some(self.store.workspace(&slug).await?.owner.to_string()),
            (None, Err(_)) => None,
        };
        if held_by.is_some() && held_by == own {
            return Ok(());
        }
        Err(AdminError::Beyond {
            sentence: format!(
                "making tokens for others needs the scope {} as well, which the token that you use has not",
                Scope::WriteAdmin.name()
            ),
            remedy: "use a token that has it".into(),
        })
    }

    /// Whether what is made may outlive whatever makes it: a person who has signed in may make it, who is at the machine, and a token
    /// that is for administering; what an application was given never may.
    pub(crate) fn may_make_lasting(&self, needed: Scopes) -> bool {
        self.maker.as_ref().is_none_or(|maker| {
            maker.kind.is_sign_in() || (maker.kind != Kind::OAuthToken && maker.scopes.contains_all(needed))
        })
    }

    /// Refuses scopes that the credential of whoever does it has not: else a token that may make tokens might do everything.
    pub(crate) fn check_scopes(&self, wanted: Scopes) -> Result<(), AdminError> {
        let Some(maker) = &self.maker else { return Ok(()) };
        // A session is not scoped: who signs in is the account itself.
        if maker.kind.is_sign_in() {
            return Ok(());
        }
        let own = maker.scopes.effective();
        let more: Vec<&str> =
            wanted.effective().iter().filter(|scope| !own.contains(*scope)).map(|scope| scope.name()).collect();
        if more.is_empty() {
            return Ok(());
        }
        Err(AdminError::Beyond {
            sentence: format!("the token that you use has not the scope {}, and cannot give it", more.join(", ")),
            remedy: "name scopes that it has, or use a token that has these".into(),
        })
    }
}
