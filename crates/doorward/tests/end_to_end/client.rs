//! The client: git gets the right credential by itself, and keeps it when a host refuses it for nothing.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use doorward_testkit::{Outcome, Sandbox};
use serde_json::Value;

use crate::PROGRAM;
use crate::operation::await_that;

/// A home of its own in which git asks doorward about a sandbox.
struct Desk {
    sandbox: Sandbox,
}

impl Desk {
    fn new(arguments: &[&str]) -> Self {
        let desk = Self { sandbox: Sandbox::start(PROGRAM, arguments) };
        let address = desk.address("");
        desk.ok(&["setup", &address], "");
        desk
    }

    fn address(&self, repository: &str) -> String {
        let address = format!("http://{}/{repository}", self.sandbox.host());
        address.trim_end_matches('/').to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.sandbox.directory()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Outcome {
        output(self.command(arguments), input).into()
    }

    fn ok(&self, arguments: &[&str], input: &str) -> String {
        let outcome = self.run(arguments, input);
        assert!(outcome.ok, "doorward {arguments:?}: {}", outcome.stderr);
        outcome.stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--json"]].concat(), "");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Stores a credential of the sandbox.
    fn add(&self, place: &str, kind: &str, state: &str) {
        self.ok(&["credential", "add", &self.address(place)], self.sandbox.secret(kind, state));
    }

    fn list_refs(&self, repository: &str) -> Outcome {
        self.sandbox.git().run(self.sandbox.directory(), &["ls-remote", &format!("{}.git", self.address(repository))])
    }
}

fn output(mut command: Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("doorward starts");
    // It may be done before it has read everything.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    child.wait_with_output().expect("doorward ends")
}

#[test]
fn git_clones_and_pushes_with_a_token_of_each_kind_and_no_user_name_anywhere() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    for kind in ["api_token", "repository_access_token", "project_access_token", "workspace_access_token"] {
        desk.add("", kind, "valid");
        let (git, directory) = (desk.sandbox.git(), desk.sandbox.directory());
        git.ok(directory, &["clone", "-q", &format!("{}.git", desk.address("acme/site")), kind]);
        git.commit(&directory.join(kind), kind, "x\n");
        git.ok(&directory.join(kind), &["push", "-q"]);
        let stored = desk.json(&["credential", "list"]);
        assert!(!stored[0]["accepted_at"].is_null(), "{stored}");
        assert!(!stored.to_string().contains(desk.sandbox.secret(kind, "valid")));
    }
}

#[test]
fn every_git_on_this_machine_gets_its_credential() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.add("", "api_token", "valid");
    for program in ["git", "/usr/bin/git", "/usr/local/bin/git"] {
        if program == "git" || std::path::Path::new(program).exists() {
            let git = desk.sandbox.git().program(program.as_ref());
            let outcome =
                git.run(desk.sandbox.directory(), &["ls-remote", &format!("{}.git", desk.address("acme/site"))]);
            assert!(outcome.ok, "{program}: {}", outcome.stderr);
            println!("{}", git.ok(desk.sandbox.directory(), &["version"]));
        }
    }
}

#[test]
fn case_31_a_user_name_in_the_address_does_not_keep_the_right_one_from_being_sent() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.add("", "api_token", "valid");
    let url = desk.address("acme/site.git").replace("://", "://ada%40example.org@");
    let outcome = desk.sandbox.git().run(desk.sandbox.directory(), &["ls-remote", &url]);
    assert!(outcome.ok, "{}", outcome.stderr);
}

