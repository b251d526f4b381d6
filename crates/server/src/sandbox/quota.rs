//! Bitbucket Cloud's limits on requests: so many in any hour, for each user, access token or address.

use std::collections::{HashMap, VecDeque};

use doorward_rules::{Facts, Surface, Timestamp};

use crate::context::Context;
use crate::diagnostics::Diagnostics;

#[derive(Debug)]
pub(crate) struct Quotas {
    /// What REST requests with a credential are limited to in an hour.
    pub(crate) rest: usize,
    spent: HashMap<(Surface, String), VecDeque<Timestamp>>,
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    limit: usize,
    access_token: bool,
}

impl Quotas {
    pub(crate) fn new(rest: Option<usize>) -> Self {
        Self { rest: rest.unwrap_or(REST), spent: HashMap::new() }
    }

    /// Counts a request; the limit if there were as many already.
    pub(crate) fn spend(&mut self, surface: Surface, facts: &Facts, context: &Context) -> Option<Reached> {
        let credential = facts.credential();
        let who = match credential {
            Some(credential) => match credential.owner {
                Some(account) => account.to_string(),
                None => credential.id.to_string(),
            },
            None => context.address.to_string(),
        };
        let limit = match (surface, credential) {
            (Surface::Git | Surface::Lfs, _) => GIT,
            (_, None) => ANONYMOUS.min(self.rest),
            (_, Some(_)) => self.rest,
        };
        let spent = self.spent.entry((surface, who)).or_default();
        // The clock may have been set back: what is in its future does not count either.
        spent.retain(|at| *at <= context.at && context.at.0 - at.0 < HOUR);
        if spent.len() >= limit {
            let access_token = credential.is_some_and(|credential| credential.kind.is_access_token());
            return Some(Reached { limit, access_token });
        }
        spent.push_back(context.at);
        None
    }

    /// From now on REST has this limit, and nothing is spent.
    pub(crate) fn set(&mut self, rest: usize) {
        *self = Self::new(Some(rest));
    }
}

impl Reached {
    /// Access tokens alone are told about their limit.
    pub(crate) fn diagnostics(self) -> Diagnostics {
        if !self.access_token {
            return Diagnostics::default();
        }
        Diagnostics::default()
            .with("x-ratelimit-limit", self.limit.to_string())
            .with("x-ratelimit-resource", "api".into())
            .with("x-ratelimit-nearlimit", "true".into())
    }
}

const HOUR: i64 = 3_600_000;
const ANONYMOUS: usize = 60;
const REST: usize = 1_000;
const GIT: usize = 60_000;
