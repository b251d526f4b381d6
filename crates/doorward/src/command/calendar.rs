//! `doorward calendar`: when a kind of credential ends, and who still uses it.

use std::time::Duration;

use doorward_admin::{
    Announce, BrownoutRow, CancelPlan, PlanBrownout, Rehearse, RehearsedRow, Retire, ScheduleRow, ShowCalendar,
};
use doorward_rules::{Brownout, Kind, Timestamp};

use super::{counted, day, length, short};
use crate::administration::Administration;
use crate::arguments::{CalendarCommand, Moment};
use crate::data::now;
use crate::failure::Failure;
use crate::print;

pub(crate) async fn run(command: CalendarCommand, place: &Administration, json: bool) -> Result<(), Failure> {
    let now = now();
    let (kind, row) = match command {
        CalendarCommand::Show => {
            let rows = place.carry_out(ShowCalendar).await?;
            return if json { print::json(&rows) } else { show(rows) };
        }
        CalendarCommand::Rehearse { kind, days } => {
            let rehearsed = place.carry_out(Rehearse { kind: kind.into(), days }).await?;
            return if json { print::json(&rehearsed) } else { tell(kind.into(), days, rehearsed) };
        }
        CalendarCommand::Announce { kind, retires, creation_ends } => {
            let creation_ends = creation_ends.map(|at| at.after(now));
            let announced = Announce { kind: kind.into(), retires: retires.after(now), creation_ends };
            (Kind::from(kind), place.carry_out(announced).await?)
        }
        CalendarCommand::Brownout { kind, from, length, every, until } => {
            let first = from.after(now);
            let until = until.map_or(Timestamp(first.0.saturating_add(1)), |until| until.after(now));
            let brownout = Brownout { first, length, every, until };
            (kind.into(), place.carry_out(PlanBrownout { kind: kind.into(), brownout }).await?)
        }
        CalendarCommand::Retire { kind, at } => {
            // Now is when it is done, wherever that is.
            let at = Some(at).filter(|at| !matches!(at, Moment::In(Duration::ZERO))).map(|at| at.after(now));
            (kind.into(), place.carry_out(Retire { kind: kind.into(), at }).await?)
        }
        CalendarCommand::Cancel { kind } => (kind.into(), place.carry_out(CancelPlan { kind: kind.into() }).await?),
    };
    if json {
        return print::json(&row);
    }
    show(vec![row])?;
    let used = place.carry_out(Rehearse { kind, days: 30 }).await?.len();
    print::line(&format!("\nlet in during the last 30 days: {}", counted(used, kind.phrase())))?;
    match used {
        0 => Ok(()),
        _ => print::line(&format!("`doorward calendar rehearse {}` names them", short(kind.word()))),
    }
}

fn show(rows: Vec<ScheduleRow>) -> Result<(), Failure> {
    let or_dash = |at: Option<String>| at.unwrap_or_else(|| "–".into());
    let brownouts: Vec<String> =
        rows.iter().flat_map(|row| row.brownouts.iter().map(|brownout| told(&row.kind, brownout))).collect();
    let cells = rows.into_iter().map(|row| {
        let (ends, retires) = (or_dash(row.creation_ends_at), or_dash(row.retires_at));
        [short(&row.kind).to_owned(), row.phase, ends, retires]
    });
    print::table(["kind", "now", "no new ones from", "retires"], &cells.collect::<Vec<_>>())?;
    brownouts.iter().try_for_each(|line| print::line(line))
}

fn told(kind: &str, row: &BrownoutRow) -> String {
    let (kind, lasting) = (short(kind), length(Duration::from_secs(row.seconds)));
    match row.every_seconds.map(Duration::from_secs) {
        None => format!("  {kind}: a brownout of {lasting} at {}", row.first),
        Some(every) => {
            let (every, first, until) = (length(every), &row.first, &row.until);
            format!("  {kind}: brownouts of {lasting} every {every} from {first} until {until}")
        }
    }
}

fn tell(kind: Kind, days: u32, rows: Vec<RehearsedRow>) -> Result<(), Failure> {
    if rows.is_empty() {
        return print::line(&format!("nobody: no {} was let in during the last {days} days", kind.phrase()));
    }
    print::line(&format!("{} let in during the last {days} days:\n", counted(rows.len(), kind.phrase())))?;
    let cells = rows.into_iter().map(|row| {
        let (last, requests) = (day(&row.last_used_at), row.requests.to_string());
        [row.id, row.owner, row.name, requests, last, row.address.unwrap_or_default(), row.repository]
    });
    print::table(["id", "owner", "name", "requests", "last", "from", "repository"], &cells.collect::<Vec<_>>())
}
