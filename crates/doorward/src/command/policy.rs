//! `doorward policy`: what a workspace asks of credentials, and whom a change would refuse.

use doorward_rules::{IpNet, Kind, Policy};
use doorward_store::{Affected, describe_policy};
use serde::Serialize;

use super::token::short;
use super::{counted, day_or};
use crate::arguments::{OrAny, PolicyCommand, PolicyFlags, Ranges, Switch};
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::{Code, Failure};
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
    workspace: String,
    sso: bool,
    kinds: Option<Vec<&'static str>>,
    longest_days: Option<u64>,
    addresses: Vec<String>,
    two_step: bool,
    /// Present when a policy is set or would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    refuses: Option<Vec<AffectedRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
}

/// A token that the policy refuses and the one before did not.
#[derive(Debug, Serialize)]
struct AffectedRow {
    id: String,
    kind: &'static str,
    #[serde(skip)]
    kind_as_typed: &'static str,
    owner: String,
    name: String,
    last_used_at: Option<String>,
    last_address: Option<String>,
    reason: &'static str,
    sentence: String,
}

pub(crate) async fn run(command: PolicyCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let store = Data::open(configuration).await?.store;
    match command {
        PolicyCommand::Show { workspace } => {
            let policy = store.policy(&workspace).await?;
            if json {
                print::json(&Row::of(workspace.as_str(), &policy))
            } else {
                print::line(&format!("{workspace}: {}", describe_policy(&policy)))
            }
        }
        PolicyCommand::Set(flags) => {
            if flags.names_nothing() {
                return Err(Failure::new(Code::Usage, "nothing is named that is to change")
                    .hint("name it as with --sso on; `doorward policy show` shows what there is"));
            }
            let (now, slug, dry_run) = (now(), flags.workspace.clone(), flags.dry_run);
            let planned = changed(store.policy(&slug).await?, &flags);
            let affected = store.affected_by(&slug, &planned, now).await?;
            let policy = match dry_run {
                true => planned,
                false => store.change_policy(&slug, |policy| changed(policy, &flags), now).await?,
            };
            let rows: Vec<AffectedRow> = affected.iter().map(AffectedRow::of).collect();
            if json {
                let row = Row::of(slug.as_str(), &policy);
                return print::json(&Row { refuses: Some(rows), dry_run: Some(dry_run), ..row });
            }
            let (verb, now_or_then) = if dry_run { ("would be", "would be") } else { ("is now", "now") };
            print::line(&format!("the policy of {slug} {verb}: {}", describe_policy(&policy)))?;
            tell(&affected, rows, now_or_then)
        }
    }
}

/// A policy with what the flags name.
fn changed(policy: Policy, flags: &PolicyFlags) -> Policy {
    let on = |switch: Option<Switch>, present| switch.map_or(present, |switch| switch == Switch::On);
    Policy {
        sso: on(flags.sso, policy.sso),
        kinds: flags.kinds.map_or(policy.kinds, |OrAny(kinds)| kinds),
        longest: flags.longest.map_or(policy.longest, |OrAny(longest)| longest),
        addresses: match &flags.addresses {
            None => policy.addresses,
            Some(OrAny(ranges)) => ranges.as_ref().map_or_else(Vec::new, |Ranges(ranges)| ranges.clone()),
        },
        two_step: on(flags.two_step, policy.two_step),
    }
}

fn tell(affected: &[Affected], rows: Vec<AffectedRow>, verb: &str) -> Result<(), Failure> {
    if rows.is_empty() {
        return print::line("no token that was accepted so far is refused by it");
    }
    print::line(&format!("{} {verb} refused there:\n", counted(rows.len(), "token")))?;
    let last =
        affected.iter().map(|affected| day_or(affected.credential.last_use.as_ref().map(|last| last.at), "never"));
    let cells = rows
        .into_iter()
        .zip(last)
        .map(|(row, last)| [row.id, row.kind_as_typed.into(), row.owner, last, row.reason.into()]);
    print::table(["id", "kind", "owner", "last used", "reason"], &cells.collect::<Vec<_>>())
}

impl Row {
    fn of(workspace: &str, policy: &Policy) -> Self {
        Self {
            workspace: workspace.into(),
            sso: policy.sso,
            kinds: policy.kinds.map(|kinds| kinds.iter().map(Kind::word).collect()),
            longest_days: policy.longest.map(|longest| longest.as_secs() / 86_400),
            addresses: policy.addresses.iter().map(IpNet::to_string).collect(),
            two_step: policy.two_step,
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
            kind: credential.kind.word(),
            kind_as_typed: short(credential.kind),
            owner: credential.account.as_ref().map_or(place, ToString::to_string),
            name: credential.name.clone(),
            last_used_at: last.map(|last| last.at.to_string()),
            last_address: last.and_then(|last| last.address.clone()),
            reason: affected.reason.code(),
            sentence: affected.reason.to_string(),
        }
    }
}
