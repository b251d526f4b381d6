//! Jobs in front of an upstream: `doorward sandbox`, which has Bitbucket Cloud's faults and forms, and `git http-backend`, which is
//! somebody else's program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use doorward_testkit::{Backend, Git, History, Request, Sandbox, Server, What, command, write_history};
use serde_json::json;
use tempfile::TempDir;

use crate::PROGRAM;
use crate::operation::await_that;
use crate::sandbox::base64;

/// A gateway in front of an address, for the workspaces `acme` and `other`.
pub(crate) fn gateway(upstream: &str, more: &str) -> Server {
    gateway_with(upstream, more, &[])
}

pub(crate) fn gateway_with(upstream: &str, more: &str, environment: &[(&str, &str)]) -> Server {
    let configuration = format!(
        "[[upstream]]\nname = \"bitbucket\"\nworkspaces = \"acme, other\"\ngit = \"{upstream}\"\nrest = \"{upstream}/2.0\"\n{more}\n"
    );
    Server::start_configured(PROGRAM, &configuration, environment)
}

pub(crate) fn basic(user: &str, secret: &str) -> String {
    format!("Basic {}", base64(&format!("{user}:{secret}")))
}

/// A host with `acme/site`, which has some commits, and one credential; and a gateway in front of it.
pub(crate) struct World {
    pub(crate) backend: Backend,
    pub(crate) gateway: Server,
    pub(crate) bare: PathBuf,
    pub(crate) git: Git,
    pub(crate) directory: TempDir,
}

impl World {
    pub(crate) fn new(more: &str) -> Self {
        Self::with(more, &[])
    }

    pub(crate) fn with(more: &str, environment: &[(&str, &str)]) -> Self {
        Self::before_one_who_takes("as-sent", more, environment)
    }

    /// The same before one who takes the forms that Bitbucket Cloud does.
    pub(crate) fn bitbucket() -> Self {
        Self::before_one_who_takes("bitbucket-cloud", "", &[])
    }

    fn before_one_who_takes(forms: &str, more: &str, environment: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let git = Git::new(directory.path());
        let source = directory.path().join("source");
        git.ok(directory.path(), &["init", "-q", "source"]);
        for number in 0..5 {
            git.commit(&source, "file", &format!("{number}"));
        }
        git.ok(&source, &["tag", "-a", "-m", "one", "v1"]);
        let root = directory.path().join("upstream");
        std::fs::create_dir(&root).expect("made");
        let backend = Backend::start(&root);
        let bare = backend.add(&git, "acme/site", &source);
        backend.admit(&basic("ada", "good"));
        let gateway = gateway_with(&backend.url(), &format!("forms = \"{forms}\"\n{more}"), environment);
        Self { backend, gateway, bare, git, directory }
    }

    pub(crate) fn url(&self) -> String {
        self.gateway.url("ada", "good", "acme/site")
    }

    pub(crate) fn clone_to(&self, name: &str) -> PathBuf {
        self.git.ok(self.directory.path(), &["clone", "-q", &self.url(), name]);
        self.directory.path().join(name)
    }

    pub(crate) fn head(&self) -> String {
        self.git.ok(&self.bare, &["rev-parse", "refs/heads/main"])
    }

    /// Lets the gateway know that the credential is good.
    pub(crate) fn acquaint(&self) {
        self.git.ok(self.directory.path(), &["ls-remote", "-q", &self.url()]);
    }
}

/// Runs so many at once; what each came to.
pub(crate) fn at_once<T: Send>(count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..count)
            .map(|number| {
                scope.spawn({
                    let job = &job;
                    move || job(number)
                })
            })
            .collect();
        jobs.into_iter().map(|job| job.join().expect("it ends")).collect()
    })
}

#[test]
fn what_is_cloned_through_the_gateway_is_what_is_there() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    assert_eq!(world.git.ok(&clone, &["rev-parse", "HEAD"]), world.head());
    assert_eq!(world.git.ok(&clone, &["tag"]), "v1");
    world.git.ok(&clone, &["fsck", "--strict"]);
    // What is pushed past the gateway is there for the next fetch.
    let direct = world.directory.path().join("direct");
    let url = format!("http://ada:good@{}/acme/site.git", world.backend.host());
    world.git.ok(world.directory.path(), &["clone", "-q", &url, "direct"]);
    let new = world.git.commit(&direct, "file", "past it");
    world.git.ok(&direct, &["push", "-q"]);
    world.backend.take_requests();
    world.git.ok(&clone, &["pull", "-q"]);
    assert_eq!(world.git.ok(&clone, &["rev-parse", "HEAD"]), new);
    // And what was fetched once is not fetched again.
    world.backend.take_requests();
    let again = world.clone_to("again");
    assert_eq!(world.git.ok(&again, &["rev-parse", "HEAD"]), new);
    let fetched = world.backend.requests().iter().filter(|asked| asked.command.as_deref() == Some("fetch")).count();
    assert_eq!(fetched, 0, "{:?}", world.backend.requests());
    // Older versions of the protocol, and parts.
    for (name, arguments) in [
        ("version-0", &["-c", "protocol.version=0"][..]),
        ("version-1", &["-c", "protocol.version=1"]),
        ("shallow", &["-c", "protocol.version=2"]),
    ] {
        let depth: &[&str] = if name == "shallow" { &["--depth", "1"] } else { &[] };
        world.git.ok(world.directory.path(), &[arguments, &["clone", "-q"], depth, &[&world.url(), name]].concat());
        assert_eq!(world.git.ok(&world.directory.path().join(name), &["rev-parse", "HEAD"]), new);
    }
}

#[test]
fn a_push_goes_through_and_a_forced_one_and_a_deletion_do() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    let new = world.git.commit(&clone, "file", "pushed");
    world.git.ok(&clone, &["push", "-q", "origin", "main", "main:refs/heads/side"]);
    assert_eq!(world.head(), new);
    world.git.ok(&clone, &["commit", "-q", "--amend", "-m", "another"]);
    assert!(!world.git.run(&clone, &["push", "-q"]).ok, "it is no fast-forward");
    world.git.ok(&clone, &["push", "-q", "--force", "origin", "main", ":side"]);
    assert_eq!(world.head(), world.git.ok(&clone, &["rev-parse", "HEAD"]));
    assert_eq!(world.git.ok(&clone, &["ls-remote", "--heads", "origin", "side"]), "");
}

#[test]
fn a_good_token_is_let_in_in_whatever_form_a_job_presents_it() {
    let sandbox = Sandbox::start(PROGRAM, &[]);
    let gateway = gateway(&format!("http://{}", sandbox.host()), "");
    let http = gateway.http();
    let forms = |secret: &str| {
        [
            basic("ada", secret),
            basic("ada@example.org", secret),
            basic("x-bitbucket-api-token-auth", secret),
            basic("x-token-auth", secret),
            basic("somebody", secret),
            basic(secret, ""),
            basic("x-oauth-basic", secret),
            format!("Bearer {secret}"),
        ]
    };
    for kind in ["api_token", "repository_access_token", "project_access_token", "workspace_access_token"] {
        let secret = sandbox.secret(kind, "valid");
        for form in forms(secret) {
            let header = format!("Authorization: {form}");
            // A project's token is for what is in the project.
            let git = http.get("/acme/site.git/info/refs?service=git-upload-pack", &[&header]);
            assert_eq!(git.status, 200, "{kind} as {} on git: {}", &form[..12], git.text());
            let rest = http.get("/2.0/repositories/acme/site", &[&header]);
            assert_eq!(rest.status, 200, "{kind} as {} on REST: {}", &form[..12], rest.text());
            assert_eq!(rest.header("x-doorward-upstream"), "bitbucket");
        }
    }
    // Of others the name counts, or nobody knows what they are.
    let oauth = sandbox.secret("oauth_access_token", "valid");
    for form in [basic("x-token-auth", oauth), format!("Bearer {oauth}"), basic("ada", oauth)] {
        let git = http.get("/acme/site.git/info/refs?service=git-upload-pack", &[&format!("Authorization: {form}")]);
        assert_eq!(git.status, 200, "{}", git.text());
    }
}

