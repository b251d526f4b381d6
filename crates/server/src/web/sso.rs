//! `/account/sso`: signing in at the organisation's own provider, and who of it is which account here.

use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Response, StatusCode};
use doorward_openid::{Answer, Flow, Identity, Provider, ProviderSettings, Trouble};
use doorward_rules::{OwnFault, Surface};
use doorward_store::{Account, Noun, ProviderIdentity, SignIn, StoreError};
use doorward_upstream::{Source, Vault};
use doorward_wire::{AccountName, Email, WorkspaceSlug, percent_encoded};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::cookie;
use super::form::safe_next;
use super::sign_in::{answer, go_on, record, too_many};
use super::visit::{Visit, lead_to, with_cookie};
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;
use crate::rest::body::{is_form, read_bytes};
use crate::rest::call::Reply;
use crate::rest::page::Query;

/// What is set about single sign-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsoSettings {
    /// What people call the provider.
    pub name: String,
    /// The provider.
    pub provider: ProviderSettings,
    /// Where this server's own secret there comes from; it has none without.
    pub secret: Option<Source>,
    /// Whether who has no account gets one.
    pub create_accounts: bool,
    /// The domains of the addresses that people may have; all if none is named.
    pub domains: Vec<String>,
    /// Whether an address is believed that the provider has not verified.
    pub unverified_emails: bool,
    /// Which groups make a member of which workspace. If there are none, groups say nothing.
    pub workspaces: Vec<(String, WorkspaceSlug)>,
}

/// Single sign-on, where it is set up.
#[derive(Debug)]
pub(crate) struct Sso {
    settings: SsoSettings,
    provider: Provider,
    /// How many answers are looked at at once: each asks the provider, and anybody can send one.
    places: Semaphore,
    /// This server's secret there, as it was read a moment ago.
    secret: Mutex<Option<(SecretString, Instant)>>,
}

impl Sso {
    pub(crate) fn new(settings: SsoSettings) -> Self {
        let provider = Provider::new(settings.provider.clone());
        Self { settings, provider, places: Semaphore::new(AT_ONCE), secret: Mutex::default() }
    }

    /// What people call the provider.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// This server's secret at the provider. Who writes another one to where it comes from does not have to start the server anew.
    async fn secret(&self) -> Result<Option<SecretString>, Trouble> {
        let Some(source) = &self.settings.secret else { return Ok(None) };
        let mut known = self.secret.lock().await;
        if let Some((secret, _)) = known.as_ref().filter(|(_, at)| at.elapsed() < SECRET) {
            return Ok(Some(secret.clone()));
        }
        match source.read(&Vault::default()).await {
            Ok(kept) => {
                let secret = SecretString::from(kept.secret.expose_secret().trim());
                *known = Some((secret.clone(), Instant::now()));
                Ok(Some(secret))
            }
            Err(why) => {
                tracing::error!(%source, why, "the secret for the sign-in provider cannot be read");
                let why = "this server cannot read its own secret for it, and its log says why";
                Err(Trouble::Misconfigured(why.into()))
            }
        }
    }

    /// The workspaces of which groups make somebody a member; `None` if groups say nothing.
    fn workspaces_of(&self, identity: &Identity) -> Option<Vec<WorkspaceSlug>> {
        let groups = identity.groups.as_ref().filter(|_| !self.settings.workspaces.is_empty())?;
        let of_groups = self.settings.workspaces.iter().filter(|(group, _)| groups.contains(group));
        Some(of_groups.map(|(_, workspace)| workspace.clone()).collect())
    }
}

/// `GET /account/sso`: sends the browser to the provider; with `again`, to prove once more who it is.
pub(super) async fn begin(visit: Visit) -> Response<Body> {
    let begun = async {
        let sso = set_up(&visit)?;
        let query = visit.call.query.last("next").unwrap_or_default();
        let next = safe_next(query);
        let next = if next.len() > LONGEST_NEXT { "/" } else { next };
        let anew = visit.call.query.last("again").is_some();
        // The browser comes back to the address that people use, and is known again only if it begins there. A proxy may hide that it does.
        if !visit.is_at_home() && visit.call.query.last("here").is_none() {
            let again = if anew { "&again=1" } else { "" };
            return Ok(lead_to(&format!(
                "{}/account/sso?here=1&next={}{again}",
                visit.call.base(),
                percent_encoded(next)
            )));
        }
        // In another window, the same flow.
        let now = visit.call.app.clock.now();
        let flow = kept(&visit).filter(|flow| flow.is_younger(now, SAME));
        let flow = flow.unwrap_or_else(|| Flow::begin(&cookie::new_visit(), now));
        let to = sso.provider.address(&flow, &callback(&visit), next, anew).await.map_err(told)?;
        Ok(with_cookie(lead_to(&to), cookie::set_flow(flow.keep(), visit.is_secure())))
    };
    answer(&visit, begun.await)
}

