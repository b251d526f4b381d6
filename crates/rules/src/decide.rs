//! The one function that decides, as a table of rules asked in order.
//!
//! The order is part of the promise. The secret is proven before anything about it is told; what depends on the
//! credential alone is settled before the repository is looked at, so that a refusal there says nothing about which
//! repositories exist; and a repository that the principal may not see ends at [`Rule::Visible`] exactly as an absent
//! one does.

use crate::{Ask, Credential, Facts, Permit, Presented, Principal, Privilege, Reason, Rule, Timestamp, Trail, Verdict};

/// Decides whether the caller may do what it asks, and says why.
///
/// Total and deterministic: every combination of arguments has a verdict, and the same arguments have the same one.
pub fn decide(ask: &Ask, facts: &Facts, now: Timestamp) -> Verdict {
    let mut trail = Trail::new();
    for (rule, check) in RULES {
        match check(ask, facts, now) {
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

/// What one rule makes of a question.
enum Finding {
    /// Nothing to object to: the next rule is asked.
    Pass,
    /// Settled: allowed.
    Grant(Permit),
    /// Settled: refused.
    Refuse(Reason),
}

type Check = fn(&Ask, &Facts, Timestamp) -> Finding;

const RULES: [(Rule, Check); Rule::ALL.len()] = [
    (Rule::Presented, presented),
    (Rule::Readable, readable),
    (Rule::Known, known),
    (Rule::NotRevoked, not_revoked),
    (Rule::NotExpired, not_expired),
    (Rule::OwnerEnabled, owner_enabled),
    (Rule::UserName, user_name),
    (Rule::Public, public),
    (Rule::Workspace, workspace),
    (Rule::Scope, scope),
    (Rule::Visible, visible),
    (Rule::Privilege, privilege),
];

fn presented(ask: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    match facts.presented {
        Presented::Nothing => granted_to_anybody(ask, facts).unwrap_or(Finding::Refuse(Reason::NothingPresented)),
        _ => Finding::Pass,
    }
}

fn readable(_: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    match facts.presented {
        Presented::Unreadable(fault) => Finding::Refuse(Reason::Unreadable(fault)),
        _ => Finding::Pass,
    }
}

fn known(_: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    refuse_if(facts.presented == Presented::Unknown, Reason::Unknown)
}

fn not_revoked(_: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    match credential(facts).and_then(|credential| credential.revoked_at) {
        Some(at) => Finding::Refuse(Reason::Revoked { at }),
        None => Finding::Pass,
    }
}

fn not_expired(_: &Ask, facts: &Facts, now: Timestamp) -> Finding {
    match credential(facts).and_then(|credential| credential.expires_at) {
        Some(at) if at <= now => Finding::Refuse(Reason::Expired { at }),
        _ => Finding::Pass,
    }
}

fn owner_enabled(_: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    refuse_if(credential(facts).is_some_and(|credential| credential.owner_disabled), Reason::OwnerDisabled)
}

fn user_name(_: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    let somebody_else = |credential: &Credential| credential.name_form == crate::NameForm::SomebodyElse;
    refuse_if(credential(facts).is_some_and(somebody_else), Reason::NameOfSomebodyElse)
}

fn public(ask: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    granted_to_anybody(ask, facts).unwrap_or(Finding::Pass)
}

fn workspace(_: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    let limit = credential(facts).and_then(|credential| credential.workspace);
    refuse_if(limit.is_some() && limit != facts.workspace, Reason::LimitedToWorkspace)
}

fn scope(ask: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    let granted = credential(facts).map(|credential| credential.scopes).unwrap_or_default();
    let required = ask.action.scopes();
    refuse_if(!granted.effective().meets(required), Reason::ScopeMissing { required, granted })
}

fn visible(_: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    let visible =
        facts.repository.is_some_and(|repository| repository.public || repository.privilege > Privilege::None);
    refuse_if(!visible, Reason::RepositoryInvisible)
}

fn privilege(ask: &Ask, facts: &Facts, _: Timestamp) -> Finding {
    let required = ask.action.privilege();
    let Some(repository) = facts.repository else {
        return Finding::Refuse(Reason::RepositoryInvisible);
    };
    if repository.privilege < required {
        return Finding::Refuse(Reason::PrivilegeMissing { required, granted: repository.privilege });
    }
    Finding::Grant(Permit::new(ask.action, repository.id, principal(facts)))
}

/// Leave for what needs no credential: reading what is public.
fn granted_to_anybody(ask: &Ask, facts: &Facts) -> Option<Finding> {
    let repository = facts.repository.filter(|repository| repository.public)?;
    let granted = ask.action.privilege() <= Privilege::Read;
    granted.then(|| Finding::Grant(Permit::new(ask.action, repository.id, principal(facts))))
}

fn principal(facts: &Facts) -> Principal {
    credential(facts).map_or(Principal::Anyone, |credential| Principal::Account {
        account: credential.owner,
        credential: credential.id,
    })
}

fn credential(facts: &Facts) -> Option<&Credential> {
    match &facts.presented {
        Presented::Proven(credential) => Some(credential),
        _ => None,
    }
}

fn refuse_if(refused: bool, reason: Reason) -> Finding {
    if refused { Finding::Refuse(reason) } else { Finding::Pass }
}
