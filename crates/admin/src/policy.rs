//! What a workspace asks of credentials, and whom a change would refuse.

use std::time::Duration;

use doorward_rules::{IpNet, Kind, Kinds, Policy};
use doorward_store::{Affected, describe_policy};
use doorward_wire::WorkspaceSlug;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{AdminError, Call, Desk, Operation};

/// What a workspace asks of credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyRow {
    /// The workspace.
    pub workspace: String,
    /// Whether managed accounts have to come by single sign-on.
    pub sso: bool,
    /// The kinds that are allowed, if not all are.
    pub kinds: Option<Vec<String>>,
    /// How long a token may be made to last, if there is a limit.
    pub longest_days: Option<u64>,
    /// Where requests may come from, if not from anywhere.
    pub addresses: Vec<String>,
    /// Whether accounts have to have two-step verification.
    pub two_step: bool,
    /// All of it, for people.
    pub sentence: String,
    /// The tokens that are refused by a policy that is set, or would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuses: Option<Vec<AffectedRow>>,
    /// Whether nothing was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// A token that a policy refuses and the one before did not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct AffectedRow {
    pub id: String,
    pub kind: String,
    pub owner: String,
    pub name: String,
    pub last_used_at: Option<String>,
    pub last_address: Option<String>,
    pub reason: String,
    pub sentence: String,
}

/// Shows what a workspace asks of credentials.
#[derive(Debug)]
pub struct ShowPolicy {
    /// The workspace.
    pub workspace: WorkspaceSlug,
}

/// Changes what a workspace asks of credentials. What is `None` stays; `Some(None)` is for any.
#[derive(Debug, Clone)]
pub struct ChangePolicy {
    /// The workspace.
    pub workspace: WorkspaceSlug,
    /// Whether managed accounts have to come by single sign-on.
    pub sso: Option<bool>,
    /// The kinds that are allowed.
    pub kinds: Option<Option<Kinds>>,
    /// How long a token may be made to last.
    pub longest: Option<Option<Duration>>,
    /// Where requests may come from.
    pub addresses: Option<Vec<IpNet>>,
    /// Whether accounts have to have two-step verification.
    pub two_step: Option<bool>,
    /// Whether nothing is to be changed, but only told who would be refused.
    pub dry_run: bool,
}

impl Operation for ShowPolicy {
    type Answer = PolicyRow;

    fn call(&self) -> Call {
        Call::get(format!("/workspaces/{}/policy", self.workspace))
    }

    async fn carry_out(self, desk: &Desk) -> Result<PolicyRow, AdminError> {
        Ok(PolicyRow::of(&self.workspace, &desk.store.policy(&self.workspace).await?))
    }
}

impl Operation for ChangePolicy {
    type Answer = PolicyRow;

    fn call(&self) -> Call {
        let mut body = Map::new();
        let mut say = |name: &str, value: Option<Value>| value.map(|value| body.insert(name.into(), value));
        let kinds = |kinds: Option<Kinds>| kinds.map(|kinds| kinds.iter().map(Kind::word).collect::<Vec<_>>());
        let seconds = |longest: Option<Duration>| longest.map(|longest| format!("{}s", longest.as_secs()));
        let texts = |ranges: &Vec<IpNet>| ranges.iter().map(IpNet::to_string).collect::<Vec<_>>();
        say("sso", self.sso.map(Value::from));
        say("kinds", self.kinds.map(|any| json!(kinds(any))));
        say("longest", self.longest.map(|any| json!(seconds(any))));
        say("addresses", self.addresses.as_ref().map(|ranges| json!(texts(ranges))));
        say("two_step", self.two_step.map(Value::from));
        let path = format!("/workspaces/{}/policy", self.workspace);
        Call::put(path, Value::Object(body)).with("dry_run", self.dry_run.then_some(true))
    }

    async fn carry_out(self, desk: &Desk) -> Result<PolicyRow, AdminError> {
        let (slug, store) = (&self.workspace, &desk.store);
        if self.names_nothing() {
            return Err(AdminError::Wrong {
                field: "sso",
                sentence: "nothing is named that is to change".into(),
                remedy: "name it as with --sso on; `doorward policy show` shows what there is".into(),
            });
        }
        let planned = self.applied(store.policy(slug).await?);
        self.check_maker(&planned, desk)?;
        let affected = store.affected_by(slug, &planned, desk.now).await?;
        let policy = match self.dry_run {
            true => planned,
            false => store.change_policy(slug, |policy| self.applied(policy), desk.now).await?,
        };
        let refuses = Some(affected.iter().map(AffectedRow::of).collect());
        Ok(PolicyRow { refuses, dry_run: Some(self.dry_run), ..PolicyRow::of(slug, &policy) })
    }
}

impl ChangePolicy {
    fn names_nothing(&self) -> bool {
        self.sso.is_none()
            && self.kinds.is_none()
            && self.longest.is_none()
            && self.addresses.is_none()
            && self.two_step.is_none()
    }

    /// A policy with what is named.
    fn applied(&self, policy: Policy) -> Policy {
        Policy {
            sso: self.sso.unwrap_or(policy.sso),
            kinds: self.kinds.unwrap_or(policy.kinds),
            longest: self.longest.unwrap_or(policy.longest),
            addresses: self.addresses.clone().unwrap_or(policy.addresses),
            two_step: self.two_step.unwrap_or(policy.two_step),
        }
    }

    /// Refuses a policy that would refuse the very token that it is set with: nobody could take it back from there.
    fn check_maker(&self, planned: &Policy, desk: &Desk) -> Result<(), AdminError> {
        let Some(maker) = desk.maker.as_ref().filter(|_| !self.dry_run) else { return Ok(()) };
        let against = planned.against_credential(maker).or_else(|| planned.against_access(maker, desk.address));
        let Some(reason) = against else { return Ok(()) };
        Err(AdminError::Beyond {
            sentence: format!("this policy would refuse the token that you set it with: {reason}"),
            remedy: "use a token, from an address, that it lets in; or set it at the machine itself".into(),
        })
    }
}

impl PolicyRow {
    fn of(workspace: &WorkspaceSlug, policy: &Policy) -> Self {
        Self {
            workspace: workspace.to_string(),
            sso: policy.sso,
            kinds: policy.kinds.map(|kinds| kinds.iter().map(|kind| kind.word().into()).collect()),
            longest_days: policy.longest.map(|longest| longest.as_secs() / 86_400),
            addresses: policy.addresses.iter().map(IpNet::to_string).collect(),
            two_step: policy.two_step,
            sentence: describe_policy(policy),
            refuses: None,
            dry_run: None,
        }
    }
}

impl AffectedRow {
    fn of(affected: &Affected) -> Self {
        let (credential, last) = (&affected.credential, affected.credential.last_use.as_ref());
        let place = credential.place.clone().unwrap_or_default();
        Self {
            id: credential.id.to_string(),
            kind: credential.kind.word().into(),
            owner: credential.account.as_ref().map_or(place, ToString::to_string),
            name: credential.name.clone(),
            last_used_at: last.map(|last| last.at.to_string()),
            last_address: last.and_then(|last| last.address.clone()),
            reason: affected.reason.code().into(),
            sentence: affected.reason.to_string(),
        }
    }
}
