//! What people want a token for, and the scopes that this takes.

use doorward_rules::{Scope, Scopes};

/// Something to be done with a token.
#[derive(Debug)]
pub(crate) struct Task {
    /// Its name in a form.
    pub word: &'static str,
    /// What it is, for people.
    pub sentence: &'static str,
    /// Whether it is something that only this server does.
    pub own: bool,
    new: &'static [Scope],
    old: &'static [Scope],
}

/// In whose names scopes are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// For API tokens.
    New,
    /// For access tokens, app passwords and OAuth.
    Old,
}

/// A task with its scopes, for a form.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) word: &'static str,
    pub(crate) sentence: &'static str,
    pub(crate) scopes: String,
}

/// Every task, the commonest first.
pub(crate) const TASKS: &[Task] = &[
    Task {
        word: "fetch",
        sentence: "Clone and fetch, and read repositories by REST",
        own: false,
        new: &[Scope::ReadRepository],
        old: &[Scope::Repository],
    },
    Task {
        word: "push",
        sentence: "Push, and upload files by REST",
        own: false,
        new: &[Scope::ReadRepository, Scope::WriteRepository],
        old: &[Scope::RepositoryWrite],
    },
    Task {
        word: "account",
        sentence: "Read who you are, and which workspaces there are",
        own: false,
        new: &[Scope::ReadUser, Scope::ReadWorkspace],
        old: &[Scope::Account],
    },
    Task {
        word: "repositories",
        sentence: "Create and change repositories",
        own: false,
        new: &[Scope::AdminRepository],
        old: &[Scope::RepositoryAdmin],
    },
    Task {
        word: "delete",
        sentence: "Delete repositories",
        own: false,
        new: &[Scope::DeleteRepository],
        old: &[Scope::RepositoryDelete],
    },
    Task {
        word: "webhooks",
        sentence: "Read, set and end webhooks",
        own: false,
        new: &[Scope::ReadWebhook, Scope::WriteWebhook, Scope::DeleteWebhook],
        old: &[Scope::Webhook],
    },
    Task {
        word: "projects",
        sentence: "Read and change projects",
        own: false,
        new: &[Scope::ReadProject, Scope::AdminProject],
        old: &[Scope::Project, Scope::ProjectAdmin],
    },
    Task {
        word: "tokens",
        sentence: "Read, create and revoke tokens",
        own: true,
        new: &[Scope::ReadToken, Scope::WriteToken],
        old: &[Scope::ReadToken, Scope::WriteToken],
    },
    Task {
        word: "audit",
        sentence: "Read the audit: what was refused, pushed and changed",
        own: true,
        new: &[Scope::ReadAudit],
        old: &[Scope::ReadAudit],
    },
    Task {
        word: "administer",
        sentence: "Administer: accounts, workspaces, members, policies",
        own: true,
        new: &[Scope::ReadAdmin, Scope::WriteAdmin],
        old: &[Scope::ReadAdmin, Scope::WriteAdmin],
    },
];

impl Task {
    /// The scopes that it takes.
    pub(crate) fn scopes(&self, vocabulary: Vocabulary) -> Scopes {
        Scopes::of(match vocabulary {
            Vocabulary::New => self.new,
            Vocabulary::Old => self.old,
        })
    }
}

/// The scopes that the tasks of these names take.
pub fn scopes_of<'a>(words: impl IntoIterator<Item = &'a str>, vocabulary: Vocabulary) -> Scopes {
    let task = |word| TASKS.iter().find(|task| task.word == word);
    words.into_iter().filter_map(task).fold(Scopes::NONE, |scopes, task| scopes.and(task.scopes(vocabulary)))
}

/// What may be done with scopes, for people: the tasks that they are enough for, and the rest by name.
pub fn in_words(scopes: Scopes) -> Vec<String> {
    let effective = scopes.effective();
    let mut told = Scopes::NONE;
    let mut lines = Vec::new();
    for task in TASKS {
        for vocabulary in [Vocabulary::New, Vocabulary::Old] {
            let needed = task.scopes(vocabulary).effective();
            if effective.contains_all(needed) && !told.contains_all(needed) {
                told = told.and(needed);
                lines.push(task.sentence.to_owned());
                break;
            }
        }
    }
    let phrase = |scope: Scope| match scope {
        Scope::Email => "Read your e-mail address".to_owned(),
        other => other.name().to_owned(),
    };
    lines.extend(effective.iter().filter(|scope| !told.contains(*scope)).map(phrase));
    lines
}

/// What a form offers.
pub(crate) fn offered(vocabulary: Vocabulary, own: bool) -> Vec<Offered> {
    let offer =
        |task: &Task| Offered { word: task.word, sentence: task.sentence, scopes: task.scopes(vocabulary).to_string() };
    TASKS.iter().filter(|task| own || !task.own).map(offer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_scopes_in_both_vocabularies_and_no_two_have_one_name() {
        for (place, task) in TASKS.iter().enumerate() {
            assert!(!task.scopes(Vocabulary::New).is_empty() && !task.scopes(Vocabulary::Old).is_empty());
            assert!(TASKS[..place].iter().all(|other| other.word != task.word));
        }
    }

    #[test]
    fn what_scopes_are_good_for_is_told_in_words_and_nothing_is_left_out() {
        let told = in_words(Scopes::of(&[Scope::RepositoryWrite, Scope::Wiki]));
        assert_eq!(told, [TASKS[0].sentence, TASKS[1].sentence, "wiki"]);
        assert_eq!(in_words(Scopes::NONE), [""; 0]);
        for scope in Scope::ALL {
            assert!(!in_words(Scopes::of(&[*scope])).is_empty(), "{scope:?}");
        }
    }
}