#[test]
fn the_narrowest_credential_is_used_and_explain_says_which_and_why() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.add("", "api_token", "valid");
    desk.add("acme/site", "repository_access_token", "valid");
    let explained = desk.json(&["credential", "explain", &desk.address("acme/site.git")]);
    assert_eq!(explained["chosen"]["username"], "x-token-auth");
    assert_eq!(explained["chosen"]["why"], "it is the narrowest one for this place");
    assert_eq!(explained["passed"][0]["why"], "another one comes before it");
    let elsewhere = desk.json(&["credential", "explain", &desk.address("acme/infra")]);
    assert_eq!(elsewhere["chosen"]["username"], "x-bitbucket-api-token-auth");
    assert!(desk.list_refs("acme/site").ok && desk.list_refs("acme/infra").ok);
    let told = desk.ok(&["credential", "explain", &desk.address("acme/site")], "");
    assert!(told.contains("from       the vault, stored for http://127.0.0.1"), "{told}");
}

#[test]
fn case_01_08_a_credential_that_a_host_refuses_for_nothing_is_kept_and_works_again() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.add("", "api_token", "valid");
    assert!(desk.list_refs("acme/site").ok);
    desk.sandbox.control("faults", r#"{"spurious_401": "1"}"#);
    let refused = desk.list_refs("acme/site");
    assert!(!refused.ok && refused.stderr.contains("doorward: http://"), "{}", refused.stderr);
    assert!(refused.stderr.contains("it is kept, try again in half a minute"), "{}", refused.stderr);
    desk.sandbox.control("faults", r#"{"spurious_401": "0"}"#);
    let again = desk.list_refs("acme/site");
    assert!(again.ok, "{}", again.stderr);
    assert_eq!(desk.json(&["credential", "list"])[0]["dead"], Value::Null);
}

#[test]
fn a_host_that_takes_it_again_when_it_is_asked_once_more_is_believed() {
    // With this seed the third of six requests with a credential is refused: git makes two for each question.
    let desk = Desk::new(&["--at", "2026-11-22", "--spurious-401", "0.5,1", "--seed", "22"]);
    desk.add("", "api_token", "valid");
    assert!(desk.list_refs("acme/site").ok);
    let refused = desk.list_refs("acme/site");
    assert!(refused.stderr.contains("takes it again; it is kept, try again"), "{}", refused.stderr);
}

#[test]
fn what_anybody_may_read_is_no_proof_of_a_credential() {
    let server = crate::server();
    let cli = server.cli();
    cli.ok(&["repository", "create", "home/open", "--public"]);
    let (id, secret) = cli.token("admin", &["read:repository:bitbucket", "write:repository:bitbucket"], &[]);
    let command = |arguments: &[&str], input: &str| -> Outcome {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", server.directory());
        output(
            {
                command.args(arguments);
                command
            },
            input,
        )
        .into()
    };
    let address = server.up().address.clone();
    assert!(command(&["setup", &address], "").ok && command(&["credential", "add", &address], &secret).ok);
    let git = server.git();
    git.ok(server.directory(), &["init", "-q", "open"]);
    let clone = server.directory().join("open");
    git.commit(&clone, "a", "a\n");
    let url = server.url("", "", "home/open");
    git.ok(&clone, &["push", "-q", &url, "HEAD:refs/heads/main"]);
    cli.ok(&["token", "revoke", &id]);
    git.commit(&clone, "a", "b\n");
    let refused = git.run(&clone, &["push", "-q", &url, "HEAD:refs/heads/main"]);
    assert!(refused.stderr.contains("refused a credential that worked lately"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("takes it again"), "{}", refused.stderr);
}

#[test]
fn a_dead_credential_is_told_once_and_not_offered_again() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.add("", "api_token", "revoked");
    let first = desk.list_refs("acme/site");
    assert!(first.stderr.contains("it is not offered again until it is stored anew"), "{}", first.stderr);
    let asked = desk.sandbox.log().len();
    let second = desk.list_refs("acme/site");
    assert!(second.stderr.contains("is not used: the host refused it on 20"), "{}", second.stderr);
    assert!(second.stderr.contains("could not read Username"), "{}", second.stderr);
    // The second time git asked without any, and nothing was presented.
    assert_eq!(desk.sandbox.log().len(), asked + 1);
    // Stored anew, it gets its chance.
    desk.add("", "api_token", "valid");
    assert!(desk.list_refs("acme/site").ok);
}

#[test]
fn what_git_was_told_by_somebody_else_is_kept_for_next_time() {
    let desk = Desk::new(&["--at", "2026-06-01"]);
    let url = desk.sandbox.url("ada", desk.sandbox.secret("app_password", "valid"), "acme/site");
    desk.sandbox.git().ok(desk.sandbox.directory(), &["ls-remote", &url]);
    let stored = desk.json(&["credential", "list"]);
    assert_eq!((stored[0]["kind"].as_str(), stored[0]["username"].as_str()), (Some("app_password"), Some("ada")));
    let next = desk.list_refs("acme/infra");
    assert!(next.ok, "{}", next.stderr);
}

#[test]
fn fifty_fetches_at_once_get_their_credential_and_lose_nothing() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.add("", "api_token", "valid");
    std::thread::scope(|scope| {
        let fetches: Vec<_> = (0..50).map(|_| scope.spawn(|| desk.list_refs("acme/site"))).collect();
        for fetch in fetches {
            let outcome = fetch.join().expect("a thread");
            assert!(outcome.ok, "{}", outcome.stderr);
        }
    });
    assert_eq!(desk.json(&["credential", "list"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_token_in_the_environment_goes_to_its_own_host_alone() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    let get = |variable: &str, host: &str| {
        let mut command = desk.command(&["credential", "get"]);
        command.env(variable, desk.sandbox.secret("api_token", "valid"));
        let output = output(command, &format!("protocol=https\nhost={host}\n\n"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let answer = get("BITBUCKET_API_TOKEN", "bitbucket.org");
    assert!(answer.contains("username=x-bitbucket-api-token-auth\npassword=ATATT"), "{answer}");
    assert_eq!(get("BITBUCKET_API_TOKEN", "evil.example"), "");
    assert_eq!(get("DOORWARD_TOKEN", "bitbucket.org"), "");
    assert!(get("DOORWARD_TOKEN_GIT_EXAMPLE_ORG", "git.example.org").contains("password=ATATT"));
}

#[test]
fn askpass_answers_both_of_gits_questions_and_nothing_else() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.ok(&["setup", &desk.address(""), "--undo"], "");
    desk.add("", "workspace_access_token", "valid");
    let link = desk.sandbox.directory().join("doorward-askpass");
    std::os::unix::fs::symlink(PROGRAM, &link).expect("a link");
    let url = format!("{}.git", desk.address("acme/site"));
    let mut git = desk.sandbox.git().command(desk.sandbox.directory(), &["ls-remote", &url]);
    let output = git.env("GIT_ASKPASS", &link).output().expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let passphrase = desk.run(&["askpass", "Enter passphrase for key '/home/ada/.ssh/id': "], "");
    assert_eq!((passphrase.code, passphrase.stdout.as_str()), (Some(2), ""));
    let nothing = desk.run(&["askpass", "Password for 'https://bitbucket.org': "], "");
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(3), ""));
}

#[test]
fn setup_takes_back_what_it_has_put_in_and_nothing_else() {
    let desk = Desk::new(&[]);
    let file = desk.sandbox.directory().join(".gitconfig");
    desk.ok(&["setup", &desk.address(""), "--undo"], "");
    let theirs = "[user]\n\tname = Ada\n[credential \"https://bitbucket.org\"]\n\thelper = cache\n";
    std::fs::write(&file, theirs).expect("written");
    for _ in 0..2 {
        desk.ok(&["setup"], "");
    }
    let git = desk.sandbox.git();
    let helpers = git
        .ok(desk.sandbox.directory(), &["config", "--global", "--get-all", "credential.https://bitbucket.org.helper"]);
    assert_eq!(helpers.lines().filter(|helper| helper.ends_with(" credential")).count(), 1, "{helpers}");
    desk.ok(&["setup", "--undo"], "");
    let left = std::fs::read_to_string(&file).expect("there");
    assert_eq!(left, theirs);
    // What others have put there stays, in its order: a helper of another program with a command of the same name, its
    // own reset, and another mind about paths.
    let others =
        "[credential \"https://bitbucket.org\"]\n\thelper =\n\thelper = !vaulttool credential\n\tuseHttpPath = false\n";
    std::fs::write(&file, others).expect("written");
    desk.ok(&["setup"], "");
    let path =
        git.ok(desk.sandbox.directory(), &["config", "--global", "credential.https://bitbucket.org.useHttpPath"]);
    assert_eq!(path, "true");
    for _ in 0..2 {
        desk.ok(&["setup", "--undo"], "");
        let listed = git.ok(desk.sandbox.directory(), &["config", "--global", "--list"]);
        let expected = "credential.https://bitbucket.org.helper=\n\
             credential.https://bitbucket.org.helper=!vaulttool credential\n\
             credential.https://bitbucket.org.usehttppath=false";
        let mut lines: Vec<&str> = listed.lines().collect();
        lines.sort_by_key(|line| line.contains("usehttppath"));
        assert_eq!(lines.join("\n"), expected);
    }
}

#[test]
fn a_secret_of_another_kind_is_kept_beside_it_and_the_usable_one_is_used() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.add("", "api_token", "valid");
    desk.add("", "app_password", "valid");
    let stored = desk.json(&["credential", "list"]);
    assert_eq!(stored.as_array().map(Vec::len), Some(2), "{stored}");
    assert!(desk.list_refs("acme/site").ok);
}

#[test]
fn a_token_in_a_file_is_used_for_what_it_was_named_for_and_stored_nowhere() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.ok(&["setup", &desk.address(""), "--undo"], "");
    let file = desk.sandbox.directory().join("secret");
    std::fs::write(&file, format!("{}\n", desk.sandbox.secret("workspace_access_token", "valid"))).expect("written");
    let helper = format!("!'{PROGRAM}' credential --secret-file '{}' --for {}", file.display(), desk.address(""));
    let git = desk.sandbox.git().set("credential.helper", &helper);
    let outcome = git.run(desk.sandbox.directory(), &["ls-remote", &format!("{}.git", desk.address("acme/site"))]);
    assert!(outcome.ok, "{}", outcome.stderr);
    assert_eq!(desk.json(&["credential", "list"]).as_array().map(Vec::len), Some(0));
    let file = file.display().to_string();
    let flags = ["credential", "--secret-file", &file, "--for", "https://bitbucket.org"];
    let elsewhere = desk.run(&[&flags[..], &["get"]].concat(), "protocol=https\nhost=evil.example\n\n");
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (Some(0), ""));
    let explained = desk.ok(&[&flags[..], &["explain", "https://bitbucket.org/a/b"]].concat(), "");
    assert!(explained.contains("the file /") && explained.contains("x-token-auth"), "{explained}");
    let missing = desk.run(&["credential", "--secret-file", "/nonexistent", "--for", "https://h", "get"], "");
    assert_eq!(missing.code, Some(5), "{}", missing.stderr);
}

