//! Upstreams that have trouble in the midst of what they do.

use std::time::Duration;

use doorward_testkit::{Sandbox, Server, What, command};

use crate::PROGRAM;
use crate::gateway::{World, at_once, basic, gateway};

/// A line of the protocol.
fn line(data: &[u8]) -> Vec<u8> {
    [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
}

#[test]
fn trouble_in_the_midst_of_an_answer_is_not_taken_for_the_lack_of_an_object() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    for trouble in [
        [line(b"packfile\n"), line(b"\x03died: out of memory")].concat(),
        line(b"ERR internal error: try again"),
        [line(b"packfile\n"), b"0000".to_vec()].concat(),
    ] {
        let new = world.git.commit(&world.directory.path().join("source"), "file", &format!("{trouble:?}"));
        world
            .git
            .ok(&world.directory.path().join("source"), &["push", "-q", world.bare.to_str().expect("UTF-8"), "main"]);
        world.backend.fault("git-upload-pack fetch", 2, What::Says(trouble.clone()));
        let outcome = world.git.run(&clone, &["pull", "-q"]);
        assert!(outcome.ok, "{}: {}", String::from_utf8_lossy(&trouble), outcome.stderr);
        assert_eq!(world.git.ok(&clone, &["rev-parse", "HEAD"]), new);
        world.backend.mend();
    }
}

#[test]
fn a_refusal_of_a_push_for_no_reason_is_not_seen_by_whoever_pushes() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    world.git.ok(&clone, &["push", "-q", "origin", "HEAD:refs/heads/first"]);
    // Git asks without the credential first, which is refused anyway.
    for (request, times) in
        [("GET /acme/site.git/info/refs?service=git-receive-pack", 3), ("POST /acme/site.git/git-receive-pack", 2)]
    {
        world.backend.take_requests();
        world.backend.fault(request, times, What::Status(401, vec!["WWW-Authenticate: Basic realm=\"x\"".into()]));
        let new = world.git.commit(&clone, "file", request);
        world.git.ok(&clone, &["push", "-q"]);
        assert_eq!(world.head(), new);
        let refused = world.backend.take_requests().into_iter();
        let refused = refused.filter(|asked| asked.status == 401 && asked.authorization.is_some()).count();
        assert_eq!(refused, 2, "{request}");
    }
}

#[test]
fn who_may_push_and_not_fetch_can_push() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    world.backend.fault("git-upload-pack", usize::MAX, What::Status(403, Vec::new()));
    let new = world.git.commit(&clone, "file", "written blind");
    world.git.ok(&clone, &["push", "-q"]);
    assert_eq!(world.head(), new);
    // Also when nobody knows at first whether it was done.
    let new = world.git.commit(&clone, "file", "written blind, twice");
    world.backend.fault("POST /acme/site.git/git-receive-pack", 1, What::After);
    let outcome = world.git.run(&clone, &["push", "-q"]);
    assert!(outcome.ok, "{}", outcome.stderr);
    assert_eq!(world.head(), new);
}

