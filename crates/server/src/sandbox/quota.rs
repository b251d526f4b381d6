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

/// What came of counting a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) reached: bool,
    limit: usize,
    left: usize,
    /// Seconds until the first of the counted requests is an hour old.
    reset: i64,
    teller: Option<Teller>,
}

/// Who is told about limits in headers, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Teller {
    Anonymous,
    AccessToken,
}

impl Quotas {
    pub(crate) fn new(rest: Option<usize>) -> Self {
        Self { rest: rest.unwrap_or(REST), spent: HashMap::new() }
    }

    /// Counts a request, if there may be one more.
    pub(crate) fn spend(&mut self, surface: Surface, facts: &Facts, context: &Context) -> Spent {
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
        if self.spent.len() >= KEYS {
            self.spent.clear();
        }
        let spent = self.spent.entry((surface, who)).or_default();
        // The clock may have been set back: what is in its future does not count either.
        spent.retain(|at| *at <= context.at && context.at.0.saturating_sub(at.0) < HOUR);
        let reached = spent.len() >= limit;
        if !reached {
            spent.push_back(context.at);
        }
        let reset = spent.front().map_or(0, |first| (first.0 + HOUR - context.at.0 + 999) / 1000);
        let teller = match credential {
            _ if surface != Surface::Rest => None,
            None => Some(Teller::Anonymous),
            Some(credential) => credential.kind.is_access_token().then_some(Teller::AccessToken),
        };
        Spent { reached, limit, left: limit - spent.len(), reset, teller }
    }

    /// From now on REST has this limit, and nothing is spent.
    pub(crate) fn set(&mut self, rest: usize) {
        *self = Self::new(Some(rest));
    }
}

impl Spent {
    /// The headers: access tokens and callers without a credential are told about their limits, on REST.
    pub(crate) fn diagnostics(self) -> Diagnostics {
        match self.teller {
            None => Diagnostics::default(),
            Some(Teller::AccessToken) => Diagnostics::default()
                .with("x-ratelimit-limit", self.limit.to_string())
                .with("x-ratelimit-resource", "api".into())
                .with("x-ratelimit-nearlimit", (self.left * 5 < self.limit).to_string()),
            Some(Teller::Anonymous) => Diagnostics::default()
                .with("x-ratelimit-limit", format!("{0}, {0};w=3600", self.limit))
                .with("x-ratelimit-remaining", self.left.to_string())
                .with("x-ratelimit-reset", self.reset.to_string()),
        }
    }
}

/// How many callers are counted at once; a test has a few.
const KEYS: usize = 10_000;
const HOUR: i64 = 3_600_000;
const ANONYMOUS: usize = 60;
const REST: usize = 1_000;
const GIT: usize = 60_000;
