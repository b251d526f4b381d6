//! `doorward consumer`: the OAuth consumers of a workspace. A secret is printed once, when it is made.

use doorward_admin::{ConsumerRow, CreateConsumer, ListConsumers, NewConsumerRow, RevokeConsumer, RotateConsumer};
use doorward_rules::Scopes;
use secrecy::ExposeSecret;

use super::{day, day_or};
use crate::administration::Administration;
use crate::arguments::ConsumerCommand;
use crate::failure::Failure;
use crate::print;

pub(crate) async fn run(command: ConsumerCommand, place: &Administration, json: bool) -> Result<(), Failure> {
    match command {
        ConsumerCommand::Create { workspace, name, description, callback, public, scopes } => {
            let scopes = Scopes::of(&scopes);
            let wanted = CreateConsumer { workspace, name, description, callback, private: !public, scopes };
            show_new(place.carry_out(wanted).await?, json)
        }
        ConsumerCommand::List { workspace } => {
            let rows = place.carry_out(ListConsumers { workspace }).await?;
            if json { print::json(&rows) } else { show(rows) }
        }
        ConsumerCommand::Rotate { workspace, key, overlap } => {
            show_new(place.carry_out(RotateConsumer { workspace, key, overlap }).await?, json)
        }
        ConsumerCommand::Revoke { workspace, key } => {
            let row = place.carry_out(RevokeConsumer { workspace, key }).await?;
            if json {
                print::json(&row)
            } else {
                print::line(&format!("{} was ended, with all that it was let do", row.key))
            }
        }
    }
}

fn show_new(NewConsumerRow { secret, consumer }: NewConsumerRow, json: bool) -> Result<(), Failure> {
    if json {
        return print::json(&NewConsumerRow { secret, consumer });
    }
    let mut pairs = vec![
        ("key", consumer.key),
        ("secret", secret.expose_secret().to_owned()),
        ("", "(shown this once)".into()),
        ("name", consumer.name),
        ("callback", consumer.callback.unwrap_or_else(|| "none: it acts for its workspace alone".into())),
        ("scopes", consumer.scopes.join(" ")),
    ];
    if let Some(at) = consumer.old_secret_ends_at {
        pairs.push(("old secret", format!("ends at {at}")));
    }
    print::pairs(&pairs)
}

fn show(rows: Vec<ConsumerRow>) -> Result<(), Failure> {
    let cells = rows.into_iter().map(|row| {
        let (created, old) = (day(&row.created_at), day_or(row.old_secret_ends_at.as_deref(), "none"));
        [row.key, row.name, row.callback.unwrap_or_else(|| "none".into()), row.scopes.join(" "), created, old]
    });
    print::table(["key", "name", "callback", "scopes", "created", "old secret until"], &cells.collect::<Vec<_>>())
}