#[test]
fn a_push_that_may_be_done_still_is_not_said_to_be_undone_because_a_second_try_was_limited() {
    let world = World::new("patience = \"5s\"");
    let clone = world.clone_to("clone");
    world.git.ok(&clone, &["push", "-q", "origin", "HEAD:refs/heads/first"]);
    world.git.commit(&clone, "file", "late");
    world.backend.fault("POST /acme/site.git/git-receive-pack", 1, What::Status(504, Vec::new()));
    world.backend.fault("POST /acme/site.git/git-receive-pack", 1, What::Status(429, vec!["Retry-After: 600".into()]));
    let outcome = world.git.run(&clone, &["push", "-q"]);
    assert!(!outcome.ok && !outcome.stderr.contains("try again in"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("look at what is there") && outcome.stderr.contains("504"), "{}", outcome.stderr);
}

#[test]
fn one_spurious_401_does_not_close_a_public_repository() {
    let world = World::new("");
    world.backend.admit("");
    let http = world.gateway.http();
    let get = || http.get("/acme/site.git/info/refs?service=git-upload-pack", &["Authorization:"]).status;
    assert_eq!(get(), 200);
    world.backend.fault("git-upload-pack", 1, What::Status(401, Vec::new()));
    assert_eq!((get(), get()), (200, 200));
    // One that is closed in earnest is.
    world.backend.revoke("");
    let outcome = world
        .git
        .run(world.directory.path(), &["ls-remote", &format!("http://{}/acme/site.git", world.gateway.host())]);
    assert!(!outcome.ok, "{}", outcome.stderr);
}

/// A gateway with several credentials of its own before a backend, and a token of an administrator's.
fn brokered(world: &World, secrets: &[&str]) -> (Server, String) {
    let names: Vec<String> = (0..secrets.len()).map(|number| format!("OWN_{number}")).collect();
    let sources: Vec<String> = names.iter().map(|name| format!("\"env:{name}\"")).collect();
    let configuration = format!(
        "[[upstream]]\nname = \"bitbucket\"\nworkspaces = \"acme\"\ngit = \"{url}\"\nrest = \"{url}/2.0\"\nforms = \"as-sent\"\n\
         doubt = \"1s\"\nmode = \"brokered\"\ncredentials = [{}]\n",
        sources.join(", "),
        url = world.backend.url(),
    );
    let environment: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(secrets.iter().copied()).collect();
    let gateway = Server::start_configured(PROGRAM, &configuration, &environment);
    let cli = gateway.cli();
    cli.ok(&["workspace", "create", "acme", "--owner", "admin"]);
    let token = cli.token("admin", &["read:repository:bitbucket", "write:repository:bitbucket"], &[]).1;
    (gateway, token)
}

#[test]
fn when_the_gateways_credential_ends_no_job_sees_that_another_takes_its_place() {
    let world = World::new("");
    let all = ["first", "second", "third", "fourth"];
    all.iter().for_each(|secret| world.backend.admit(&basic("gateway", secret)));
    let secrets = all.map(|secret| format!("gateway:{secret}"));
    let (gateway, token) = brokered(&world, &secrets.each_ref().map(String::as_str));
    let url = gateway.url("x-token-auth", &token, "acme/site");
    world.git.ok(world.directory.path(), &["clone", "-q", &url, "clone"]);
    let clone = world.directory.path().join("clone");
    let bearer = format!("Authorization: Bearer {token}");
    // Whatever meets the end first.
    world.backend.revoke(&basic("gateway", "first"));
    let new = world.git.commit(&clone, "file", "pushed");
    world.git.ok(&clone, &["push", "-q"]);
    assert_eq!(world.head(), new);
    world.backend.revoke(&basic("gateway", "second"));
    let answer = gateway.http().get("/2.0/repositories/acme/site/refs", &[&bearer]);
    assert_eq!(answer.status, 404, "http-backend has no REST, but it has let the gateway in: {}", answer.text());
    world.backend.revoke(&basic("gateway", "third"));
    world.git.ok(&clone, &["fetch", "-q"]);
    // When there is none left, it is not the job's credential that was refused.
    world.backend.revoke(&basic("gateway", "fourth"));
    let answer = gateway.http().get("/acme/site.git/info/refs?service=git-upload-pack", &[&bearer]);
    assert_eq!(answer.status, 503, "{}", answer.text());
}

#[test]
fn who_asks_for_what_the_gateways_credential_is_not_for_takes_it_from_nobody() {
    let world = World::new("");
    world.backend.admit(&basic("gateway", "first"));
    world.backend.admit(&basic("gateway", "second"));
    let (gateway, token) = brokered(&world, &["gateway:first", "gateway:second"]);
    let url = |name: &str| gateway.url("x-token-auth", &token, name);
    world.git.ok(world.directory.path(), &["ls-remote", "-q", &url("acme/site")]);
    // As Bitbucket Cloud answers a token that is for another repository.
    world.backend.fault("/acme/other.git/", usize::MAX, What::Status(401, Vec::new()));
    let outcome = world.git.run(world.directory.path(), &["ls-remote", "-q", &url("acme/other")]);
    assert!(!outcome.ok && outcome.stderr.contains("503"), "{}", outcome.stderr);
    world.backend.take_requests();
    world.git.ok(world.directory.path(), &["ls-remote", "-q", &url("acme/site")]);
    let first = basic("gateway", "first");
    let asked = world.backend.take_requests();
    assert!(asked.iter().all(|asked| asked.authorization.as_ref() == Some(&first)), "{asked:?}");
    // And it is not taken for bad there: a refusal for no reason is waited for.
    world.backend.fault("/acme/site.git/", 1, What::Status(401, Vec::new()));
    world.git.ok(world.directory.path(), &["ls-remote", "-q", &url("acme/site")]);
}

#[test]
fn what_a_token_is_not_for_does_not_make_it_bad_where_it_is_good() {
    let world = World::new("doubt = \"1s\"");
    world.acquaint();
    world.backend.fault("/acme/other.git/", usize::MAX, What::Status(401, Vec::new()));
    let other = world.gateway.url("ada", "good", "acme/other");
    assert!(!world.git.run(world.directory.path(), &["ls-remote", "-q", &other]).ok);
    world.backend.fault("/acme/site.git/", 1, What::Status(401, Vec::new()));
    world.git.ok(world.directory.path(), &["ls-remote", "-q", &world.url()]);
    // Who asks for it again is told at once.
    world.backend.take_requests();
    assert!(!world.git.run(world.directory.path(), &["ls-remote", "-q", &other]).ok);
    let asked = world.backend.take_requests().into_iter().filter(|asked| asked.authorization.is_some()).count();
    assert_eq!(asked, 1);
}

#[test]
fn an_upstream_that_refuses_everybody_costs_nobody_a_credential() {
    let world = World::new("doubt = \"1s\"\npatience = \"3s\"");
    let users = ["ada", "bob", "cyd", "dan"];
    users.iter().for_each(|user| world.backend.admit(&basic(user, "good")));
    let http = world.gateway.http();
    let ask = |user: &str| {
        let header = format!("Authorization: {}", basic(user, "good"));
        http.get("/acme/site.git/info/refs?service=git-upload-pack", &[&header])
    };
    users.iter().for_each(|user| assert_eq!(ask(user).status, 200));
    world.backend.fault("", usize::MAX, What::Status(401, Vec::new()));
    let statuses = users.map(|user| ask(user).status);
    assert_eq!(statuses, [401, 401, 503, 503], "two may have ended; all of them have not");
    let answer = ask("ada");
    assert!(answer.status == 503 && answer.text().contains("your credential was not refused"), "{}", answer.text());
    world.backend.mend();
    users.iter().for_each(|user| assert_eq!(ask(user).status, 200));
}

#[test]
fn lfs_of_a_public_repository_is_had_without_a_credential() {
    let world = World::new("");
    world.backend.admit("");
    let headers = ["Content-Type: application/vnd.git-lfs+json", "Accept: application/vnd.git-lfs+json"];
    let batch = br#"{"operation": "download", "objects": []}"#;
    let answer = world.gateway.http().post("/acme/site.git/info/lfs/objects/batch", &headers, batch);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.backend.take_requests().len(), 1, "nothing else was asked");
}

