//! A workspace: its repositories, and its settings for whoever administers it.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_admin::{
    AddMember, ChangePolicy, CreateConsumer, CreateToken, ListConsumers, ListPermissions, ListProjects, ListTokens,
    NewConsumerRow, NewTokenRow, Operation, PolicyRow, RemoveMember, RevokeConsumer, RevokeToken, RotateConsumer,
    RotateToken, SetPermission, ShowPolicy, ShowToken, TokenHolder, Whose, lies_in,
};
use doorward_pages::{
    AccessTokensPage, ChosenConsumer, ChosenPolicy, ChosenToken, ConsumersPage, Frame, HomePage, MembersPage,
    NewCredentialPage, NewSecretPage, Notice, PolicyPage, UpstreamsPage, Vocabulary,
};
use doorward_rules::{Action, CredentialId, Kind, Kinds, Privilege};
use doorward_wire::{RepositoryName, WorkspaceSlug, parse_ranges};

use super::account::line;
use super::credentials::{credential_page, new_secret};
use super::server::upstream;
use super::visit::{Visit, html, html_as, lead_to, notice};
use crate::refusal::{Refusal, shown};
use crate::rest::admin::token::of_one;
use crate::rest::admin::{length_of, named};
use crate::rest::call::{Granted, Place, Reply};
use crate::rest::parts::Parts;

type Two = Parts<(String, String)>;

/// `GET /{workspace}`: the repositories that one may see.
pub(super) async fn repositories(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ListRepositories, Place::Workspace(&workspace), async |granted| {
            let workspace = granted.workspace(&visit.call).await?;
            let owner = granted.decision.account.as_deref() == Some(workspace.owner.as_str());
            let administers = owner || granted.credential.as_ref().is_some_and(|credential| credential.administrator);
            let workspaces = vec![line(&granted, &workspace, administers).await?];
            html(&HomePage { frame: visit.frame(&granted, workspace.slug.to_string(), "repositories"), workspaces })
        })
        .await
}

/// `GET …/settings`: leads to the first of them.
pub(super) async fn settings(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::ReadSettings, &workspace, async |_, slug| {
        Ok(lead_to(&format!("/{slug}/workspace/settings/members")))
    })
    .await
}

/// `GET …/settings/upstreams`: where its repositories are, if they are elsewhere.
pub(super) async fn upstreams(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::ReadSettings, &workspace, async |granted, slug| {
        let all = visit.call.app.gateway.upstreams();
        let of_workspace = all.iter().filter(|upstream| upstream.settings().names(slug.as_str()));
        let sections = of_workspace.map(upstream).collect();
        let frame = visit.frame(&granted, "Upstreams", "repositories");
        html(&UpstreamsPage { frame, tab: "upstreams", slug: slug.to_string(), sections })
    })
    .await
}

/// `GET …/settings/members`.
pub(super) async fn members(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::ReadSettings, &workspace, async |granted, slug| {
        show_members(&visit, &granted, &slug, StatusCode::OK, None).await
    })
    .await
}

/// `POST …/settings/members`.
pub(super) async fn add_member(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::ChangeSettings, &workspace, async |granted, slug| {
        let done = async {
            let name = named("account", visit.text("account"))?;
            AddMember { slug: slug.clone(), name }.carry_out(&granted.desk(&visit.call)).await?;
            Ok(format!("{} is a member now.", visit.text("account")))
        };
        members_told(&visit, &granted, &slug, done.await).await
    })
    .await
}

/// `POST …/settings/members/{account}/remove`.
pub(super) async fn remove_member(visit: Visit, Parts((workspace, account)): Two) -> Response<Body> {
    of(&visit, Action::ChangeSettings, &workspace, async |granted, slug| {
        let done = async {
            let name = named("account", &account)?;
            RemoveMember { slug: slug.clone(), name }.carry_out(&granted.desk(&visit.call)).await?;
            Ok(format!("{account} is no member any more, and may do nothing here."))
        };
        members_told(&visit, &granted, &slug, done.await).await
    })
    .await
}

