//! `…/refusals`: why something was refused, searched and drawn; one's own, a workspace's, everybody's.

use axum::body::Body;
use axum::http::Response;
use doorward_admin::{AdminError, AuditRow, Operation, SearchAudit, Why, lies_in};
use doorward_pages::{Bar, ChosenRecords, RefusalsPage, Timeline, WhyPage};
use doorward_rules::{Action, Reason, Timestamp};
use doorward_store::{AuditFilter, StoreError};
use doorward_wire::{AccountName, RequestId, WorkspaceSlug, percent_encoded};

use super::credentials::of_own;
use super::visit::{Visit, html, lead_to};
use crate::refusal::{Refusal, shown};
use crate::rest::admin::audit::maker;
use crate::rest::admin::moment_of;
use crate::rest::call::{Granted, Held, Place, Reply};
use crate::rest::parts::Parts;

/// Whose records.
#[derive(Clone)]
enum Whose {
    Own(AccountName),
    Workspace(WorkspaceSlug),
    Everybodys,
}

/// `GET /account/refusals`: what became of one's own requests.
pub(super) async fn own(visit: Visit) -> Response<Body> {
    of_own(&visit, Action::ReadRequests, async |granted, name| show(&visit, &granted, Whose::Own(name)).await).await
}

/// `GET …/settings/refusals`: what became of requests about a workspace.
pub(super) async fn of_workspace(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ReadAudit, Place::Workspace(&workspace), async |granted| {
            let slug = granted.workspace(&visit.call).await?.slug;
            show(&visit, &granted, Whose::Workspace(slug)).await
        })
        .await
}

/// `GET /site/refusals`: everything.
pub(super) async fn all(visit: Visit) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ReadAllAudit, Place::Server, async |granted| show(&visit, &granted, Whose::Everybodys).await)
        .await
}

/// `GET /account/refusals/{request}`: the whole of one decision, for whoever it is about, and for who administers that.
pub(super) async fn why(visit: Visit, Parts(request): Parts<String>) -> Response<Body> {
    let Ok(request) = request.trim().parse::<RequestId>() else {
        let sentence = format!("`{}` is no request id", shown(&request));
        let remedy = "it has 26 letters and digits, and stands in each refusal";
        return visit.call.refuse(&Refusal::bad_parameter("request", sentence, remedy));
    };
    let held = match maker(&visit.call, request).await {
        Ok(maker) => maker.map_or(Held::Nobody, Held::Account),
        Err(refusal) => return visit.call.refuse(&refusal),
    };
    visit
        .call
        .carry_out(Action::ReadRequests, Place::Held(&request.to_string(), &held), async |granted| {
            let why = Why { request }.carry_out(&granted.desk(&visit.call)).await?;
            let frame = visit.frame(&granted, "Why", "refusals");
            html(&WhyPage { frame, back: "/account/refusals".into(), why })
        })
        .await
}

/// `GET /site/refusals/{request}`: the same for who administers the server.
pub(super) async fn why_of_server(visit: Visit, Parts(request): Parts<String>) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ReadAllAudit, Place::Server, async |granted| {
            let request = request.trim().parse::<RequestId>().map_err(|_| absent())?;
            let why = Why { request }.carry_out(&granted.desk(&visit.call)).await?;
            html(&WhyPage { frame: visit.frame(&granted, "Why", "server"), back: "/site/refusals".into(), why })
        })
        .await
}

/// `GET …/settings/refusals/{request}`: the same for who administers the workspace that it was about.
pub(super) async fn why_of_workspace(
    visit: Visit,
    Parts((workspace, request)): Parts<(String, String)>,
) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ReadAudit, Place::Workspace(&workspace), async |granted| {
            let slug = granted.workspace(&visit.call).await?.slug;
            let request = request.trim().parse::<RequestId>().map_err(|_| absent())?;
            let mut why = match (Why { request }).carry_out(&granted.desk(&visit.call)).await {
                Err(AdminError::Store(StoreError::Missing { .. })) => return Err(absent()),
                why => why?,
            };
            why.records.retain(|row| lies_in(&row.subject, slug.as_str()));
            if why.records.is_empty() {
                return Err(absent());
            }
            let frame = visit.frame(&granted, "Why", "repositories");
            html(&WhyPage { frame, back: format!("/{slug}/workspace/settings/refusals"), why })
        })
        .await
}

