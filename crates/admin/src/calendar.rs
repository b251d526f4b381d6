//! When a kind of credential ends, and who still uses it.

use std::time::Duration;

use doorward_rules::{Brownout, Kind, Phase, Schedule, Timestamp};
use doorward_store::Rehearsed;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AdminError, Call, Desk, Operation};

/// What is planned for a kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduleRow {
    /// The kind.
    pub kind: String,
    /// `on`, `off`, `ending`, `brownout` or `retired`.
    pub phase: String,
    /// Since when its end is told.
    pub announced_at: Option<String>,
    /// From when on no new one can be made.
    pub creation_ends_at: Option<String>,
    /// From when on it is refused for good.
    pub retires_at: Option<String>,
    /// When it is refused for a while.
    pub brownouts: Vec<BrownoutRow>,
}

/// When a kind is refused for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BrownoutRow {
    /// When the first window begins.
    pub first: String,
    /// How long each lasts.
    pub seconds: u64,
    /// How far apart they begin, if there are several.
    pub every_seconds: Option<u64>,
    /// No window begins from here on.
    pub until: String,
}

/// A token that would have been refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct RehearsedRow {
    pub id: String,
    pub owner: String,
    pub name: String,
    pub requests: i64,
    pub last_used_at: String,
    pub address: Option<String>,
    pub repository: String,
}

/// Shows what is planned for each kind.
#[derive(Debug)]
pub struct ShowCalendar;

/// Announces the end of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Announce {
    /// The kind.
    pub kind: Kind,
    /// When it is refused for good.
    pub retires: Timestamp,
    /// From when on no new one can be made; its end, if nothing is said.
    pub creation_ends: Option<Timestamp>,
}

/// Plans a brownout.
#[derive(Debug, Clone, Copy)]
pub struct PlanBrownout {
    /// The kind.
    pub kind: Kind,
    /// The windows.
    pub brownout: Brownout,
}

/// Refuses a kind for good.
#[derive(Debug, Clone, Copy)]
pub struct Retire {
    /// The kind.
    pub kind: Kind,
    /// From when on; from now on, if nothing is said.
    pub at: Option<Timestamp>,
}

/// Takes back all that is planned for a kind.
#[derive(Debug, Clone, Copy)]
pub struct CancelPlan {
    /// The kind.
    pub kind: Kind,
}

/// Lists who would have been refused, had a kind been retired already.
#[derive(Debug, Clone, Copy)]
pub struct Rehearse {
    /// The kind.
    pub kind: Kind,
    /// How many days to look back.
    pub days: u32,
}

/// The kinds that can be planned for.
pub const KINDS: [Kind; 6] = [
    Kind::AppPassword,
    Kind::ApiToken,
    Kind::RepositoryToken,
    Kind::ProjectToken,
    Kind::WorkspaceToken,
    Kind::OAuthToken,
];

impl Operation for ShowCalendar {
    type Answer = Vec<ScheduleRow>;

    fn call(&self) -> Call {
        Call::list("/calendar".into())
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<ScheduleRow>, AdminError> {
        let calendar = desk.store.calendar().await?;
        Ok(KINDS.into_iter().map(|kind| ScheduleRow::of(kind, calendar.schedule(kind), desk.now)).collect())
    }
}

impl Operation for Announce {
    type Answer = ScheduleRow;

