//! What would have to change for a refused question to be granted: found by asking again, not written down.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::reason::ask_for;
use crate::{
    Ask, Credential, Facts, Form, Kind, Limit, Object, Policy, Presented, Privilege, Reason, Rules, Scope, Scopes,
    Timestamp, decide, present,
};

/// The changes after which the question is granted, in the order in which they are to be made. None can be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The changes; at least one.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Present the same secret in another form.
    Present(Form),
    /// Make a new credential of the same kind: this one has ended.
    Renew,
    /// Make a credential of another kind, and present it in its form.
    Replace(Kind, Form),
    /// Give the credential one more scope, which means to make it anew.
    Scope(Scope),
    /// Make a credential that is not limited to another place.
    Widen,
    /// Make a credential that does not last as long.
    Shorten,
    /// Come from an address that the workspace allows.
    Move,
    /// Have two-step verification.
    TwoStep,
    /// Have the account enabled.
    Enable,
    /// Have a privilege on the repository or the workspace.
    Privilege(Object, Privilege),
}

/// What the caller would have to change; `None` if the question is granted, or if nothing may be said: a caller who has
/// proven no secret, or may not know of the repository, is told no more than the reason.
pub fn advise(rules: Rules<'_>, ask: &Ask, facts: &Facts, now: Timestamp) -> Option<Advice> {
    let mut advice = Advice { changes: Vec::new() };
    let (mut changed_ask, mut changed_facts) = (*ask, facts.clone());
    // Each change settles one rule for good, so there cannot be more of them than this.
    while advice.changes.len() < MOST {
        match decide(rules, &changed_ask, &changed_facts, now).outcome {
            Ok(_) => return advice.without_needless(rules, ask, facts, now),
            Err(reason) => {
                let change = answer(rules, &changed_ask, &changed_facts, now, &reason)?;
                change.apply(&mut changed_ask, &mut changed_facts, now);
                advice.changes.push(change);
            }
        }
    }
    None
}

impl Advice {
    /// A later change may have made an earlier one needless: a new kind is new anyway.
    fn without_needless(mut self, rules: Rules<'_>, ask: &Ask, facts: &Facts, now: Timestamp) -> Option<Self> {
        let mut place = 0;
        while place < self.changes.len() {
            let (ask, facts) = self.follow(ask, facts, now, |other| other != place);
            match decide(rules, &ask, &facts, now).outcome {
                Ok(_) => drop(self.changes.remove(place)),
                Err(_) => place += 1,
            }
        }
        (!self.changes.is_empty()).then_some(self)
    }

    /// The question and the facts as they would be after those of the changes that `followed` picks by their place.
    pub fn follow(&self, ask: &Ask, facts: &Facts, now: Timestamp, followed: impl Fn(usize) -> bool) -> (Ask, Facts) {
        let (mut ask, mut facts) = (*ask, facts.clone());
        for (_, change) in self.changes.iter().enumerate().filter(|(place, _)| followed(*place)) {
            change.apply(&mut ask, &mut facts, now);
        }
        (ask, facts)
    }

    /// The advice as one sentence.
    pub fn sentence(&self, facts: &Facts) -> String {
        let scopes = self.changes.iter().filter_map(|change| match change {
            Change::Scope(scope) => Some(scope.name()),
            _ => None,
        });
        let scopes: Vec<&str> = scopes.collect();
        let (mut phrases, mut told): (Vec<String>, bool) = (Vec::new(), false);
        for change in &self.changes {
            match change {
                // One new credential has all of them.
                Change::Scope(_) if scopes.len() > 1 => {
                    if !core::mem::replace(&mut told, true) {
                        phrases.push(format!("create it anew with the scopes {}", scopes.join(" and ")));
                    }
                }
                change => phrases.push(change.phrase(facts)),
            }
        }
        phrases.join("; then ")
    }
}

/// The change that answers a reason.
fn answer(rules: Rules<'_>, ask: &Ask, facts: &Facts, now: Timestamp, reason: &Reason) -> Option<Change> {
    let credential = facts.credential()?;
    match reason {
        Reason::FormWrong { .. } | Reason::NameOfSomebodyElse => {
            present(rules, credential.kind, ask.surface, now).map(Change::Present)
        }
        Reason::Revoked { .. } | Reason::Expired { .. } => Some(Change::Renew),
        Reason::KindUselessHere { .. }
        | Reason::KindOff { .. }
        | Reason::KindBrownout { .. }
        | Reason::KindRetired { .. }
        | Reason::NoAccount { .. }
        | Reason::KindForbidden { .. }
        | Reason::SsoRequired { .. } => another_kind(rules, ask, facts, now),
        Reason::Unscoped | Reason::ScopeMissing { .. } => Some(Change::Scope(scope_for(credential, ask)?)),
        Reason::LimitedElsewhere { .. } => Some(Change::Widen),
        Reason::LifetimeTooLong { .. } => Some(Change::Shorten),
        Reason::AddressForbidden { .. } => Some(Change::Move),
        Reason::TwoStepRequired => Some(Change::TwoStep),
        Reason::OwnerDisabled => Some(Change::Enable),
        Reason::PrivilegeMissing { object, required, .. } => Some(Change::Privilege(*object, *required)),
        Reason::NothingPresented
        | Reason::Unreadable(_)
        | Reason::Unknown
        | Reason::RepositoryInvisible
        | Reason::WorkspaceInvisible
        | Reason::NotYours { .. }
        | Reason::TooManyAttempts { .. } => None,
    }
}

