//! What can be done, as a value.

use std::future::Future;

use doorward_wire::percent_encoded;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{AdminError, Desk};

/// One thing that an administrator does, or asks for.
pub trait Operation: Sized {
    /// What comes of it.
    type Answer: Serialize + DeserializeOwned + Send;

    /// How another server is asked for it.
    fn call(&self) -> Call;

    /// Does it here.
    ///
    /// # Errors
    /// What keeps it from being done; nothing was changed then.
    fn carry_out(self, desk: &Desk) -> impl Future<Output = Result<Self::Answer, AdminError>> + Send;
}

/// A call of REST.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// The path below `/2.0/doorward`, with its parameters.
    pub path: String,
    /// What is sent.
    pub body: Option<Value>,
    /// What is answered.
    pub answered: Answered,
}

/// What a call is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// One thing.
    One,
    /// A list in pages, of which all are wanted.
    All,
    /// A list in pages, of which the one that is named is wanted.
    Page,
}

impl Call {
    /// A call that gives one thing.
    pub(crate) fn get(path: String) -> Self {
        Self { method: "GET", path, body: None, answered: Answered::One }
    }

    /// A call that gives a list.
    pub(crate) fn list(path: String) -> Self {
        Self { answered: Answered::All, ..Self::get(path) }
    }

    /// A call that makes something.
    pub(crate) fn post(path: String, body: Value) -> Self {
        Self { method: "POST", body: Some(body), ..Self::get(path) }
    }

    /// A call that changes something.
    pub(crate) fn put(path: String, body: Value) -> Self {
        Self { method: "PUT", body: Some(body), ..Self::get(path) }
    }

    /// A call that ends something.
    pub(crate) fn delete(path: String) -> Self {
        Self { method: "DELETE", ..Self::get(path) }
    }

    /// The same with a parameter, if there is something to say by it.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            let mark = if self.path.contains('?') { '&' } else { '?' };
            self.path.push_str(&format!("{mark}{name}={}", percent_encoded(&value.to_string())));
        }
        self
    }
}
