//! What forms send, read.

use std::time::Duration;

use doorward_admin::Lifetime;
use doorward_pages::{ChosenToken, Vocabulary, scopes_of};
use doorward_rules::Scopes;

use super::visit::Visit;
use crate::refusal::Refusal;
use crate::rest::admin::length_of;
use crate::rest::admin::token::{OVERLAP, scope};

impl Visit {
    /// A label that was typed in.
    ///
    /// # Errors
    /// A refusal that says what is wrong with it.
    pub(super) fn label(&self, name: &'static str, most: usize) -> Result<String, Refusal> {
        let label = self.text(name);
        if label.is_empty() {
            return Err(Refusal::bad_parameter(name, "it has no label", "say what it is for"));
        }
        if label.chars().count() > most || label.contains(char::is_control) {
            let what = format!("the label has more than {most} characters, or a control character");
            return Err(Refusal::bad_parameter(name, what, "change it"));
        }
        Ok(label.to_owned())
    }

    /// The scopes of the tasks that were ticked, and of those that were named.
    ///
    /// # Errors
    /// A refusal that names what is no scope, or that none was chosen.
    pub(super) fn scopes(&self, vocabulary: Vocabulary) -> Result<Scopes, Refusal> {
        let ticked = scopes_of(self.form.all("task"), vocabulary);
        let named = self.text("scopes").split([' ', ',']).filter(|name| !name.is_empty());
        let scopes = named.into_iter().try_fold(ticked, |scopes, name| Ok::<_, Refusal>(scopes.with(scope(name)?)))?;
        if scopes.is_empty() {
            let what = "nothing is ticked that it could be used for";
            return Err(Refusal::bad_parameter("scopes", what, "tick what it is for"));
        }
        Ok(scopes)
    }

    /// How long a new token lasts.
    ///
    /// # Errors
    /// A refusal that says what is wrong with it.
    pub(super) fn lifetime(&self) -> Result<Lifetime, Refusal> {
        match self.text("expires") {
            "" => Ok(Lifetime::Usual),
            "never" => Ok(Lifetime::Endless),
            text => length_of("expires", text).map(Lifetime::For),
        }
    }

    /// How long an old secret goes on.
    ///
    /// # Errors
    /// A refusal that says what is wrong with it.
    pub(super) fn overlap(&self) -> Result<Duration, Refusal> {
        match self.text("overlap") {
            "" => Ok(OVERLAP),
            text => length_of("overlap", text),
        }
    }

    /// What was chosen for a token, to be shown again.
    pub(super) fn chosen_token(&self) -> ChosenToken {
        let some = |name| Some(self.text(name).to_owned()).filter(|text| !text.is_empty());
        ChosenToken {
            name: self.text("name").into(),
            tasks: self.form.all("task").map(str::to_owned).collect(),
            scopes: self.text("scopes").into(),
            workspace: some("workspace"),
            place: some("place"),
            expires: self.text("expires").into(),
        }
    }

    /// Whether something is ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }
}

/// Where to go on, if that is a page of ours: nobody is to be led elsewhere by a link that begins here.
pub(super) fn safe_next(next: &str) -> &str {
    let path = next.strip_prefix('/').is_some_and(|rest| !rest.starts_with(['/', '\\']));
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if path && plain && next.len() <= LONGEST_NEXT { next } else { "/" }
}

/// Bytes of an address, of which an application's wish may have many.
const LONGEST_NEXT: usize = 16_000;

#[cfg(test)]
mod tests {
    #[test]
    fn one_goes_on_to_pages_of_ours_alone() {
        for ours in ["/", "/account/credentials?all=1", "/acme/site/src/main/a%20b", "/x//y"] {
            assert_eq!(super::safe_next(ours), ours);
        }
        for other in [
            "",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/x\\y",
            "/\t/evil.example",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: x=y",
            "/ä",
            "evil",
        ] {
            assert_eq!(super::safe_next(other), "/", "{other:?}");
        }
    }
}