/// `POST …/settings/permissions`.
pub(super) async fn set_permission(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::ChangeSettings, &workspace, async |granted, slug| {
        let done = async {
            let privilege = Privilege::from_word(visit.text("privilege"))
                .ok_or_else(|| Refusal::bad_parameter("privilege", "it is no privilege", "choose one"))?;
            let name = RepositoryName { workspace: slug.clone(), slug: named("repository", visit.text("repository"))? };
            let account = named("account", visit.text("account"))?;
            let said = format!("{account} may now do this with {name}: {}.", privilege.word());
            SetPermission { name, account, privilege }.carry_out(&granted.desk(&visit.call)).await?;
            Ok(said)
        };
        members_told(&visit, &granted, &slug, done.await).await
    })
    .await
}

/// `GET …/settings/tokens`.
pub(super) async fn tokens(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::ReadTokens, &workspace, async |granted, slug| {
        let whose = Whose::Workspace(slug.clone());
        let mut tokens = ListTokens { whose }.carry_out(&granted.desk(&visit.call)).await?;
        tokens.reverse();
        let frame = visit.frame(&granted, "Access tokens", "repositories");
        html(&AccessTokensPage { frame, tab: "tokens", slug: slug.to_string(), tokens })
    })
    .await
}

/// `GET …/settings/tokens/new`.
pub(super) async fn new_token(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::WriteTokens, &workspace, async |granted, slug| {
        let chosen = ChosenToken { expires: "1y".into(), ..ChosenToken::default() };
        html(&new_token_page(&visit, &granted, &slug, chosen).await?)
    })
    .await
}

/// `POST …/settings/tokens/new`.
pub(super) async fn create_token(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::WriteTokens, &workspace, async |granted, slug| match make_token(&visit, &granted, &slug).await {
        Ok(made) => token_made(&visit, &granted, &slug, "The new access token", made),
        Err(refusal) => {
            let (status, notice) = (refusal.status, notice(refusal)?);
            let chosen = visit.chosen_token();
            html_as(status, &new_token_page(&visit, &granted, &slug, chosen).await?.with_notice(notice))
        }
    })
    .await
}

/// `GET …/settings/tokens/{id}`.
pub(super) async fn token(visit: Visit, Parts((workspace, id)): Two) -> Response<Body> {
    of_one(&visit.call, Action::ReadTokens, &id, async |granted, id| {
        let slug = workspace_of(&granted, id, &workspace).await?;
        let shown = ShowToken { id }.carry_out(&granted.desk(&visit.call)).await?;
        html(&credential_page(&visit, &granted, shown, "repositories", back_to_tokens(&slug)))
    })
    .await
}

/// `POST …/settings/tokens/{id}/rotate`.
pub(super) async fn rotate_token(visit: Visit, Parts((workspace, id)): Two) -> Response<Body> {
    of_one(&visit.call, Action::WriteTokens, &id, async |granted, id| {
        let slug = workspace_of(&granted, id, &workspace).await?;
        let made = RotateToken { id, overlap: visit.overlap()? }.carry_out(&granted.desk(&visit.call)).await?;
        token_made(&visit, &granted, &slug, "The new secret", made)
    })
    .await
}

/// `POST …/settings/tokens/{id}/revoke`.
pub(super) async fn revoke_token(visit: Visit, Parts((workspace, id)): Two) -> Response<Body> {
    of_one(&visit.call, Action::WriteTokens, &id, async |granted, id| {
        let slug = workspace_of(&granted, id, &workspace).await?;
        let with_made = visit.ticked("with_made");
        RevokeToken { id, with_made }.carry_out(&granted.desk(&visit.call)).await?;
        Ok(lead_to(&back_to_tokens(&slug).0))
    })
    .await
}

/// `GET …/settings/consumers`.
pub(super) async fn consumers(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::ReadTokens, &workspace, async |granted, slug| {
        show_consumers(&visit, &granted, &slug, ChosenConsumer::default(), StatusCode::OK, None).await
    })
    .await
}

