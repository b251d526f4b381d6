//! `/2.0/doorward/calendar[/{kind}/…]`: when a kind of credential ends, and who still uses it.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_admin::{Announce, CancelPlan, KINDS, PlanBrownout, Rehearse, Retire, ShowCalendar};
use doorward_rules::{Action, Brownout, Kind, Timestamp};

use super::super::body::Object;
use super::super::call::{Call, Place};
use super::super::parts::Parts;
use super::{answer, answer_as, length, list, moment};
use crate::refusal::Refusal;

/// `GET …/calendar`.
pub(super) async fn calendar(call: Call) -> Response<Body> {
    call.carry_out(Action::ReadServer, Place::Server, async |granted| {
        list(&call, &granted, &["kind", "phase", "retires_at"], ShowCalendar).await
    })
    .await
}

/// `PUT …/calendar/{kind}/end`: announces it, with `retires_at` and perhaps `creation_ends_at`.
pub(super) async fn announce(call: Call, Parts(word): Parts<String>, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeServer, Place::Server, async |granted| {
        let retires = moment(&wanted, "retires_at")?.ok_or_else(|| required("retires_at"))?;
        let creation_ends = moment(&wanted, "creation_ends_at")?;
        answer(&call, &granted, Announce { kind: kind("kind", &word)?, retires, creation_ends }).await
    })
    .await
}

/// `POST …/calendar/{kind}/brownouts`: `from`, `for`, and for several `every` and `until`.
pub(super) async fn brownout(call: Call, Parts(word): Parts<String>, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeServer, Place::Server, async |granted| {
        let first = moment(&wanted, "from")?.ok_or_else(|| required("from"))?;
        let lasting = length(&wanted, "for")?.ok_or_else(|| required("for"))?;
        let (every, until) = (length(&wanted, "every")?, moment(&wanted, "until")?);
        if every.is_some() != until.is_some() {
            let field = if every.is_some() { "until" } else { "every" };
            return Err(Refusal::bad_parameter(field, "`every` and `until` go together", "add it"));
        }
        let until = until.unwrap_or(Timestamp(first.0.saturating_add(1)));
        let brownout = Brownout { first, length: lasting, every, until };
        let operation = PlanBrownout { kind: kind("kind", &word)?, brownout };
        answer_as(StatusCode::CREATED, &call, &granted, operation).await
    })
    .await
}

/// `PUT …/calendar/{kind}/retirement`: from `at` on, or from now.
pub(super) async fn retire(call: Call, Parts(word): Parts<String>, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeServer, Place::Server, async |granted| {
        answer(&call, &granted, Retire { kind: kind("kind", &word)?, at: moment(&wanted, "at")? }).await
    })
    .await
}

/// `DELETE …/calendar/{kind}`: takes back all that is planned.
pub(super) async fn cancel(call: Call, Parts(word): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ChangeServer, Place::Server, async |granted| {
        answer(&call, &granted, CancelPlan { kind: kind("kind", &word)? }).await
    })
    .await
}

/// `GET …/calendar/{kind}/rehearsal`: who would have been refused in the last `days`.
pub(super) async fn rehearsal(call: Call, Parts(word): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadServer, Place::Server, async |granted| {
        let kind = kind("kind", &word)?;
        let days = call.query.last("days").unwrap_or("30").parse().ok().filter(|days| (1..=36_500).contains(days));
        let days = days.ok_or_else(|| {
            Refusal::bad_parameter("days", "it is not a number from 1 to 36500", "leave it out, or change it")
        })?;
        let fields = &["owner", "name", "requests", "last_used_at"];
        list(&call, &granted, fields, Rehearse { kind, days }).await
    })
    .await
}

/// A kind that can be planned for, by its stable name.
pub(super) fn kind(field: &'static str, word: &str) -> Result<Kind, Refusal> {
    let found = Kind::from_word(word).filter(|kind| KINDS.contains(kind));
    found.ok_or_else(|| {
        let words = KINDS.map(Kind::word).join(", ");
        Refusal::bad_parameter(field, format!("it is none of {words}"), "change it")
    })
}

fn required(field: &'static str) -> Refusal {
    Refusal::bad_parameter(field, "it is required", "add it")
}