/// `GET /account/sso/callback`: takes the provider's answer.
pub(super) async fn end(visit: Visit) -> Response<Body> {
    let query = &visit.call.query;
    let flow = kept(&visit);
    let begun = flow.as_ref().zip(query.last("state")).and_then(|(flow, state)| Some((flow, flow.next(state)?)));
    let Some((flow, next)) = begun else {
        // Who came back twice, or in a second window, is in already. What was begun elsewhere goes on.
        if visit.frame_for_anybody("").await.viewer.is_some() {
            return lead_to("/");
        }
        return answer(&visit, Err(told(Trouble::NotBegun)));
    };
    let ended = let_in(&visit, flow, safe_next(next)).await;
    let is_over = ended.as_ref().err().is_none_or(|refusal| !refusal.status.is_server_error());
    if let Err(refusal) = &ended {
        visit.call.app.metrics.refused(refusal.code);
    }
    let response = answer(&visit, ended);
    if is_over { with_cookie(response, cookie::end_flow(visit.is_secure())) } else { response }
}

/// `POST /account/sso/logout`: the provider itself ends sessions (OpenID Connect Back-Channel Logout 1.0 §2.5).
pub(super) async fn logged_out(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    request: Request,
) -> Response<Body> {
    // Also if the provider does not wait for the answer.
    app.clone().to_the_end(end_sessions(app, request), Surface::Web, context.id).await
}

async fn end_sessions(app: App, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let ended = async {
        let sso = app.sso.as_ref().ok_or_else(not_set_up)?;
        if !is_form(&parts.headers) {
            return Err(crate::rest::body::not_a_form());
        }
        let late = |_| {
            Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_broken_off",
                "the token did not come in time",
                "send it again",
            )
        };
        let bytes = timeout(PATIENCE, read_bytes(&parts.headers, body, &app)).await.map_err(late)??;
        let form = Query::read(Some(&String::from_utf8_lossy(&bytes)));
        let (token, now) = (form.last("logout_token").unwrap_or_default(), app.clock.now());
        let over = sso.provider.logged_out(token, now).await.map_err(told)?;
        let (person, session) = (over.subject.as_deref(), over.session.as_deref());
        app.halfway.end_of(|identity| {
            identity.issuer == over.issuer
                && person.is_none_or(|person| identity.subject == person)
                && session.is_none_or(|session| match &identity.session {
                    Some(own) => own == session,
                    None => person.is_some(),
                })
        });
        Ok::<_, Refusal>(app.store.end_provider_sessions(&over.issuer, person, session, over.at, now).await?)
    };
    let (status, said) = match ended.await {
        Ok(ended) => {
            tracing::info!(ended, "the sign-in provider ended sessions");
            (StatusCode::OK, String::new())
        }
        Err(refusal) => {
            tracing::warn!(code = refusal.code, error = refusal.sentence, "sessions were not ended");
            let status = if refusal.status.is_server_error() { refusal.status } else { StatusCode::BAD_REQUEST };
            (status, refusal.sentence)
        }
    };
    let mut response = Response::new(Body::from(said));
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn let_in(visit: &Visit, flow: &Flow, next: &str) -> Reply {
    let (sso, query) = (set_up(visit)?, &visit.call.query);
    let (app, now) = (&visit.call.app, visit.call.app.clock.now());
    // Whoever sends answers that are none waits, and by and by is not listened to.
    let address = visit.call.context.address;
    if let Some(wait) = app.sign_ins.wait_from(now, address) {
        return Err(too_many(wait));
    }
    let place = timeout(PATIENCE, sso.places.acquire()).await;
    let _place = place.ok().and_then(Result::ok).ok_or_else(|| Refusal::unavailable(OwnFault::Busy))?;
    let text = |name: &str| query.last(name).map(str::to_owned);
    let back = Answer {
        code: query.last("code").map(SecretString::from),
        issuer: text("iss"),
        error: text("error"),
        description: text("error_description"),
    };
    let found = async {
        let secret = async || sso.secret().await;
        let identity = sso.provider.identity(flow, back, &callback(visit), secret, now).await.map_err(told)?;
        let account = account_of(app, sso, &identity).await?;
        Ok::<_, Refusal>((identity, account))
    };
    let (identity, account) = match found.await {
        // Trouble of anybody's is no refusal.
        Err(refusal) if !refusal.status.is_server_error() => {
            if refusal.code != "sso_no_account" {
                app.sign_ins.failed_from(now, address);
            }
            record(visit, None, &refusal).await?;
            return Err(refusal);
        }
        found => found?,
    };
    if account.disabled {
        let refusal = Refusal::of_reason(&doorward_rules::Reason::OwnerDisabled, Surface::Web);
        record(visit, Some(&account.name), &refusal).await?;
        return Err(refusal);
    }
    match sso.workspaces_of(&identity) {
        Some(wanted) => app.store.set_memberships_by_group(&account, &wanted, now).await?,
        None if !sso.settings.workspaces.is_empty() => {
            tracing::warn!(account = %account.name, "the sign-in provider does not tell the groups of a person; they stay as they are");
        }
        None => {}
    }
    let password = app.store.sign_in(account.name.as_str()).await?.and_then(|known| known.password);
    go_on(visit, SignIn { account, password }, Some(identity), next).await
}