#[test]
fn what_a_killed_server_left_of_a_mirror_is_in_nobodys_way() {
    let mut world = World::new("");
    world.clone_to("first");
    let mirrors = world.gateway.cli().data().join("mirrors");
    let mirror = mirrors.read_dir().expect("mirrors").flatten().next().expect("a mirror").path();
    // While one was made.
    world.gateway.kill();
    std::fs::rename(&mirror, mirror.with_extension("new")).expect("renamed");
    world.gateway.start_again();
    world.clone_to("second");
    assert!(mirror.exists() && !mirror.with_extension("new").exists());
    // The same, by whatever means, while this one runs.
    std::fs::rename(&mirror, mirror.with_extension("new")).expect("renamed");
    world.clone_to("third");
    // And while one was thrown away.
    std::fs::create_dir_all(mirror.with_extension("deleted").join("objects")).expect("made");
    for pack in mirror.join("objects/pack").read_dir().expect("packs").flatten() {
        std::fs::remove_file(pack.path()).expect("removed");
    }
    world.git.commit(&world.directory.path().join("source"), "file", "new");
    world.git.ok(&world.directory.path().join("source"), &["push", "-q", world.bare.to_str().expect("UTF-8"), "main"]);
    world.clone_to("fourth");
}

#[test]
fn another_host_takes_what_it_takes() {
    let world = World::new("");
    let http = world.gateway.http();
    // A token in the place of the user name, as some hosts have it; schemes of which nobody here has heard; and no text.
    for header in [&basic("a-token-that-is-long-enough", ""), "token 12345", "JWT a.b.c", "Basic \u{e4}"] {
        world.backend.admit(header);
        let header = format!("Authorization: {header}");
        let answer = http.get("/acme/site.git/info/refs?service=git-upload-pack", &[&header]);
        assert_eq!(answer.status, 200, "{header}: {}", answer.text());
        assert_eq!(http.get("/2.0/repositories/acme/site", &[&header]).status, 404, "{header}");
    }
}