fn absent() -> Refusal {
    let sentence = "there is no record of this request, or it was about something else";
    Refusal::not_there("request_not_found", sentence, "check the id; records are kept for a while only")
}

async fn show(visit: &Visit, granted: &Granted, whose: Whose) -> Reply {
    let query = &visit.call.query;
    let text = |name: &str| query.last(name).unwrap_or_default().trim().chars().take(200).collect::<String>();
    let chosen = ChosenRecords {
        request: text("request"),
        credential: text("credential"),
        address: text("address"),
        reason: text("reason"),
        within: text("in"),
        since: text("since"),
        until: text("until"),
        everything: query.last("everything").is_some(),
    };
    if let Ok(request) = chosen.request.parse::<RequestId>() {
        return Ok(lead_to(&format!("{}/{request}", whose.address())));
    }
    if !chosen.request.is_empty() {
        let what = format!("`{}` is no request id", shown(&chosen.request));
        return Err(Refusal::bad_parameter(
            "request",
            what,
            "it has 26 letters and digits, and stands in each refusal",
        ));
    }
    let now = visit.call.app.clock.now();
    let moment = |field: &'static str, text: &str, usual: Timestamp| match text {
        "" => Ok(usual),
        text => moment_of(field, text),
    };
    let until = moment("until", &chosen.until, now.after(MINUTE))?;
    let since = moment("since", &chosen.since, now.before(DAY))?;
    if since >= until {
        return Err(Refusal::bad_parameter("since", "it is not before the end", "change one of the two"));
    }
    let page = query.last("page").and_then(|page| page.parse::<u32>().ok()).filter(|page| (1..=10_000).contains(page));
    let page = page.unwrap_or(1);
    let (account, workspace) = match &whose {
        Whose::Own(name) => (Some(name), None),
        Whose::Workspace(slug) => (None, Some(slug)),
        Whose::Everybodys => (None, None),
    };
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let wanted = SearchAudit {
        since: Some(since),
        until: Some(until),
        refused: !chosen.everything,
        account: account.cloned(),
        workspace: workspace.cloned(),
        within: some(&chosen.within),
        credential: some(&chosen.credential),
        address: some(&chosen.address),
        reason: some(&chosen.reason),
        latest_first: true,
        skip: (page - 1) * PAGE,
        most: PAGE + 1,
        ..SearchAudit::everything()
    };
    let mut records: Vec<AuditRow> = wanted.clone().carry_out(&granted.desk(&visit.call)).await?;
    let more = records.len() > PAGE as usize;
    records.truncate(PAGE as usize);
    let place = Addresses { action: whose.address(), chosen: &chosen };
    let timeline = timeline(granted, &wanted, (since, until), &place).await?;
    let spans =
        [("the last hour", HOUR), ("the last day", DAY), ("the last week", 7 * DAY), ("the last month", 30 * DAY)];
    let spans = spans.map(|(text, span)| (place.between(Some(now.before(span)), None), text.to_owned()));
    let slug = workspace.map(ToString::to_string);
    html(&RefusalsPage {
        frame: visit.frame(granted, "Refusals", whose.at()),
        slug: slug.clone().unwrap_or_default(),
        workspace: slug,
        server: matches!(whose, Whose::Everybodys),
        action: place.action.clone(),
        why: whose.address(),
        here: place.page(page),
        reasons: Reason::CATALOGUE.iter().map(Reason::code).collect(),
        timeline,
        spans: spans.to_vec(),
        records,
        newer: (page > 1).then(|| place.page(page - 1)),
        older: more.then(|| place.page(page + 1)),
        chosen,
    })
}