/// The account that somebody is: the one that it was before; else the managed one with its address; else a new one.
async fn account_of(app: &App, sso: &Sso, identity: &Identity) -> Result<Account, Refusal> {
    let (store, now) = (&app.store, app.clock.now());
    let known = ProviderIdentity { issuer: &identity.issuer, subject: &identity.subject };
    if let Some(account) = store.seen_identity(known, now).await? {
        // It is called as it is there by now, if nobody else is called so.
        if let Ok(email) = address(sso, identity)
            && email != account.email
            && store.set_email(&account, &email, now).await?
        {
            return Ok(Account { email, ..account });
        }
        return Ok(account);
    }
    let email = address(sso, identity)?;
    if let Some(there) = store.sign_in(email.as_str()).await?.map(|there| there.account) {
        // An account that nobody has given to the organisation is not its to take.
        if !there.managed {
            let sentence =
                format!("there is an account with your address {email}, and your organisation does not manage it");
            let remedy =
                format!("an administrator lets you in with `doorward account set {} --managed on`", there.name);
            return Err(no(sentence, remedy));
        }
        match store.link_identity(&there, known, now).await {
            // In another window, a moment ago.
            Ok(()) | Err(StoreError::Exists { .. }) => return Ok(there),
            // An address that somebody else had before.
            Err(StoreError::State(_)) => {
                let sentence = format!("the account with your address {email} is somebody else's at your organisation");
                let remedy = format!("an administrator looks whose `{}` is, and gives it another address", there.name);
                return Err(no(sentence, remedy));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if !sso.settings.create_accounts {
        let sentence = format!("there is no account here with your address {email}");
        let remedy =
            format!("an administrator makes one: `doorward account create NAME --email {email}`, and has it managed");
        return Err(no(sentence, remedy));
    }
    for name in names(identity, &email) {
        match store.create_managed_account(&name, &email, known, now).await {
            Err(StoreError::Exists { noun: Noun::Account | Noun::Email, .. }) => {
                // The name is taken; or the person was faster in another window, and has the address now.
                if let Some(account) = store.account_of_identity(known).await? {
                    return Ok(account);
                }
            }
            made => return Ok(made?),
        }
    }
    Err(no("no user name is left for you", "an administrator makes you an account"))
}

/// The address of somebody, if it may be believed and is of the organisation.
fn address(sso: &Sso, identity: &Identity) -> Result<Email, Refusal> {
    let email = identity.email.as_deref().ok_or_else(|| {
        no(
            "the provider does not tell your e-mail address",
            "an administrator adds `email` to sso.scopes, and allows it there",
        )
    })?;
    let email: Email = email.parse().map_err(|error| no(format!("{error}"), "have it corrected at the provider"))?;
    if !identity.email_verified && !sso.settings.unverified_emails {
        let sentence = format!("the provider has not verified that {email} is yours");
        let remedy = "verify it there; an administrator may believe it all the same with sso.unverified_emails";
        return Err(no(sentence, remedy));
    }
    let domain = email.as_str().rsplit('@').next().unwrap_or_default();
    let domains = &sso.settings.domains;
    if !domains.is_empty() && !domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain)) {
        let sentence = format!("addresses at {domain} are not let in");
        return Err(no(sentence, "sign in with your organisation's address; an administrator sets sso.domains"));
    }
    Ok(email)
}

/// What somebody may be called here: what it wants, or its address, in letters that a name has; with a number if others are called so.
fn names(identity: &Identity, email: &Email) -> impl Iterator<Item = AccountName> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let named = |wanted: &str| {
        let wanted = wanted.split('@').next().unwrap_or_default().to_lowercase();
        let name: String = wanted.chars().map(|letter| if fits(letter) { letter } else { '-' }).take(40).collect();
        let name = name.trim_matches(['.', '_', '-']).to_owned();
        Some(name).filter(|name| name.parse::<AccountName>().is_ok())
    };
    let name = identity.name.as_deref().and_then(named).or_else(|| named(email.as_str()));
    let name = name.unwrap_or_else(|| "person".into());
    (1..=NAMESAKES + 1).filter_map(move |number| match number {
        1 => name.parse().ok(),
        // Of very many who are called the same, nobody is turned away.
        number if number > NAMESAKES => {
            let random = cookie::new_visit();
            format!("{name}-{}", random.expose_secret().get(..10)?).parse().ok()
        }
        _ => format!("{name}-{number}").parse().ok(),
    })
}