#[test]
fn a_job_is_told_once_how_to_present_its_token() {
    let sandbox = Sandbox::start(PROGRAM, &[]);
    let gateway = gateway(&format!("http://{}", sandbox.host()), "");
    let git = sandbox.git();
    let url = gateway.url("ada%40example.org", sandbox.secret("api_token", "valid"), "acme/site");
    let first = git.run(sandbox.directory(), &["clone", &url, "first"]);
    assert!(
        first.ok
            && first.stderr.contains(
                "hint: bitbucket takes this API token as Basic with the user name x-bitbucket-api-token-auth"
            ),
        "{}",
        first.stderr
    );
    let second = git.run(sandbox.directory(), &["clone", &url, "second"]);
    assert!(second.ok && !second.stderr.contains("hint:"), "{}", second.stderr);
}

#[test]
fn a_kind_that_has_ended_is_refused_here_and_its_successor_named() {
    let sandbox = Sandbox::start(PROGRAM, &["--at", "2026-06-01"]);
    let gateway = gateway(&format!("http://{}", sandbox.host()), "");
    let header = format!("Authorization: {}", basic("ada", sandbox.secret("app_password", "valid")));
    let answer = gateway.http().get("/acme/site.git/info/refs?service=git-upload-pack", &[&header]);
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("API token"), "{}", answer.text());
    assert!(sandbox.log().is_empty(), "the upstream was not asked");
}

#[test]
fn who_is_refused_there_gets_nothing_here_not_even_what_was_fetched_for_others() {
    let world = World::new("doubt = \"1s\"");
    let clone = world.clone_to("clone");
    let head = world.head();
    let http = world.gateway.http();
    let refs = command("ls-refs", &["object-format=sha1"], ["peel"]);
    let objects = command("fetch", &["object-format=sha1"], [format!("want {head}"), "done".into()]);
    let ask = |header: &[&str], body: &[u8]| {
        let headers =
            [header, &["Content-Type: application/x-git-upload-pack-request", "Git-Protocol: version=2"]].concat();
        http.post("/acme/site.git/git-upload-pack", &headers, body)
    };
    let good = format!("Authorization: {}", basic("ada", "good"));
    assert_eq!(ask(&[&good], &objects).status, 200);
    let bad = format!("Authorization: {}", basic("ada", "bad"));
    for header in [&[][..], &[&*bad]] {
        for body in [&refs, &objects] {
            let answer = ask(header, body);
            assert_eq!(answer.status, 401);
            assert!(!answer.text().contains(&head) && !answer.text().contains("PACK"), "{}", answer.text());
        }
        let answer = http.get("/acme/site.git/info/refs?service=git-upload-pack", header);
        assert_eq!(answer.status, 401);
    }
    // One that is revoked gets nothing from then on, on a new connection.
    world.backend.revoke(&basic("ada", "good"));
    let answer = ask(&[&good], &objects);
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(!world.git.run(&clone, &["fetch"]).ok);
    // And one that is admitted there is let in here at once.
    world.backend.admit(&basic("ada", "bad"));
    assert_eq!(ask(&[&bad], &objects).status, 200);
}

#[test]
fn a_refusal_for_no_reason_is_not_seen_by_jobs() {
    let world = World::new("");
    world.acquaint();
    for about in ["info/refs", "git-upload-pack", "git-receive-pack"] {
        world.backend.fault(about, 2, What::Status(401, vec!["WWW-Authenticate: Basic realm=\"x\"".into()]));
        let name = about.replace('/', "-");
        let clone = world.clone_to(&name);
        let new = world.git.commit(&clone, &name, "x");
        world.git.ok(&clone, &["push", "-q"]);
        assert_eq!(world.head(), new);
        world.backend.mend();
    }
    let hidden = world.gateway.http().get("/metrics", &[]).text();
    assert!(hidden.contains("doorward_upstream_hidden_refusals_total{upstream=\"bitbucket\"} "), "{hidden}");
}

#[test]
fn a_gateway_that_was_started_anew_knows_which_tokens_are_good() {
    let mut world = World::new("");
    // Of passwords nothing is remembered; this looks like a token.
    let gateway =
        format!("[[upstream]]\nname = \"bitbucket\"\nworkspaces = \"acme\"\ngit = \"{}\"\n", world.backend.url());
    world.gateway = Server::start_configured(PROGRAM, &gateway, &[]);
    let token = format!("ATCTT3xFfGN0{}", "a".repeat(180));
    world.backend.admit(&basic("x-token-auth", &token));
    let url = world.gateway.url("x-token-auth", &token, "acme/site");
    world.git.ok(world.directory.path(), &["ls-remote", "-q", &url]);
    let remembered = world.gateway.cli().data().join("upstreams/bitbucket.credentials");
    while !remembered.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!std::fs::read_to_string(&remembered).expect("a text").contains(&token[..20]));
    world.gateway.kill();
    world.gateway.start_again();
    world.backend.fault("git-upload-pack", 2, What::Status(401, Vec::new()));
    world.git.ok(world.directory.path(), &["ls-remote", "-q", &url]);
}

