//! `doorward policy`: what a workspace asks of credentials, and whom a change would refuse.

use doorward_admin::{AffectedRow, ChangePolicy, ShowPolicy};

use super::{counted, day_or, short};
use crate::administration::Administration;
use crate::arguments::{OrAny, PolicyCommand, PolicyFlags, Ranges, Switch};
use crate::failure::Failure;
use crate::print;

pub(crate) async fn run(command: PolicyCommand, place: &Administration, json: bool) -> Result<(), Failure> {
    match command {
        PolicyCommand::Show { workspace } => {
            let row = place.carry_out(ShowPolicy { workspace }).await?;
            if json { print::json(&row) } else { print::line(&format!("{}: {}", row.workspace, row.sentence)) }
        }
        PolicyCommand::Set(flags) => {
            let dry_run = flags.dry_run;
            let row = place.carry_out(change(flags)).await?;
            if json {
                return print::json(&row);
            }
            let (verb, now_or_then) = if dry_run { ("would be", "would be") } else { ("is now", "now") };
            print::line(&format!("the policy of {} {verb}: {}", row.workspace, row.sentence))?;
            tell(row.refuses.unwrap_or_default(), now_or_then)
        }
    }
}

/// What the flags name.
fn change(flags: PolicyFlags) -> ChangePolicy {
    let on = |switch: Option<Switch>| switch.map(|switch| switch == Switch::On);
    ChangePolicy {
        workspace: flags.workspace,
        sso: on(flags.sso),
        kinds: flags.kinds.map(|OrAny(kinds)| kinds),
        longest: flags.longest.map(|OrAny(longest)| longest),
        addresses: flags.addresses.map(|OrAny(ranges)| ranges.map_or_else(Vec::new, |Ranges(ranges)| ranges)),
        two_step: on(flags.two_step),
        dry_run: flags.dry_run,
    }
}

fn tell(rows: Vec<AffectedRow>, verb: &str) -> Result<(), Failure> {
    if rows.is_empty() {
        return print::line("no token that was accepted so far is refused by it");
    }
    print::line(&format!("{} {verb} refused there:\n", counted(rows.len(), "token")))?;
    let cells = rows.into_iter().map(|row| {
        let (kind, last) = (short(&row.kind).to_owned(), day_or(row.last_used_at.as_deref(), "never"));
        [row.id, kind, row.owner, last, row.reason]
    });
    print::table(["id", "kind", "owner", "last used", "reason"], &cells.collect::<Vec<_>>())
}
