//! A workspace's own rules about the credentials that reach its private content.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;

use crate::{Credential, Kinds, Reason};

/// What a workspace asks of credentials. The default asks nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Accounts that the organisation manages sign in by single sign-on: of their credentials only those are accepted that come
    /// from such a sign-in: web sessions, and the OAuth access tokens that were granted in one.
    pub sso: bool,
    /// The kinds that are allowed; every kind if none is named.
    pub kinds: Option<Kinds>,
    /// How long a credential may be made to last.
    pub longest: Option<Duration>,
    /// Where requests may come from; anywhere if none is named.
    pub addresses: Vec<IpNet>,
    /// Accounts must have two-step verification.
    pub two_step: bool,
}

impl Policy {
    /// Why the workspace refuses a credential for what it is, wherever it is used.
    pub fn against_credential(&self, credential: &Credential) -> Option<Reason> {
        let kind = credential.kind;
        // Who signs in is a person, whoever it is. What machines may use says nothing about that, nor how long it may last.
        let machine = !kind.is_sign_in();
        if machine && self.kinds.is_some_and(|kinds| !kinds.contains(kind)) {
            return Some(Reason::KindForbidden { kind });
        }
        if self.sso && credential.managed && !credential.single_sign_on {
            return Some(Reason::SsoRequired { kind });
        }
        let longest = self.longest.filter(|longest| machine && !credential.lasts_at_most(*longest))?;
        Some(Reason::LifetimeTooLong { longest })
    }

    /// Why the workspace refuses the use that is made of a credential. An `address` that is not known is not held
    /// against it.
    pub fn against_access(&self, credential: &Credential, address: Option<IpAddr>) -> Option<Reason> {
        if let Some(address) = address.filter(|address| !self.admits(*address)) {
            return Some(Reason::AddressForbidden { address });
        }
        (self.two_step && credential.two_step == Some(false)).then_some(Reason::TwoStepRequired)
    }

    /// Whether requests may come from an address. An IPv4 address that came as an IPv6 one is the same address.
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.addresses.is_empty() || self.addresses.iter().any(|range| range.contains(&address))
    }
}
