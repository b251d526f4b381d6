//! `doorward calendar`: when a kind of credential ends, and who still uses it.

use std::time::Duration;

use doorward_rules::{Brownout, Kind, Phase, Schedule, Timestamp};
use doorward_store::Rehearsed;
use serde::Serialize;

use super::token::short;
use super::{counted, length, moment};
use crate::arguments::CalendarCommand;
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::{Code, Failure};
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
    #[serde(skip)]
    of: Kind,
    kind: &'static str,
    phase: &'static str,
    announced_at: Option<String>,
    creation_ends_at: Option<String>,
    retires_at: Option<String>,
    brownouts: Vec<BrownoutRow>,
}

#[derive(Debug, Serialize)]
struct BrownoutRow {
    first: String,
    seconds: u64,
    every_seconds: Option<u64>,
    until: String,
}

/// A token that would have been refused.
#[derive(Debug, Serialize)]
struct RehearsedRow {
    id: String,
    owner: String,
    name: String,
    requests: i64,
    last_used_at: String,
    address: Option<String>,
    repository: String,
}

pub(crate) async fn run(command: CalendarCommand, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let store = Data::open(configuration).await?.store;
    let now = now();
    let plan = match command {
        CalendarCommand::Show => {
            let calendar = store.calendar().await?;
            let rows: Vec<Row> = SHOWN.into_iter().map(|kind| Row::of(kind, calendar.schedule(kind), now)).collect();
            return if json { print::json(&rows) } else { show(rows) };
        }
        CalendarCommand::Rehearse { kind, days } => {
            let rehearsed = store.rehearse(kind.into(), days_ago(days, now)).await?;
            return tell(kind.into(), days, &rehearsed, json);
        }
        CalendarCommand::Announce { kind, retires, creation_ends } => Plan::Announce {
            kind: kind.into(),
            retires: retires.after(now),
            ends: creation_ends.map(|at| at.after(now)),
        },
        CalendarCommand::Brownout { kind, from, length, every, until } => {
            let first = from.after(now);
            let until = until.map_or(Timestamp(first.0.saturating_add(1)), |until| until.after(now));
            Plan::Brownout { kind: kind.into(), brownout: Brownout { first, length, every, until } }
        }
        CalendarCommand::Retire { kind, at } => Plan::Retire { kind: kind.into(), at: at.after(now) },
        CalendarCommand::Cancel { kind } => Plan::Cancel { kind: kind.into() },
    };
    let kind = plan.kind();
    plan.check(store.calendar().await?.schedule(kind), now)?;
    store.change_schedule(kind, |schedule| plan.applied(schedule, now), plan.sentence(), now).await?;
    let row = Row::of(kind, store.calendar().await?.schedule(kind), now);
    if json {
        return print::json(&row);
    }
    show(vec![row])?;
    let used = store.rehearse(kind, days_ago(30, now)).await?.len();
    let let_in = counted(used, kind.phrase());
    print::line(&format!("\nlet in during the last 30 days: {let_in}"))?;
    if used > 0 { print::line(&format!("`doorward calendar rehearse {}` names them", short(kind))) } else { Ok(()) }
}

/// One change of the calendar.
#[derive(Debug, Clone, Copy)]
enum Plan {
    Announce { kind: Kind, retires: Timestamp, ends: Option<Timestamp> },
    Brownout { kind: Kind, brownout: Brownout },
    Retire { kind: Kind, at: Timestamp },
    Cancel { kind: Kind },
}

impl Plan {
    fn kind(self) -> Kind {
        match self {
            Self::Announce { kind, .. }
            | Self::Brownout { kind, .. }
            | Self::Retire { kind, .. }
            | Self::Cancel { kind } => kind,
        }
    }

    /// Refuses what cannot have been meant.
    fn check(self, present: &Schedule, now: Timestamp) -> Result<(), Failure> {
        let wrong = |sentence: String, hint: &str| Err(Failure::new(Code::Usage, sentence).hint(hint));
        let past = |at: Timestamp| at < now;
        match self {
            Self::Announce { retires, .. } if past(retires) || retires == now => wrong(
                format!("{retires} is not in the future"),
                "an announcement is made before the end; `doorward calendar retire` ends a kind now",
            ),
            Self::Announce { retires, ends: Some(ends), .. } if ends > retires => wrong(
                format!("the end of creation at {ends} comes after the end at {retires}"),
                "leave --creation-ends out, or name an earlier moment",
            ),
            Self::Retire { at, .. } if past(at) => {
                wrong(format!("{at} is in the past"), "leave --at out to retire the kind now")
            }
            Self::Brownout { brownout: Brownout { length, every, .. }, .. }
                if length.is_zero() || every.is_some_and(|every| every <= length) =>
            {
                wrong(
                    "a brownout lasts some time, and less than it is until the next".into(),
                    "`doorward calendar retire` ends a kind for good",
                )
            }
            Self::Brownout { brownout: Brownout { first, length, every, until }, .. }
                if until <= first || (every.is_none() && past(first.after(length))) || past(until.after(length)) =>
            {
                wrong(format!("no part of that brownout from {first} is in the future"), "name later moments")
            }
            Self::Brownout { brownout, .. } if present.retires_at.is_some_and(|at| at <= brownout.first) => wrong(
                format!("the kind is retired by {}", brownout.first),
                "`doorward calendar show` shows what is planned",
            ),
            Self::Brownout { kind, .. } if present.phase(now) == Phase::Off => wrong(
                format!("{}s are off on this server", kind.phrase()),
                "`doorward calendar announce` lets them in until their end",
            ),
            _ => Ok(()),
        }
    }