#[test]
fn who_was_never_let_in_is_refused_at_once_and_asked_once() {
    let world = World::new("");
    let began = Instant::now();
    let url = world.gateway.url("eve", "guess", "acme/site");
    let outcome = world.git.run(world.directory.path(), &["ls-remote", &url]);
    assert!(!outcome.ok && outcome.stderr.contains("bitbucket refused this credential"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("bitbucket says: Go away"), "{}", outcome.stderr);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let with_it = world.backend.requests().into_iter().filter(|asked| asked.authorization.is_some()).count();
    assert_eq!(with_it, 1);
    let id = outcome.stderr.split("request: ").nth(1).and_then(|rest| rest.split([' ', '\n']).next()).expect("an id");
    let why = world.gateway.cli().ok(&["why", id]);
    assert!(why.contains("bitbucket refused this credential") && !why.contains("guess"), "{why}");
}

#[test]
fn sixty_four_jobs_at_once_cost_the_upstream_one_fetch_and_few_looks() {
    let world = World::new("");
    world.acquaint();
    world.backend.take_requests();
    // Slow enough that all have asked before the first look has ended.
    world.backend.fault("", 1000, What::Late(Duration::from_millis(300)));
    let http = world.gateway.http();
    let header = format!("Authorization: {}", basic("ada", "good"));
    let statuses = at_once(64, |_| http.get("/acme/site.git/info/refs?service=git-upload-pack", &[&header]).status);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let looks = world.backend.take_requests().len();
    assert!(looks <= 2, "{looks} looks");
    let names: Vec<String> = (0..64).map(|number| format!("job-{number}")).collect();
    let outcomes =
        at_once(64, |number| world.git.run(world.directory.path(), &["clone", "-q", &world.url(), &names[number]]));
    assert!(outcomes.iter().all(|outcome| outcome.ok), "{outcomes:?}");
    let requests = world.backend.take_requests();
    let fetches = requests.iter().filter(|asked| asked.command.as_deref() == Some("fetch")).count();
    assert_eq!(fetches, 1, "{} requests", requests.len());
}

#[test]
fn jobs_succeed_while_the_upstream_refuses_a_third_of_all_for_no_reason() {
    let sandbox = Sandbox::start(PROGRAM, &["--seed", "7"]);
    let gateway = gateway(&format!("http://{}", sandbox.host()), "");
    let git = sandbox.git();
    let secret = sandbox.secret("repository_access_token", "valid");
    git.ok(sandbox.directory(), &["ls-remote", "-q", &gateway.url("x-token-auth", secret, "acme/site")]);
    sandbox.control("faults", &json!({ "spurious_401": "0.3,3" }).to_string());
    let clone = |host: &str, name: &str| {
        let url = format!("http://x-token-auth:{}@{host}/acme/site.git", secret.replace('=', "%3D"));
        git.run(sandbox.directory(), &["clone", "-q", &url, name]).ok
    };
    let direct = at_once(16, |number| clone(sandbox.host(), &format!("direct-{number}")));
    assert!(direct.iter().any(|ok| !ok), "without the gateway some fail, or this test tells nothing");
    let through = at_once(32, |number| clone(gateway.host(), &format!("through-{number}")));
    assert!(through.iter().all(|ok| *ok), "{through:?}");
}

#[test]
fn a_credential_that_is_revoked_while_jobs_run_is_refused_and_no_other_is() {
    let world = World::new("doubt = \"2s\"");
    let users = ["ada", "bob", "cyd", "dan"];
    users.iter().for_each(|user| world.backend.admit(&basic(user, "good")));
    let list = |user: &str| {
        world.git.run(world.directory.path(), &["ls-remote", &world.gateway.url(user, "good", "acme/site")])
    };
    assert!(users.iter().all(|user| list(user).ok));
    world.backend.revoke(&basic("bob", "good"));
    let began = Instant::now();
    let outcomes = at_once(32, |number| (users[number % 4], list(users[number % 4])));
    for (user, outcome) in outcomes {
        assert_eq!(outcome.ok, user != "bob", "{user}: {}", outcome.stderr);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "they shared the doubt: {:?}", began.elapsed());
    let began = Instant::now();
    assert!(!list("bob").ok && began.elapsed() < Duration::from_secs(2), "it is believed now: {:?}", began.elapsed());
}

#[test]
fn of_sixty_four_jobs_those_of_a_credential_that_ends_half_way_are_refused_and_no_others() {
    let world = World::new("doubt = \"2s\"");
    let users = ["ada", "bob", "cyd", "dan"];
    users.iter().for_each(|user| world.backend.admit(&basic(user, "good")));
    let source = world.directory.path().join("source");
    for number in 0..16 {
        world.backend.add(&world.git, &format!("acme/number{number}"), &source);
    }
    let (half, gone) = (Barrier::new(64), Barrier::new(64));
    let outcomes = at_once(64, |number| {
        let (user, repository) = (users[number % 4], format!("acme/number{}", number / 4));
        let url = world.gateway.url(user, "good", &repository);
        let (directory, name) = (world.directory.path(), format!("job{number}"));
        let cloned = world.git.run(directory, &["clone", "-q", &url, &name]);
        if half.wait().is_leader() {
            world.backend.revoke(&basic("bob", "good"));
        }
        gone.wait();
        let again = format!("again{number}");
        (user, cloned, world.git.run(directory, &["clone", "-q", &url, &again]))
    });
    for (user, cloned, again) in &outcomes {
        assert!(cloned.ok, "{user}: {}", cloned.stderr);
        assert_eq!(again.ok, *user != "bob", "{user}: {}", again.stderr);
    }
    let refused = outcomes.iter().filter(|(user, ..)| *user == "bob").map(|(.., again)| &again.stderr);
    assert!(refused.into_iter().all(|said| said.contains("bitbucket refused")), "they are told whose refusal it is");
}

/// What every tool of the second table of cases sends wrongly, and a gateway can see: each gets through.
mod wrong_forms {
    use super::{Sandbox, basic, gateway};
    use crate::PROGRAM;

    /// Sends a token in a form to git and to REST, straight and through the gateway.
    fn check(kind: &str, form: impl Fn(&str) -> String, straight: [u16; 2]) {
        let sandbox = Sandbox::start(PROGRAM, &[]);
        let through = gateway(&format!("http://{}", sandbox.host()), "");
        let header = format!("Authorization: {}", form(sandbox.secret(kind, "valid")));
        let paths = ["/acme/site.git/info/refs?service=git-upload-pack", "/2.0/repositories/acme/site"];
        let statuses = |http: doorward_testkit::Http| paths.map(|path| http.get(path, &[&header]).status);
        assert_eq!(statuses(sandbox.http()), straight, "{kind} without the gateway");
        assert_eq!(statuses(through.http()), [200, 200], "{kind} through the gateway");
    }

    #[test]
    fn case_21_the_e_mail_address_on_git_as_on_rest() {
        check("api_token", |secret| basic("ada@example.org", secret), [401, 200]);
    }

    #[test]
    fn case_21_the_user_name_on_rest_as_on_git() {
        check("api_token", |secret| basic("ada", secret), [200, 401]);
    }

    #[test]
    fn case_22_an_api_token_as_bearer() {
        check("api_token", |secret| format!("Bearer {secret}"), [401, 200]);
    }

    #[test]
    fn case_23_an_access_token_as_basic_on_rest() {
        check("repository_access_token", |secret| basic("x-token-auth", secret), [200, 401]);
    }

    #[test]
    fn case_24_the_user_name_of_access_tokens_with_an_api_token() {
        check("api_token", |secret| basic("x-token-auth", secret), [401, 401]);
    }

    #[test]
    fn case_24_the_user_name_of_api_tokens_with_an_access_token() {
        check("repository_access_token", |secret| basic("x-bitbucket-api-token-auth", secret), [401, 401]);
    }

    #[test]
    fn case_29_the_name_of_a_bot_with_a_repository_token() {
        check("repository_access_token", |secret| basic("abc123@bots.bitbucket.org", secret), [401, 401]);
    }

    #[test]
    fn case_35_the_name_of_one_remote_with_the_secret_of_another() {
        check("workspace_access_token", |secret| basic("somebody", secret), [401, 401]);
    }
}

#[test]
fn a_push_that_breaks_off_is_neither_lost_nor_done_twice() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    let unavailable = || What::Status(503, Vec::new());
    for (place, what) in
        [What::Before, What::After, What::Within(20), unavailable(), What::Status(429, vec!["Retry-After: 1".into()])]
            .into_iter()
            .enumerate()
    {
        let new = world.git.commit(&clone, "file", &format!("round {place}"));
        world.backend.fault("POST /acme/site.git/git-receive-pack", 1, what.clone());
        let outcome = world.git.run(&clone, &["push"]);
        assert!(outcome.ok, "{what:?}: {}", outcome.stderr);
        assert_eq!(world.head(), new, "{what:?}");
    }
    // Somebody else moved the branch while nobody knew: that is said, and theirs stays.
    let other = world.clone_to("other");
    let theirs = world.git.commit(&other, "file", "theirs");
    world.git.ok(
        &other,
        &[
            "push",
            "-q",
            &format!("http://ada:good@{}/acme/site.git", world.backend.host()),
            "HEAD:refs/heads/elsewhere",
        ],
    );
    world.git.commit(&clone, "file", "ours");
    world.git.ok(&world.bare, &["update-ref", "refs/heads/main", &theirs]);
    world.backend.fault("POST /acme/site.git/git-receive-pack", 1, What::Before);
    let outcome = world.git.run(&clone, &["push"]);
    assert!(!outcome.ok && world.head() == theirs, "{}", outcome.stderr);
}

#[test]
fn a_push_that_is_done_late_is_not_said_to_have_changed_nothing() {
    let world = World::new("patience = \"1s\"");
    let clone = world.clone_to("clone");
    let new = world.git.commit(&clone, "file", "late");
    world.backend.fault("POST /acme/site.git/git-receive-pack", 1, What::Later(Duration::from_secs(4)));
    world.backend.fault("POST /acme/site.git/git-receive-pack", 100, What::Before);
    let outcome = world.git.run(&clone, &["push"]);
    assert!(!outcome.ok && outcome.stderr.contains("it may still be done"), "{}", outcome.stderr);
    while world.head() != new {
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_push_that_was_done_and_moved_on_since_is_not_said_to_be_refused() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    // As if somebody else had pushed on top of it at once.
    let hook = world.bare.join("hooks/post-receive");
    std::fs::create_dir_all(hook.parent().expect("hooks")).expect("made");
    let script = "#!/bin/sh\nread old new ref\n\
        commit=$(GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x \
        git commit-tree -p $new -m top $new^{tree})\ngit update-ref $ref $commit\n";
    std::fs::write(&hook, script).expect("written");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let new = world.git.commit(&clone, "file", "done");
    world.backend.fault("POST /acme/site.git/git-receive-pack", 1, What::After);
    let outcome = world.git.run(&clone, &["push"]);
    assert!(outcome.ok, "{}", outcome.stderr);
    assert_eq!(world.git.ok(&world.bare, &["rev-parse", "main^"]), new);
}

#[test]
fn an_upstream_that_falls_silent_is_given_up_and_holds_nobody_up() {
    let world = World::with("", &[("DOORWARD_LIMITS_IDLE_TIME", "1s")]);
    world.acquaint();
    world.backend.fault("git-upload-pack fetch", 1, What::Stall(100));
    let outcomes = at_once(2, |number| {
        world.git.run(world.directory.path(), &["clone", "-q", &world.url(), &format!("silent-{number}")])
    });
    assert!(outcomes.iter().all(|outcome| outcome.ok), "{outcomes:?}");
}

#[test]
fn what_no_ref_leads_to_is_brought_and_a_break_in_it_is_no_refusal() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    let tree = world.git.ok(&world.bare, &["rev-parse", "main^{tree}"]);
    let commit = world.git.ok(&world.bare, &["commit-tree", "-m", "of no branch", &tree]);
    world.backend.fault("git-upload-pack fetch", 1, What::Within(60));
    world.git.ok(&clone, &["fetch", "-q", "origin", &commit]);
    let none = "0123456789012345678901234567890123456789";
    let outcome = world.git.run(&clone, &["fetch", "-q", "origin", none]);
    assert!(!outcome.ok && outcome.stderr.contains("not our ref"), "{}", outcome.stderr);
}

