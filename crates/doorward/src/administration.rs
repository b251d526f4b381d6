//! Where the commands that administer do it: in the data directory here, or on a server elsewhere. They need not know which.

use std::sync::Arc;
use std::time::Duration;

use doorward_admin::{Answered, Desk, Operation};
use doorward_client::{Api, ApiAnswer, Place, Presented, RestError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::arguments::Arguments;
use crate::command::client;
use crate::config::Configuration;
use crate::data::{Data, Running, now};
use crate::failure::{Code, Failure};

/// Where administering is done.
pub(crate) enum Administration {
    /// In the data directory, of the server at this address.
    Here(Box<Desk>, String),
    /// On the server at this address.
    There(Arc<Api>, String),
}

/// What a command needs of the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// That it can be made, if it is not there.
    Room,
    /// What is stored.
    Store,
    /// That, and the repositories.
    Repositories,
}

impl Administration {
    /// Opens what the arguments name.
    ///
    /// # Errors
    /// A [`Failure`] if it is not there, or there is no credential for it.
    pub(crate) async fn open(arguments: &Arguments, needs: Needs) -> Result<Self, Failure> {
        if let Some(place) = &arguments.server {
            return Self::there(place);
        }
        let flags = arguments.flags();
        let configuration = Configuration::load(&flags, |name| std::env::var_os(name), std::env::vars_os())?;
        crate::log::start(&configuration, false);
        let data = match needs {
            Needs::Room => Data::open_or_create(&configuration).await?,
            Needs::Store | Needs::Repositories => Data::open(&configuration).await?,
        };
        let repositories = match needs {
            Needs::Repositories => Some(data.repositories(&configuration)?),
            Needs::Room | Needs::Store => None,
        };
        let (store, shape) = (data.store, configuration.token_shape());
        let desk = Desk { store, repositories, shape, now: now(), maker: None, address: None };
        // A flag may have told the server another address than the configuration says.
        let running = Running::find(&configuration).map(|running| running.address);
        Ok(Self::Here(Box::new(desk), running.unwrap_or_else(|| configuration.address(None))))
    }

    fn there(place: &Place) -> Result<Self, Failure> {
        let place = place.whole_host();
        if place.is_in_the_clear() {
            let sentence = format!("{place} is not encrypted: whoever listens would learn the token");
            return Err(Failure::new(Code::Usage, sentence).hint("use https"));
        }
        let secret = client::secret_for(&place)?;
        let api = Api::new(&place, &Presented::Bearer(&secret), &client::environment, PATIENCE);
        Ok(Self::There(Arc::new(api), place.to_string().trim_end_matches('/').to_owned()))
    }

    /// Whether it is done elsewhere.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::There(..))
    }

    /// The address of the server, as people reach it.
    pub(crate) fn address(&self) -> &str {
        let (Self::Here(_, address) | Self::There(_, address)) = self;
        address
    }

    /// Carries something out.
    ///
    /// # Errors
    /// A [`Failure`] with what keeps it from being done.
    pub(crate) async fn carry_out<O: Operation>(&self, operation: O) -> Result<O::Answer, Failure> {
        match self {
            Self::Here(desk, _) => Ok(operation.carry_out(desk).await?),
            Self::There(api, _) => {
                let (host, api, call) = (api.host().to_owned(), api.clone(), operation.call());
                let asked = tokio::task::spawn_blocking(move || match call.answered {
                    Answered::One => ask(&api, call.method, &call.path, call.body.as_ref()),
                    Answered::All => all(&api, &call.path).map(Value::Array),
                    Answered::Page => {
                        let mut answer = ask(&api, call.method, &call.path, None)?;
                        Ok(answer.get_mut("values").map(Value::take).unwrap_or_default())
                    }
                });
                let value = asked.await.map_err(|error| Failure::new(Code::Failed, error))??;
                understood(&host, value)
            }
        }
    }
}

fn understood<T: DeserializeOwned>(host: &str, value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| not_understood(host, &error.to_string()))
}

fn not_understood(host: &str, why: &str) -> Failure {
    let sentence = format!("what {host} answers cannot be understood ({why})");
    Failure::new(Code::Failed, sentence).hint("is it a Doorward server, of this version?")
}

/// Every element of a list that comes in pages.
fn all(api: &Api, path: &str) -> Result<Vec<Value>, Failure> {
    let mark = if path.contains('?') { '&' } else { '?' };
    let mut all = Vec::new();
    for page in 1.. {
        let mut answer = ask(api, "GET", &format!("{path}{mark}pagelen=100&page={page}"), None)?;
        let Some(Value::Array(values)) = answer.get_mut("values").map(Value::take) else {
            return Err(not_understood(api.host(), "it has no list"));
        };
        let last = values.is_empty() || answer["next"].is_null();
        all.extend(values);
        if last {
            break;
        }
    }
    Ok(all)
}

/// One call. What only reads is asked again where the server has trouble.
fn ask(api: &Api, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let path = format!("/doorward{path}");
    let mut left = if method == "GET" { TRIES } else { 1 };
    loop {
        left -= 1;
        let answer = api.call(method, &path, body);
        let later = match &answer {
            Ok(answer) if matches!(answer.status, 429 | 502..=504) => Some(answer.retry_after.unwrap_or(1)),
            Ok(_) => None,
            Err(_) => Some(1),
        };
        match later.filter(|_| left > 0) {
            Some(seconds) => std::thread::sleep(Duration::from_secs(seconds.min(LONGEST_WAIT))),
            None => return settled(method, api, answer.map_err(|error| lost(method, error))?),
        }
    }
}

fn settled(method: &str, api: &Api, answer: ApiAnswer) -> Result<Value, Failure> {
    if answer.status < 300 {
        return Ok(answer.body);
    }
    let code = match answer.status {
        400 | 422 => Code::Usage,
        404 => Code::NotFound,
        409 => Code::State,
        _ => Code::Failed,
    };
    let error = &answer.body["error"];
    let text = |value: &Value| value.as_str().map(|text| text.chars().filter(|c| !c.is_control()).collect::<String>());
    // What is wrong with a parameter, without the name that it has in REST and not here.
    let wrong = error["fields"].as_object().and_then(|fields| fields.values().next());
    let told = wrong.and_then(|told| text(&told[0])).or_else(|| text(&error["message"]));
    let sentence = told.unwrap_or_else(|| format!("{} answered {}", api.host(), answer.status));
    let remedy = text(&error["detail"]["remedy"]).unwrap_or_else(|| match (answer.status, method) {
        (429 | 502..=504, "GET") => "try again in a while".into(),
        (500.., "POST" | "PUT" | "DELETE") => CHANGED_PERHAPS.into(),
        _ => "is it a Doorward server?".into(),
    });
    Err(Failure::new(code, sentence).hint(remedy))
}

/// What is said when there is no answer.
fn lost(method: &str, error: RestError) -> Failure {
    match (method, &error) {
        ("GET", _) | (_, RestError::Name(_) | RestError::Certificate(..)) => error.into(),
        (_, RestError::Unreachable(_, why)) if why.contains("refused") => error.into(),
        _ => Failure::new(Code::Failed, error).hint(CHANGED_PERHAPS),
    }
}

const CHANGED_PERHAPS: &str = "what was to be changed may have been changed: look before you do it again";
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often what only reads is asked for.
const TRIES: u32 = 3;
/// The longest wait in between, in seconds.
const LONGEST_WAIT: u64 = 10;
