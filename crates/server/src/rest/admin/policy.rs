//! `/2.0/doorward/workspaces/{workspace}/policy`: what a workspace asks of credentials.

use axum::body::Body;
use axum::http::Response;
use doorward_admin::{ChangePolicy, ShowPolicy};
use doorward_rules::{Action, Kinds};

use super::super::body::Object;
use super::super::call::{Call, Place};
use super::super::parts::Parts;
use super::calendar::kind;
use super::{answer, length};
use crate::refusal::Refusal;

/// `GET …/policy`.
pub(super) async fn policy(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadSettings, Place::Workspace(&workspace), async |granted| {
        let workspace = granted.workspace(&call).await?.slug;
        answer(&call, &granted, ShowPolicy { workspace }).await
    })
    .await
}

/// `PUT …/policy`: what is said replaces what was, null is for any, and the rest stays. With `dry_run=true` nothing is
/// changed, and the tokens are named that would be refused.
pub(super) async fn update(call: Call, Parts(workspace): Parts<String>, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeSettings, Place::Workspace(&workspace), async |granted| {
        let operation = ChangePolicy {
            workspace: granted.workspace(&call).await?.slug,
            sso: wanted.truth("sso")?,
            kinds: kinds(&wanted)?,
            longest: longest(&wanted)?,
            addresses: addresses(&wanted)?,
            two_step: wanted.truth("two_step")?,
            dry_run: call.query.switch("dry_run", false)?,
        };
        answer(&call, &granted, operation).await
    })
    .await
}

fn kinds(wanted: &Object) -> Result<Option<Option<Kinds>>, Refusal> {
    if !wanted.has("kinds") {
        return Ok(None);
    }
    let Some(words) = wanted.texts("kinds")? else { return Ok(Some(None)) };
    let kinds = words.iter().map(|word| kind("kinds", word)).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Some(Kinds::of(&kinds))))
}

fn longest(wanted: &Object) -> Result<Option<Option<std::time::Duration>>, Refusal> {
    if !wanted.has("longest") {
        return Ok(None);
    }
    let longest = length(wanted, "longest")?;
    if longest.is_some_and(|longest| longest < DAY) {
        return Err(Refusal::bad_parameter("longest", "the shortest limit is 1d", "make it longer, or null"));
    }
    Ok(Some(longest))
}

fn addresses(wanted: &Object) -> Result<Option<Vec<doorward_rules::IpNet>>, Refusal> {
    if !wanted.has("addresses") {
        return Ok(None);
    }
    let ranges = wanted.texts("addresses")?.unwrap_or_default().join(",");
    let wrong = |error: String| Refusal::bad_parameter("addresses", error, "name addresses and ranges");
    doorward_wire::parse_ranges(&ranges).map(Some).map_err(|error| wrong(error.to_string()))
}

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