/// `POST …/settings/consumers`.
pub(super) async fn create_consumer(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::WriteTokens, &workspace, async |granted, slug| {
        let made = async {
            let description = visit.text("description");
            if description.chars().count() > 200 || description.contains(char::is_control) {
                let what = "the description has more than 200 characters, or a control character";
                return Err(Refusal::bad_parameter("description", what, "change it"));
            }
            let wanted = CreateConsumer {
                workspace: slug.clone(),
                name: visit.label("name", 100)?,
                description: description.to_owned(),
                callback: Some(visit.text("callback").to_owned()).filter(|callback| !callback.is_empty()),
                private: !visit.ticked("public"),
                scopes: visit.scopes(Vocabulary::Old)?,
            };
            Ok(wanted.carry_out(&granted.desk(&visit.call)).await?)
        };
        match made.await {
            Ok(made) => html(&new_consumer(&visit, &granted, &slug, made)),
            Err(refusal) => {
                let (status, notice) = (refusal.status, notice(refusal)?);
                let chosen = ChosenConsumer {
                    name: visit.text("name").into(),
                    description: visit.text("description").into(),
                    callback: visit.text("callback").into(),
                    public: visit.ticked("public"),
                    tasks: visit.form.all("task").map(str::to_owned).collect(),
                };
                show_consumers(&visit, &granted, &slug, chosen, status, Some(notice)).await
            }
        }
    })
    .await
}

/// `POST …/settings/consumers/{key}/rotate`.
pub(super) async fn rotate_consumer(visit: Visit, Parts((workspace, key)): Two) -> Response<Body> {
    of(&visit, Action::WriteTokens, &workspace, async |granted, slug| {
        let wanted = RotateConsumer { workspace: slug.clone(), key: key.clone(), overlap: visit.overlap()? };
        let made = wanted.carry_out(&granted.desk(&visit.call)).await?;
        html(&new_consumer(&visit, &granted, &slug, made))
    })
    .await
}

/// `POST …/settings/consumers/{key}/revoke`.
pub(super) async fn revoke_consumer(visit: Visit, Parts((workspace, key)): Two) -> Response<Body> {
    of(&visit, Action::WriteTokens, &workspace, async |granted, slug| {
        let wanted = RevokeConsumer { workspace: slug.clone(), key: key.clone() };
        wanted.carry_out(&granted.desk(&visit.call)).await?;
        Ok(lead_to(&format!("/{slug}/workspace/settings/consumers")))
    })
    .await
}

/// `GET …/settings/policy`.
pub(super) async fn policy(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::ReadSettings, &workspace, async |granted, slug| {
        let present = ShowPolicy { workspace: slug }.carry_out(&granted.desk(&visit.call)).await?;
        let chosen = chosen_of(&present);
        show_policy(&visit, &granted, &present, None, chosen, (StatusCode::OK, None)).await
    })
    .await
}

/// `POST …/settings/policy`: shows what a policy would do, or sets it.
pub(super) async fn set_policy(visit: Visit, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&visit, Action::ChangeSettings, &workspace, async |granted, slug| {
        let desk = granted.desk(&visit.call);
        let save = visit.text("do") == "save";
        let done = async {
            let kinds: Vec<Kind> = visit.form.all("kind").filter_map(Kind::from_word).collect();
            let longest = visit.text("longest");
            let typed = visit.text("addresses");
            let addresses = parse_ranges(typed).map_err(|_| {
                let what = format!("in `{}` there is what is no address and no range", shown(typed));
                Refusal::bad_parameter("addresses", what, "write it as 192.0.2.7 or 192.0.2.0/24")
            })?;
            let wanted = ChangePolicy {
                workspace: slug.clone(),
                sso: Some(visit.ticked("sso")),
                kinds: Some((!kinds.is_empty()).then(|| Kinds::of(&kinds))),
                longest: Some(if longest.is_empty() { None } else { Some(length_of("longest", longest)?) }),
                addresses: Some(addresses),
                two_step: Some(visit.ticked("two_step")),
                dry_run: !save,
            };
            Ok::<_, Refusal>(wanted.carry_out(&desk).await?)
        };
        let done = done.await;
        let present = ShowPolicy { workspace: slug }.carry_out(&desk).await?;
        let typed = ChosenPolicy {
            sso: visit.ticked("sso"),
            two_step: visit.ticked("two_step"),
            kinds: visit.form.all("kind").map(str::to_owned).collect(),
            longest: visit.text("longest").into(),
            addresses: visit.text("addresses").into(),
        };
        match done {
            Ok(row) if save => {
                let notice = Notice::done("The policy is set, and holds from now on.");
                let chosen = chosen_of(&row);
                show_policy(&visit, &granted, &present, None, chosen, (StatusCode::OK, Some(notice))).await
            }
            Ok(row) => show_policy(&visit, &granted, &present, Some(row), typed, (StatusCode::OK, None)).await,
            Err(refusal) => {
                let told = (refusal.status, Some(notice(refusal)?));
                show_policy(&visit, &granted, &present, None, typed, told).await
            }
        }
    })
    .await
}

