//! `doorward audit`: what was refused, pushed and changed, and how much was read.

use doorward_admin::{AuditRow, SearchAudit};

use crate::administration::Administration;
use crate::arguments::AuditFilter;
use crate::data::now;
use crate::failure::{Code, Failure};
use crate::print;

pub(crate) async fn run(filter: AuditFilter, place: &Administration, json: bool) -> Result<(), Failure> {
    let request = filter.request.map(|text| text.trim().parse()).transpose();
    // A workspace's own administrators may look in it, and nowhere else.
    let workspace = filter.within.as_deref().and_then(|within| within.split('/').next()?.parse().ok());
    let wanted = SearchAudit {
        workspace,
        request: request.map_err(|fault| Failure::new(Code::Usage, fault))?,
        since: filter.since.map(|since| now().before(since)),
        until: filter.until.map(|until| now().before(until)),
        refused: filter.refused,
        account: filter.account,
        within: filter.within,
        credential: filter.credential,
        address: filter.address.map(|address| address.to_string()),
        reason: filter.reason,
        ..SearchAudit::everything()
    };
    let mut all = Vec::new();
    for page in 0.. {
        let rows = place.carry_out(SearchAudit { skip: page * wanted.most, ..wanted.clone() }).await?;
        let last = rows.len() < wanted.most as usize;
        if json {
            all.extend(rows);
        } else {
            rows.into_iter().try_for_each(tell)?;
        }
        if last {
            break;
        }
    }
    if json { print::json(&all) } else { Ok(()) }
}

/// When, what, where and who on one line, and below it the sentence and the request that it happened in.
fn tell(row: AuditRow) -> Result<(), Failure> {
    let who = row.account.or(row.address).unwrap_or_else(|| "command line".into());
    print::line(&format!("{}  {}  {}  {who}", row.at, row.event, row.subject))?;
    print::line(&format!("    {}", row.sentence))?;
    row.request.map_or(Ok(()), |request| print::line(&format!("    request {request}")))
}
