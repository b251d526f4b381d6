//! `/site`: how the server is, and when kinds of credential end, for its administrators.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_admin::{Announce, CancelPlan, KINDS, Operation, Rehearse, ShowCalendar};
use doorward_pages::{CalendarPage, Frame, Notice, Section, StatusPage};
use doorward_rules::{Action, Kind};
use doorward_upstream::Upstream;

use super::visit::{Visit, html, html_as, notice};
use crate::refusal::Refusal;
use crate::rest::admin::moment_of;
use crate::rest::call::{Granted, Place, Reply};

/// `GET /site/status`.
pub(super) async fn status(visit: Visit) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ReadServer, Place::Server, async |granted| {
            let sections = sections(&visit, &granted).await?;
            html(&StatusPage { frame: visit.frame(&granted, "Status", "server"), sections })
        })
        .await
}

/// `GET /site/calendar`.
pub(super) async fn calendar(visit: Visit) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ReadServer, Place::Server, async |granted| {
            show_calendar(&visit, &granted, StatusCode::OK, None).await
        })
        .await
}

/// `POST /site/calendar`: announces the end of a kind, or takes back what is planned.
pub(super) async fn plan(visit: Visit) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ChangeServer, Place::Server, async |granted| {
            let desk = granted.desk(&visit.call);
            let done = async {
                let kind = Kind::from_word(visit.text("kind")).filter(|kind| KINDS.contains(kind));
                let kind =
                    kind.ok_or_else(|| Refusal::bad_parameter("kind", "it is no kind that can end", "choose one"))?;
                if visit.text("do") == "cancel" {
                    CancelPlan { kind }.carry_out(&desk).await?;
                    return Ok(format!("Nothing is planned for {}s any more.", kind.phrase()));
                }
                let retires = moment_of("retires", visit.text("retires"))?;
                Announce { kind, retires, creation_ends: None }.carry_out(&desk).await?;
                Ok::<_, Refusal>(format!("The end of {}s is announced.", kind.phrase()))
            };
            let (status, notice) = match done.await {
                Ok(said) => (StatusCode::OK, Notice::done(said)),
                Err(refusal) => (refusal.status, notice(refusal)?),
            };
            show_calendar(&visit, &granted, status, Some(notice)).await
        })
        .await
}

async fn show_calendar(visit: &Visit, granted: &Granted, status: StatusCode, notice: Option<Notice>) -> Reply {
    let desk = granted.desk(&visit.call);
    let rehearsed = visit.call.query.last("rehearse").and_then(Kind::from_word).filter(|kind| KINDS.contains(kind));
    let rehearsed = match rehearsed {
        Some(kind) => Some((kind.word().to_owned(), Rehearse { kind, days: 30 }.carry_out(&desk).await?)),
        None => None,
    };
    let frame = Frame { notice, ..visit.frame(granted, "Calendar", "server") };
    html_as(status, &CalendarPage { frame, schedules: ShowCalendar.carry_out(&desk).await?, rehearsed })
}

/// What the gateway did in front of an upstream.
pub(super) fn upstream(upstream: &Upstream) -> Section {
    let (counts, settings) = (upstream.counts(), upstream.settings());
    let mode = match settings.is_brokered() {
        true => "jobs present tokens of this server, and the gateway its own credential",
        false => "jobs present their own credentials",
    };
    let mut facts = vec![
        fact("Answers", if counts.rests { "no: it is left alone for a while" } else { "yes" }.into()),
        fact("Refusals hidden from jobs", counts.hidden.to_string()),
        fact("Requests to it", format!("{} git, {} REST", counts.git_asked, counts.rest_asked)),
        fact("Looks at its refs", format!("{}, and {} shared", counts.looks, counts.shared)),
        fact("Fetched from it", format!("{} in {} packs", size(counts.fetched_bytes), counts.packs)),
        fact("Served from mirrors", size(counts.served_bytes)),
        fact("Left of this hour's budget", format!("{} git, {} REST", counts.git_left, counts.rest_left)),
        fact("Longest wait", format!("{:.1} s", counts.worst_wait_ms as f64 / 1e3)),
    ];
    facts.extend(upstream.credential_ends().map(|at| fact("Its own credential ends", at.to_string())));
    let rest =
        settings.rest.as_ref().map_or_else(|| "REST is not passed on".to_owned(), |rest| format!("REST at {rest}"));
    section(&format!("Gateway: {}", settings.name), format!("In front of {}; {rest}; {mode}.", settings.git), facts)
}

fn fact(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

fn section(title: &str, sentence: String, facts: Vec<(String, String)>) -> Section {
    Section { title: title.into(), sentence, facts }
}

async fn sections(visit: &Visit, granted: &Granted) -> Result<Vec<Section>, Refusal> {
    let app = &visit.call.app;
    let (answers, slots) = (app.repositories.answers(), app.repositories.slots());
    let mut sections = vec![
        section(
            "This server",
            String::new(),
            vec![
                fact("Version", env!("CARGO_PKG_VERSION").into()),
                fact("Address", visit.call.base()),
                fact("Requests in flight", app.metrics.in_flight.get().to_string()),
            ],
        ),
        section(
            "Store",
            String::new(),
            vec![
                fact("Accounts", granted.store.accounts().await?.len().to_string()),
                fact("Workspaces", granted.store.workspaces().await?.len().to_string()),
                fact("Repositories", granted.store.repositories(None).await?.len().to_string()),
                fact("Changes so far", granted.store.epoch().await?.to_string()),
            ],
        ),
        section(
            "Git",
            "Fetches that ask the same are answered by one answer.".into(),
            vec![
                fact("Answers made by git", answers.made.to_string()),
                fact("Joined to one that was being made", answers.joined.to_string()),
                fact("Kept from before", answers.kept.to_string()),
                fact("For one client alone", answers.passed.to_string()),
                fact("Bytes kept", size(answers.bytes)),
                fact("Pushes that could begin now", slots.long_free().to_string()),
                fact("Requests that wait for git", slots.waiting().to_string()),
            ],
        ),
    ];
    sections.extend(app.gateway.upstreams().iter().map(upstream));
    Ok(sections)
}

/// Bytes, for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
