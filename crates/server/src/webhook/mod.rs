//! Webhooks: a message to an address whenever refs change, signed, and sent again until it is taken.
//!
//! A message is in the database before it is sent, a moment after the push, and stays there until an answer says that it was taken
//! or it was tried too often. So it may come twice; it does not come only if the server was killed in that moment.

mod address;
mod deliver;
mod payload;

pub(crate) use address::Allowed;
pub(crate) use deliver::deliver;
pub(crate) use payload::{Moved, pushed};

use std::time::Duration;

use ipnet::IpNet;

/// What an administrator may set about webhooks.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Addresses that are not public, and may be sent to all the same.
    pub private: Vec<IpNet>,
    /// How long to wait before a message is sent a second time. Each further wait is four times as long.
    pub retry: Duration,
}

/// The event of a push.
pub(crate) const PUSH: &str = "repo:push";
