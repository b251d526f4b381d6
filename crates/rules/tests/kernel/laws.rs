//! What holds for every question, whatever the rules say.

use doorward_rules::{
    Credential, Facts, Fault, Limit, Object, OwnFault, Presented, Principal, Privilege, Reason, Repository, RuleSet,
    Scope, Surface, Target, Timestamp, Told, Workspace, advise, decide,
};

use crate::enumeration::{HERE, NOW, OWNER, Question, REPOSITORY, every_question};

fn allowed(question: Question<'_>, facts: &Facts) -> bool {
    decide(question.rules, question.ask, facts, NOW).outcome.is_ok()
}

#[test]
fn the_same_question_has_the_same_verdict_and_a_trail_that_passes_every_rule_but_the_one_that_refused() {
    every_question(|question| {
        let (verdict, again) = (question.decide(), question.decide());
        let steps = verdict.trail.steps();
        let (last, before) = steps.split_last().expect("at least one rule is asked");
        let sound = before.iter().all(|step| step.passed) && last.passed == verdict.outcome.is_ok();
        assert!(sound, "{}: {:?}", question.describe(), verdict.trail);
        assert_eq!(verdict.trail.settled_by(), last.rule);
        assert_eq!((verdict.outcome, verdict.trail), (again.outcome, again.trail), "{}", question.describe());
    });
}

#[test]
fn a_permit_is_for_what_was_asked_and_for_who_asked() {
    every_question(|question| {
        let Ok(permit) = question.decide().outcome else { return };
        let principal = match question.facts.credential() {
            Some(credential) => match credential.owner {
                Some(account) => Principal::Account { account, credential: credential.id },
                None => Principal::Synthetic { credential: credential.id },
            },
            None => Principal::Anyone,
        };
        let target = match question.ask.action.object() {
            Object::Repository => Target::Repository(REPOSITORY),
            Object::Workspace => Target::Workspace(HERE),
            Object::Account => Target::Account(OWNER),
            Object::Server => Target::Server,
            Object::Holder => match (question.facts.account, &question.facts.workspace) {
                (Some(account), _) => Target::Account(account),
                (None, Some(_)) => Target::Workspace(HERE),
                (None, None) => Target::Server,
            },
        };
        assert_eq!((permit.action(), permit.target(), permit.principal()), (question.ask.action, target, principal));
    });
}

#[test]
fn more_privilege_or_more_scopes_never_turn_leave_into_a_refusal() {
    every_question(|question| {
        if question.decide().outcome.is_err() {
            return;
        }
        let mut more = question.facts.clone();
        for privilege in Privilege::ALL {
            let Some(repository) = question.facts.repository.filter(|repository| repository.privilege < privilege)
            else {
                continue;
            };
            more.repository = Some(Repository { privilege, ..repository });
            assert!(allowed(question, &more), "{}", question.describe());
        }
        let Some(credential) = question.facts.credential() else { return };
        for scope in [Scope::Wiki, Scope::Repository, Scope::RepositoryWrite, Scope::ReadUser, Scope::WriteRepository] {
            let credential = Credential { scopes: credential.scopes.with(scope), ..credential.clone() };
            more.presented = Presented::Proven(credential);
            assert!(allowed(question, &more), "{scope:?} {}", question.describe());
        }
    });
}

#[test]
fn what_has_ended_does_not_come_back() {
    every_question(|question| {
        let Err(reason) = question.decide().outcome else { return };
        let ended = matches!(reason, Reason::Revoked { .. } | Reason::Expired { .. } | Reason::KindRetired { .. });
        for later in [Timestamp(NOW.0 + 1), Timestamp(i64::MAX)] {
            let later = decide(question.rules, question.ask, question.facts, later);
            assert!(!ended || later.outcome.is_err(), "{}", question.describe());
        }
    });
}

#[test]
fn a_repository_that_may_not_be_seen_is_refused_as_an_absent_one_is() {
    every_question(|question| {
        let hidden = |repository: &Repository| !repository.public && repository.privilege == Privilege::None;
        if question.facts.repository.as_ref().is_some_and(hidden) {
            let absent = Facts { repository: None, ..question.facts.clone() };
            let absent_verdict = decide(question.rules, question.ask, &absent, NOW);
            assert_eq!(question.decide().outcome, absent_verdict.outcome, "{}", question.describe());
            let advice = |facts| advise(question.rules, question.ask, facts, NOW);
            assert_eq!(advice(question.facts), advice(&absent), "{}", question.describe());
        }
    });
}

#[test]
fn a_workspace_in_which_nothing_may_be_seen_is_refused_as_an_absent_one_is() {
    every_question(|question| {
        let hidden = |workspace: &Workspace| !workspace.shows && workspace.privilege == Privilege::None;
        let about = question.ask.action.object() == Object::Workspace;
        if about && question.facts.workspace.as_ref().is_some_and(hidden) {
            let absent = Facts { workspace: None, ..question.facts.clone() };
            let absent_verdict = decide(question.rules, question.ask, &absent, NOW);
            let found = question.decide().outcome;
            // A token that is limited to the workspace itself belongs to it, and is told so.
            let own = question.facts.credential().is_some_and(|credential| credential.limit == Limit::Workspace(HERE));
            let administers = question.facts.credential().is_some_and(|credential| credential.administrator);
            let administers = administers && question.ask.action.is_own();
            assert!(found == absent_verdict.outcome || own || administers, "{}", question.describe());
        }
    });
}