/// The flow that was begun in this browser.
fn kept(visit: &Visit) -> Option<Flow> {
    Flow::kept(cookie::flow(&visit.call.headers, visit.is_secure())?, visit.call.app.clock.now())
}

fn set_up(visit: &Visit) -> Result<&Sso, Refusal> {
    visit.call.app.sso.as_ref().ok_or_else(not_set_up)
}

fn callback(visit: &Visit) -> String {
    format!("{}{CALLBACK}", visit.call.base())
}

fn not_set_up() -> Refusal {
    let remedy = "sign in with your password; an administrator sets it up with sso.issuer";
    Refusal::new(StatusCode::NOT_FOUND, "sso_not_set_up", "there is no single sign-on at this server", remedy)
}

fn no(sentence: impl Into<String>, remedy: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "sso_no_account", sentence, remedy)
}

/// Trouble with the provider, as the person is told.
fn told(trouble: Trouble) -> Refusal {
    let (status, code, remedy) = match &trouble {
        Trouble::Unreachable(_) => {
            let remedy = "try again in a moment; you were not refused";
            (StatusCode::SERVICE_UNAVAILABLE, "sso_unreachable", remedy)
        }
        Trouble::Misconfigured(_) => {
            let remedy = "tell an administrator; docs/sign-in.md says what has to fit";
            (StatusCode::BAD_GATEWAY, "sso_misconfigured", remedy)
        }
        Trouble::Refused(_) => {
            (StatusCode::FORBIDDEN, "sso_refused", "sign in there, and let it tell this server who you are")
        }
        Trouble::NotBegun | Trouble::Stale(_) => {
            (StatusCode::BAD_REQUEST, "sso_not_begun", "begin again at the sign-in page")
        }
        Trouble::Unbelievable(_) => (
            StatusCode::FORBIDDEN,
            "sso_unbelievable",
            "begin again at the sign-in page; tell an administrator if it stays so",
        ),
    };
    if trouble != Trouble::NotBegun {
        tracing::warn!(code, error = %trouble, "a single sign-on came to nothing");
    }
    let refusal = Refusal::new(status, code, trouble.to_string(), remedy);
    Refusal { retry_after: (code == "sso_unreachable").then_some(std::time::Duration::from_secs(5)), ..refusal }
}

/// Where the provider sends browsers back to.
const CALLBACK: &str = "/account/sso/callback";
/// Bytes of where to go on: they travel in an address.
const LONGEST_NEXT: usize = 2000;
/// How many who want to be called the same are told apart by a number.
const NAMESAKES: u32 = 9;
const AT_ONCE: usize = 16;
/// How long one waits for one's turn, and for what is sent.
const PATIENCE: Duration = Duration::from_secs(15);
/// How old a flow may be that another window goes on with.
const SAME: Duration = Duration::from_secs(300);
/// How long the secret is known without being read again.
const SECRET: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_called_what_it_wants_as_far_as_a_name_can_be_that() {
        let called = |name: Option<&str>, email: &str| {
            let identity = Identity { name: name.map(str::to_owned), ..Identity::default() };
            let names: Vec<String> =
                names(&identity, &email.parse().expect("an address")).take(2).map(|name| name.to_string()).collect();
            names.join(" ")
        };
        assert_eq!(called(Some("Ada.Lovelace@example.org"), "a@b"), "ada.lovelace ada.lovelace-2");
        assert_eq!(called(None, "grace@example.org"), "grace grace-2");
        assert_eq!(called(Some("Żółć <script>"), "a@b"), "script script-2");
        assert_eq!(called(Some("***"), "a@b"), "a a-2");
        assert_eq!(called(Some("陳"), "陳@example.org"), "person person-2");
        assert_eq!(called(Some("x-token-auth"), "a@b"), "a a-2");
        assert!(called(Some(&"a".repeat(300)), "a@b").len() < 100);
    }
}
