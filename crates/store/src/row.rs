//! Columns to types of the domain, in one place, so that no query writes its own conversions.

use std::fmt::Display;
use std::str::FromStr;

use doorward_rules::{CredentialId, Scopes, Timestamp};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::StoreError;

/// A row whose columns are read as types of the domain.
pub(crate) struct Row(pub(crate) SqliteRow);

impl Row {
    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn optional_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn number(&self, column: &str) -> Result<i64, StoreError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn optional_number(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn truth(&self, column: &str) -> Result<bool, StoreError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        Ok(self.0.try_get(column)?)
    }

    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.number(column).map(Timestamp)
    }

    pub(crate) fn optional_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.optional_number(column)?.map(Timestamp))
    }

    /// A column that holds the text of a type.
    pub(crate) fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StoreError>
    where
        T::Err: Display,
    {
        let text = self.text(column)?;
        text.parse().map_err(|error| StoreError::Corrupt(format!("the {column} `{text}` ({error})")))
    }

    pub(crate) fn optional_parsed<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError>
    where
        T::Err: Display,
    {
        if self.optional_text(column)?.is_none() { Ok(None) } else { self.parsed(column).map(Some) }
    }

    /// A column that holds one of a few words.
    pub(crate) fn word<T>(&self, column: &str, from_word: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
        let word = self.text(column)?;
        from_word(&word).ok_or_else(|| StoreError::Corrupt(format!("the {column} `{word}`")))
    }

    pub(crate) fn scopes(&self, column: &str) -> Result<Scopes, StoreError> {
        Scopes::parse(&self.text(column)?).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    pub(crate) fn credential_id(&self, column: &str) -> Result<CredentialId, StoreError> {
        self.word(column, CredentialId::parse)
    }
}