#[test]
fn who_waited_for_what_another_fetched_is_asked_about_again() {
    let world = World::new("doubt = \"1s\"");
    world.backend.admit(&basic("bob", "good"));
    world.acquaint();
    let bob = world.gateway.url("bob", "good", "acme/site");
    world.git.ok(world.directory.path(), &["ls-remote", "-q", &bob]);
    world.backend.fault("git-upload-pack fetch", 1, What::Late(Duration::from_secs(4)));
    world.backend.take_requests();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| world.git.run(world.directory.path(), &["clone", "-q", &world.url(), "first"]));
        while world.backend.arrived("git-upload-pack fetch") == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let second = scope.spawn(|| world.git.run(world.directory.path(), &["clone", "-q", &bob, "second"]));
        let old = scope.spawn(|| {
            let arguments = ["-c", "protocol.version=0", "clone", "-q", &bob, "old"];
            world.git.run(world.directory.path(), &arguments)
        });
        let of_bob = |request: &Request| request.authorization == Some(basic("bob", "good"));
        while world.backend.requests().iter().filter(|request| of_bob(request)).count() < 2 {
            std::thread::sleep(Duration::from_millis(10));
        }
        world.backend.revoke(&basic("bob", "good"));
        assert!(first.join().expect("it ends").ok);
        let second = second.join().expect("it ends");
        assert!(!second.ok && second.stderr.contains("bitbucket refused"), "{}", second.stderr);
        let old = old.join().expect("it ends");
        assert!(!old.ok, "{}", old.stderr);
    });
}

#[test]
fn what_was_in_another_repository_of_the_same_name_is_nobodys() {
    let world = World::new("");
    world.clone_to("clone");
    let old = world.head();
    std::fs::remove_dir_all(&world.bare).expect("removed");
    let source = world.directory.path().join("another");
    world.git.ok(world.directory.path(), &["init", "-q", "another"]);
    let new = world.git.commit(&source, "other", "another");
    world.backend.add(&world.git, "acme/site", &source);
    let clone = world.clone_to("new-owner");
    assert_eq!(world.git.ok(&clone, &["rev-parse", "HEAD"]), new);
    let outcome = world.git.run(&clone, &["fetch", "origin", &old]);
    assert!(!outcome.ok && outcome.stderr.contains("not our ref"), "{}", outcome.stderr);
    // Also before anybody has fetched what is new, and when there is nothing.
    for branch in ["main", "none"] {
        let before = world.head();
        std::fs::remove_dir_all(&world.bare).expect("removed");
        let source = world.directory.path().join(format!("of-{branch}"));
        let source_text = source.to_str().expect("UTF-8").to_owned();
        world.git.ok(world.directory.path(), &["init", "-q", &source_text]);
        if branch == "main" {
            world.git.commit(&source, "third", "one more");
        }
        world.backend.add(&world.git, "acme/site", &source);
        let empty = world.directory.path().join(format!("asks-{branch}"));
        world.git.ok(world.directory.path(), &["init", "-q", empty.to_str().expect("UTF-8")]);
        let outcome = world.git.run(&empty, &["fetch", &world.url(), &before]);
        assert!(!outcome.ok && outcome.stderr.contains("not our ref"), "{branch}: {}", outcome.stderr);
        if branch == "main" {
            world.clone_to("third");
        }
    }
}

#[test]
fn a_token_of_this_server_goes_to_no_upstream_and_no_path_leads_out_of_it() {
    let world = World::new("");
    let http = world.gateway.http();
    let own = format!("Authorization: Bearer {}", world.gateway.up().token);
    for path in [
        "/acme/site.git/info/refs?service=git-upload-pack",
        "/acme/site.git/info/refs?service=git-receive-pack",
        "/2.0/repositories/acme/site",
        "/acme/site.git/info/lfs/locks",
    ] {
        let answer = http.get(path, &[&own]);
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        assert!(answer.text().contains("this server"), "{}", answer.text());
    }
    let good = format!("Authorization: {}", basic("ada", "good"));
    for path in [
        "/2.0/repositories/acme/../../../internal",
        "/2.0/../1.0/x",
        "/acme/site.git/info/lfs/../../../../2.0/internal",
        "/2.0/repositories/acme/%2e%2e/home/hello",
    ] {
        assert!((400..500).contains(&http.get(path, &[&good]).status), "{path}");
    }
    assert!(world.backend.requests().is_empty(), "{:?}", world.backend.requests());
}

#[test]
fn nobody_fills_the_disk_who_was_not_let_in() {
    let world = World::new("");
    let body = vec![b'x'; 1 << 20];
    for header in [&[][..], &[&*format!("Authorization: {}", basic("eve", "guess"))]] {
        for (method, path) in
            [("PUT", "/acme/site.git/info/lfs/objects/x"), ("POST", "/acme/site.git/git-receive-pack")]
        {
            let headers = [header, &["Content-Type: application/x-git-receive-pack-request"]].concat();
            let answer = world.gateway.http().call(method, path, &headers, &body);
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
        }
    }
    assert!(world.backend.requests().iter().all(|asked| asked.method == "GET"), "{:?}", world.backend.requests());
}

#[test]
fn a_mirror_that_is_damaged_is_made_anew() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    let mirrors = world.gateway.cli().data().join("mirrors");
    let mirror = mirrors.read_dir().expect("mirrors").flatten().next().expect("a mirror").path();
    for pack in mirror.join("objects/pack").read_dir().expect("packs").flatten() {
        std::fs::remove_file(pack.path()).expect("removed");
    }
    let new = world.git.commit(&clone, "file", "after the damage");
    world.git.ok(&clone, &["push", "-q"]);
    let again = world.clone_to("again");
    assert_eq!(world.git.ok(&again, &["rev-parse", "HEAD"]), new);
    world.git.ok(&again, &["fsck"]);
}

#[test]
fn an_upstream_that_is_down_for_a_while_costs_jobs_time_and_nothing_else() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    let new = world.git.commit(&clone, "file", "during");
    world.backend.fault("", usize::MAX, What::Before);
    std::thread::scope(|scope| {
        let push = scope.spawn(|| world.git.run(&clone, &["push"]));
        let fetch = scope.spawn(|| world.git.run(world.directory.path(), &["clone", "-q", &world.url(), "meanwhile"]));
        // The gateway has met the trouble, and it passes.
        while world.backend.requests().iter().filter(|asked| asked.status == 0).count() < 8 {
            std::thread::sleep(Duration::from_millis(20));
        }
        world.backend.mend();
        for outcome in [push, fetch].map(|job| job.join().expect("it ends")) {
            assert!(outcome.ok, "{}", outcome.stderr);
        }
    });
    assert_eq!(world.head(), new);
}

