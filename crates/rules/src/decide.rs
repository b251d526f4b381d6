//! The one function that decides, as a table of rules asked in order.
//!
//! The order is part of the promise. The secret is proven before anything about it is told; what depends on the
//! credential alone is settled before the repository is looked at, so that a refusal there says nothing about which
//! repositories exist; a repository that the principal may not see ends at [`Rule::Visible`] exactly as an absent one
//! does; and a workspace's policy is asked, and told, only where the principal may know of the repository.

use crate::{
    Ask, Credential, Facts, Kind, Limit, NameForm, Object, Permit, Phase, Presented, Principal, Privilege, Reason,
    Rule, RuleSet, Rules, Target, Timestamp, Trail, Verdict, Workspace,
};

/// Decides whether the caller may do what it asks, and says why.
///
/// Total and deterministic: every combination of arguments has a verdict, and the same arguments have the same one.
pub fn decide(rules: Rules<'_>, ask: &Ask, facts: &Facts, now: Timestamp) -> Verdict {
    let question = Question { rules, ask, facts, now };
    let mut trail = Trail::new();
    for (rule, check) in RULES {
        match check(&question) {
            Finding::Pass => trail.push(rule, true),
            Finding::Grant(permit) => {
                trail.push(rule, true);
                return Verdict { outcome: Ok(permit), trail };
            }
            Finding::Refuse(reason) => {
                trail.push(rule, false);
                return Verdict { outcome: Err(reason), trail };
            }
        }
    }
    // The last rule grants or refuses; were it ever to pass a question on, nobody would get in by that.
    Verdict { outcome: Err(Reason::RepositoryInvisible), trail }
}

/// Everything that a rule looks at.
struct Question<'a> {
    rules: Rules<'a>,
    ask: &'a Ask,
    facts: &'a Facts,
    now: Timestamp,
}

/// What one rule makes of a question.
enum Finding {
    /// Nothing to object to: the next rule is asked.
    Pass,
    /// Settled: allowed.
    Grant(Permit),
    /// Settled: refused.
    Refuse(Reason),
}

