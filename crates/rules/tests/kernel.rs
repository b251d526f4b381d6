//! The kernel against every combination of what it can be asked, and against a second writing of its rules.

use doorward_rules::{
    AccountId, Action, Ask, Credential, CredentialId, Facts, Fault, Kind, NameForm, Presented, Principal, Privilege,
    Reason, Repository, RepositoryId, Scope, Scopes, Surface, Timestamp, Told, Verdict, WorkspaceId, decide,
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp(1_000_000);
const HERE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
const ELSEWHERE: WorkspaceId = WorkspaceId(Uuid::from_u128(2));
const REPOSITORY: RepositoryId = RepositoryId(Uuid::from_u128(3));
const OWNER: AccountId = AccountId(Uuid::from_u128(4));

/// One of each class of scope sets that the rules can tell apart.
fn scope_sets() -> Vec<Scopes> {
    let sets: [&[Scope]; 9] = [
        &[],
        &[Scope::Wiki, Scope::RepositoryAdmin],
        &[Scope::Repository],
        &[Scope::RepositoryWrite],
        &[Scope::Project],
        &[Scope::PullRequestWrite],
        &[Scope::ReadRepository],
        &[Scope::WriteRepository],
        &[Scope::ReadRepository, Scope::WriteRepository],
    ];
    sets.into_iter().map(Scopes::of).collect()
}

fn id() -> CredentialId {
    CredentialId::parse("000000000000").expect("an id")
}

fn credentials() -> Vec<Credential> {
    let mut all = Vec::new();
    for revoked_at in [None, Some(Timestamp(5)), Some(Timestamp(i64::MAX))] {
        for expires_at in [None, Some(Timestamp(NOW.0 - 1)), Some(NOW), Some(Timestamp(NOW.0 + 1))] {
            for owner_disabled in [false, true] {
                for name_form in NameForm::ALL {
                    for workspace in [None, Some(HERE), Some(ELSEWHERE)] {
                        for scopes in scope_sets() {
                            let kind = Kind::ApiToken;
                            let (id, owner) = (id(), OWNER);
                            all.push(Credential {
                                id,
                                kind,
                                scopes,
                                workspace,
                                expires_at,
                                revoked_at,
                                owner,
                                owner_disabled,
                                name_form,
                            });
                        }
                    }
                }
            }
        }
    }
    all
}

fn repositories() -> Vec<(Option<WorkspaceId>, Option<Repository>)> {
    let mut all = vec![(None, None), (Some(HERE), None)];
    for public in [false, true] {
        for privilege in Privilege::ALL {
            all.push((Some(HERE), Some(Repository { id: REPOSITORY, public, privilege })));
        }
    }
    all
}

/// Every question, with the facts for it.
fn every_question() -> Vec<(Ask, Facts)> {
    let mut presented = vec![Presented::Nothing, Presented::Unknown];
    presented.extend(Fault::ALL.map(Presented::Unreadable));
    presented.extend(credentials().into_iter().map(Presented::Proven));
    let mut all = Vec::new();
    for presented in presented {
        for (workspace, repository) in repositories() {
            // Without a proven credential there is no principal, and nobody's privilege is none.
            let proven = matches!(presented, Presented::Proven(_));
            if !proven && repository.is_some_and(|repository| repository.privilege != Privilege::None) {
                continue;
            }
            for surface in Surface::ALL {
                for action in Action::ALL {
                    all.push((Ask { surface, action }, Facts { presented: presented.clone(), workspace, repository }));
                }
            }
        }
    }
    all
}

/// The rules once more, written as a person would tell them.
fn told_again(ask: Ask, facts: &Facts, now: Timestamp) -> Result<(), &'static str> {
    let public_read = ask.action == Action::Fetch && facts.repository.is_some_and(|repository| repository.public);
    let credential = match &facts.presented {
        Presented::Nothing => return if public_read { Ok(()) } else { Err("credential_missing") },
        Presented::Unreadable(fault) => return Err(Reason::Unreadable(*fault).code()),
        Presented::Unknown => return Err("token_unknown"),
        Presented::Proven(credential) => credential,
    };
    if credential.revoked_at.is_some() {
        return Err("token_revoked");
    }
    if credential.expires_at.is_some_and(|end| now >= end) {
        return Err("token_expired");
    }
    if credential.owner_disabled {
        return Err("account_disabled");
    }
    if credential.name_form == NameForm::SomebodyElse {
        return Err("user_name_of_somebody_else");
    }
    if public_read {
        return Ok(());
    }
    if credential.workspace.is_some() && credential.workspace != facts.workspace {
        return Err("token_limited_to_workspace");
    }
    let has = |names: &[&str]| credential.scopes.iter().any(|scope| names.contains(&scope.name()));
    let scope = match ask.action {
        Action::Fetch => has(&[
            "repository",
            "repository:write",
            "project",
            "pullrequest",
            "pullrequest:write",
            "read:repository:bitbucket",
        ]),
        Action::Push => has(&["repository:write", "pullrequest:write", "write:repository:bitbucket"]),
    };
    if !scope {
        return Err("scope_missing");
    }
    let needed = if ask.action == Action::Fetch { Privilege::Read } else { Privilege::Write };
    match facts.repository {
        None => Err("repository_not_found"),
        Some(repository) if !repository.public && repository.privilege == Privilege::None => {
            Err("repository_not_found")
        }
        Some(repository) if repository.privilege < needed => Err("privilege_missing"),
        Some(_) => Ok(()),
    }
}

fn allowed(verdict: &Verdict) -> bool {
    verdict.outcome.is_ok()
}