#[test]
fn an_upstream_that_is_dead_for_thirty_seconds_loses_nothing_and_does_nothing_twice() {
    let mut upstream = Server::start(PROGRAM);
    let (token, configuration) = (upstream.up().token.clone(), "forms = \"as-sent\"");
    let host = upstream.host().to_owned();
    let through = Server::start_configured(
        PROGRAM,
        &format!(
            "[[upstream]]\nname = \"upstream\"\nworkspaces = \"home\"\ngit = \"http://{host}\"\nrest = \"http://{host}/2.0\"\n{configuration}\n"
        ),
        &[],
    );
    let (git, directory) = (through.git(), through.directory().to_path_buf());
    let url = through.url("admin", &token, "home/hello");
    let clones: Vec<PathBuf> = (0..4)
        .map(|number| {
            git.ok(&directory, &["clone", "-q", &url, &format!("pusher{number}")]);
            let clone = directory.join(format!("pusher{number}"));
            git.commit(&clone, &format!("file{number}"), "pushed");
            clone
        })
        .collect();
    let header = format!("Authorization: Bearer {token}");
    let upload = |number: usize| {
        let form = format!("up{number}.txt=content&message=upload+{number}&branch=uploads{number}");
        let media_type = "Content-Type: application/x-www-form-urlencoded";
        through.http().post("/2.0/repositories/home/hello/src", &[&header, media_type], form.as_bytes())
    };
    let asked = || {
        let metrics = through.http().get("/metrics", &[]).text();
        let lines = metrics.lines().filter(|line| line.starts_with("doorward_upstream_requests_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    let clones = &clones;
    let (fetched, pushed, uploaded) = std::thread::scope(|scope| {
        let (git, directory, url, upload) = (&git, &directory, &url, &upload);
        let fetches: Vec<_> = (0..4)
            .map(|number| scope.spawn(move || git.run(directory, &["clone", "-q", url, &format!("during{number}")])))
            .collect();
        let pushes: Vec<_> = clones
            .iter()
            .enumerate()
            .map(|(number, clone)| {
                scope.spawn(move || {
                    git.run(clone, &["push", "-q", "origin", &format!("HEAD:refs/heads/pushed{number}")])
                })
            })
            .collect();
        let uploads: Vec<_> = (0..4).map(|number| scope.spawn(move || upload(number))).collect();
        // It dies in the midst of what all of them do, and is dead for as long as that, whatever else happens.
        let before = asked();
        while asked() < before + 8 {
            std::thread::yield_now();
        }
        upstream.kill();
        std::thread::sleep(Duration::from_secs(30));
        upstream.start_again();
        let outcomes = |jobs: Vec<std::thread::ScopedJoinHandle<'_, _>>| -> Vec<doorward_testkit::Outcome> {
            jobs.into_iter().map(|job| job.join().expect("it ends")).collect()
        };
        let (fetches, pushes) = (outcomes(fetches), outcomes(pushes));
        let uploads: Vec<_> = uploads.into_iter().map(|job| job.join().expect("it ends")).collect();
        (fetches, pushes, uploads)
    });
    for outcome in fetched.iter().chain(&pushed) {
        assert!(outcome.ok, "{}", outcome.stderr);
    }
    let refs = git.ok(&directory, &["ls-remote", &upstream.url("admin", &token, "home/hello")]);
    for (number, clone) in clones.iter().enumerate() {
        let new = git.ok(clone, &["rev-parse", "HEAD"]);
        assert!(refs.contains(&format!("{new}\trefs/heads/pushed{number}")), "{refs}");
    }
    git.ok(&directory, &["clone", "-q", &upstream.url("admin", &token, "home/hello"), "after"]);
    let after = directory.join("after");
    for (number, answer) in uploaded.iter().enumerate() {
        let branch = format!("origin/uploads{number}");
        let has_branch = git.run(&after, &["rev-parse", "-q", "--verify", &branch]).ok;
        let count =
            || git.ok(&after, &["rev-list", "--count", &branch, "^origin/main"]).parse::<usize>().expect("a number");
        let times = if has_branch { count() } else { 0 };
        match answer.status {
            201 => assert_eq!(times, 1, "it is done, and once"),
            503 => assert_eq!(times, 0, "nothing was done, as it was told: {}", answer.text()),
            502 => assert!(times <= 1 && answer.text().contains("look at what is there"), "{times}: {}", answer.text()),
            status => panic!("{status}: {}", answer.text()),
        }
    }
}

#[test]
fn when_patience_is_over_the_answer_is_503_and_no_credential_is_lost() {
    let world = World::new("patience = \"1s\"");
    world.acquaint();
    world.backend.fault("", usize::MAX, What::Before);
    let header = format!("Authorization: {}", basic("ada", "good"));
    let answer = world.gateway.http().get("/acme/site.git/info/refs?service=git-upload-pack", &[&header]);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(!answer.header("retry-after").is_empty() && answer.text().contains("your credential was not refused"));
    let rest = world.gateway.http().get("/2.0/repositories/acme/site", &[&header]);
    rest.refused(503, "upstream_unanswered");
    // One that takes the question and says nothing is waited for no longer.
    world.backend.mend();
    world.backend.fault("", usize::MAX, What::Late(Duration::from_secs(20)));
    let began = Instant::now();
    let answer = world.gateway.http().get("/acme/site.git/info/refs?service=git-upload-pack", &[&header]);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    world.backend.mend();
    world.backend.fault("", usize::MAX, What::Status(429, vec!["Retry-After: 600".into()]));
    let answer = world.gateway.http().get("/2.0/repositories/acme/site", &[&header]);
    answer.refused(429, "upstream_limited");
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((590..=660).contains(&wait), "{wait}");
}

#[test]
fn a_pack_that_breaks_off_is_fetched_again_and_half_of_it_is_nowhere() {
    let world = World::new("");
    world.acquaint();
    for (bytes, command) in [0, 10, 40, 200].into_iter().flat_map(|bytes| [(bytes, "fetch"), (bytes, "ls-refs")]) {
        world.backend.mend();
        let name = format!("{command}-{bytes}");
        let source = world.clone_to(&format!("{name}-source"));
        world.git.commit(&source, "file", &name);
        world.git.ok(
            &source,
            &["push", "-q", &format!("http://ada:good@{}/acme/site.git", world.backend.host()), "HEAD:main"],
        );
        world.backend.fault(&format!("git-upload-pack {command}"), 1, What::Within(bytes));
        let clone = world.clone_to(&name);
        assert_eq!(world.git.ok(&clone, &["rev-parse", "HEAD"]), world.head());
        world.git.ok(&clone, &["fsck"]);
    }
}

#[test]
fn rest_is_passed_on_and_only_what_changes_nothing_is_asked_twice() {
    let sandbox = Sandbox::start(PROGRAM, &[]);
    let gateway = gateway(&format!("http://{}", sandbox.host()), "");
    let http = gateway.http();
    let token = format!("Authorization: {}", basic("ada", sandbox.secret("api_token", "valid")));
    let direct =
        sandbox.http().get("/2.0/user", &[&format!("Authorization: Bearer {}", sandbox.secret("api_token", "valid"))]);
    let through = http.get("/2.0/user", &[&token]);
    assert_eq!((through.status, &through.body), (200, &direct.body));
    let form = "message=Hello&branch=main&new.txt=content";
    let headers = [&*token, "Content-Type: application/x-www-form-urlencoded"];
    let made = http.post("/2.0/repositories/acme/site/src", &headers, form.as_bytes());
    assert_eq!(made.status, 201, "{}", made.text());
    let read = http.get("/2.0/repositories/acme/site/src/main/new.txt", &[&token]);
    assert_eq!((read.status, read.text().as_str()), (200, "content"));
    let absent = http.get("/2.0/repositories/acme/none", &[&token]);
    assert_eq!(absent.status, 404);
    assert!(absent.text().contains("You may not have access"), "the upstream's own words: {}", absent.text());
    // What is ours stays ours.
    let (_, token) = gateway.cli().token("admin", &["read:user:bitbucket"], &[]);
    let own = http.get("/2.0/user", &[&format!("Authorization: Bearer {token}")]);
    assert_eq!(own.status, 200);
    assert!(own.text().contains("admin"), "{}", own.text());
    assert_eq!(
        http.get("/2.0/repositories/home/hello", &[&format!("Authorization: Bearer {}", gateway.up().token)]).status,
        200
    );

    let world = World::new("patience = \"3s\"");
    let good = format!("Authorization: {}", basic("ada", "good"));
    for (method, times) in [("GET", 2), ("POST", 1), ("PUT", 1), ("DELETE", 1)] {
        world.backend.mend();
        world.backend.take_requests();
        world.backend.fault("/2.0/", 1, What::Before);
        let answer = world.gateway.http().call(method, "/2.0/repositories/acme/site/x", &[&good], b"");
        assert_eq!(world.backend.take_requests().len(), times, "{method}: {}", answer.text());
        assert_eq!(answer.status, if times == 2 { 404 } else { 502 }, "{method}: {}", answer.text());
    }
}

#[test]
fn lfs_is_passed_on_with_the_credential_in_its_right_form() {
    let directory = TempDir::new().expect("a directory");
    let git = Git::new(directory.path());
    git.ok(directory.path(), &["init", "-q", "source"]);
    git.commit(&directory.path().join("source"), "file", "content");
    let backend = Backend::start(directory.path());
    backend.add(&git, "acme/site", &directory.path().join("source"));
    let gateway = gateway(&backend.url(), "");
    let secret = format!("ATATT3xFfGF0{}", "a".repeat(180));
    let header = format!("Authorization: {}", basic("ada@example.org", &secret));
    let answer = gateway.http().post("/acme/site.git/info/lfs/objects/batch", &[&header], b"{}");
    assert_eq!(answer.status, 404, "git http-backend has no LFS: {}", answer.text());
    let requests = backend.requests();
    let request = requests.last().expect("a request");
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/acme/site.git/info/lfs/objects/batch"));
    assert_eq!(request.authorization.as_deref(), Some(basic("x-bitbucket-api-token-auth", &secret).as_str()));
}

#[test]
fn shallow_clones_are_passed_on_if_that_is_set() {
    let world = World::new("partial = \"passed\"");
    world.git.ok(world.directory.path(), &["clone", "-q", "--depth", "1", &world.url(), "shallow"]);
    let shallow = world.directory.path().join("shallow");
    assert_eq!(world.git.ok(&shallow, &["rev-list", "--count", "HEAD"]), "1");
    assert!(!world.gateway.cli().data().join("mirrors").read_dir().is_ok_and(|mut entries| entries.next().is_some()));
    world.clone_to("whole");
    world.backend.take_requests();
    world.git.ok(world.directory.path(), &["clone", "-q", "--depth", "1", &world.url(), "shallow-again"]);
    let fetches =
        world.backend.requests().into_iter().filter(|asked| asked.command.as_deref() == Some("fetch")).count();
    assert_eq!(fetches, 0, "the mirror has it");
}

#[test]
fn a_gateway_that_is_killed_leaves_sound_mirrors_and_loses_no_push_that_it_acknowledged() {
    let mut world = World::new("");
    let clone = world.clone_to("clone");
    let writer = world.directory.path().join("writer");
    world.git.ok(
        world.directory.path(),
        &["clone", "-q", &format!("http://ada:good@{}/acme/site.git", world.backend.host()), "writer"],
    );
    let (mut acknowledged, mut cut_off) = (0, 0);
    for round in 0..100_u64 {
        // Something new to fetch, and something to push, while it is killed at another moment each time.
        let ahead = world.git.commit(&writer, "theirs", &format!("{round}"));
        world.git.ok(&writer, &["push", "-q", "origin", "HEAD:refs/heads/theirs"]);
        let new = world.git.commit(&clone, "ours", &format!("{round}"));
        let (url, git, directory) = (world.url(), world.git.clone(), world.directory.path().to_owned());
        let pushed = std::thread::scope(|scope| {
            let fetch = scope.spawn(|| {
                let name = format!("fetch-{round}");
                git.command(&directory, &["clone", "-q", &url, &name]).stderr(Stdio::null()).status()
            });
            let push = scope.spawn(|| git.run(&clone, &["push", "-q", "origin", "HEAD:refs/heads/ours"]).ok);
            std::thread::sleep(Duration::from_millis(10 + round % 50 * 5));
            world.gateway.kill();
            let _ = fetch.join();
            push.join().expect("it ends")
        });
        (acknowledged, cut_off) = (acknowledged + usize::from(pushed), cut_off + usize::from(!pushed));
        world.gateway.start_again();
        let there = world.git.run(&world.bare, &["rev-parse", "refs/heads/ours"]).stdout;
        assert!(!pushed || there.trim() == new, "round {round}: acknowledged and not there");
        let name = format!("whole-{round}");
        let whole = world.clone_to(&name);
        assert_eq!(world.git.ok(&whole, &["rev-parse", "origin/theirs"]), ahead, "round {round}");
        if round % 10 == 0 {
            world.git.ok(&whole, &["fsck"]);
        }
        std::fs::remove_dir_all(&whole).expect("removed");
    }
    assert!(acknowledged >= 5 && cut_off >= 5, "{acknowledged} were acknowledged, {cut_off} cut off");
    world.gateway.signal(rustix::process::Signal::TERM);
    world.gateway.wait();
    let mirrors = std::fs::read_dir(world.gateway.cli().data().join("mirrors")).expect("mirrors");
    for mirror in mirrors.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".git")) {
        world.git.ok(&mirror.path(), &["fsck", "--full"]);
    }
}

