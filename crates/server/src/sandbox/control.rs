//! `/_sandbox/…`: what a test changes while the sandbox runs, and what it looks up.
//!
//! `GET /_sandbox/state`, `POST /_sandbox/clock`, `POST /_sandbox/faults`, `POST /_sandbox/policy`, `GET` and `DELETE
//! /_sandbox/log`.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::{get, post};
use doorward_rules::{Policy, Timestamp, bitbucket_cloud};
use doorward_wire::{parse_duration, parse_ranges};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{EARLIEST, Latency, Sandbox, SpuriousRefusals};
use crate::app::App;

/// The table of controls, below `/_sandbox`.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/state", get(state))
        .route("/clock", post(clock))
        .route("/faults", post(faults))
        .route("/policy", post(policy))
        .route("/log", get(log).delete(forget))
        .fallback(|| async { told(StatusCode::NOT_FOUND, "here are state, clock, faults, policy and log") })
}

/// A change of the clock: the time that it shall be, or how far to go on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    at: Option<String>,
    advance: Option<String>,
}

/// A change of the faults. What is left out stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultChange {
    spurious_401: Option<Text>,
    latency: Option<Text>,
    rate_limit: Option<usize>,
}

/// A change of what the workspace `acme` asks of credentials. What is left out stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyChange {
    addresses: Option<String>,
    two_step: Option<bool>,
}

/// A text, or a number that stands for one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(serde_json::Number),
}

async fn state(State(app): State<App>) -> Response<Body> {
    with_sandbox(&app, |sandbox| Ok(present_state(&app, sandbox)))
}

async fn clock(State(app): State<App>, body: Bytes) -> Response<Body> {
    with_sandbox(&app, |sandbox| {
        let change: ClockChange = read(&body, CLOCK)?;
        let now = match (change.at, change.advance) {
            (Some(at), None) => at.parse::<Timestamp>().map_err(|error| format!("`at` is {error}"))?,
            (None, Some(by)) => {
                app.clock.now().after(parse_duration(&by).map_err(|error| format!("`advance`: {error}"))?)
            }
            _ => return Err(CLOCK.into()),
        };
        if !(EARLIEST..=Timestamp::LAST).contains(&now) {
            return Err(format!("{now} is not between {EARLIEST} and {}", Timestamp::LAST));
        }
        app.clock.set(now);
        Ok(present_state(&app, sandbox))
    })
}

async fn faults(State(app): State<App>, body: Bytes) -> Response<Body> {
    with_sandbox(&app, |sandbox| {
        let change: FaultChange = read(&body, FAULTS)?;
        let spurious = change.spurious_401.map(|text| text.read::<SpuriousRefusals>("spurious_401")).transpose()?;
        let latency = change.latency.map(|text| text.read::<Latency>("latency")).transpose()?;
        let mut faults = sandbox.faults();
        faults.spurious = spurious.unwrap_or(faults.spurious);
        faults.latency = latency.unwrap_or(faults.latency);
        drop(faults);
        if let Some(limit) = change.rate_limit {
            sandbox.quotas().set(limit);
        }
        Ok(present_state(&app, sandbox))
    })
}

async fn policy(State(app): State<App>, body: Bytes) -> Response<Body> {
    if app.sandbox.is_none() {
        return told(StatusCode::NOT_FOUND, "this server is no sandbox");
    }
    let addresses = |text: String| {
        if text == "any" { Ok(Vec::new()) } else { parse_ranges(&text).map_err(|error| error.to_string()) }
    };
    let change = read::<PolicyChange>(&body, POLICY)
        .and_then(|change| Ok((change.addresses.map(addresses).transpose()?, change.two_step)));
    let (addresses, two_step) = match change {
        Ok(change) => change,
        Err(sentence) => return told(StatusCode::BAD_REQUEST, &sentence),
    };
    let to = |policy: Policy| Policy {
        addresses: addresses.unwrap_or(policy.addresses),
        two_step: two_step.unwrap_or(policy.two_step),
        ..policy
    };
    let changed = match WORKSPACE.parse() {
        Ok(workspace) => app.store.change_policy(&workspace, to, app.clock.now()).await,
        Err(_) => return told(StatusCode::NOT_FOUND, "there is no such workspace"),
    };
    match changed {
        Ok(policy) => {
            let addresses: Vec<String> = policy.addresses.iter().map(ToString::to_string).collect();
            answer(StatusCode::OK, &json!({ "addresses": addresses.join(","), "two_step": policy.two_step }))
        }
        Err(error) => told(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn log(State(app): State<App>) -> Response<Body> {
    with_sandbox(&app, |sandbox| {
        let journal = sandbox.journal();
        serde_json::to_value(journal.entries().collect::<Vec<_>>()).map_err(|error| error.to_string())
    })
}

async fn forget(State(app): State<App>) -> Response<Body> {
    with_sandbox(&app, |sandbox| {
        sandbox.journal().clear();
        Ok(json!([]))
    })
}

fn present_state(app: &App, sandbox: &Sandbox) -> Value {
    let now = app.clock.now();
    let rate_limit = sandbox.quotas().rest;
    let faults = sandbox.faults();
    let changes: Vec<Value> = bitbucket_cloud::CHANGES
        .iter()
        .map(|change| json!({ "at": change.at.to_string(), "what": change.what, "past": change.at <= now }))
        .collect();
    json!({
        "at": now.to_string(),
        "spurious_401": format!("{},{}", faults.spurious.rate, faults.spurious.burst),
        "latency": format!("{}ms..{}ms", faults.latency.from.as_millis(), faults.latency.to.as_millis()),
        "rate_limit": rate_limit,
        "changes": changes,
    })
}

fn with_sandbox(app: &App, change: impl FnOnce(&Sandbox) -> Result<Value, String>) -> Response<Body> {
    let Some(sandbox) = &app.sandbox else { return told(StatusCode::NOT_FOUND, "this server is no sandbox") };
    match change(sandbox) {
        Ok(value) => answer(StatusCode::OK, &value),
        Err(sentence) => told(StatusCode::BAD_REQUEST, &sentence),
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], expected: &str) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|_| expected.to_owned())
}

fn told(status: StatusCode, sentence: &str) -> Response<Body> {
    answer(status, &json!({ "error": sentence }))
}

fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{value}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Text {
    fn read<T: std::str::FromStr>(self, name: &str) -> Result<T, String>
    where
        T::Err: std::fmt::Display,
    {
        let text = match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        };
        text.parse().map_err(|error| format!("{name}: {error}"))
    }
}

const CLOCK: &str = "send {\"at\": \"2026-07-28T00:00:00Z\"} or {\"advance\": \"30m\"}";
const POLICY: &str = "send one or more of {\"addresses\": \"10.0.0.0/8\" or \"any\", \"two_step\": true}";
/// Whose policy it is.
const WORKSPACE: &str = "acme";
const FAULTS: &str =
    "send one or more of {\"spurious_401\": \"0.2,3\", \"latency\": \"100ms..2s\", \"rate_limit\": 1000}";