#[test]
fn case_47_a_secret_of_any_length_is_kept_whole() {
    let desk = Desk::new(&[]);
    let long = "x".repeat(20_000);
    desk.ok(&["credential", "add", "https://git.example.org", "--username", "ada"], &long);
    let got = desk.run(&["credential", "get"], "protocol=https\nhost=git.example.org\n\n");
    assert!(got.stdout.contains(&format!("password={long}\n")), "{} bytes: {}", got.stdout.len(), got.stderr);
}

#[test]
fn a_vault_that_cannot_be_written_still_gives_git_what_is_in_it() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.add("", "api_token", "valid");
    let lock = desk.sandbox.directory().join(".local/share/doorward/credentials.lock");
    std::fs::remove_file(&lock).expect("it was there");
    std::fs::create_dir(&lock).expect("something else in its place");
    let question = format!("protocol=http\nhost={}\n\n", desk.sandbox.host());
    let got = desk.run(&["credential", "get"], &question);
    assert!(got.ok && got.stdout.contains("password=ATATT"), "{}", got.stderr);
}

#[test]
fn a_secret_is_never_taken_half_nor_with_white_space_nor_printed() {
    let desk = Desk::new(&[]);
    for secret in ["", "  \n", "two words\n"] {
        let outcome = desk.run(&["credential", "add", "https://bitbucket.org"], secret);
        assert_eq!(outcome.code, Some(2), "{secret:?}: {}", outcome.stderr);
    }
    desk.ok(&["credential", "add", "https://git.example.org", "--username", "ada"], "s3cr3t-of-ada\n");
    for arguments in [&["credential", "list"][..], &["credential", "explain", "https://git.example.org/a/b"]] {
        for outcome in [desk.run(arguments, ""), desk.run(&[arguments, &["--json"]].concat(), "")] {
            assert!(!(outcome.stdout + &outcome.stderr).contains("s3cr3t"), "{arguments:?}");
        }
    }
    let unknown = desk.run(&["credential", "frobnicate"], "host=a\n\n");
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(0), ""), "{}", unknown.stderr);
    let garbage = desk.run(&["credential", "get"], "no description\n");
    assert_eq!((garbage.code, garbage.stdout.as_str()), (Some(2), ""));
    desk.ok(&["credential", "remove", "https://git.example.org"], "");
    assert_eq!(desk.run(&["credential", "remove", "https://git.example.org"], "").code, Some(3));
}

