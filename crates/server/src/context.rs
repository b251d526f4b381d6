//! What is known about a request before its content is looked at.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use doorward_rules::Timestamp;
use doorward_wire::{RequestId, redact};

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) id: RequestId,
    pub(crate) at: Timestamp,
    pub(crate) address: IpAddr,
    pub(crate) agent: Option<String>,
}

impl Context {
    pub(crate) fn new(at: Timestamp, address: IpAddr, headers: &HeaderMap) -> Self {
        let mut random = [0; 8];
        // An id without randomness would still be an id, so a failure here is not the request's.
        let _ = getrandom::fill(&mut random);
        let agent = headers.get(USER_AGENT).map(|agent| {
            let agent = String::from_utf8_lossy(agent.as_bytes());
            redact(&agent).chars().filter(|c| !c.is_control()).take(AGENT_LENGTH).collect()
        });
        Self { id: RequestId::new(at, u64::from_ne_bytes(random)), at, address, agent }
    }
}

const AGENT_LENGTH: usize = 200;