#[test]
fn large_files_go_through_both_ways_with_the_client_of_git_lfs() {
    let world = World::bitbucket();
    let secret = format!("ATATT3xFfGF0{}", "a".repeat(180));
    world.backend.admit(&basic("x-bitbucket-api-token-auth", &secret));
    // In the form that REST takes and git does not.
    let url = world.gateway.url("ada%40example.org", &secret, "acme/site");
    let git = &world.git;
    git.ok(world.directory.path(), &["clone", "-q", &url, "writer"]);
    let writer = world.directory.path().join("writer");
    git.ok(&writer, &["lfs", "install", "--local"]);
    git.ok(&writer, &["lfs", "track", "*.bin"]);
    let large: Vec<u8> =
        (0..3_000_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(writer.join("large.bin"), &large).expect("written");
    git.ok(&writer, &["add", "."]);
    git.ok(&writer, &["commit", "-q", "-m", "large"]);
    // Refusals of a good credential in the midst of it are not seen.
    world.backend.fault("POST /acme/site.git/info/lfs/objects/batch", 1, What::Status(401, Vec::new()));
    world.backend.fault("POST /acme/site.git/info/lfs/objects/batch", 1, What::Status(503, Vec::new()));
    world.backend.fault("POST /acme/site.git/info/lfs/objects/batch", 1, What::Before);
    git.ok(&writer, &["push", "-q", "origin", "HEAD"]);
    let uploads = world.backend.requests().into_iter().filter(|asked| asked.method == "PUT" && asked.status == 200);
    assert_eq!(uploads.count(), 1, "it is stored, and once");
    world.backend.fault("GET /acme/site.git/info/lfs/storage/", 1, What::Before);
    git.ok(world.directory.path(), &["clone", "-q", &url, "reader"]);
    let reader = world.directory.path().join("reader");
    git.ok(&reader, &["lfs", "install", "--local"]);
    git.ok(&reader, &["lfs", "pull"]);
    assert!(std::fs::read(reader.join("large.bin")).expect("a file") == large);
    // All of it went through the gateway.
    let asked = world.backend.requests();
    let sent = asked.iter().filter_map(|asked| asked.authorization.as_deref());
    assert!(!asked.is_empty() && sent.into_iter().all(|sent| sent != basic("ada@example.org", &secret)));
}

#[test]
fn of_sixty_four_jobs_at_once_before_a_flaky_upstream_all_succeed_with_two_looks_and_one_fetch() {
    let world = World::new("");
    world.clone_to("clone");
    let source = world.directory.path().join("source");
    let new = world.git.commit(&source, "file", "new");
    world.git.ok(&source, &["push", "-q", world.bare.to_str().expect("UTF-8"), "main"]);
    let http = world.gateway.http();
    let header = format!("Authorization: {}", basic("ada", "good"));
    let burst = |about: &str| {
        world.backend.mend();
        world.backend.take_requests();
        world.backend.fault(about, 3, What::Status(401, vec!["WWW-Authenticate: Basic realm=\"x\"".into()]));
        // Slow enough that all have asked before it has ended.
        world.backend.fault("", usize::MAX, What::Late(Duration::from_millis(300)));
    };
    let succeeded =
        || world.backend.take_requests().into_iter().filter(|asked| asked.status == 200).collect::<Vec<_>>();
    burst("");
    let statuses = at_once(64, |_| http.get("/acme/site.git/info/refs?service=git-upload-pack", &[&header]).status);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let looks = succeeded();
    assert!(looks.len() <= 2, "{looks:?}");
    burst("fetch");
    let question = command("fetch", &["object-format=sha1"], [format!("want {new}"), "done".into()]);
    let headers = [&*header, "Content-Type: application/x-git-upload-pack-request", "Git-Protocol: version=2"];
    let answers = at_once(64, |_| http.post("/acme/site.git/git-upload-pack", &headers, &question));
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.text().contains("PACK")));
    let (fetches, looks): (Vec<_>, Vec<_>) =
        succeeded().into_iter().partition(|asked| asked.command.as_deref() == Some("fetch"));
    // Two before it, and two after it, since it took so long.
    assert!(fetches.len() == 1 && looks.len() <= 4, "{fetches:?} {looks:?}");
    let hidden = http.get("/metrics", &[]).text();
    assert!(hidden.contains("doorward_upstream_hidden_refusals_total{upstream=\"bitbucket\"} 6"), "{hidden}");
}

