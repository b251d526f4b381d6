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
    let about = ask.action.object();
    let (about_account, about_workspace) = (about == Object::Account, about == Object::Workspace);
    let harmless = [Action::Fetch, Action::ReadRepository].contains(&ask.action);
    let public_read = harmless && facts.repository.is_some_and(|r| r.public);
    let workspace_of_anybody = [Action::ListRepositories, Action::ReadWorkspace].contains(&ask.action)
        && facts.workspace.as_ref().is_some_and(|w| w.shows);
    let credential = match &facts.presented {
        Presented::Nothing if public_read || workspace_of_anybody => return Ok(()),
        Presented::Nothing => return Err("credential_missing"),
        Presented::Unreadable(fault) => return Err(Reason::Unreadable(*fault).code()),
        Presented::Unknown => return Err("token_unknown"),
        Presented::Proven(credential) => credential,
    };
    let (kind, web) = (credential.kind, ask.surface == Surface::Web);
    let useful = match kind {
        Kind::ConnectJwt => false,
        // Our own server has never taken passwords but for signing in.
        Kind::AccountPassword => web || !doorward,
        // Only our own server has web pages to be signed in to.
        Kind::WebSession => web && doorward,
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
    if doorward && (kind == Kind::WebSession) != (scheme == Scheme::Cookie) {
        return Err("form_wrong");
    }
    if !doorward && !bitbucket_cloud_takes(kind, ask.surface, scheme, name) {
        return Err("form_wrong");
    }
    if public_read {
        return Ok(());
    }
    let (about_holder, about_server) = (about == Object::Holder, about == Object::Server);
    if (about_account || about_server) && credential.owner.is_none() {
        return Err("token_without_account");
    }
    let seen = facts.repository.filter(|r| r.public || r.privilege != Privilege::None);
    let shows_nothing = facts.workspace.as_ref().is_none_or(|w| !w.shows);
    let stranger = facts.workspace.as_ref().is_none_or(|w| w.privilege == Privilege::None);
    let administers = facts.workspace.as_ref().is_some_and(|w| w.privilege == Privilege::Admin);
    if about_holder || about_server {
        let at_home = about_holder && administers && credential.limit == Limit::Workspace(HERE);
        match credential.limit {
            Limit::Workspace(_) if !at_home => return Err("token_limited_to_workspace"),
            Limit::Project(_) => return Err("token_limited_to_project"),
            Limit::Repository(_) => return Err("token_limited_to_repository"),
            _ => {}
        }
    } else if !about_account {
        match credential.limit {
            Limit::Anywhere => {}
            Limit::Workspace(id) => {
                if facts.workspace.is_none() || id != HERE {
                    return Err("token_limited_to_workspace");
                }
            }
            Limit::Project(id) => {
                let elsewhere = if about_workspace { shows_nothing } else { seen.is_none() || id != PROJECT };
                if elsewhere {
                    return Err("token_limited_to_project");
                }
            }
            Limit::Repository(id) => {
                let elsewhere = if about_workspace { shows_nothing } else { seen.is_none() || id != REPOSITORY };
                if elsewhere {
                    return Err("token_limited_to_repository");
                }
            }
        }
    }
    let has = |names: &[&str]| credential.scopes.iter().any(|scope| names.contains(&scope.name()));
    let both = |one: &str, other: &str| has(&[one]) && has(&[other]);
    let reads = has(&["repository", "repository:write", "project", "pullrequest", "pullrequest:write"]);
    let scope = match ask.action {
        Action::Fetch | Action::ReadRepository | Action::ReportStatus | Action::ListRepositories => {
            reads || has(&["read:repository:bitbucket"])
        }
        Action::Push => has(&["repository:write", "pullrequest:write", "write:repository:bitbucket"]),
        Action::CreateRef => {
            has(&["repository:write", "pullrequest:write"])
                || both("write:repository:bitbucket", "read:repository:bitbucket")
        }
        Action::ChangeRepository | Action::CreateRepository => has(&["repository:admin", "admin:repository:bitbucket"]),
        Action::DeleteRepository => has(&["repository:delete", "delete:repository:bitbucket"]),
        Action::ReadPermissions => has(&["repository:admin", "read:repository:bitbucket"]),
        Action::GivePermission => {
            has(&["repository:admin"]) || both("admin:repository:bitbucket", "write:permission:bitbucket")
        }
        Action::TakePermission => {
            has(&["repository:admin"]) || both("admin:repository:bitbucket", "delete:permission:bitbucket")
        }
        Action::ReadWebhooks => has(&["webhook", "read:webhook:bitbucket"]),
        Action::WriteWebhooks => has(&["webhook"]) || both("read:webhook:bitbucket", "write:webhook:bitbucket"),
        Action::DeleteWebhooks => has(&["webhook", "delete:webhook:bitbucket"]),
        Action::ReadWorkspace => reads || has(&["account", "read:workspace:bitbucket"]),
        Action::ReadMembers | Action::ReadWorkspaces => has(&["account", "read:workspace:bitbucket"]),
        Action::ReadAllPermissions => has(&["account", "read:repository:bitbucket"]),
        Action::ReadProjects => has(&["project", "read:project:bitbucket"]),
        Action::ChangeProjects => has(&["project:admin", "admin:project:bitbucket"]),
        Action::ReadAccount => has(&["account", "read:user:bitbucket"]),
        Action::ReadEmail => has(&["email", "read:user:bitbucket"]),
        Action::ReadOwnPermissions => (has(&["account"]) && reads) || has(&["read:repository:bitbucket"]),
        Action::ReadTokens | Action::ReadAllTokens => has(&["read:token:doorward"]),
        Action::WriteTokens => has(&["write:token:doorward"]),
        Action::ReadRequests | Action::ReadAudit | Action::ReadAllAudit => has(&["read:audit:doorward"]),
        Action::ReadSettings | Action::ReadServer => has(&["read:admin:doorward"]),
        Action::ChangeSettings | Action::ChangeServer => has(&["write:admin:doorward"]),
    };
    let person = [Kind::AccountPassword, Kind::WebSession].contains(&kind);
    if !scope && !person {
        return Err("scope_missing");
    }
    if about_account {
        return Ok(());
    }
    if about_server {
        return if credential.administrator { Ok(()) } else { Err("privilege_missing") };
    }
    let own = facts.account.is_some() && facts.account == credential.owner;
    if about_holder && !credential.administrator && !own && !administers {
        return Err("not_yours");
    }
    let ours = [Action::ReadSettings, Action::ChangeSettings, Action::ReadAudit].contains(&ask.action);
    let granted = match (about_workspace, seen, &facts.workspace) {
        (true, _, Some(_)) if ours && credential.administrator => Privilege::Admin,
        (true, _, Some(workspace)) if workspace.shows || !stranger => workspace.privilege,
        (true, ..) => return Err("workspace_not_found"),
        _ if about_holder => Privilege::Admin,
        (false, Some(repository), _) => repository.privilege,
        (false, ..) => return Err("repository_not_found"),
    };
    if let Some(workspace) = &facts.workspace {
        let policy = &workspace.policy;
        if doorward {
            if policy.kinds.is_some() && kind != Kind::ApiToken && !person {
                return Err("policy_kind");
            }
            if policy.sso && credential.managed && !credential.single_sign_on {
                return Err("policy_sso");
            }
            // Made in 1970: whatever lasts to this day lasts too long.
            if policy.longest.is_some() && !person {
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
    let least = match ask.action {
        Action::ListRepositories | Action::ReadWorkspace => Privilege::None,
        Action::Fetch | Action::ReadRepository | Action::ReadMembers | Action::ReadProjects => Privilege::Read,
        Action::Push | Action::CreateRef | Action::ReportStatus => Privilege::Write,
        _ => Privilege::Admin,
    };
    if granted >= least { Ok(()) } else { Err("privilege_missing") }
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