#[test]
fn a_slip_in_an_upstream_is_named_with_its_line() {
    let directory = TempDir::new().expect("a directory");
    let cli = doorward_testkit::Cli::new(PROGRAM, directory.path());
    for (lines, expected) in [
        ("nam = \"x\"", "doorward.toml:2: an upstream has no `nam`"),
        ("name = \"x\"\ngit = \"http://git.example.org\"", "in the clear"),
        ("name = \"x\"\ngit = \"https://a\"\npatience = \"long\"", "doorward.toml:4: `long` is no value"),
    ] {
        std::fs::write(directory.path().join("doorward.toml"), format!("[[upstream]]\n{lines}\n")).expect("written");
        let outcome = cli.run(&["config", "show"]);
        assert!(!outcome.ok && outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
}

#[test]
fn large_histories_come_whole_and_waiting_jobs_are_told() {
    let world = World::new("");
    let big = world.directory.path().join("big");
    write_history(&world.git, &big, History { commits: 300, binary_bytes: 100_000 });
    world.backend.add(&world.git, "acme/big", &big);
    // So late that whoever waits hears of it.
    world.backend.fault("POST /acme/big.git/git-upload-pack", 2, What::Late(Duration::from_secs(7)));
    let outcome = world
        .git
        .run(world.directory.path(), &["clone", "--progress", &world.gateway.url("ada", "good", "acme/big"), "clone"]);
    assert!(outcome.ok, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("remote: Bringing what is new from bitbucket"), "{}", outcome.stderr);
    let count = |path: &Path| world.git.ok(path, &["rev-list", "--all", "--count"]);
    assert_eq!(count(&world.directory.path().join("clone")), count(&big));
}

#[test]
fn jobs_with_tokens_of_this_server_use_the_gateways_own_credential() {
    let world = World::new("");
    world.backend.admit(&basic("gateway", "second"));
    let secrets = world.directory.path().join("credential");
    std::fs::write(&secrets, "gateway:first\n").expect("written");
    let configuration = format!(
        "[[upstream]]\nname = \"bitbucket\"\nworkspaces = \"acme\"\ngit = \"{url}\"\nrest = \"{url}/2.0\"\nforms = \"as-sent\"\n\
         doubt = \"1s\"\nmode = \"brokered\"\ncredentials = [\"file:{}\", \"env:SECOND\"]\n",
        secrets.display(),
        url = world.backend.url(),
    );
    let gateway = Server::start_configured(PROGRAM, &configuration, &[("SECOND", "gateway:second")]);
    let cli = gateway.cli();
    cli.ok(&["account", "create", "bob", "--email", "bob@example.org"]);
    cli.ok(&["workspace", "create", "acme", "--owner", "admin"]);
    let scopes = ["read:repository:bitbucket", "write:repository:bitbucket"];
    let (token, stranger) = (cli.token("admin", &scopes, &[]).1, cli.token("bob", &scopes, &[]).1);
    let reader = cli.token("admin", &scopes[..1], &[]).1;
    let url = |token: &str| gateway.url("x-token-auth", token, "acme/site");
    // The first credential is refused there, and the second one takes its place.
    world.git.ok(world.directory.path(), &["clone", "-q", &url(&token), "clone"]);
    let clone = world.directory.path().join("clone");
    let new = world.git.commit(&clone, "file", "brokered");
    world.git.ok(&clone, &["push", "-q"]);
    assert_eq!(world.head(), new);
    // Who may not is refused by this server, and the upstream hears nothing of it.
    world.backend.take_requests();
    let refused = world.git.run(&clone, &["push", "-q", &url(&reader), "HEAD:refs/heads/other"]);
    assert!(!refused.ok && refused.stderr.contains("write:repository:bitbucket"), "{}", refused.stderr);
    for (user, name) in [(&stranger, "acme/site"), (&stranger, "acme/none")] {
        let outcome = world.git.run(&clone, &["ls-remote", &gateway.url("bob", user, name)]);
        assert!(!outcome.ok && outcome.stderr.contains("not found"), "{name}: {}", outcome.stderr);
    }
    let anonymous = gateway.http().get("/acme/site.git/info/refs?service=git-upload-pack", &[]);
    assert_eq!(anonymous.status, 401);
    let sent: Vec<_> = world.backend.take_requests().into_iter().filter(|asked| asked.path.contains("site")).collect();
    assert!(sent.is_empty(), "{sent:?}");
    // What administers there is not passed on.
    let bearer = format!("Authorization: Bearer {token}");
    for path in [
        "/2.0/repositories/acme/site/diff/acme/other:main%0Dmain",
        "/2.0/repositories/acme/site?fields=*.*",
        "/acme/site.git/info/lfs/locks",
        "/2.0/repositories/acme/site/hooks",
        "/2.0/workspaces/acme/members",
        "/2.0/repositories/acme/site/pipelines_config",
    ] {
        let answer = gateway.http().get(path, &[&bearer]);
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
    }
    assert!(world.backend.take_requests().is_empty());
    let answer = gateway.http().get("/2.0/repositories/acme/site/refs", &[&bearer]);
    assert_eq!(answer.status, 404, "http-backend has no REST: {}", answer.text());
    let sent = world.backend.take_requests();
    assert_eq!(sent[0].authorization.as_deref(), Some(basic("gateway", "second").as_str()));
    // What ends while it waits is of no use any more.
    let (id, ending) = cli.token("admin", &scopes, &[]);
    let direct = format!("http://ada:good@{}/acme/site.git", world.backend.host());
    world.git.commit(&clone, "file", "past the gateway");
    world.git.ok(&clone, &["push", "-q", &direct, "HEAD:main"]);
    world.backend.fault("git-upload-pack fetch", 1, What::Late(Duration::from_secs(2)));
    let fetches = world.backend.arrived("git-upload-pack fetch");
    std::thread::scope(|scope| {
        let late = scope.spawn(|| world.git.run(world.directory.path(), &["clone", "-q", &url(&ending), "late"]));
        while world.backend.arrived("git-upload-pack fetch") == fetches {
            std::thread::sleep(Duration::from_millis(10));
        }
        cli.ok(&["token", "revoke", &id]);
        let late = late.join().expect("it ends");
        assert!(!late.ok && late.stderr.contains("revoked"), "{}", late.stderr);
    });
    // When none is left, that is the gateway's trouble and not the job's.
    world.backend.revoke(&basic("gateway", "second"));
    let answer = gateway.http().get("/acme/site.git/info/refs?service=git-receive-pack", &[&bearer]);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("your own credential was not refused"), "{}", answer.text());
}

#[test]
fn a_job_that_follows_links_comes_back_to_the_gateway_and_takes_its_token_nowhere_else() {
    let sandbox = Sandbox::start(PROGRAM, &[]);
    let upstream = format!("http://{}", sandbox.host());
    let configuration = format!(
        "[[upstream]]\nname = \"bitbucket\"\nworkspaces = \"acme\"\ngit = \"{upstream}\"\nrest = \"{upstream}/2.0\"\n\
         mode = \"brokered\"\ncredentials = \"env:OWN\"\n"
    );
    let own = sandbox.secret("api_token", "valid");
    let gateway = Server::start_configured(PROGRAM, &configuration, &[("OWN", own)]);
    let cli = gateway.cli();
    cli.ok(&["workspace", "create", "acme", "--owner", "admin"]);
    let (_, token) = cli.token("admin", &["read:repository:bitbucket", "write:repository:bitbucket"], &[]);
    let get = |path: &str| gateway.http().get(path, &[&format!("Authorization: Bearer {token}")]);
    // A file is what it is, whatever stands in it.
    let file = format!("{{\"next\": \"{upstream}/2.0/x\"}}");
    let form = format!("message=x&branch=main&links.json={}", file.replace('/', "%2F"));
    let headers = [&*format!("Authorization: Bearer {token}"), "Content-Type: application/x-www-form-urlencoded"];
    let made = gateway.http().post("/2.0/repositories/acme/site/src", &headers, form.as_bytes());
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(get("/2.0/repositories/acme/site/src/main/links.json").text(), file);
    let page = get("/2.0/repositories/acme/site/commits?pagelen=1");
    let value: serde_json::Value = serde_json::from_slice(&page.body).expect("JSON");
    assert_eq!(page.status, 200, "{value}");
    assert!(!page.text().contains(&format!("\"{upstream}/2.0")), "{value}");
    let next = value["next"].as_str().unwrap_or_else(|| panic!("no next in {value}"));
    let path = next.strip_prefix(&gateway.up().address).unwrap_or_else(|| panic!("{next} leads elsewhere"));
    assert_eq!(get(path).status, 200, "{next}");
}

#[test]
fn a_credential_that_is_kept_sealed_is_used_and_its_end_is_told_beforehand() {
    let world = World::new("");
    world.backend.admit(&basic("gateway", "sealed-secret"));
    let configuration = format!(
        "[[upstream]]\nname = \"bitbucket\"\nworkspaces = \"acme\"\ngit = \"{}\"\nforms = \"as-sent\"\n\
         mode = \"brokered\"\ncredentials = \"store:main\"\n",
        world.backend.url(),
    );
    let gateway = Server::start_configured(PROGRAM, &configuration, &[]);
    let cli = gateway.cli();
    cli.ok(&["workspace", "create", "acme", "--owner", "admin"]);
    let token = cli.token("admin", &["read:repository:bitbucket"], &[]).1;
    let list = || world.git.run(world.directory.path(), &["ls-remote", &gateway.url("admin", &token, "acme/site")]);
    let without = list();
    assert!(
        !without.ok && without.stderr.contains("its credential cannot be read from store:main"),
        "{}",
        without.stderr
    );
    let keep = |arguments: &[&str], secret: &str| {
        let mut command = cli.command(&[&["upstream", "credential", "add"], arguments].concat());
        command.env("DOORWARD_UPSTREAM_SECRET", secret).output().expect("it runs")
    };
    let soon = day_from_now(5);
    for (arguments, secret) in [(&["a/b"][..], "x"), (&["main", "--expires", "2020-01-01"], "x"), (&["main"], "a\nb")] {
        assert!(!keep(arguments, secret).status.success(), "{arguments:?}");
    }
    let kept = keep(&["main", "--expires", &soon], "gateway:sealed-secret\n");
    assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    // What failed a moment ago is asked again soon.
    crate::operation::await_that("the credential is used", || list().ok);
    assert!(gateway.log().contains("the gateway's credential ends soon"), "{}", gateway.log());
    let rows = cli.json(&["upstream", "credential", "list"]);
    assert!(
        rows[0]["name"] == "main" && rows[0]["expires_at"].as_str().is_some_and(|at| at.starts_with(&soon)),
        "{rows}"
    );
    let checked = cli.ok(&["upstream", "check", "bitbucket", "--own", "--repository", "acme/site"]);
    assert!(
        checked.contains(&format!("store:main, until {soon}")) && checked.contains("git fetch: works"),
        "{checked}"
    );
    let checked = cli.json(&["upstream", "check", "bitbucket", "--own", "--repository", "acme/site"]);
    assert!(checked[0]["source"] == "store:main" && checked[0]["surfaces"][0]["works"] == true, "{checked}");
    let metrics = gateway.http().get("/metrics", &[]).text();
    assert!(metrics.contains("doorward_upstream_credential_ends_seconds{upstream=\"bitbucket\"}"), "{metrics}");
    // The secret is in no file as it is, and in no record.
    for file in ["doorward.db", "doorward.db-wal"] {
        let bytes = std::fs::read(cli.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(13).any(|bytes| bytes == b"sealed-secret"), "{file}");
    }
    cli.ok(&["upstream", "credential", "remove", "main"]);
    assert_eq!(cli.json(&["upstream", "credential", "list"]), json!([]));
}

/// The day so many days from now, as `2027-03-01`.
fn day_from_now(days: u64) -> String {
    let output = std::process::Command::new("date").args(["-u", "-d", &format!("{days} days"), "+%F"]).output();
    String::from_utf8(output.expect("date runs").stdout).expect("text").trim().to_owned()
}

#[test]
fn a_gateway_needs_nothing_but_its_upstream() {
    let world = World::new("");
    let directory = TempDir::new().expect("a directory");
    let cli = doorward_testkit::Cli::new(PROGRAM, &directory.path().join("data"));
    cli.ok(&["upstream", "add", "--git", &world.backend.url(), "--as-sent"]);
    let gateway = Server::serve(cli, directory);
    let url = gateway.url("ada", "good", "acme/site");
    assert_eq!(world.git.ok(world.directory.path(), &["ls-remote", &url, "HEAD"]), format!("{}\tHEAD", world.head()));
}

#[test]
fn an_upstream_is_added_tried_watched_and_removed_by_commands() {
    let sandbox = Sandbox::start(PROGRAM, &[]);
    let directory = TempDir::new().expect("a directory");
    let cli = doorward_testkit::Cli::new(PROGRAM, &directory.path().join("data"));
    let (git, rest) = (format!("http://{}", sandbox.host()), format!("http://{}/2.0", sandbox.host()));
    assert!(cli.ok(&["upstream", "list"]).starts_with("NAME"));
    cli.ok(&["upstream", "add", "sandbox", "--git", &git, "--rest", &rest, "--workspace", "acme"]);
    let again = cli.run(&["upstream", "add", "sandbox", "--git", &git]);
    assert!(!again.ok && again.stderr.contains("two upstreams with the name `sandbox`"), "{}", again.stderr);
    let clear = cli.run(&["upstream", "add", "clear", "--git", "http://git.example.org"]);
    assert!(!clear.ok && clear.stderr.contains("in the clear"), "{}", clear.stderr);
    cli.ok(&["upstream", "add", "other", "--git", "https://git.example.org", "--as-sent", "--workspace", "other"]);
    let list = cli.json(&["upstream", "list"]);
    assert_eq!((list[0]["name"].as_str(), list[1]["git"].as_str()), (Some("sandbox"), Some("https://git.example.org")));
    let snippet =
        cli.ok(&["upstream", "snippet", "--upstream", "sandbox", "--gateway", "https://gateway.example.org/"]);
    let line = format!("git config --global url.https://gateway.example.org/acme/.insteadOf {git}/acme/");
    assert!(snippet.starts_with(&line), "{snippet}");
    for job in ["databricks", "jenkins", "github", "gitlab", "argocd", "flux"] {
        let text =
            cli.ok(&["upstream", "snippet", job, "--upstream", "sandbox", "--gateway", "https://gateway.example.org"]);
        assert!(text.contains("https://gateway.example.org/acme/"), "{job}: {text}");
    }
    // The secret comes in a variable, and in no argument.
    let check = |secret: &str, arguments: &[&str]| {
        let mut command = cli.command(&[&["upstream", "check", "sandbox", "--json"], arguments].concat());
        let output = command.env("DOORWARD_UPSTREAM_SECRET", secret).output().expect("it runs");
        let tried: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.success(), tried[0]["surfaces"].clone())
    };
    let wanted = ["--user", "ada@example.org", "--repository", "acme/site"];
    let (works, rows) = check(sandbox.secret("api_token", "valid"), &wanted);
    assert!(works, "{rows}");
    assert_eq!(rows[0]["form"], "as Basic with the user name x-bitbucket-api-token-auth");
    assert_eq!((rows[2]["surface"].as_str(), rows[2]["works"].as_bool()), (Some("Git LFS"), Some(true)));
    assert_eq!((rows[3]["surface"].as_str(), rows[3]["kind"].as_str()), (Some("REST"), Some("api_token")));
    assert!(rows[3]["scopes"].as_str().is_some_and(|scopes| scopes.contains("repository")), "{rows}");
    let (works, rows) = check(sandbox.secret("api_token", "revoked"), &wanted);
    assert!(!works && rows[0]["told"].as_str().is_some_and(|told| told.starts_with("401")), "{rows}");
    let (works, rows) = check(sandbox.secret("api_token", "read_only"), &wanted);
    assert!(!works && rows[0]["works"] == true && rows[1]["works"] == false, "{rows}");
    let (works, rows) = check(sandbox.secret("repository_access_token", "valid"), &[]);
    assert!(works && rows[1]["told"].as_str().is_some_and(|told| told.contains("no user's")), "{rows}");
    let (works, rows) = check("", &["--anonymous"]);
    assert!(works, "it answers, and wants a credential: {rows}");
    cli.ok(&["upstream", "remove", "other"]);
    assert_eq!(cli.json(&["upstream", "list"]).as_array().map(Vec::len), Some(1));
    let gone = cli.run(&["upstream", "remove", "other"]);
    assert_eq!(gone.code, Some(3), "{}", gone.stderr);

    let world = World::new("");
    world.clone_to("one");
    world.clone_to("two");
    let mut world = world;
    let status = world.gateway.cli().json(&["upstream", "status"]);
    let number = |key: &str| status[0][key].as_u64().unwrap_or_else(|| panic!("no {key} in {status}"));
    assert!(status[0]["answers"] == true && number("requests") > 0, "{status}");
    assert!(
        number("served_bytes") > 0 && number("fetched_bytes") > 0 && number("git_requests_left") > 40_000,
        "{status}"
    );
    world.gateway.kill();
    let stopped = world.gateway.cli().run(&["upstream", "status"]);
    assert!(!stopped.ok && stopped.stderr.contains("no server runs on"), "{}", stopped.stderr);
}