#[test]
fn of_many_jobs_with_a_credential_that_has_ended_the_upstream_hears_no_more_than_of_one() {
    let world = World::new("doubt = \"1s\"");
    world.acquaint();
    world.backend.revoke(&basic("ada", "good"));
    world.backend.take_requests();
    let http = world.gateway.http();
    let header = format!("Authorization: {}", basic("ada", "good"));
    let get = || http.get("/acme/site.git/info/refs?service=git-upload-pack", &[&header]).status;
    let statuses = at_once(32, |_| get());
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    let together = world.backend.take_requests().len();
    assert_eq!(get(), 401);
    // One look that is tried for a second, and another that believes it at once.
    let alone = world.backend.take_requests().len();
    assert!(together <= 6 && alone == 1, "{together} together, {alone} alone");
}

#[test]
fn a_fifth_of_what_the_upstream_allows_is_left_and_whoever_waits_is_told_so() {
    let world = World::new("git_per_hour = 30\npatience = \"1s\"");
    let http = world.gateway.http();
    let header = format!("Authorization: {}", basic("ada", "good"));
    let get = || http.get("/acme/site.git/info/refs?service=git-upload-pack", &[&header]);
    let good = (0..40).filter(|_| get().status == 200).count();
    let asked = world.backend.take_requests().len();
    assert!(asked == 24 && good == 23, "the first look takes two: {asked} requests, {good} answers");
    let answer = get();
    assert_eq!(answer.status, 429, "{}", answer.text());
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((3500..=3700).contains(&wait) && answer.text().contains("to people"), "{wait}: {}", answer.text());
    assert!(world.backend.take_requests().is_empty());
}