type Check = fn(&Question<'_>) -> Finding;

const RULES: [(Rule, Check); Rule::ALL.len()] = [
    (Rule::Presented, presented),
    (Rule::Readable, readable),
    (Rule::Known, known),
    (Rule::Surface, surface),
    (Rule::Calendar, calendar),
    (Rule::NotRevoked, not_revoked),
    (Rule::NotExpired, not_expired),
    (Rule::OwnerEnabled, owner_enabled),
    (Rule::UserName, user_name),
    (Rule::Public, public),
    (Rule::Account, account),
    (Rule::Workspace, limit),
    (Rule::Scope, scope),
    (Rule::Visible, visible),
    (Rule::Policy, policy),
    (Rule::Privilege, privilege),
];

fn presented(question: &Question<'_>) -> Finding {
    match question.facts.presented {
        Presented::Nothing => granted_to_anybody(question).unwrap_or(Finding::Refuse(Reason::NothingPresented)),
        _ => Finding::Pass,
    }
}

fn readable(question: &Question<'_>) -> Finding {
    match question.facts.presented {
        Presented::Unreadable(fault) => Finding::Refuse(Reason::Unreadable(fault)),
        _ => Finding::Pass,
    }
}

fn known(question: &Question<'_>) -> Finding {
    refuse_if(question.facts.presented == Presented::Unknown, Reason::Unknown)
}

fn surface(question: &Question<'_>) -> Finding {
    let Some(credential) = question.facts.credential() else { return Finding::Pass };
    let (kind, surface) = (credential.kind, question.ask.surface);
    if !question.rules.set.serves(kind, surface) {
        return Finding::Refuse(Reason::KindUselessHere { kind, surface });
    }
    // Bitbucket Cloud takes an API token without its own scopes for one of another product.
    let unscoped = kind == Kind::ApiToken && credential.scopes.is_empty();
    refuse_if(unscoped && question.rules.set == RuleSet::BitbucketCloud, Reason::Unscoped)
}

fn calendar(question: &Question<'_>) -> Finding {
    let Some(kind) = question.facts.credential().map(|credential| credential.kind) else { return Finding::Pass };
    match question.rules.phase(kind, question.ask.surface, question.now) {
        Phase::On | Phase::Announced => Finding::Pass,
        Phase::Off => Finding::Refuse(Reason::KindOff { kind }),
        Phase::Brownout { until } => Finding::Refuse(Reason::KindBrownout { kind, until }),
        Phase::Retired { since } => Finding::Refuse(Reason::KindRetired { kind, since }),
    }
}

fn not_revoked(question: &Question<'_>) -> Finding {
    match question.facts.credential().and_then(|credential| credential.revoked_at) {
        Some(at) => Finding::Refuse(Reason::Revoked { at }),
        None => Finding::Pass,
    }
}

fn not_expired(question: &Question<'_>) -> Finding {
    match question.facts.credential().and_then(|credential| credential.expires_at) {
        Some(at) if at <= question.now => Finding::Refuse(Reason::Expired { at }),
        _ => Finding::Pass,
    }
}

fn owner_enabled(question: &Question<'_>) -> Finding {
    refuse_if(question.facts.credential().is_some_and(|credential| credential.owner_disabled), Reason::OwnerDisabled)
}

fn user_name(question: &Question<'_>) -> Finding {
    let Some(credential) = question.facts.credential() else { return Finding::Pass };
    let (kind, surface, form) = (credential.kind, question.ask.surface, credential.form);
    if form.name == NameForm::SomebodyElse {
        return Finding::Refuse(Reason::NameOfSomebodyElse);
    }
    let accepted = question.rules.set.accepts(kind, surface, form, question.now);
    refuse_if(!accepted, Reason::FormWrong { kind, surface, form })
}

fn public(question: &Question<'_>) -> Finding {
    granted_to_anybody(question).unwrap_or(Finding::Pass)
}

fn account(question: &Question<'_>) -> Finding {
    let Some(credential) = question.facts.credential() else { return Finding::Pass };
    let needed = matches!(question.ask.action.object(), Object::Account | Object::Server);
    refuse_if(needed && credential.owner.is_none(), Reason::NoAccount { kind: credential.kind })
}

fn limit(question: &Question<'_>) -> Finding {
    let object = question.ask.action.object();
    if object == Object::Account {
        return Finding::Pass;
    }
    let Some(limit) = question.facts.credential().map(|credential| credential.limit) else { return Finding::Pass };
    // A repository that may not be seen must be refused as an absent one is, so only what is visible counts.
    let repository = question.facts.visible();
    let here = question.facts.workspace.as_ref();
    let within = match limit {
        Limit::Anywhere => true,
        // Whose tokens it may see is all that it may know: those of its own workspace, if it administers that.
        Limit::Workspace(id) if object == Object::Holder => {
            question.facts.administered_workspace().is_some_and(|workspace| workspace.id == id)
        }
        _ if matches!(object, Object::Holder | Object::Server) => false,
        Limit::Workspace(id) => here.is_some_and(|workspace| workspace.id == id),
        // A token of a project or a repository belongs to the workspace around it.
        Limit::Project(_) | Limit::Repository(_) if object == Object::Workspace => {
            here.is_some_and(|workspace| workspace.shows)
        }
        Limit::Project(id) => repository.is_some_and(|repository| repository.project == id),
        Limit::Repository(id) => repository.is_some_and(|repository| repository.id == id),
    };
    refuse_if(!within, Reason::LimitedElsewhere { limit })
}

fn scope(question: &Question<'_>) -> Finding {
    let granted = question.facts.credential().map(|credential| credential.scopes).unwrap_or_default();
    let action = question.ask.action;
    // Neither a password nor a session is scoped: who signs in is the account itself.
    let scoped = question.facts.credential().is_none_or(|credential| !credential.kind.is_sign_in());
    refuse_if(scoped && !action.is_granted_by(granted), Reason::ScopeMissing { action, granted })
}

fn visible(question: &Question<'_>) -> Finding {
    match question.ask.action.object() {
        Object::Repository => refuse_if(question.facts.visible().is_none(), Reason::RepositoryInvisible),
        Object::Workspace => refuse_if(workspace(question).is_none(), Reason::WorkspaceInvisible),
        Object::Holder => refuse_if(holder(question).is_none(), Reason::NotYours { action: question.ask.action }),
        Object::Account | Object::Server => Finding::Pass,
    }
}

/// The workspace, if the principal may know of it, and what it is to it. A server's administrator is an administrator of every
/// workspace for what takes a scope of our own; it is no more than others for what its older tokens may have scopes for.
fn workspace<'a>(question: &'a Question<'_>) -> Option<(&'a Workspace, Privilege)> {
    let administers = question.facts.credential().is_some_and(|credential| credential.administrator);
    match administers && question.ask.action.is_own() {
        true => question.facts.workspace.as_ref().map(|workspace| (workspace, Privilege::Admin)),
        false => question.facts.visible_workspace().map(|workspace| (workspace, workspace.privilege)),
    }
}

