//! What the looks of a secret tell.

use doorward_rules::Kind;
use secrecy::SecretString;

use crate::{UnverifiedToken, bitbucket_cloud};

/// The kind that a secret has by its looks: of a token that this project makes, or of one of Bitbucket Cloud's, which cannot
/// be read any further. Its access tokens all look the same.
pub fn kind_by_looks(secret: &SecretString) -> Option<Kind> {
    match UnverifiedToken::parse(secret) {
        Ok(token) => token.kinds.iter().next(),
        Err(fault) => bitbucket_cloud::kind_of(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_bitbucket_cloud_are_known_by_their_looks_as_well() {
        let body = "a".repeat(171);
        for (secret, kind) in [
            (format!("ATATT3xFfGF0{body}=01234567"), Some(Kind::ApiToken)),
            (format!("ATCTT3xFfGN0{body}=01234567"), Some(Kind::RepositoryToken)),
            ("ATBBabcdefghijklmnopqrstuvwx0123ABCD".to_owned(), Some(Kind::AppPassword)),
            ("opaque".to_owned(), None),
        ] {
            assert_eq!(kind_by_looks(&secret.clone().into()), kind, "{}", &secret[..5]);
        }
    }
}