#[test]
fn what_the_upstream_says_of_its_limit_is_believed() {
    let sandbox = Sandbox::start(PROGRAM, &["--rate-limit", "10"]);
    let gateway = gateway(&format!("http://{}", sandbox.host()), "patience = \"1s\"");
    let header = format!("Authorization: Bearer {}", sandbox.secret("repository_access_token", "valid"));
    let get = || gateway.http().get("/2.0/repositories/acme/site", &[&header]);
    assert_eq!((0..8).filter(|_| get().status == 200).count(), 8);
    get().refused(429, "upstream_limited");
    assert!(sandbox.log().is_empty(), "it was asked for no more than four fifths: {:?}", sandbox.log());
}

#[test]
fn who_pushes_to_a_public_repository_is_asked_for_a_credential_at_once() {
    let world = World::new("");
    world.backend.admit("");
    let public = format!("http://{}/acme/site.git", world.gateway.host());
    world.git.ok(world.directory.path(), &["clone", "-q", &public, "clone"]);
    let clone = world.directory.path().join("clone");
    let new = world.git.commit(&clone, "file", "x");
    // As every host does of whoever has none.
    world.backend.fault("GET /acme/site.git/info/refs?service=git-receive-pack", 1, What::Status(401, Vec::new()));
    let began = std::time::Instant::now();
    world.git.ok(&clone, &["push", "-q", &world.url(), "HEAD:main"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(world.head(), new);
    let asked = world.backend.requests().into_iter().filter(|asked| asked.path.contains("receive-pack"));
    assert_eq!(asked.filter(|asked| asked.status == 401 && asked.authorization.is_none()).count(), 1);
}

#[test]
fn a_push_that_the_upstream_does_not_take_for_now_is_said_to_be_undone() {
    let world = World::new("patience = \"2s\"");
    let clone = world.clone_to("clone");
    world.git.ok(&clone, &["push", "-q", "origin", "HEAD:refs/heads/first"]);
    world.git.commit(&clone, "file", "x");
    world.backend.fault("POST /acme/site.git/git-receive-pack", 1, What::Status(429, vec!["Retry-After: 600".into()]));
    let outcome = world.git.run(&clone, &["push", "-q"]);
    let is_told = outcome.stderr.contains("try again in") && !outcome.stderr.contains("look at what is there");
    assert!(!outcome.ok && is_told, "{}", outcome.stderr);
}

#[test]
fn a_gateway_that_was_started_anew_goes_on_to_its_next_credential_too() {
    let world = World::new("");
    let tokens = ["1", "2"].map(|number| format!("ATCTT3xFfGN0{}", number.repeat(180)));
    tokens.iter().for_each(|token| world.backend.admit(&basic("x-token-auth", token)));
    let configuration = format!(
        "[[upstream]]\nname = \"bitbucket\"\nworkspaces = \"acme\"\ngit = \"{}\"\ndoubt = \"1s\"\nmode = \"brokered\"\n\
         credentials = \"env:FIRST, env:SECOND\"\n",
        world.backend.url()
    );
    let environment = [("FIRST", &*tokens[0]), ("SECOND", &*tokens[1])];
    let mut gateway = Server::start_configured(PROGRAM, &configuration, &environment);
    gateway.cli().ok(&["workspace", "create", "acme", "--owner", "admin"]);
    let token = gateway.cli().token("admin", &["read:repository:bitbucket"], &[]).1;
    let url = gateway.url("x-token-auth", &token, "acme/site");
    world.git.ok(world.directory.path(), &["ls-remote", "-q", &url]);
    let remembered = gateway.cli().data().join("upstreams/bitbucket.credentials");
    while !remembered.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    gateway.kill();
    world.backend.revoke(&basic("x-token-auth", &tokens[0]));
    gateway.start_again();
    world.git.ok(world.directory.path(), &["ls-remote", "-q", &url]);
}
