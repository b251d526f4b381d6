//! What a credential may be used for, in Bitbucket Cloud's two vocabularies, and in a third for what only this server does.
//!
//! The old names (OAuth, access tokens, former app passwords) imply others as Bitbucket Cloud documents; the new ones
//! (API tokens) imply nothing, and neither do our own, which any kind may have. All names parse; those that this server has a use for are asked for by
//! [`Action::scopes`](crate::Action::scopes).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Lists every scope once: its variant, its name, and the scopes that it implies.
macro_rules! scopes {
    ($($variant:ident $name:literal => [$($implied:ident)*],)*) => {
        /// One scope.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each variant is its documented name in another spelling")]
        pub enum Scope { $($variant,)* }

        impl Scope {
            /// Every scope, old names first.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name, as Bitbucket Cloud spells it if it is one of its.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it implies directly.
            const fn implied(self) -> &'static [Self] {
                match self { $(Self::$variant => &[$(Self::$implied,)*],)* }
            }
        }
    };
}

scopes! {
    Repository "repository" => [],
    RepositoryWrite "repository:write" => [Repository],
    RepositoryAdmin "repository:admin" => [],
    RepositoryDelete "repository:delete" => [],
    Project "project" => [Repository],
    ProjectWrite "project:write" => [],
    ProjectAdmin "project:admin" => [],
    PullRequest "pullrequest" => [Repository],
    PullRequestWrite "pullrequest:write" => [PullRequest RepositoryWrite],
    Issue "issue" => [],
    IssueWrite "issue:write" => [Issue],
    Wiki "wiki" => [],
    Snippet "snippet" => [],
    SnippetWrite "snippet:write" => [Snippet],
    Webhook "webhook" => [],
    Email "email" => [],
    Account "account" => [],
    AccountWrite "account:write" => [],
    Team "team" => [],
    TeamWrite "team:write" => [],
    Pipeline "pipeline" => [],
    PipelineWrite "pipeline:write" => [],
    PipelineVariable "pipeline:variable" => [],
    Runner "runner" => [],
    RunnerWrite "runner:write" => [],
    Test "test" => [],
    TestWrite "test:write" => [],
    ReadRepository "read:repository:bitbucket" => [],
    WriteRepository "write:repository:bitbucket" => [],
    AdminRepository "admin:repository:bitbucket" => [],
    DeleteRepository "delete:repository:bitbucket" => [],
    ReadPullRequest "read:pullrequest:bitbucket" => [],
    WritePullRequest "write:pullrequest:bitbucket" => [],
    ReadProject "read:project:bitbucket" => [],
    AdminProject "admin:project:bitbucket" => [],
    ReadWorkspace "read:workspace:bitbucket" => [],
    AdminWorkspace "admin:workspace:bitbucket" => [],
    ReadUser "read:user:bitbucket" => [],
    WriteUser "write:user:bitbucket" => [],
    ReadPipeline "read:pipeline:bitbucket" => [],
    WritePipeline "write:pipeline:bitbucket" => [],
    AdminPipeline "admin:pipeline:bitbucket" => [],
    ReadRunner "read:runner:bitbucket" => [],
    WriteRunner "write:runner:bitbucket" => [],
    ReadIssue "read:issue:bitbucket" => [],
    WriteIssue "write:issue:bitbucket" => [],
    DeleteIssue "delete:issue:bitbucket" => [],
    ReadWebhook "read:webhook:bitbucket" => [],
    WriteWebhook "write:webhook:bitbucket" => [],
    DeleteWebhook "delete:webhook:bitbucket" => [],
    ReadSnippet "read:snippet:bitbucket" => [],
    WriteSnippet "write:snippet:bitbucket" => [],
    DeleteSnippet "delete:snippet:bitbucket" => [],
    ReadSshKey "read:ssh-key:bitbucket" => [],
    WriteSshKey "write:ssh-key:bitbucket" => [],
    DeleteSshKey "delete:ssh-key:bitbucket" => [],
    ReadGpgKey "read:gpg-key:bitbucket" => [],
    WriteGpgKey "write:gpg-key:bitbucket" => [],
    DeleteGpgKey "delete:gpg-key:bitbucket" => [],
    ReadPermission "read:permission:bitbucket" => [],
    WritePermission "write:permission:bitbucket" => [],
    DeletePermission "delete:permission:bitbucket" => [],
    ReadToken "read:token:doorward" => [],
    WriteToken "write:token:doorward" => [],
    ReadAudit "read:audit:doorward" => [],
    ReadAdmin "read:admin:doorward" => [],
    WriteAdmin "write:admin:doorward" => [],
}

/// Whose names scopes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// Bitbucket Cloud's for OAuth, access tokens and app passwords.
    Old,
    /// Bitbucket Cloud's for API tokens.
    New,
    /// Our own, for what only this server does.
    Own,
}

/// A set of scopes. No scopes is no scopes: an empty set allows nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u128);

