//! A store of Git LFS objects (git-lfs, "Batch API" and "Basic Transfer API"), as far as the client asks for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// What was uploaded, by the names that it has.
#[derive(Debug, Default)]
pub(crate) struct LfsStore(Mutex<HashMap<String, Vec<u8>>>);

/// What transfers have to present: no credential of the host's, as on hosts that sign them.
pub(crate) const OF_TRANSFERS: &str = "RemoteAuth of-this-transfer";

impl LfsStore {
    /// The answer to a request of Git LFS about a repository at `base`; `None` if it is none.
    pub(crate) fn answer(&self, base: &str, method: &str, path: &str, body: &[u8]) -> Option<(u16, Value, Vec<u8>)> {
        let (repository, rest) = path.split_once("/info/lfs/")?;
        let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (method, rest.split_once('/').unwrap_or((rest, ""))) {
            ("POST", ("objects", "batch")) => {
                let asked: Value = serde_json::from_slice(body).ok()?;
                let operation = asked["operation"].as_str()?;
                let answered = asked["objects"].as_array()?.iter().map(|object| {
                    let oid = object["oid"].as_str().unwrap_or_default();
                    let href = format!("{base}{repository}/info/lfs/storage/{oid}");
                    let action = json!({"href": href, "header": {"Authorization": OF_TRANSFERS}});
                    let has = objects.contains_key(oid);
                    let actions = if has == (operation == "download") { json!({operation: action}) } else { json!({}) };
                    json!({"oid": oid, "size": object["size"], "actions": actions})
                });
                Some((200, json!({"transfer": "basic", "objects": answered.collect::<Vec<_>>()}), Vec::new()))
            }
            ("PUT", ("storage", oid)) => {
                objects.insert(oid.to_owned(), body.to_vec());
                Some((200, Value::Null, Vec::new()))
            }
            ("GET", ("storage", oid)) => Some(match objects.get(oid) {
                Some(object) => (200, Value::Null, object.clone()),
                None => (404, Value::Null, Vec::new()),
            }),
            _ => None,
        }
    }
}