    fn call(&self) -> Call {
        let body = json!({
            "retires_at": self.retires.to_string(),
            "creation_ends_at": self.creation_ends.map(|at| at.to_string()),
        });
        Call::put(format!("/calendar/{}/end", self.kind.word()), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<ScheduleRow, AdminError> {
        let Self { kind, retires, creation_ends } = self;
        if retires <= desk.now {
            return Err(wrong(
                "retires_at",
                format!("{retires} is not in the future"),
                "an announcement is made before the end; `doorward calendar retire` ends a kind now",
            ));
        }
        if let Some(ends) = creation_ends.filter(|ends| *ends > retires) {
            return Err(wrong(
                "creation_ends_at",
                format!("the end of creation at {ends} comes after the end at {retires}"),
                "leave it out, or name an earlier moment",
            ));
        }
        let plan = |present: Schedule| Schedule {
            announced_at: present.announced_at.or(Some(desk.now)),
            creation_ends_at: creation_ends.or(present.creation_ends_at.filter(|ends| *ends <= retires)),
            retires_at: Some(retires),
            ..present
        };
        change(desk, kind, plan, format!("the end of {}s was announced for {retires}", kind.phrase())).await
    }
}

impl Operation for PlanBrownout {
    type Answer = ScheduleRow;

    fn call(&self) -> Call {
        let Brownout { first, length, every, until } = self.brownout;
        let seconds = |duration: Duration| format!("{}s", duration.as_secs());
        let body = json!({
            "from": first.to_string(),
            "for": seconds(length),
            "every": every.map(seconds),
            "until": every.is_some().then(|| until.to_string()),
        });
        Call::post(format!("/calendar/{}/brownouts", self.kind.word()), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<ScheduleRow, AdminError> {
        let Self { kind, brownout } = self;
        let Brownout { first, length, every, until } = brownout;
        let calendar = desk.store.calendar().await?;
        let (present, past) = (calendar.schedule(kind), |at: Timestamp| at < desk.now);
        if length.is_zero() || every.is_some_and(|every| every <= length) {
            return Err(wrong(
                "for",
                "a brownout lasts some time, and less than it is until the next".into(),
                "`doorward calendar retire` ends a kind for good",
            ));
        }
        if until <= first || (every.is_none() && past(first.after(length))) || past(until.after(length)) {
            let sentence = format!("no part of that brownout from {first} is in the future");
            return Err(wrong("from", sentence, "name later moments"));
        }
        if present.retires_at.is_some_and(|at| at <= first) {
            let sentence = format!("the kind is retired by {first}");
            return Err(wrong("from", sentence, "`doorward calendar show` shows what is planned"));
        }
        if present.phase(desk.now) == Phase::Off {
            let sentence = format!("{}s are off on this server", kind.phrase());
            return Err(wrong("kind", sentence, "`doorward calendar announce` lets them in until their end"));
        }
        let plan = |present: Schedule| {
            let mut brownouts: Vec<Brownout> =
                present.brownouts.into_iter().filter(|planned| planned.first != first).collect();
            brownouts.push(brownout);
            Schedule { brownouts, ..present }
        };
        change(desk, kind, plan, format!("a brownout of {}s from {first} was planned", kind.phrase())).await
    }
}

impl Operation for Retire {
    type Answer = ScheduleRow;

    fn call(&self) -> Call {
        let body = json!({ "at": self.at.map(|at| at.to_string()) });
        Call::put(format!("/calendar/{}/retirement", self.kind.word()), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<ScheduleRow, AdminError> {
        let (kind, at) = (self.kind, self.at.unwrap_or(desk.now));
        if at < desk.now {
            return Err(wrong("at", format!("{at} is in the past"), "leave it out to retire the kind now"));
        }
        let plan = |present: Schedule| Schedule {
            announced_at: present.announced_at.or(Some(desk.now)),
            retires_at: Some(at),
            ..present
        };
        change(desk, kind, plan, format!("{}s are refused for good from {at} on", kind.phrase())).await
    }
}

impl Operation for CancelPlan {
    type Answer = ScheduleRow;

    fn call(&self) -> Call {
        Call::delete(format!("/calendar/{}", self.kind.word()))
    }

    async fn carry_out(self, desk: &Desk) -> Result<ScheduleRow, AdminError> {
        let sentence = match self.kind {
            Kind::AppPassword => "nothing is planned for app passwords, which are off".into(),
            kind => format!("nothing is planned for {}s any more", kind.phrase()),
        };
        change(desk, self.kind, |_| Schedule::default(), sentence).await
    }
}

impl Operation for Rehearse {
    type Answer = Vec<RehearsedRow>;

    fn call(&self) -> Call {
        Call::list(format!("/calendar/{}/rehearsal", self.kind.word())).with("days", Some(self.days))
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<RehearsedRow>, AdminError> {
        let since = desk.now.before(Duration::from_secs(u64::from(self.days) * 86_400));
        Ok(desk.store.rehearse(self.kind, since).await?.iter().map(RehearsedRow::of).collect())
    }
}

async fn change(
    desk: &Desk,
    kind: Kind,
    plan: impl Fn(Schedule) -> Schedule + Send,
    sentence: String,
) -> Result<ScheduleRow, AdminError> {
    if desk.maker.as_ref().is_some_and(|maker| maker.kind == kind) {
        let planned = plan(desk.store.calendar().await?.schedule(kind).clone());
        if !matches!(planned.phase(desk.now), Phase::On | Phase::Announced) {
            return Err(AdminError::Beyond {
                sentence: format!("that would end {}s at once, and the one that you use with them", kind.phrase()),
                remedy: "name a later moment, or do it at the machine itself".into(),
            });
        }
    }
    desk.store.change_schedule(kind, plan, sentence, desk.now).await?;
    Ok(ScheduleRow::of(kind, desk.store.calendar().await?.schedule(kind), desk.now))
}

fn wrong(field: &'static str, sentence: String, remedy: &str) -> AdminError {
    AdminError::Wrong { field, sentence, remedy: remedy.into() }
}

impl ScheduleRow {
    fn of(kind: Kind, schedule: &Schedule, now: Timestamp) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let phase = match schedule.phase(now) {
            Phase::Off => "off",
            Phase::On => "on",
            Phase::Announced => "ending",
            Phase::Brownout { .. } => "brownout",
            Phase::Retired { .. } => "retired",
        };
        Self {
            kind: kind.word().into(),
            phase: phase.into(),
            announced_at: text(schedule.announced_at),
            creation_ends_at: text(schedule.creation_ends_at),
            retires_at: text(schedule.retires_at),
            brownouts: schedule.brownouts.iter().map(BrownoutRow::of).collect(),
        }
    }
}

impl BrownoutRow {
    fn of(brownout: &Brownout) -> Self {
        Self {
            first: brownout.first.to_string(),
            seconds: brownout.length.as_secs(),
            every_seconds: brownout.every.map(|every| every.as_secs()),
            until: brownout.until.to_string(),
        }
    }
}

impl RehearsedRow {
    fn of(rehearsed: &Rehearsed) -> Self {
        let credential = &rehearsed.credential;
        let place = credential.place.clone().unwrap_or_default();
        Self {
            id: credential.id.to_string(),
            owner: credential.account.as_ref().map_or(place, ToString::to_string),
            name: credential.name.clone(),
            requests: rehearsed.requests,
            last_used_at: rehearsed.last_at.to_string(),
            address: rehearsed.address.clone(),
            repository: rehearsed.subject.clone(),
        }
    }
}
