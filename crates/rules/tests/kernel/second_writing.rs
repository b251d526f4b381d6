//! The rules once more, written as a person would tell them, from what Bitbucket Cloud documents and the design says.

use doorward_rules::{Action, Kind, Limit, NameForm, Object, Presented, Privilege, Reason, RuleSet, Scheme, Surface};

use crate::enumeration::{HERE, NOW, PROJECT, Question, REPOSITORY, every_question};

#[test]
fn every_verdict_is_what_the_rules_say_when_they_are_told_again() {
    let count = every_question(|question| {
        let verdict = question.decide();
        let found = verdict.outcome.as_ref().map(|_| ()).map_err(Reason::code);
        assert_eq!(found, told_again(question), "{}", question.describe());
    });
    println!("{count} combinations");
    assert!(count > 1_000_000);
}

fn told_again(question: Question<'_>) -> Result<(), &'static str> {
    let (ask, facts, doorward) = (question.ask, question.facts, question.rules.set == RuleSet::Doorward);
    let about_account = ask.action.object() == Object::Account;
    let public_read = !about_account && ask.action != Action::Push && facts.repository.is_some_and(|r| r.public);
    let credential = match &facts.presented {
        Presented::Nothing => return if public_read { Ok(()) } else { Err("credential_missing") },
        Presented::Unreadable(fault) => return Err(Reason::Unreadable(*fault).code()),
        Presented::Unknown => return Err("token_unknown"),
        Presented::Proven(credential) => credential,
    };
    let (kind, web) = (credential.kind, ask.surface == Surface::Web);
    let useful = match kind {
        Kind::ConnectJwt => false,
        // Our own server has never taken passwords but for signing in.
        Kind::AccountPassword => web || !doorward,
        _ => !web,
    };
    if !useful {
        return Err("kind_useless_here");
    }
    if !doorward && kind == Kind::ApiToken && credential.scopes.is_empty() {
        return Err("token_unscoped");
    }
    let schedule = question.rules.calendar.schedule(kind);
    if !web {
        if schedule.retires_at.is_some() {
            return Err("kind_retired");
        }
        if schedule.off && schedule.announced_at.is_none() {
            return Err("kind_off");
        }
        if !schedule.brownouts.is_empty() {
            return Err("kind_brownout");
        }
    }
    if credential.revoked_at.is_some() {
        return Err("token_revoked");
    }
    if credential.expires_at.is_some_and(|end| NOW >= end) {
        return Err("token_expired");
    }
    if credential.owner_disabled {
        return Err("account_disabled");
    }
    let (scheme, name) = (credential.form.scheme, credential.form.name);
    if name == NameForm::SomebodyElse {
        return Err("user_name_of_somebody_else");
    }
    if !doorward && !bitbucket_cloud_takes(kind, ask.surface, scheme, name) {
        return Err("form_wrong");
    }
    if public_read {
        return Ok(());
    }
    if about_account && credential.owner.is_none() {
        return Err("token_without_account");
    }
    let seen = facts.repository.filter(|r| r.public || r.privilege != Privilege::None);
    if !about_account {
        match credential.limit {
            Limit::Anywhere => {}
            Limit::Workspace(id) => {
                if facts.workspace.is_none() || id != HERE {
                    return Err("token_limited_to_workspace");
                }
            }
            Limit::Project(id) => {
                if seen.is_none() || id != PROJECT {
                    return Err("token_limited_to_project");
                }
            }
            Limit::Repository(id) => {
                if seen.is_none() || id != REPOSITORY {
                    return Err("token_limited_to_repository");
                }
            }
        }
    }
    let has = |names: &[&str]| credential.scopes.iter().any(|scope| names.contains(&scope.name()));
    let scope = match ask.action {
        Action::Fetch | Action::ReadRepository => has(&[
            "repository",
            "repository:write",
            "project",
            "pullrequest",
            "pullrequest:write",
            "read:repository:bitbucket",
        ]),
        Action::Push => has(&["repository:write", "pullrequest:write", "write:repository:bitbucket"]),
        Action::ReadAccount => has(&["account", "read:user:bitbucket"]),
        Action::ReadWorkspaces => has(&["account", "read:workspace:bitbucket"]),
    };
    if !scope && kind != Kind::AccountPassword {
        return Err("scope_missing");
    }
    if about_account {
        return Ok(());
    }
    let Some(repository) = seen else { return Err("repository_not_found") };
    if let Some(workspace) = &facts.workspace {
        let policy = &workspace.policy;
        if doorward {
            if policy.kinds.is_some() && kind != Kind::ApiToken {
                return Err("policy_kind");
            }
            if policy.sso && [Kind::AppPassword, Kind::ApiToken].contains(&kind) && credential.managed {
                return Err("policy_sso");
            }
            // Made in 1970: whatever lasts to this day lasts too long.
            if policy.longest.is_some() {
                return Err("policy_lifetime");
            }
        }
        if !policy.addresses.is_empty() {
            return Err("policy_address");
        }
        if policy.two_step && credential.owner.is_some() {
            return Err("policy_two_step");
        }
    }
    let enough = match ask.action {
        Action::Push => repository.privilege >= Privilege::Write,
        _ => repository.privilege >= Privilege::Read,
    };
    if enough { Ok(()) } else { Err("privilege_missing") }
}

/// The decision table of Bitbucket Cloud's credentials, as on 10 June 2026: API tokens are not yet taken as Bearer.
fn bitbucket_cloud_takes(kind: Kind, surface: Surface, scheme: Scheme, name: NameForm) -> bool {
    use NameForm::{ApiTokenAuth, Email, TokenAuth, UserName};
    let git = matches!(surface, Surface::Git | Surface::Lfs);
    match (kind, scheme) {
        (Kind::AccountPassword, Scheme::Basic) => [UserName, Email].contains(&name),
        (Kind::AppPassword, Scheme::Basic) => name == UserName,
        (Kind::ApiToken, Scheme::Basic) if git => [UserName, ApiTokenAuth].contains(&name),
        (Kind::ApiToken, Scheme::Basic) => name == Email,
        (Kind::RepositoryToken | Kind::ProjectToken | Kind::WorkspaceToken, Scheme::Basic) => git && name == TokenAuth,
        (Kind::RepositoryToken | Kind::ProjectToken | Kind::WorkspaceToken, Scheme::Bearer) => !git,
        (Kind::OAuthToken, Scheme::Basic) => git && [TokenAuth, UserName].contains(&name),
        (Kind::OAuthToken, Scheme::Bearer) => true,
        _ => false,
    }
}
