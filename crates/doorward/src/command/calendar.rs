//! `doorward calendar`: when a kind of credential ends, and who still uses it.

use std::time::Duration;

use doorward_rules::{Brownout, Kind, Phase, Schedule, Timestamp};
use doorward_store::Rehearsed;
use serde::Serialize;

use super::moment;
use crate::arguments::CalendarCommand;
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::{Code, Failure};
use crate::print;

#[derive(Debug, Serialize)]
struct Row {
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
    let (kind, schedule, sentence) = match command {
        CalendarCommand::Show => {
            let calendar = store.calendar().await?;
            let rows: Vec<Row> = SHOWN.into_iter().map(|kind| Row::of(kind, calendar.schedule(kind), now)).collect();
            return if json { print::json(&rows) } else { show(rows) };
        }
        CalendarCommand::Rehearse { kind, days } => {
            let since = now.before(Duration::from_secs(u64::from(days) * 86_400));
            let rehearsed = store.rehearse(kind.into(), since).await?;
            return tell(kind.into(), days, &rehearsed, json);
        }
        CalendarCommand::Announce { kind, retires, creation_ends } => {
            let (kind, retires) = (Kind::from(kind), retires.after(now));
            if retires <= now {
                return Err(Failure::new(Code::Usage, format!("{retires} is not in the future"))
                    .hint("an announcement is made before the end; `doorward calendar retire` ends a kind now"));
            }
            let ends = creation_ends.map(|moment| moment.after(now));
            let schedule = Schedule {
                announced_at: Some(now),
                creation_ends_at: ends,
                retires_at: Some(retires),
                ..store.calendar().await?.schedule(kind).clone()
            };
            (kind, schedule, format!("the end of {}s was announced for {retires}", kind.phrase()))
        }
        CalendarCommand::Brownout { kind, from, length, every, until } => {
            let (kind, first) = (Kind::from(kind), from.after(now));
            let until = until.map_or(Timestamp(first.0.saturating_add(1)), |until| until.after(now));
            if length.is_zero() || every.is_some_and(|every| every <= length) {
                return Err(Failure::new(
                    Code::Usage,
                    "a brownout lasts some time, and less than it is until the next",
                )
                .hint("`doorward calendar retire` ends a kind for good"));
            }
            let mut schedule = store.calendar().await?.schedule(kind).clone();
            let brownout = Brownout { first, length, every, until };
            schedule.brownouts.retain(|planned| planned.first != first);
            schedule.brownouts.push(brownout);
            (kind, schedule, format!("a brownout of {}s from {first} was planned", kind.phrase()))
        }
        CalendarCommand::Retire { kind, at } => {
            let (kind, at) = (Kind::from(kind), at.after(now));
            let mut schedule = store.calendar().await?.schedule(kind).clone();
            schedule.announced_at = schedule.announced_at.or(Some(now));
            schedule.retires_at = Some(at);
            (kind, schedule, format!("{}s are refused for good from {at} on", kind.phrase()))
        }
        CalendarCommand::Cancel { kind } => {
            let kind = Kind::from(kind);
            (kind, Schedule::default(), format!("nothing is planned for {}s any more", kind.phrase()))
        }
    };
    store.set_schedule(kind, &schedule, sentence, now).await?;
    let row = Row::of(kind, store.calendar().await?.schedule(kind), now);
    if json { print::json(&row) } else { show(vec![row]) }
}

fn show(rows: Vec<Row>) -> Result<(), Failure> {
    let or_dash = |at: Option<String>| at.unwrap_or_else(|| "–".into());
    let brownouts: Vec<String> = rows.iter().flat_map(Row::brownouts_told).collect();
    let cells = rows
        .into_iter()
        .map(|row| [row.kind.into(), row.phase.into(), or_dash(row.announced_at), or_dash(row.retires_at)]);
    print::table(["kind", "now", "announced", "retires"], &cells.collect::<Vec<_>>())?;
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
    print::line(&format!("{} {}s were let in during the last {days} days:\n", rows.len(), kind.phrase()))?;
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
        let told = |row: &BrownoutRow| match row.every_seconds {
            None => format!("  {}: a brownout of {} s at {}", self.kind, row.seconds, row.first),
            Some(every) => format!(
                "  {}: brownouts of {} s every {every} s from {} until {}",
                self.kind, row.seconds, row.first, row.until
            ),
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