#[test]
fn a_server_that_runs_learns_of_upstreams_and_of_their_end_and_keeps_what_it_has_when_told_nonsense() {
    let world = World::new("");
    let (backend, git) = (&world.backend, &world.git);
    let directory = TempDir::new().expect("a directory");
    let (server, _) = crate::operation::tls_server(directory.path(), &[]);
    let cli = server.cli();
    let git = git.clone().set("http.sslVerify", "false");
    let url = server.url("ada", "good", "acme/site");
    let is_served = || git.run(server.directory(), &["ls-remote", &url]).ok;
    assert!(!is_served(), "nobody has said where it is");
    let add = |name: &str, workspace: &str| {
        let arguments = ["upstream", "add", name, "--git", &backend.url(), "--as-sent", "--workspace", workspace];
        cli.ok(&arguments)
    };
    assert!(add("there", "acme").contains("was told"));
    await_that("the upstream is known", is_served);
    // What is known of an upstream is not forgotten when another one comes.
    let requests = |name: &str| {
        let status = cli.json(&["upstream", "status"]);
        let found = status.as_array().and_then(|rows| rows.iter().find(|row| row["upstream"] == name));
        found.and_then(|row| row["requests"].as_u64()).unwrap_or_else(|| panic!("no {name} in {status}"))
    };
    let before = requests("there");
    assert!(before > 0);
    add("elsewhere", "other");
    await_that("the second one is known", || server.log().matches("the upstreams were read again").count() == 2);
    assert!(requests("there") >= before);
    let file = cli.data().join("doorward.toml");
    let good = std::fs::read_to_string(&file).expect("the configuration");
    std::fs::write(&file, format!("{good}\n[[upstream]]\nname = \"there\"\n")).expect("written");
    server.signal(rustix::process::Signal::HUP);
    await_that("it is said what is wrong", || server.log().contains("the upstreams cannot be read again"));
    assert!(is_served());
    std::fs::write(&file, good).expect("written");
    assert!(cli.ok(&["upstream", "remove", "there"]).contains("was told"));
    await_that("the upstream is forgotten", || !is_served());
}