/// Starts a command under `doorward run`, for a host that refuses it; lets the host come to itself once it has.
fn run_through_a_bad_time(desk: &Desk, directory: &std::path::Path, command: &[&str]) -> Output {
    desk.sandbox.control("faults", r#"{"spurious_401": "1"}"#);
    let arguments = [&["run", "--job", "test", "--first-wait", "1s", "--retry-for", "2m", "--"], command].concat();
    let mut run = desk.command(&arguments);
    run.current_dir(directory).env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    let child =
        run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("doorward starts");
    await_that("it was refused", || desk.sandbox.log().iter().any(|entry| entry["reason"] == "spurious_401"));
    desk.sandbox.control("faults", r#"{"spurious_401": "0"}"#);
    child.wait_with_output().expect("it ends")
}

#[test]
fn case_01_a_job_that_is_refused_for_nothing_is_run_again_until_it_succeeds() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    let url = desk.sandbox.url("ada", desk.sandbox.secret("api_token", "valid"), "acme/site");
    let output = run_through_a_bad_time(&desk, desk.sandbox.directory(), &["git", "ls-remote", &url]);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.ends_with("refs/heads/main\n"), "{stdout}");
    assert!(
        stderr.contains("doorward run: attempt 1: the host refused the credential; the next one is in"),
        "{stderr}"
    );
    assert!(stderr.contains("doorward run: succeeded at attempt "), "{stderr}");
    assert!(!stderr.contains("ATATT3x"), "{stderr}");
}