async fn of(
    visit: &Visit,
    action: Action,
    workspace: &str,
    work: impl AsyncFnOnce(Granted, WorkspaceSlug) -> Reply,
) -> Response<Body> {
    visit
        .call
        .carry_out(action, Place::Workspace(workspace), async |granted| {
            let slug = granted.holding_workspace(&visit.call).await?.slug;
            work(granted, slug).await
        })
        .await
}

/// The workspace in an address, if a token is one of its.
async fn workspace_of(granted: &Granted, id: CredentialId, workspace: &str) -> Result<WorkspaceSlug, Refusal> {
    let slug: WorkspaceSlug = named("workspace", workspace)?;
    let credential = granted.store.credential(id).await?;
    let place = credential.place.filter(|_| credential.account.is_none()).unwrap_or_default();
    if place.split('/').next() == Some(slug.as_str()) {
        return Ok(slug);
    }
    let sentence = format!("`{slug}` has no such access token");
    Err(Refusal::not_there("token_not_found", sentence, "look at the list of those that it has"))
}

async fn members_told(visit: &Visit, granted: &Granted, slug: &WorkspaceSlug, done: Result<String, Refusal>) -> Reply {
    let (status, notice) = match done {
        Ok(said) => (StatusCode::OK, Notice::done(said)),
        Err(refusal) => (refusal.status, notice(refusal)?),
    };
    show_members(visit, granted, slug, status, Some(notice)).await
}

async fn show_members(
    visit: &Visit,
    granted: &Granted,
    slug: &WorkspaceSlug,
    status: StatusCode,
    notice: Option<Notice>,
) -> Reply {
    let desk = granted.desk(&visit.call);
    let workspace = granted.store.workspace(slug).await?;
    let repositories = granted.store.repositories(Some(slug)).await?;
    let mut permissions = Vec::new();
    for repository in repositories.iter().take(MOST_REPOSITORIES) {
        let name = repository.name.clone();
        let rows = ListPermissions { name }.carry_out(&desk).await?;
        permissions.extend(rows.into_iter().map(|row| (repository.name.slug.to_string(), row)));
    }
    let page = MembersPage {
        frame: Frame { notice, ..visit.frame(granted, "Members", "repositories") },
        tab: "members",
        slug: slug.to_string(),
        owner: workspace.owner.to_string(),
        members: workspace.members.iter().map(|member| member.account.to_string()).collect(),
        permissions,
        repositories: repositories.iter().map(|repository| repository.name.slug.to_string()).collect(),
    };
    html_as(status, &page)
}

async fn make_token(visit: &Visit, granted: &Granted, slug: &WorkspaceSlug) -> Result<NewTokenRow, Refusal> {
    let place = visit.text("place");
    if !lies_in(place, slug.as_str()) {
        return Err(Refusal::bad_parameter("place", "it is none of this workspace", "choose one that is offered"));
    }
    // Projects are in capital letters, which no repository is.
    let kind = match place.split_once('/') {
        None => Kind::WorkspaceToken,
        Some((_, key)) if key.chars().any(char::is_uppercase) => Kind::ProjectToken,
        Some(_) => Kind::RepositoryToken,
    };
    let wanted = CreateToken {
        kind,
        holder: TokenHolder::place(kind, place)?,
        name: visit.label("name", 100)?,
        scopes: visit.scopes(Vocabulary::Old)?,
        lifetime: visit.lifetime()?,
    };
    Ok(wanted.carry_out(&granted.desk(&visit.call)).await?)
}