#[test]
fn what_a_snippet_prints_sends_every_form_of_an_address_through_the_gateway() {
    let sandbox = Sandbox::start(PROGRAM, &[]);
    let gateway = gateway(&format!("http://{}", sandbox.host()), "");
    let (git, token) = (gateway.git(), sandbox.secret("repository_access_token", "valid").replace('=', "%3D"));
    let user = format!("x-token-auth:{token}");
    let printed = gateway.cli().ok(&["upstream", "snippet", "--gateway", &gateway.up().address]);
    let printed = printed.replace("USER:TOKEN", &user).replace("USER", "x-token-auth");
    let lines: Vec<&str> =
        printed.lines().filter_map(|line| line.trim_start_matches(['#', ' ']).strip_prefix("git config ")).collect();
    assert_eq!(lines.len(), 6, "three forms of two workspaces: {printed}");
    for line in lines {
        let arguments = line.split(' ').collect::<Vec<_>>();
        git.ok(gateway.directory(), &[&["config"], &arguments[..]].concat());
    }
    for address in [
        format!("http://{user}@{}/acme/site.git", sandbox.host()),
        format!("http://x-token-auth@{}/acme/site.git", sandbox.host()),
        format!("http://{}/acme/site.git", sandbox.host()),
    ] {
        let goes_to = git.ok(gateway.directory(), &["ls-remote", "--get-url", &address]);
        assert!(goes_to.contains(gateway.host()) && goes_to.ends_with("/acme/site.git"), "{address}: {goes_to}");
    }
    git.ok(gateway.directory(), &["ls-remote", "-q", &format!("http://{user}@{}/acme/site.git", sandbox.host())]);
}

#[test]
fn a_snippet_for_bitbucket_leads_away_from_ssh_too() {
    let directory = TempDir::new().expect("a directory");
    let cli = doorward_testkit::Cli::new(PROGRAM, &directory.path().join("data"));
    cli.ok(&["upstream", "add", "--workspace", "acme"]);
    let printed = cli.ok(&["upstream", "snippet", "--gateway", "https://gateway.example.org"]);
    let line = "git config --global --add url.https://gateway.example.org/acme/.insteadOf git@bitbucket.org:acme/";
    assert!(printed.contains(line), "{printed}");
}
