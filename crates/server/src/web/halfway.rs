//! Who has told a password, or was sent by a provider, and is asked for a second step: kept in memory, for as long as that takes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use doorward_openid::Identity;
use doorward_rules::Timestamp;
use doorward_store::SignIn;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// All who are halfway in, by their visits, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Halfway(Mutex<VecDeque<Entry>>);

struct Entry {
    visit: [u8; 32],
    who: SignIn,
    /// Who it is at the provider, if it came from there.
    by: Option<Identity>,
    until: Timestamp,
}

impl Halfway {
    /// A visit has told the password of an account, or comes from a provider that says it is that.
    pub(crate) fn begin(&self, visit: &SecretString, who: SignIn, by: Option<Identity>, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|entry| entry.until > now);
        // Of one account there are a few, so that none fills the room of others.
        let same = |entry: &Entry| entry.who.account.id == who.account.id;
        if all.iter().filter(|entry| same(entry)).count() >= OF_ACCOUNT
            && let Some(oldest) = all.iter().position(same)
        {
            all.remove(oldest);
        }
        all.push_back(Entry { visit: key(visit), who, by, until: now.after(LIFE) });
    }

    /// Whose password a visit has told, and the hash of it; or from which provider it came.
    pub(crate) fn who(&self, visit: &SecretString, now: Timestamp) -> Option<(SignIn, Option<Identity>)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(visit);
        let entry = all.iter().find(|entry| entry.visit == key && entry.until > now)?;
        Some((entry.who.clone(), entry.by.clone()))
    }

    /// Ends all that came from a provider and are meant.
    pub(crate) fn end_of(&self, is_meant: impl Fn(&Identity) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|entry| !entry.by.as_ref().is_some_and(&is_meant));
    }

    /// A visit is in, or has given up.
    pub(crate) fn end(&self, visit: &SecretString) {
        let key = key(visit);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|entry| entry.visit != key);
    }
}

/// There is the hash of a password in it.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("account", &self.who.account.name).finish_non_exhaustive()
    }
}

fn key(visit: &SecretString) -> [u8; 32] {
    Sha256::digest(visit.expose_secret()).into()
}

const LIFE: Duration = Duration::from_secs(300);
/// Browsers of one account that may be halfway in at once.
const OF_ACCOUNT: usize = 5;
