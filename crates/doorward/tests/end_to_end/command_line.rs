//! The command line as scripts call it: words, JSON, exit codes, one line for each error.

use crate::server;

#[test]
fn every_command_of_the_contract_works_while_the_server_runs() {
    let server = server();
    let cli = server.cli();
    let created = cli.json(&["account", "create", "Bob", "--email", "Bob@Example.org"]);
    assert_eq!((created["name"].as_str(), created["email"].as_str()), (Some("bob"), Some("bob@example.org")));
    assert_eq!(cli.json(&["account", "list"]).as_array().map(Vec::len), Some(2));
    cli.ok(&["account", "disable", "bob"]);
    assert_eq!(cli.json(&["account", "list"])[1]["disabled"], true);
    cli.ok(&["account", "enable", "bob"]);

    cli.ok(&["workspace", "create", "acme", "--owner", "bob"]);
    cli.ok(&["workspace", "member", "add", "acme", "admin"]);
    assert_eq!(cli.json(&["workspace", "list"])[1]["members"][0], "admin");
    cli.ok(&["workspace", "member", "remove", "acme", "admin"]);

    cli.ok(&["repository", "create", "acme/site", "--public"]);
    let repositories = cli.json(&["repository", "list", "acme"]);
    assert_eq!(
        (repositories[0]["name"].as_str(), repositories[0]["public"].as_bool()),
        (Some("acme/site"), Some(true))
    );
    let bare = server.bare("acme/site");
    cli.ok(&["permission", "set", "acme/site", "admin", "write"]);
    let permissions = cli.json(&["permission", "list", "acme/site"]);
    assert_eq!(
        permissions.to_string(),
        r#"[{"account":"admin","privilege":"write","source":"given"},{"account":"bob","privilege":"admin","source":"owner"}]"#
    );
    cli.ok(&["repository", "delete", "acme/site"]);
    assert!(!bare.exists());

    let token = cli.json(&[
        "token",
        "create",
        "--account",
        "bob",
        "--name",
        "ci",
        "--scope",
        "repository",
        "--scope",
        "repository:write",
        "--workspace",
        "acme",
        "--expires",
        "30d",
    ]);
    for key in ["id", "secret", "kind", "expires_at"] {
        assert!(token[key].is_string(), "{key} in {token}");
    }
    assert_eq!(
        (token["kind"].as_str(), token["scopes"].to_string()),
        (Some("api_token"), r#"["repository","repository:write"]"#.into())
    );
    let id = token["id"].as_str().expect("an id");
    let rotated = cli.json(&["token", "rotate", id]);
    assert_eq!((rotated["replaces"].as_str(), rotated["scopes"].to_string()), (Some(id), token["scopes"].to_string()));
    cli.ok(&["token", "revoke", id]);
    let states: Vec<_> = cli
        .json(&["token", "list", "--account", "bob"])
        .as_array()
        .expect("a list")
        .iter()
        .map(|t| t["state"].clone())
        .collect();
    assert_eq!(states, ["revoked", "valid"]);
    assert!(
        cli.json(&["audit", "--since", "1h"])
            .as_array()
            .is_some_and(|rows| rows.iter().any(|row| row["event"] == "token.revoked"))
    );
}

#[test]
fn every_error_is_one_line_with_a_remedy_and_its_exit_code() {
    let server = server();
    for (arguments, code, start, end) in [
        (&["account", "disable", "nobody"][..], 3, "error: there is no account `nobody`;", "shows all"),
        (&["account", "create", "admin", "--email", "x@y"], 4, "error: there is already an account `admin`;", "name"),
        (
            &["account", "create", "other", "--email", "admin@localhost"],
            4,
            "error: there is already an account with the e-mail",
            "e-mail",
        ),
        (
            &["workspace", "create", "home", "--owner", "admin"],
            4,
            "error: there is already a workspace `home`;",
            "name",
        ),
        (&["workspace", "create", "new", "--owner", "nobody"], 3, "error: there is no account `nobody`;", "shows all"),
        (&["repository", "create", "nowhere/x"], 3, "error: there is no workspace `nowhere`;", "shows all"),
        (&["repository", "create", "home/hello"], 4, "error: there is already a repository `home/hello`;", "name"),
        (&["repository", "delete", "home/nope"], 3, "error: there is no repository `home/nope`;", "shows all"),
        (&["repository", "create", "home/x", "--import", "/nonexistent"], 1, "error: git clone failed:", "token"),
        (
            &["permission", "set", "home/hello", "admin", "read"],
            4,
            "error: `admin` owns the workspace",
            "administrator",
        ),
        (&["token", "revoke", "000000000000"], 3, "error: there is no token `000000000000`;", "shows all"),
        (&["token", "revoke", "dwa_000000000000_secret"], 3, "error: there is no token `000000000000`;", "shows all"),
        (&["token", "revoke", "secret"], 2, "error: that is not a token's id;", "shows them"),
        (
            &["repository", "head", "home/hello", "refs/tags/v1"],
            2,
            "error: `refs/tags/v1` is not a branch;",
            "refs/heads/main",
        ),
        (
            &["repository", "create", "home/x", "--import", "git@host:x.git"],
            2,
            "error: an import over SSH is not possible;",
            "directory",
        ),
        (&["why", "01m81448zv0000006zzct3pgww"], 3, "error: there is no record of the request", "recorded"),
        (&["why", "x"], 2, "error: a request id has 26 letters", "answer"),
        (&["--config", "/nonexistent", "audit"], 5, "error: /nonexistent: ", "--config"),
    ] {
        let outcome = server.cli().run(arguments);
        let line = outcome.stderr.trim_end_matches('\n');
        assert_eq!(outcome.code, Some(code), "{arguments:?}: {line}");
        assert!(line.starts_with(start) && line.ends_with(end) && !line.contains('\n'), "{arguments:?}: {line}");
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
}

#[test]
fn arguments_that_are_wrong_say_what_would_be_right() {
    let server = server();
    for (arguments, said) in [
        (
            &["token", "create", "--account", "admin", "--name", "x", "--scope", "read:repo:bitbucket"][..],
            "did you mean read:repository:bitbucket",
        ),
        (
            &["token", "create", "--account", "admin", "--name", "x", "--scope", "repository", "--expires", "soon"],
            "30d",
        ),
        (
            &["token", "create", "--account", "admin", "--name", "a\nb", "--scope", "repository"],
            "a label has 1 to 100 characters",
        ),
        (&["repository", "create", "hello"], "it has the form `workspace/repository`"),
        (&["account", "create", "a b", "--email", "x@y"], "it is made of letters, digits"),
        (&["permission", "set", "home/hello", "admin", "everything"], "read, write, admin, none"),
    ] {
        let outcome = server.cli().run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        assert!(outcome.stderr.contains(said), "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn a_data_directory_that_is_not_there_is_not_made_by_a_reading_command() {
    let server = server();
    let elsewhere = server.directory().join("elsewhere");
    let outcome = doorward_testkit::Cli::new(crate::PROGRAM, &elsewhere).run(&["token", "list"]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stderr.contains("there is no data directory at"), "{}", outcome.stderr);
    assert!(!elsewhere.exists());
    let serve = doorward_testkit::Cli::new(crate::PROGRAM, &elsewhere).run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(serve.code, Some(3), "an empty server would refuse every valid token");
    assert!(!elsewhere.exists());
}

#[test]
fn a_token_that_cannot_be_shown_is_not_left_behind() {
    let server = server();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let mut create =
        server.cli().command(&["token", "create", "--account", "admin", "--name", "lost", "--scope", "repository"]);
    assert_eq!(create.stdout(full).output().expect("it runs").status.code(), Some(1));
    assert_eq!(server.cli().json(&["token", "list"])[1]["state"], "revoked");
}

#[test]
fn what_is_in_the_data_directory_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    std::fs::create_dir(&data).expect("made");
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o755)).expect("open to all");
    let cli = doorward_testkit::Cli::new(crate::PROGRAM, &data);
    cli.ok(&["account", "create", "ada", "--email", "ada@example.org"]);
    cli.ok(&["workspace", "create", "acme", "--owner", "ada"]);
    cli.ok(&["repository", "create", "acme/site"]);
    for entry in std::fs::read_dir(&data).expect("a list").flatten() {
        let mode = entry.metadata().expect("data").permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{} is open to others", entry.path().display());
    }
}

#[test]
fn the_effective_configuration_is_shown_with_its_origins() {
    let server = server();
    std::fs::write(server.cli().data().join("doorward.toml"), "[push]\nupdates = 7\n").expect("written");
    let shown = server
        .cli()
        .command(&["config", "show", "--json"])
        .env("DOORWARD_LOG_LEVEL", "warn")
        .output()
        .expect("it runs");
    let rows: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let origin = |key: &str| {
        let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["key"] == key)).expect("the setting");
        format!("{} from {}", row["value"].as_str().unwrap_or_default(), row["origin"].as_str().unwrap_or_default())
    };
    assert!(origin("push.updates").starts_with("7 from ") && origin("push.updates").ends_with("doorward.toml:2"));
    assert_eq!(origin("log.level"), "warn from DOORWARD_LOG_LEVEL");
    assert!(origin("data").ends_with("from --data"));
    assert_eq!(origin("git.wait"), "2m from default");
}