#[test]
fn a_holder_that_one_may_not_administer_is_refused_as_an_absent_one_is() {
    every_question(|question| {
        if question.ask.action.object() != Object::Holder {
            return;
        }
        let Some(credential) = question.facts.credential().filter(|credential| !credential.administrator) else {
            return;
        };
        let own = question.facts.account.is_some() && question.facts.account == credential.owner;
        let here = question.facts.workspace.as_ref().is_some_and(|workspace| workspace.privilege == Privilege::Admin);
        if !own && !here {
            let absent = Facts { workspace: None, account: None, ..question.facts.clone() };
            let absent = decide(question.rules, question.ask, &absent, NOW);
            assert_eq!(question.decide().outcome, absent.outcome, "{}", question.describe());
            assert!(absent.outcome.is_err(), "{}", question.describe());
        }
    });
}

#[test]
fn an_administrator_of_the_server_is_no_more_than_others_for_what_takes_bitbucket_clouds_scopes() {
    every_question(|question| {
        let Some(credential) = question.facts.credential().filter(|credential| credential.administrator) else {
            return;
        };
        if !question.ask.action.is_own() {
            let other = Credential { administrator: false, ..credential.clone() };
            let other = Facts { presented: Presented::Proven(other), ..question.facts.clone() };
            let verdict = decide(question.rules, question.ask, &other, NOW);
            assert_eq!(question.decide().outcome, verdict.outcome, "{}", question.describe());
        }
    });
}

#[test]
fn only_an_administrator_with_a_token_of_no_limit_is_let_in_to_the_server() {
    every_question(|question| {
        if question.ask.action.object() == Object::Server && question.decide().outcome.is_ok() {
            let credential = question.facts.credential().expect("a credential");
            assert!(credential.administrator && credential.limit == Limit::Anywhere, "{}", question.describe());
        }
    });
}

#[test]
fn our_own_server_lets_a_valid_credential_do_whatever_nobody_needs_one_for() {
    every_question(|question| {
        let Err(reason) = question.decide().outcome else { return };
        let without = Facts { presented: Presented::Nothing, ..question.facts.clone() };
        // What a workspace lists depends on who asks: a partial list with no word of why would help nobody.
        let lists = question.ask.action.object() == Object::Workspace;
        if question.rules.set == RuleSet::Doorward && !lists && allowed(question, &without) {
            let about_the_credential = [
                "token_revoked",
                "token_expired",
                "token_unknown",
                "account_disabled",
                "user_name_of_somebody_else",
                "kind_off",
                "kind_brownout",
                "kind_retired",
                "kind_useless_here",
            ];
            let known = about_the_credential.contains(&reason.code()) || matches!(reason, Reason::Unreadable(_));
            assert!(known, "{}: {reason}", question.describe());
        }
    });
}

#[test]
fn only_who_has_proven_a_secret_is_told_about_it_or_advised() {
    every_question(|question| {
        if let Err(reason) = question.decide().outcome {
            let proven = question.facts.credential().is_some();
            assert!(reason.told() == Told::Anybody || proven, "{}: {reason}", question.describe());
            let advice = advise(question.rules, question.ask, question.facts, NOW);
            assert!(advice.is_none() || proven, "{}", question.describe());
        }
    });
}

#[test]
fn a_refusal_is_a_401_only_if_the_credential_cannot_become_right_by_itself() {
    every_question(|question| {
        let Err(reason) = question.decide().outcome else { return };
        let status = reason.status(question.ask.surface);
        if question.ask.surface == Surface::Lfs {
            assert_eq!(status == 401, reason == Reason::NothingPresented, "{reason}");
            return;
        }
        let Some(_) = question.facts.credential() else {
            assert_eq!(status, if reason == Reason::Unreadable(Fault::Header) { 400 } else { 401 }, "{reason}");
            return;
        };
        let over = [
            "kind_useless_here",
            "token_unscoped",
            "kind_retired",
            "token_revoked",
            "token_expired",
            "user_name_of_somebody_else",
            "form_wrong",
        ];
        assert_eq!(status == 401, over.contains(&reason.code()), "{}: {reason}", question.describe());
        assert!(matches!(status, 401 | 403 | 404), "{reason}");
    });
}

#[test]
fn sentences_and_remedies_are_written_for_people() {
    let mut codes: Vec<&str> = Vec::new();
    let faults = Fault::ALL.map(Reason::Unreadable);
    for reason in Reason::CATALOGUE.iter().chain(&faults) {
        for text in [reason.to_string(), reason.remedy()] {
            assert!(!text.is_empty() && !text.ends_with('.') && !text.contains("::") && !text.contains("  "), "{text}");
        }
        assert!(reason.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        assert!(!codes.contains(&reason.code()), "{} stands for two reasons", reason.code());
        codes.push(reason.code());
    }
    every_question(|question| {
        let code = question.decide().outcome.err().map(|reason| reason.code());
        assert!(code.is_none_or(|code| codes.contains(&code)), "{code:?} is not in the catalogue");
    });
    for fault in OwnFault::ALL {
        assert!(!codes.contains(&fault.code()) && !fault.to_string().ends_with('.'));
    }
}