#[test]
fn a_push_that_was_refused_before_anything_was_sent_is_pushed_again() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    let (git, directory) = (desk.sandbox.git(), desk.sandbox.directory());
    let url = desk.sandbox.url("ada", desk.sandbox.secret("api_token", "valid"), "acme/site");
    git.ok(directory, &["clone", "-q", &url, "clone"]);
    let commit = git.commit(&directory.join("clone"), "a", "a\n");
    let output = run_through_a_bad_time(&desk, &directory.join("clone"), &["git", "push", "-q"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(git.ok(directory, &["ls-remote", &url]).starts_with(&commit));
}

#[test]
fn what_is_not_a_hosts_whim_is_not_tried_again_and_its_exit_code_is_passed_on() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    let secret = desk.sandbox.secret("api_token", "read_only");
    let forbidden = desk.sandbox.url("ada", secret, "other/secret");
    for (command, code, told) in [
        (
            &["git", "ls-remote", forbidden.as_str()][..],
            128,
            "the host refused it for good; trying again would not help",
        ),
        (&["sh", "-c", "exit 7"], 7, "its failure is not a host's"),
        (&["sh", "-c", "kill -KILL $$"], 137, "its failure is not a host's"),
    ] {
        let outcome = desk.run(&[&["run", "--"], command].concat(), "");
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("gave up after 1 attempt: ") && outcome.stderr.contains(told),
            "{}",
            outcome.stderr
        );
    }
    assert_eq!(desk.run(&["run", "--", "no-such-program"], "").code, Some(127));
    assert_eq!(desk.run(&["run"], "").code, Some(2));
    let fine = desk.run(&["run", "--job", "x", "--spread", "1s", "--", "echo", "fine"], "");
    assert_eq!((fine.code, fine.stdout.as_str()), (Some(0), "fine\n"));
    assert!(fine.stderr.contains("`x` begins in 1s, its own moment within 1s"), "{}", fine.stderr);
}

