//! `doorward token`: tokens of every kind. A secret is printed once, when it is made.

use doorward_admin::{
    CreateToken, ListTokens, NewTokenRow, ReviewTokens, RevokeToken, Revoked, RotateToken, ShowToken, ShownToken,
    TokenHolder, TokenRow, Whose, token_id,
};
use doorward_rules::{Kind, Scopes};
use doorward_wire::{AccountName, WorkspaceSlug};
use secrecy::ExposeSecret;

use super::{counted, day_or, phrase, short};
use crate::administration::Administration;
use crate::arguments::{Lifetime, TokenCommand, TokenKind};
use crate::failure::{Code, Failure};
use crate::print;

pub(crate) async fn run(command: TokenCommand, place: &Administration, json: bool) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { kind, account, place: holder, name, scopes, no_scopes: _, workspace, expires } => {
            let holder = holder_of(kind, account, holder, workspace)?;
            let lifetime = match expires {
                None => doorward_admin::Lifetime::Usual,
                Some(Lifetime(Some(lifetime))) => doorward_admin::Lifetime::For(lifetime),
                Some(Lifetime(None)) => doorward_admin::Lifetime::Endless,
            };
            let scopes = Scopes::of(&scopes);
            let made = place.carry_out(CreateToken { kind: kind.into(), holder, name, scopes, lifetime }).await?;
            let shown = show_new(&made, json);
            if shown.is_err() {
                take_back(place, &made).await?;
            }
            shown
        }
        TokenCommand::Rotate { id, overlap } => {
            let made = place.carry_out(RotateToken { id: token_id(&id)?, overlap }).await?;
            let shown = show_new(&made, json);
            if shown.is_err() {
                take_back(place, &made).await?;
            }
            shown
        }
        TokenCommand::List { account, workspace } => {
            let rows = place.carry_out(ListTokens { whose: whose(account, workspace) }).await?;
            if json { print::json(&rows) } else { show(rows) }
        }
        TokenCommand::Show { id } => {
            let shown = place.carry_out(ShowToken { id: token_id(&id)? }).await?;
            if json { print::json(&shown) } else { show_one(shown) }
        }
        TokenCommand::Review { unused, expiring, account, workspace } => {
            let whose = whose(account, workspace);
            review(place, ReviewTokens { whose, unused, expiring }, json).await
        }
        TokenCommand::Revoke { id, with_made } => {
            let revoked = place.carry_out(RevokeToken { id: token_id(&id)?, with_made }).await?;
            if json { print::json(&revoked) } else { show_revoked(revoked) }
        }
    }
}

fn whose(account: Option<AccountName>, workspace: Option<WorkspaceSlug>) -> Whose {
    match (account, workspace) {
        (Some(name), _) => Whose::Account(name),
        (None, Some(slug)) => Whose::Workspace(slug),
        (None, None) => Whose::Everybodys,
    }
}

/// What a new token belongs to, as it was named.
fn holder_of(
    kind: TokenKind,
    account: Option<AccountName>,
    place: Option<String>,
    workspace: Option<WorkspaceSlug>,
) -> Result<TokenHolder, Failure> {
    let wrong = |sentence: String, hint: &str| Err(Failure::new(Code::Usage, sentence).hint(hint));
    let phrase = Kind::from(kind).phrase();
    match (kind, account, place) {
        (TokenKind::Api | TokenKind::AppPassword, Some(account), _) => Ok(TokenHolder::Account(account, workspace)),
        (TokenKind::Api | TokenKind::AppPassword, None, _) => {
            wrong(format!("an {phrase} acts for an account, and none is named"), "name it with --account NAME")
        }
        (_, Some(_), _) => {
            wrong(format!("a {phrase} acts for no account"), "name the place that it belongs to with --for instead")
        }
        (_, None, None) => {
            wrong(format!("a {phrase} belongs to a place, and none is named"), "name it with --for PLACE")
        }
        (kind, None, Some(place)) => Ok(TokenHolder::place(kind.into(), &place)?),
    }
}

/// Ends a token of which nobody has seen the secret: it is of no use to anybody but a thief. What it was to replace goes on as
/// it was; on a server elsewhere, until its overlap ends.
async fn take_back(place: &Administration, made: &NewTokenRow) -> Result<(), Failure> {
    let id = token_id(&made.token.id)?;
    match (place, &made.old) {
        (Administration::Here(desk, _), Some(old)) => Ok(desk.store.take_back_rotation(old, id, desk.now).await?),
        _ => place.carry_out(RevokeToken { id, with_made: false }).await.map(drop),
    }
}