#[test]
fn every_verdict_is_what_the_rules_say_when_they_are_told_again() {
    let questions = every_question();
    for (ask, facts) in &questions {
        let verdict = decide(ask, facts, NOW);
        let found = verdict.outcome.as_ref().map(|_| ()).map_err(Reason::code);
        assert_eq!(found, told_again(*ask, facts, NOW), "{ask:?} {facts:?}");
        let again = decide(ask, facts, NOW);
        assert_eq!((verdict.outcome, verdict.trail), (again.outcome, again.trail), "not the same twice");
    }
    println!("{} combinations", questions.len());
    assert!(questions.len() > 30_000);
}

#[test]
fn a_trail_passes_every_rule_but_the_one_that_refused() {
    for (ask, facts) in every_question() {
        let verdict = decide(&ask, &facts, NOW);
        let steps = verdict.trail.steps();
        let (last, before) = steps.split_last().expect("at least one rule is asked");
        assert!(
            before.iter().all(|step| step.passed) && last.passed == allowed(&verdict),
            "{facts:?}: {:?}",
            verdict.trail
        );
        assert_eq!(verdict.trail.settled_by(), last.rule);
    }
}

#[test]
fn a_permit_is_for_what_was_asked_and_for_who_asked() {
    for (ask, facts) in every_question() {
        let Ok(permit) = decide(&ask, &facts, NOW).outcome else { continue };
        let principal = match &facts.presented {
            Presented::Proven(credential) => Principal::Account { account: OWNER, credential: credential.id },
            _ => Principal::Anyone,
        };
        assert_eq!((permit.action(), permit.repository(), permit.principal()), (ask.action, REPOSITORY, principal));
    }
}

#[test]
fn more_privilege_or_more_scopes_never_turn_leave_into_a_refusal() {
    for (ask, facts) in every_question() {
        if !allowed(&decide(&ask, &facts, NOW)) {
            continue;
        }
        for privilege in Privilege::ALL {
            let Some(repository) = facts.repository.filter(|repository| repository.privilege < privilege) else {
                continue;
            };
            let more = Facts { repository: Some(Repository { privilege, ..repository }), ..facts.clone() };
            assert!(allowed(&decide(&ask, &more, NOW)), "{facts:?}");
        }
        let Presented::Proven(credential) = &facts.presented else { continue };
        for scope in Scope::ALL {
            let credential = Credential { scopes: credential.scopes.with(*scope), ..credential.clone() };
            let more = Facts { presented: Presented::Proven(credential), ..facts.clone() };
            assert!(allowed(&decide(&ask, &more, NOW)), "{scope:?} {facts:?}");
        }
    }
}

#[test]
fn a_later_clock_never_turns_a_refusal_into_leave() {
    for (ask, facts) in every_question() {
        if !allowed(&decide(&ask, &facts, NOW)) {
            assert!(!allowed(&decide(&ask, &facts, Timestamp(NOW.0 + 1))), "{facts:?}");
            assert!(!allowed(&decide(&ask, &facts, Timestamp(i64::MAX))), "{facts:?}");
        }
    }
}

#[test]
fn a_repository_that_may_not_be_seen_is_refused_as_an_absent_one_is() {
    for (ask, facts) in every_question() {
        let hidden =
            facts.repository.is_some_and(|repository| !repository.public && repository.privilege == Privilege::None);
        if hidden {
            let absent = Facts { repository: None, ..facts.clone() };
            assert_eq!(decide(&ask, &facts, NOW).outcome, decide(&ask, &absent, NOW).outcome, "{facts:?}");
        }
    }
}

#[test]
fn a_valid_credential_may_do_whatever_nobody_needs_one_for() {
    for (ask, facts) in every_question() {
        let without = Facts { presented: Presented::Nothing, ..facts.clone() };
        let Err(reason) = decide(&ask, &facts, NOW).outcome else { continue };
        if allowed(&decide(&ask, &without, NOW)) {
            let about_the_credential =
                ["token_revoked", "token_expired", "token_unknown", "account_disabled", "user_name_of_somebody_else"];
            assert!(
                about_the_credential.contains(&reason.code()) || matches!(reason, Reason::Unreadable(_)),
                "{facts:?}: {reason}"
            );
        }
    }
}

#[test]
fn only_who_has_proven_a_secret_is_told_about_it() {
    for (ask, facts) in every_question() {
        if let Err(reason) = decide(&ask, &facts, NOW).outcome {
            let proven = matches!(facts.presented, Presented::Proven(_));
            assert!(reason.told() == Told::Anybody || proven, "{facts:?}: {reason}");
        }
    }
}

#[test]
fn a_refusal_is_a_401_only_if_the_credential_itself_is_at_fault() {
    for (ask, facts) in every_question() {
        let Err(reason) = decide(&ask, &facts, NOW).outcome else { continue };
        let status = reason.status(ask.surface);
        let Presented::Proven(credential) = &facts.presented else {
            assert_eq!(status, if reason == Reason::Unreadable(Fault::Header) { 400 } else { 401 }, "{reason}");
            continue;
        };
        let ended = credential.revoked_at.is_some() || credential.expires_at.is_some_and(|end| end <= NOW);
        let wrong_name = credential.name_form == NameForm::SomebodyElse && !credential.owner_disabled;
        assert_eq!(status == 401, ended || wrong_name, "{facts:?}: {reason}");
        assert!(matches!(status, 401 | 403 | 404), "{reason}");
    }
}

#[test]
fn sentences_and_remedies_are_written_for_people() {
    for (ask, facts) in every_question() {
        let Err(reason) = decide(&ask, &facts, NOW).outcome else { continue };
        for text in [reason.to_string(), reason.remedy()] {
            assert!(!text.is_empty() && !text.ends_with('.') && !text.contains("::"), "{text}");
            assert!(text.chars().next().is_some_and(|first| !first.is_uppercase()), "{text}");
        }
        assert!(reason.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    }
}