/// The first kind, the best one first, that gets past everything that is about kinds.
fn another_kind(rules: Rules<'_>, ask: &Ask, facts: &Facts, now: Timestamp) -> Option<Change> {
    let narrowest = match ask.action.object() {
        Object::Workspace | Object::Holder => Kind::WorkspaceToken,
        Object::Repository | Object::Account | Object::Server => Kind::RepositoryToken,
    };
    // One's own token, then one for the place alone, then a sign-in.
    [Kind::ApiToken, narrowest, Kind::OAuthToken].into_iter().find_map(|kind| {
        let change = Change::Replace(kind, present(rules, kind, ask.surface, now)?);
        let (mut ask, mut facts) = (*ask, facts.clone());
        change.apply(&mut ask, &mut facts, now);
        let past = match decide(rules, &ask, &facts, now).outcome {
            Ok(_) => true,
            Err(Reason::KindForbidden { .. } | Reason::SsoRequired { .. } | Reason::NoAccount { .. }) => false,
            Err(reason) => answer(rules, &ask, &facts, now, &reason).is_some(),
        };
        past.then_some(change)
    })
}

impl Change {
    /// The question and the facts as they would be after the change.
    fn apply(self, ask: &mut Ask, facts: &mut Facts, now: Timestamp) {
        let policy = facts.workspace.as_ref().map(|workspace| workspace.policy.clone()).unwrap_or_default();
        let repository = facts.repository.map(|repository| Limit::Repository(repository.id));
        let workspace = facts.workspace.as_ref().map(|workspace| Limit::Workspace(workspace.id));
        let Presented::Proven(credential) = &mut facts.presented else { return };
        match self {
            Self::Present(form) => credential.form = form,
            Self::Renew => credential.begin_anew(&policy, now),
            Self::Replace(kind, form) => {
                credential.kind = kind;
                credential.form = form;
                credential.scopes = scopes_for(kind, ask);
                credential.limit = Limit::Anywhere;
                // A person is sent through the provider for one.
                credential.single_sign_on = kind == Kind::OAuthToken;
                credential.begin_anew(&policy, now);
                if kind.is_access_token() {
                    credential.owner = None;
                    credential.administrator = false;
                    credential.managed = false;
                    credential.two_step = None;
                    credential.owner_disabled = false;
                    let place = if kind == Kind::WorkspaceToken { workspace } else { repository };
                    credential.limit = place.unwrap_or(Limit::Anywhere);
                }
            }
            Self::Scope(scope) => credential.scopes = credential.scopes.with(scope),
            Self::Widen => credential.limit = Limit::Anywhere,
            Self::Shorten => credential.begin_anew(&policy, now),
            Self::Move => ask.address = None,
            Self::TwoStep => credential.two_step = Some(true),
            Self::Enable => credential.owner_disabled = false,
            Self::Privilege(Object::Server, _) => credential.administrator = true,
            Self::Privilege(Object::Workspace, privilege) => {
                if let Some(workspace) = &mut facts.workspace {
                    workspace.privilege = privilege;
                }
            }
            Self::Privilege(_, privilege) => {
                if let Some(repository) = &mut facts.repository {
                    repository.privilege = privilege;
                }
            }
        }
    }

    /// What to do, as part of a sentence.
    pub fn phrase(self, facts: &Facts) -> String {
        match self {
            Self::Present(form) => format!("present it {form}"),
            Self::Renew => "create a new one in its place".into(),
            Self::Replace(kind, form) => format!("create a new {} in its place and present it {form}", kind.phrase()),
            Self::Scope(scope) => format!("create it anew with the scope {}", scope.name()),
            Self::Widen => "create one that is not limited to another place".into(),
            Self::Shorten => {
                let longest =
                    facts.workspace.as_ref().and_then(|workspace| workspace.policy.longest).unwrap_or_default();
                format!("create one that expires within {} days", crate::reason::days(longest))
            }
            Self::Move => "connect from a network that the workspace allows".into(),
            Self::TwoStep => "set up two-step verification for your account".into(),
            Self::Enable => "have an administrator enable your account".into(),
            Self::Privilege(object, privilege) => ask_for(object, privilege),
        }
    }
}

impl Credential {
    /// The same, made just now and to last as long as it may.
    fn begin_anew(&mut self, policy: &Policy, now: Timestamp) {
        self.created_at = now;
        self.revoked_at = None;
        self.expires_at = policy.longest.map(|longest| now.after(longest));
    }
}

/// The scopes that an action needs, in the vocabulary of a kind.
fn scopes_for(kind: Kind, ask: &Ask) -> Scopes {
    let fits = |scopes: &Scopes| scopes.iter().all(|scope| scope.is_for(kind));
    ask.action.needs().find(fits).unwrap_or_default()
}

/// The first of them that a credential has not.
fn scope_for(credential: &Credential, ask: &Ask) -> Option<Scope> {
    let granted = credential.scopes.effective();
    scopes_for(credential.kind, ask).iter().find(|scope| !granted.contains(*scope))
}

const MOST: usize = 12;