/// A name that is not a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeError {
    /// What was given instead of a scope.
    pub name: String,
}

impl Scope {
    /// The scope of this name.
    ///
    /// # Errors
    /// [`ScopeError`] with the name if Bitbucket Cloud has no such scope.
    pub fn parse(name: &str) -> Result<Self, ScopeError> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.name() == name)
            .ok_or_else(|| ScopeError { name: name.to_string() })
    }

    /// Whether its name is one of these.
    pub fn is_of(self, vocabulary: Vocabulary) -> bool {
        let found = match self.name().rsplit(':').next() {
            Some("bitbucket") => Vocabulary::New,
            Some("doorward") => Vocabulary::Own,
            _ => Vocabulary::Old,
        };
        found == vocabulary
    }

    /// Whether credentials of a kind have scopes by such names.
    pub fn is_for(self, kind: crate::Kind) -> bool {
        let theirs = if kind == crate::Kind::ApiToken { Vocabulary::New } else { Vocabulary::Old };
        self.is_of(theirs) || self.is_of(Vocabulary::Own)
    }

    const fn bit(self) -> u128 {
        1 << self as u8
    }
}

impl Scopes {
    /// No scopes.
    pub const NONE: Self = Self(0);

    /// The set of these scopes, without what they imply.
    pub const fn of(scopes: &[Scope]) -> Self {
        let (mut bits, mut place) = (0, 0);
        while place < scopes.len() {
            bits |= scopes[place].bit();
            place += 1;
        }
        Self(bits)
    }

    /// The scopes whose names stand in `text`, separated by spaces.
    ///
    /// # Errors
    /// [`ScopeError`] with the first name that is not a scope.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        text.split_ascii_whitespace().try_fold(Self::NONE, |scopes, name| Ok(scopes.with(Scope::parse(name)?)))
    }

    /// This set and one more.
    #[must_use]
    pub fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// Whether the scope itself is in the set.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// This set and another.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every scope of another set is in this one.
    pub fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set with everything that its scopes imply.
    #[must_use]
    pub fn effective(self) -> Self {
        let (mut all, mut left) = (0, self.0);
        while left != 0 {
            all |= EFFECTIVE[left.trailing_zeros() as usize];
            left &= left - 1;
        }
        Self(all)
    }

    /// The scopes in the set, old names first.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.contains(*scope))
    }

    /// The names of the scopes in the set.
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Scope::name).collect()
    }
}

/// For each scope, itself and everything that it implies, through as many steps as it takes.
const EFFECTIVE: [u128; Scope::ALL.len()] = {
    let mut effective = [0; Scope::ALL.len()];
    let mut pass = 0;
    // As many passes as there are scopes would do for the longest chain that there could be.
    while pass < Scope::ALL.len() {
        let mut place = 0;
        while place < Scope::ALL.len() {
            let (scope, mut next) = (Scope::ALL[place], 0);
            effective[place] |= scope.bit();
            while next < scope.implied().len() {
                effective[place] |= effective[scope.implied()[next] as usize];
                next += 1;
            }
            place += 1;
        }
        pass += 1;
    }
    effective
};

/// The names, separated by spaces; nothing for the empty set.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no scope `{}`", self.name)
    }
}

impl core::error::Error for ScopeError {}

#[cfg(test)]
mod tests {
    use super::{Scope, Scopes, Vocabulary};
    use alloc::string::ToString;

    #[test]
    fn there_are_35_new_names_27_old_ones_and_5_of_our_own_and_none_twice() {
        let ending = |end| Scope::ALL.iter().filter(|scope| scope.name().ends_with(end)).count();
        let (new, own) = (ending(":bitbucket"), ending(":doorward"));
        assert_eq!((new, own, Scope::ALL.len() - new - own), (35, 5, 27));
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.name()), Ok(*scope));
        }
    }

    #[test]
    fn old_names_imply_as_documented_through_several_steps() {
        let granted = Scopes::of(&[Scope::PullRequestWrite]).effective();
        assert_eq!(granted.to_string(), "repository repository:write pullrequest pullrequest:write");
        assert_eq!(Scopes::of(&[Scope::RepositoryAdmin]).effective().to_string(), "repository:admin");
    }

    #[test]
    fn new_names_and_our_own_imply_nothing() {
        for scope in Scope::ALL.iter().filter(|scope| scope.is_of(Vocabulary::New) || scope.is_of(Vocabulary::Own)) {
            let set = Scopes::of(&[*scope]);
            assert_eq!(set.effective(), set);
        }
    }

    #[test]
    fn a_set_is_read_back_from_its_text() {
        let all = Scopes::of(Scope::ALL);
        assert_eq!(Scopes::parse(&all.to_string()), Ok(all));
        assert_eq!(Scopes::parse(""), Ok(Scopes::NONE));
        assert_eq!(Scopes::parse("repository repo").map_err(|error| error.name), Err("repo".to_string()));
    }
}