    fn applied(self, present: Schedule, now: Timestamp) -> Schedule {
        match self {
            Self::Announce { retires, ends, .. } => Schedule {
                announced_at: present.announced_at.or(Some(now)),
                creation_ends_at: ends.or(present.creation_ends_at.filter(|ends| *ends <= retires)),
                retires_at: Some(retires),
                ..present
            },
            Self::Brownout { brownout, .. } => {
                let mut brownouts: Vec<Brownout> =
                    present.brownouts.into_iter().filter(|planned| planned.first != brownout.first).collect();
                brownouts.push(brownout);
                Schedule { brownouts, ..present }
            }
            Self::Retire { at, .. } => {
                Schedule { announced_at: present.announced_at.or(Some(now)), retires_at: Some(at), ..present }
            }
            Self::Cancel { .. } => Schedule::default(),
        }
    }

    /// What happened, for the audit.
    fn sentence(self) -> String {
        let kinds = format!("{}s", self.kind().phrase());
        match self {
            Self::Announce { retires, .. } => format!("the end of {kinds} was announced for {retires}"),
            Self::Brownout { brownout, .. } => format!("a brownout of {kinds} from {} was planned", brownout.first),
            Self::Retire { at, .. } => format!("{kinds} are refused for good from {at} on"),
            Self::Cancel { kind: Kind::AppPassword } => "nothing is planned for app passwords, which are off".into(),
            Self::Cancel { .. } => format!("nothing is planned for {kinds} any more"),
        }
    }
}

fn days_ago(days: u32, now: Timestamp) -> Timestamp {
    now.before(Duration::from_secs(u64::from(days) * 86_400))
}

fn show(rows: Vec<Row>) -> Result<(), Failure> {
    let or_dash = |at: Option<String>| at.unwrap_or_else(|| "–".into());
    let brownouts: Vec<String> = rows.iter().flat_map(Row::brownouts_told).collect();
    let cells = rows.into_iter().map(|row| {
        let (ends, retires) = (or_dash(row.creation_ends_at), or_dash(row.retires_at));
        [short(row.of).into(), row.phase.into(), ends, retires]
    });
    print::table(["kind", "now", "no new ones from", "retires"], &cells.collect::<Vec<_>>())?;
    brownouts.iter().try_for_each(|line| print::line(line))
}

fn tell(kind: Kind, days: u32, rehearsed: &[Rehearsed], json: bool) -> Result<(), Failure> {
    let rows: Vec<RehearsedRow> = rehearsed.iter().map(RehearsedRow::of).collect();
    if json {
        return print::json(&rows);
    }
    if rows.is_empty() {
        return print::line(&format!("nobody: no {} was let in during the last {days} days", kind.phrase()));
    }
    print::line(&format!("{} let in during the last {days} days:\n", counted(rows.len(), kind.phrase())))?;
    let last = |row: &RehearsedRow| row.last_used_at[..10].to_owned();
    let cells = rows.into_iter().map(|row| {
        let (last, requests) = (last(&row), row.requests.to_string());
        [row.id, row.owner, row.name, requests, last, row.address.unwrap_or_default(), row.repository]
    });
    print::table(["id", "owner", "name", "requests", "last", "from", "repository"], &cells.collect::<Vec<_>>())
}

impl Row {
    fn of(kind: Kind, schedule: &Schedule, now: Timestamp) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| moment(Some(at), ""));
        Self {
            of: kind,
            kind: kind.word(),
            phase: match schedule.phase(now) {
                Phase::Off => "off",
                Phase::On => "on",
                Phase::Announced => "ending",
                Phase::Brownout { .. } => "brownout",
                Phase::Retired { .. } => "retired",
            },
            announced_at: text(schedule.announced_at),
            creation_ends_at: text(schedule.creation_ends_at),
            retires_at: text(schedule.retires_at),
            brownouts: schedule.brownouts.iter().map(BrownoutRow::of).collect(),
        }
    }

    fn brownouts_told(&self) -> Vec<String> {
        let kind = short(self.of);
        let told = |row: &BrownoutRow| {
            let lasting = length(Duration::from_secs(row.seconds));
            match row.every_seconds.map(Duration::from_secs) {
                None => format!("  {kind}: a brownout of {lasting} at {}", row.first),
                Some(every) => format!(
                    "  {kind}: brownouts of {lasting} every {} from {} until {}",
                    length(every),
                    row.first,
                    row.until
                ),
            }
        };
        self.brownouts.iter().map(told).collect()
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

/// The kinds that can be planned for.
const SHOWN: [Kind; 6] = [
    Kind::AppPassword,
    Kind::ApiToken,
    Kind::RepositoryToken,
    Kind::ProjectToken,
    Kind::WorkspaceToken,
    Kind::OAuthToken,
];
