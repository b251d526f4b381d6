//! `/2.0/doorward/audit` and `/2.0/doorward/why/{request}`: what was refused, pushed and changed, and why.

use axum::body::Body;
use axum::http::Response;
use doorward_admin::{Operation, SearchAudit, Why};
use doorward_rules::Action;
use doorward_store::StoreError;
use doorward_wire::{AccountName, RequestId};

use super::super::call::{Call, Granted, Held, Place, Reply};
use super::super::page::{Page, Part};
use super::super::parts::Parts;
use super::{address, answer, moment_of, named, unstored, value};
use crate::refusal::Refusal;

/// `GET …/audit`: of a workspace for its administrators, of an account for itself, of everything for the server's.
pub(super) async fn audit(call: Call) -> Response<Body> {
    let (workspace, account) = (call.query.last("workspace"), call.query.last("account"));
    let account: Option<AccountName> = match account.map(|name| named("account", name)).transpose() {
        Ok(account) => account,
        Err(refusal) => return call.refuse(&refusal),
    };
    let (action, place) = match (workspace, &account) {
        (Some(workspace), _) => (Action::ReadAudit, Place::Workspace(workspace)),
        (None, Some(account)) => (Action::ReadRequests, Place::Holder(account)),
        (None, None) => (Action::ReadAllAudit, Place::Server),
    };
    call.carry_out(action, place, async |granted| search(&call, &granted, account.clone()).await).await
}

async fn search(call: &Call, granted: &Granted, account: Option<AccountName>) -> Reply {
    let page = Page::read(&call.query)?;
    let text = |name| call.query.last(name).map(str::to_owned);
    let at = |name| call.query.last(name).map(|text| moment_of(name, text)).transpose();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let workspace = match call.query.last("workspace") {
        Some(_) => Some(granted.workspace(call).await?.slug),
        None => None,
    };
    let operation = SearchAudit {
        request: call.query.last("request").map(request).transpose()?,
        since: at("since")?,
        until: at("until")?,
        refused: call.query.switch("refused", false)?,
        account,
        workspace,
        within: text("within"),
        credential: text("credential"),
        address: text("address"),
        reason: text("reason"),
        latest_first: call.query.switch("latest_first", false)?,
        skip: number(page.skip()),
        // One more tells whether there are more.
        most: number(page.length() + 1),
    };
    let rows = operation.carry_out(&granted.desk(call)).await?;
    let more = rows.len() > page.length();
    let values = rows.iter().take(page.length()).map(value).collect::<Result<Vec<_>, _>>()?;
    let answer = page.answer(Part { values, more, size: None }, &address(call), &call.query);
    Ok(unstored(call.json(answer)?))
}

/// `GET …/why/{request}`: for whoever made the request, and for the server's administrators.
pub(super) async fn why(call: Call, Parts(id): Parts<String>) -> Response<Body> {
    let found = async {
        let id = request(&id)?;
        Ok::<_, Refusal>((id, maker(&call, id).await?))
    };
    let (id, maker) = match found.await {
        Ok(found) => found,
        Err(refusal) => return call.refuse(&refusal),
    };
    let (shown, held) = (id.to_string(), maker.map_or(Held::Nobody, Held::Account));
    let place = Place::Held(&shown, &held);
    call.carry_out(Action::ReadRequests, place, async |granted| answer(&call, &granted, Why { request: id }).await)
        .await
}

fn request(text: &str) -> Result<RequestId, Refusal> {
    text.trim().parse().map_err(|_| {
        Refusal::bad_parameter("request", "it is no request's id", "take it from X-Request-Id of the answer")
    })
}

/// The account whose credential a request presented, if it is known.
pub(crate) async fn maker(call: &Call, id: RequestId) -> Result<Option<AccountName>, Refusal> {
    let store = &call.app.store;
    let records = store.records(&id.to_string()).await?;
    let recorded = records.into_iter().find_map(|record| record.decision?.account);
    let account = match recorded {
        Some(account) => Some(account),
        None => match store.tally(id).await {
            Ok(tally) => tally.decision.account,
            Err(StoreError::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        },
    };
    Ok(account.and_then(|account| account.parse().ok()))
}