fn show_new(made: &NewTokenRow, json: bool) -> Result<(), Failure> {
    if json {
        return print::json(made);
    }
    let token = &made.token;
    let mut pairs = vec![
        ("id", token.id.clone()),
        ("secret", made.secret.expose_secret().to_owned()),
        ("", "(shown this once)".into()),
        ("kind", phrase(&token.kind).into()),
    ];
    pairs.extend(described(token));
    pairs.push(("expires", token.expires_at.clone().unwrap_or_else(|| "never".into())));
    if let (Some(id), Some(end)) = (&made.replaces, &made.old_expires_at) {
        pairs.push(("replaces", format!("{id}, which ends at {end}; sooner with `doorward token revoke {id}`")));
    }
    print::pairs(&pairs)
}

fn show_one(ShownToken { token, uses, made }: ShownToken) -> Result<(), Failure> {
    let never = || "never".to_owned();
    let mut pairs = vec![
        ("id", token.id.clone()),
        ("kind", phrase(&token.kind).into()),
        ("name", token.name.clone()),
        ("state", token.state.clone()),
    ];
    pairs.extend(described(&token));
    pairs.extend([("created", token.created_at), ("expires", token.expires_at.unwrap_or_else(never))]);
    if let Some(by) = token.made_by {
        pairs.push(("made by", by));
    }
    if !made.is_empty() {
        pairs.push(("has made", made.join(", ")));
    }
    if let Some(at) = token.revoked_at {
        pairs.push(("revoked", at));
    }
    pairs.push(("last used", token.last_used.map_or_else(never, |last| last.at)));
    print::pairs(&pairs)?;
    if uses.is_empty() {
        return Ok(());
    }
    print::line("")?;
    let cells = uses.into_iter().map(|noted| {
        let address = noted.address.unwrap_or_default();
        [noted.action, noted.surface, noted.repository, address, noted.requests.to_string(), noted.at]
    });
    print::table(["used to", "on", "repository", "from", "requests", "last"], &cells.collect::<Vec<_>>())
}

fn show_revoked(revoked: Revoked) -> Result<(), Failure> {
    let id = revoked.token.id.clone();
    show(vec![revoked.token])?;
    if !revoked.with.is_empty() {
        print::line(&format!("\nrevoked with it: {}", revoked.with.join(", ")))?;
    }
    if !revoked.left.is_empty() {
        let tokens = counted(revoked.left.len(), "token");
        print::line(&format!("\n{tokens} made with it still valid: {}", revoked.left.join(", ")))?;
        print::line(&format!("if it was stolen, end these, too: doorward token revoke {id} --with-made"))?;
    }
    Ok(())
}

/// Whose it is, what it may do, and where.
fn described(token: &TokenRow) -> Vec<(&'static str, String)> {
    let scopes = if token.scopes.is_empty() { "none".into() } else { token.scopes.join(" ") };
    let mut pairs = Vec::new();
    if let Some(account) = &token.account {
        pairs.push(("account", account.clone()));
    }
    pairs.push(("scopes", scopes));
    pairs.push(("only in", token.place.clone().unwrap_or_else(|| "any workspace".into())));
    pairs
}

fn show(rows: Vec<TokenRow>) -> Result<(), Failure> {
    let cells = rows.into_iter().map(|row| {
        let (owner, kind) = (row.owner().to_owned(), short(&row.kind).to_owned());
        let (expires, last) = (day_or(row.expires_at.as_deref(), "never"), row.last_used.map(|last| last.at));
        [row.id, kind, owner, row.name, row.state, expires, day_or(last.as_deref(), "never")]
    });
    print::table(["id", "kind", "owner", "name", "state", "expires", "last used"], &cells.collect::<Vec<_>>())
}

async fn review(place: &Administration, wanted: ReviewTokens, json: bool) -> Result<(), Failure> {
    let rows = place.carry_out(wanted).await?;
    if json {
        return print::json(&rows);
    }
    if rows.is_empty() {
        return print::line("nothing to look into");
    }
    let cells = rows.into_iter().map(|row| [row.id, row.owner, row.name, row.finding, row.sentence]);
    print::table(["id", "owner", "name", "finding", "because"], &cells.collect::<Vec<_>>())
}