#[test]
fn a_job_that_is_told_to_stop_stops_its_command_and_does_not_begin_again() {
    let desk = Desk::new(&[]);
    let marker = desk.sandbox.directory().join("marker");
    let script = format!(
        "trap 'echo stopped >{0}; exit 3' TERM; echo begun >{0}; while :; do sleep 0.05; done",
        marker.display()
    );
    let mut child =
        desk.command(&["run", "--", "sh", "-c", &script]).stderr(Stdio::null()).spawn().expect("doorward starts");
    let says = |word: &str| std::fs::read_to_string(&marker).is_ok_and(|text| text.trim() == word);
    await_that("the command runs", || says("begun"));
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
    assert!(says("stopped"));
}

#[test]
fn the_doctor_makes_nobody_throw_a_credential_away() {
    let desk = Desk::new(&["--at", "2026-11-22"]);
    desk.add("", "api_token", "valid");
    let (git, directory) = (desk.sandbox.git(), desk.sandbox.directory());
    git.ok(directory, &["clone", "-q", &format!("{}.git", desk.address("acme/site")), "clone"]);
    let clone = directory.join("clone").to_string_lossy().into_owned();
    assert_eq!(desk.json(&["doctor", &clone])["verdict"], "healthy");
    // The same secret in the address, under a name that is wrong for it, beside another helper that has it, too.
    let store = directory.join(".git-credentials");
    let secret = desk.sandbox.secret("api_token", "valid");
    let stored = format!("http://ada%40example.org:{secret}@{}\n", desk.sandbox.host());
    std::fs::write(&store, &stored).expect("written");
    git.ok(directory, &["config", "--global", "--add", &format!("credential.{}.helper", desk.address("")), "store"]);
    let wrong = desk.sandbox.url("ada@example.org", secret, "acme/site");
    let outcome = desk.run(&["doctor", &wrong, "--json"], "");
    let diagnosis: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!((outcome.code, &diagnosis["statuses"]), (Some(10), &serde_json::json!([401, 401])), "{diagnosis}");
    assert_eq!(std::fs::read_to_string(&store).expect("there"), stored);
    assert_eq!(desk.json(&["credential", "list"])[0]["dead"], Value::Null);
    // Git itself has its helpers erase it; ours knows better.
    let refused = git.run(directory, &["ls-remote", &wrong]);
    assert!(refused.stderr.contains("under another user name than `x-bitbucket-api-token-auth`"), "{}", refused.stderr);
    assert!(desk.list_refs("acme/site").ok);
}