async fn new_token_page(
    visit: &Visit,
    granted: &Granted,
    slug: &WorkspaceSlug,
    chosen: ChosenToken,
) -> Result<NewCredentialPage, Refusal> {
    let projects = ListProjects { workspace: slug.clone() }.carry_out(&granted.desk(&visit.call)).await?;
    let repositories = granted.store.repositories(Some(slug)).await?;
    let mut places = vec![slug.to_string()];
    places.extend(projects.into_iter().map(|project| project.name));
    places.extend(repositories.into_iter().map(|repository| repository.name.to_string()));
    let frame = visit.frame(granted, "Create an access token", "repositories");
    Ok(NewCredentialPage::of_workspace(frame, slug.as_str(), places, chosen))
}

/// The page with the secret of a token that was made.
fn token_made(
    visit: &Visit,
    granted: &Granted,
    slug: &WorkspaceSlug,
    heading: &'static str,
    made: NewTokenRow,
) -> Reply {
    let place = made.token.place.clone().unwrap_or_default();
    let is_repository = made.token.kind == Kind::RepositoryToken.word();
    let repository = if is_repository { place } else { format!("{slug}/REPOSITORY") };
    let frame = visit.frame(granted, heading, "repositories");
    html(&new_secret(visit, frame, heading, made, &repository, back_to_tokens(slug)))
}

fn new_consumer(visit: &Visit, granted: &Granted, slug: &WorkspaceSlug, made: NewConsumerRow) -> NewSecretPage {
    NewSecretPage {
        frame: visit.frame(granted, "The consumer's secret", "repositories"),
        heading: "The consumer's secret",
        name: made.consumer.name.clone(),
        usages: doorward_pages::consumer_usages(&visit.call.base(), &made.consumer, &made.secret),
        secret: made.secret,
        key: Some(made.consumer.key),
        old_ends: made.consumer.old_secret_ends_at,
        back: format!("/{slug}/workspace/settings/consumers"),
        back_name: format!("OAuth consumers of {slug}"),
    }
}

async fn show_consumers(
    visit: &Visit,
    granted: &Granted,
    slug: &WorkspaceSlug,
    chosen: ChosenConsumer,
    status: StatusCode,
    notice: Option<Notice>,
) -> Reply {
    let rows = ListConsumers { workspace: slug.clone() }.carry_out(&granted.desk(&visit.call)).await?;
    let frame = Frame { notice, ..visit.frame(granted, "OAuth consumers", "repositories") };
    html_as(status, &ConsumersPage::new(frame, slug.to_string(), visit.call.base(), rows, chosen))
}

async fn show_policy(
    visit: &Visit,
    granted: &Granted,
    present: &PolicyRow,
    planned: Option<PolicyRow>,
    chosen: ChosenPolicy,
    (status, notice): (StatusCode, Option<Notice>),
) -> Reply {
    let kinds = doorward_admin::KINDS.map(|kind| (kind.word().to_owned(), format!("{}s", kind.phrase())));
    let page = PolicyPage {
        frame: Frame { notice, ..visit.frame(granted, "Policy", "repositories") },
        tab: "policy",
        slug: present.workspace.clone(),
        present: present.sentence.clone(),
        planned: planned.as_ref().map(|row| row.sentence.clone()).unwrap_or_default(),
        refuses: planned.and_then(|row| row.refuses),
        kinds: kinds.to_vec(),
        chosen,
    };
    html_as(status, &page)
}

fn chosen_of(row: &PolicyRow) -> ChosenPolicy {
    ChosenPolicy {
        sso: row.sso,
        two_step: row.two_step,
        kinds: row.kinds.clone().unwrap_or_default(),
        longest: row.longest_days.map(|days| format!("{days}d")).unwrap_or_default(),
        addresses: row.addresses.join(" "),
    }
}

fn back_to_tokens(slug: &WorkspaceSlug) -> (String, String) {
    (format!("/{slug}/workspace/settings/tokens"), format!("Access tokens of {slug}"))
}

/// Of how many repositories the privileges are listed.
const MOST_REPOSITORIES: usize = 200;