/// Who holds what it is about, if the principal may administer that: its own account or its workspace; a server's
/// administrator, whatever there is.
fn holder(question: &Question<'_>) -> Option<Target> {
    let facts = question.facts;
    let credential = facts.credential()?;
    let own = facts.account.filter(|account| credential.administrator || credential.owner == Some(*account));
    let workspace = facts.workspace.as_ref().filter(|_| credential.administrator).or(facts.administered_workspace());
    let workspace = workspace.map(|workspace| Target::Workspace(workspace.id));
    own.map(Target::Account).or(workspace).or(credential.administrator.then_some(Target::Server))
}

fn policy(question: &Question<'_>) -> Finding {
    let (Some(credential), Some(workspace)) = (question.facts.credential(), &question.facts.workspace) else {
        return Finding::Pass;
    };
    // A workspace has no say about accounts, nor about the server.
    if matches!(question.ask.action.object(), Object::Account | Object::Server) {
        return Finding::Pass;
    }
    // Whether Bitbucket Cloud holds a kind, single sign-on or a lifetime against a request is not known, so its rule set
    // does not.
    let against_credential = match question.rules.set {
        RuleSet::Doorward => workspace.policy.against_credential(credential),
        RuleSet::BitbucketCloud => None,
    };
    let against = against_credential.or_else(|| workspace.policy.against_access(credential, question.ask.address));
    against.map_or(Finding::Pass, Finding::Refuse)
}

fn privilege(question: &Question<'_>) -> Finding {
    let (action, facts) = (question.ask.action, question.facts);
    let object = action.object();
    let (target, granted) = match object {
        Object::Account => match facts.credential().and_then(|credential| credential.owner) {
            Some(account) => (Target::Account(account), Privilege::None),
            None => return Finding::Refuse(Reason::NothingPresented),
        },
        Object::Holder => match holder(question) {
            Some(target) => (target, Privilege::None),
            None => return Finding::Refuse(Reason::NotYours { action }),
        },
        Object::Server => {
            let administers = facts.credential().is_some_and(|credential| credential.administrator);
            (Target::Server, if administers { Privilege::Admin } else { Privilege::None })
        }
        Object::Workspace => match workspace(question) {
            Some((workspace, privilege)) => (Target::Workspace(workspace.id), privilege),
            None => return Finding::Refuse(Reason::WorkspaceInvisible),
        },
        Object::Repository => match facts.repository {
            Some(repository) => (Target::Repository(repository.id), repository.privilege),
            None => return Finding::Refuse(Reason::RepositoryInvisible),
        },
    };
    let required = action.privilege();
    if granted < required {
        return Finding::Refuse(Reason::PrivilegeMissing { object, required, granted });
    }
    Finding::Grant(Permit::new(action, target, principal(facts)))
}

/// Leave for what needs no credential: reading what is public. Of a workspace, whoever presents a credential is asked on: what
/// it lists depends on who asks.
fn granted_to_anybody(question: &Question<'_>) -> Option<Finding> {
    let (action, facts) = (question.ask.action, question.facts);
    let target = match action.object() {
        Object::Repository => Target::Repository(facts.repository.filter(|repository| repository.public)?.id),
        Object::Workspace if facts.presented == Presented::Nothing => {
            Target::Workspace(facts.workspace.as_ref().filter(|workspace| workspace.shows)?.id)
        }
        Object::Workspace | Object::Account | Object::Holder | Object::Server => return None,
    };
    action.is_open().then(|| Finding::Grant(Permit::new(action, target, principal(facts))))
}

fn principal(facts: &Facts) -> Principal {
    let of = |credential: &Credential| match credential.owner {
        Some(account) => Principal::Account { account, credential: credential.id },
        None => Principal::Synthetic { credential: credential.id },
    };
    facts.credential().map_or(Principal::Anyone, of)
}

fn refuse_if(refused: bool, reason: Reason) -> Finding {
    if refused { Finding::Refuse(reason) } else { Finding::Pass }
}
