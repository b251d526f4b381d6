//! `Idempotency-Key`: an upload that may be sent again without being done again.

use axum::http::StatusCode;
use doorward_git::{Contents, RefKind};
use doorward_rules::{Principal, Target, Timestamp};
use doorward_store::{Store, Upload};
use doorward_wire::ObjectId;
use tokio::sync::OwnedMutexGuard;

use super::call::{Call, Granted};
use crate::refusal::Refusal;

/// Waits until no other call uploads under the same key to the same place, so that of many that come at once one does it and
/// the others are told; what this returns is held meanwhile.
pub(super) async fn turn(call: &Call, (target, principal): &(Target, Principal)) -> Option<OwnedMutexGuard<()>> {
    let key = call.headers.get("idempotency-key")?.to_str().ok().map(str::trim).filter(|key| key.len() <= LONGEST)?;
    Some(call.app.uploads.take(&format!("{target:?} {} {key}", caller(*principal))).await)
}

/// Whose keys they are.
fn caller(principal: Principal) -> String {
    match principal {
        Principal::Account { account, .. } => account.to_string(),
        Principal::Synthetic { credential } => credential.to_string(),
        Principal::Anyone => String::new(),
    }
}

/// An upload under a key.
pub(super) struct Repeat {
    store: Store,
    upload: Upload,
}

impl Repeat {
    /// The key that a call came with, if it came with one.
    ///
    /// # Errors
    /// 400 if it can be none.
    pub(super) fn read(call: &Call, granted: &Granted, digest: [u8; 32]) -> Result<Option<Self>, Refusal> {
        let Some(value) = call.headers.get("idempotency-key") else { return Ok(None) };
        let key = value.to_str().ok().map(str::trim).filter(|key| !key.is_empty() && key.len() <= LONGEST);
        let wrong = || {
            let what = format!("it is not 1 to {LONGEST} printable letters");
            Refusal::bad_parameter("Idempotency-Key", what, "take a new UUID for each upload")
        };
        let key = key.ok_or_else(wrong)?;
        let caller = caller(granted.permit.principal());
        let Target::Repository(repository) = granted.permit.target() else { return Err(wrong()) };
        let (commit, branch) = (String::new(), String::new());
        let upload =
            Upload { repository, caller, key: key.into(), digest: digest.to_vec(), commit, branch, done: false };
        Ok(Some(Self { store: granted.store.clone(), upload }))
    }

    /// The commit that it became, if it was done before.
    ///
    /// # Errors
    /// 422 if something else was uploaded under the key.
    pub(super) async fn known(&self, call: &Call, contents: &Contents) -> Result<Option<ObjectId>, Refusal> {
        let Upload { repository, caller, key, digest, .. } = &self.upload;
        let Some(before) = self.store.upload(*repository, caller, key, call.app.clock.now()).await? else {
            return Ok(None);
        };
        if before.digest != *digest {
            let sentence = "something else was uploaded under this Idempotency-Key";
            let remedy = "take a new key for each upload; to repeat one, send the same again";
            return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", sentence, remedy));
        }
        let Some(commit) = ObjectId::parse(before.commit.as_bytes()) else { return Ok(None) };
        if before.done {
            return Ok(Some(commit));
        }
        // Whoever began it did not come to say what became of it; the branch tells.
        let tip = contents.one_ref(RefKind::Branch, &before.branch).await?.and_then(|found| found.commit);
        let there = match tip {
            Some(tip) => contents.is_ancestor(&commit, &tip).await?,
            None => false,
        };
        Ok(there.then_some(commit))
    }

    /// Keeps what it is about to become.
    ///
    /// # Errors
    /// Trouble with the store.
    pub(super) async fn begin(&self, commit: &ObjectId, branch: &str, at: Timestamp) -> Result<(), Refusal> {
        Ok(self.store.keep_upload(&self.as_of(commit, branch, false), at).await?)
    }

    /// Keeps that it was done. Were that not to succeed, the branch would tell.
    pub(super) async fn end(&self, commit: &ObjectId, branch: &str, at: Timestamp) {
        if let Err(error) = self.store.keep_upload(&self.as_of(commit, branch, true), at).await {
            tracing::warn!(%error, "that an upload was done could not be kept");
        }
    }

    fn as_of(&self, commit: &ObjectId, branch: &str, done: bool) -> Upload {
        Upload { commit: commit.to_string(), branch: branch.into(), done, ..self.upload.clone() }
    }
}

/// Letters of a key.
const LONGEST: usize = 255;