/// The picture of what is looked for.
async fn timeline(
    granted: &Granted,
    wanted: &SearchAudit,
    (since, until): (Timestamp, Timestamp),
    place: &Addresses<'_>,
) -> Result<Timeline, Refusal> {
    let span = until.0.saturating_sub(since.0).max(1);
    let each = (span / BARS).max(1);
    // Whole minutes, since what is counted is counted by the minute.
    let each = if span > BARS * 60_000 { (each + 59_999) / 60_000 * 60_000 } else { 60_000.min(span) };
    // What lies elsewhere is not looked for.
    let Some(within) = wanted.place() else { return Ok(Timeline::default()) };
    let filter = AuditFilter {
        since: Some(since),
        until: Some(until),
        within,
        account: wanted.account.as_ref().map(AccountName::as_str),
        credential: wanted.credential.as_deref(),
        address: wanted.address.as_deref(),
        reason: wanted.reason.as_deref(),
        ..AuditFilter::default()
    };
    let counts = granted.store.timeline(filter, each).await?;
    let number = usize::try_from((span + each - 1) / each).unwrap_or(1).clamp(1, MOST_BARS);
    let bar = |place_of: usize| {
        let from = Timestamp(since.0 + i64::try_from(place_of).unwrap_or(0) * each);
        let to = Timestamp((from.0 + each).min(until.0));
        let text = from.to_string();
        let label = if span > 3 * 86_400_000 { text.get(5..10) } else { text.get(11..16) };
        Bar {
            label: label.unwrap_or_default().to_owned(),
            href: place.between(Some(from), Some(to)),
            counts: counts
                .iter()
                .filter(|count| usize::try_from(count.place).is_ok_and(|found| found == place_of))
                .map(|count| (count.reason.clone(), count.requests.unsigned_abs()))
                .collect(),
        }
    };
    Ok(Timeline {
        heading: format!("From {} to {}", short(since), short(until)),
        bars: (0..number).map(bar).collect(),
        by_reason: Some(place.with_reason()),
    })
}

fn short(at: Timestamp) -> String {
    at.to_string().get(..16).unwrap_or_default().replace('T', " ")
}

impl Whose {
    /// Where they are, and below which more is told of one.
    fn address(&self) -> String {
        match self {
            Self::Own(_) => "/account/refusals".into(),
            Self::Workspace(slug) => format!("/{slug}/workspace/settings/refusals"),
            Self::Everybodys => "/site/refusals".into(),
        }
    }

    fn at(&self) -> &'static str {
        match self {
            Self::Own(_) => "refusals",
            Self::Workspace(_) => "repositories",
            Self::Everybodys => "server",
        }
    }
}

/// Addresses of this page with other choices.
struct Addresses<'a> {
    action: String,
    chosen: &'a ChosenRecords,
}

impl Addresses<'_> {
    fn parameters(&self, but: &[&str]) -> String {
        let chosen = self.chosen;
        let all = [
            ("credential", chosen.credential.as_str()),
            ("address", &chosen.address),
            ("reason", &chosen.reason),
            ("in", &chosen.within),
            ("since", &chosen.since),
            ("until", &chosen.until),
            ("everything", if chosen.everything { "1" } else { "" }),
        ];
        let kept = all.into_iter().filter(|(name, value)| !value.is_empty() && !but.contains(name));
        kept.map(|(name, value)| format!("{name}={}&", percent_encoded(value))).collect()
    }

    fn page(&self, page: u32) -> String {
        format!("{}?{}page={page}", self.action, self.parameters(&[]))
    }

    fn between(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> String {
        let part = |name: &str, at: Option<Timestamp>| at.map_or_else(String::new, |at| format!("{name}={at}&"));
        let (others, since, until) = (self.parameters(&["since", "until"]), part("since", since), part("until", until));
        format!("{}?{others}{since}{until}", self.action).trim_end_matches('&').to_owned()
    }

    fn with_reason(&self) -> String {
        format!("{}?{}reason=", self.action, self.parameters(&["reason"]))
    }
}

/// How many records are on a page.
const PAGE: u32 = 50;
/// Into how many parts a span of time is cut, about.
const BARS: i64 = 48;
const MOST_BARS: usize = 100;
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);
const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
