//! The cases from the field that a client can see: each reproduced in the sandbox, diagnosed, and mended by what is printed.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use doorward_testkit::{Outcome, Sandbox};
use serde_json::Value;

use crate::PROGRAM;

/// A machine with a home, and a sandbox at a date.
struct Scene {
    sandbox: Sandbox,
    home: PathBuf,
}

/// One case.
struct Case {
    name: &'static str,
    at: &'static str,
    /// Prepares the machine; what the doctor is asked about.
    arrange: fn(&Scene) -> Vec<String>,
    verdict: &'static str,
    confidence: &'static str,
    /// What the verdict, or a finding by its code, must have.
    finds: &'static str,
    mended: Mended,
}

/// How it is mended.
enum Mended {
    /// The printed command does it.
    ByCommand,
    /// The printed command does it, and asks for a token.
    ByToken,
    /// A person has to do this.
    ByHand(&'static str),
    /// Nothing is wrong with what was asked.
    Healthy,
}

impl Scene {
    fn new(at: &str) -> Self {
        let sandbox = Sandbox::start(PROGRAM, &["--at", at]);
        let home = sandbox.directory().join("home");
        fs::create_dir_all(home.join("work")).expect("made");
        Self { sandbox, home }
    }

    fn host(&self) -> String {
        format!("http://{}", self.sandbox.host())
    }

    fn secret(&self, kind: &str, state: &str) -> &str {
        self.sandbox.secret(kind, state)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.home.join(name), text).expect("written");
    }

    /// A clone whose remote has this address.
    fn clone_of(&self, url: &str) -> Vec<String> {
        let git = self.sandbox.git();
        git.ok(&self.home.join("work"), &["init", "-q"]);
        git.ok(&self.home.join("work"), &["remote", "add", "origin", url]);
        vec![self.home.join("work").display().to_string()]
    }

    /// A clone with a user name and a secret in its remote's address.
    fn with_secret(&self, user: &str, kind: &str, state: &str, repository: &str) -> Vec<String> {
        self.clone_of(&self.sandbox.url(user, self.secret(kind, state), repository))
    }

    fn site(&self) -> String {
        self.sandbox.url("", "", "acme/site")
    }

    fn doorward(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &self.home);
        command.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(&self.home).args(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends").into()
    }

    fn diagnose(&self, arguments: &[String], fix: bool) -> Result<(Option<i32>, Value), String> {
        let fix = if fix { &["--fix"][..] } else { &[] };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let all = [&["doctor", "--json"][..], fix, &arguments].concat();
        let outcome = self.doorward(&all, self.secret("api_token", "valid"));
        for secret in [self.secret("api_token", "valid"), self.secret("app_password", "valid")] {
            assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret), "a secret is printed");
        }
        let value = serde_json::from_str(&outcome.stdout).map_err(|error| format!("{error}: {}", outcome.stderr))?;
        Ok((outcome.code, value))
    }
}

impl Case {
    /// Whether all of it came out right; what did not is the error.
    fn play(&self) -> Result<(), String> {
        let scene = Scene::new(self.at);
        let arguments = (self.arrange)(&scene);
        let (code, found) = scene.diagnose(&arguments, false)?;
        let expected = (self.verdict, self.confidence);
        if (found["verdict"].as_str(), found["confidence"].as_str()) != (Some(expected.0), Some(expected.1)) {
            return Err(format!("{}: not {expected:?}: {found}", self.name));
        }
        let named = found["findings"].as_array().is_some_and(|all| all.iter().any(|one| one["code"] == self.finds));
        if !named && !found["sentence"].as_str().is_some_and(|sentence| sentence.contains(self.finds)) {
            return Err(format!("{}: not `{}`: {found}", self.name, self.finds));
        }
        match self.mended {
            Mended::Healthy if code == Some(0) => Ok(()),
            Mended::ByHand(what) if found["remedy"].as_str().is_some_and(|remedy| remedy.contains(what)) => Ok(()),
            Mended::ByCommand | Mended::ByToken => {
                let remedy = found["remedy"].as_str().unwrap_or_default().to_owned();
                if remedy.contains("login") != matches!(self.mended, Mended::ByToken) {
                    return Err(format!("{}: `{remedy}`", self.name));
                }
                let (code, after) =
                    scene.diagnose(&arguments, true).map_err(|what| format!("{}: {what}", self.name))?;
                if code == Some(0) { Ok(()) } else { Err(format!("{}: after `{remedy}`: {after}", self.name)) }
            }
            _ => Err(format!("{}: {found}", self.name)),
        }
    }
}

#[test]
fn every_case_that_a_client_can_see_is_diagnosed_and_mended_by_what_is_printed() {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = CASES.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    if let Err(what) = case.play() {
                        wrong.lock().expect("nobody panics with it").push(what);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panicked");
    println!("{} of {} diagnosed and mended", CASES.len() - wrong.len(), CASES.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const NOW: &str = "2026-11-22";

const CASES: &[Case] = &[
    Case {
        name: "case_10_36_an_oauth_token_that_has_ended",
        at: NOW,
        arrange: |scene| scene.with_secret("x-token-auth", "oauth_access_token", "expired", "acme/site"),
        verdict: "fixable",
        confidence: "high",
        finds: "the OAuth access token has expired",
        mended: Mended::ByHand("refresh token"),
    },
    Case {
        name: "case_16_rest_has_been_asked_too_often",
        at: NOW,
        arrange: |scene| {
            scene.sandbox.control("faults", r#"{"rate_limit": 0}"#);
            scene.with_secret("x-token-auth", "workspace_access_token", "valid", "acme/site")
        },
        verdict: "healthy",
        confidence: "high",
        finds: "rest_limit",
        mended: Mended::Healthy,
    },
    Case {
        name: "case_19_a_header_that_is_sent_whatever_the_helpers_have",
        at: NOW,
        arrange: |scene| {
            scene.doorward(&["setup", &scene.host()], "");
            scene.doorward(&["credential", "add", &scene.host()], scene.secret("api_token", "valid"));
            let clone = scene.clone_of(&scene.site());
            scene
                .sandbox
                .git()
                .ok(&scene.home.join("work"), &["config", "http.extraHeader", "Authorization: Basic eDp5"]);
            clone
        },
        verdict: "fixable",
        confidence: "medium",
        finds: "extra_header",
        mended: Mended::ByHand("git config --local --unset-all http.extraheader"),
    },
    Case {
        name: "case_21_an_email_address_where_git_wants_a_user_name",
        at: NOW,
        arrange: |scene| scene.with_secret("ada@example.org", "api_token", "valid", "acme/site"),
        verdict: "fixable",
        confidence: "high",
        finds: "user_name",
        mended: Mended::ByCommand,
    },
    Case {
        name: "case_24_the_user_name_of_access_tokens_with_an_api_token",
        at: NOW,
        arrange: |scene| scene.with_secret("x-token-auth", "api_token", "valid", "acme/site"),
        verdict: "fixable",
        confidence: "high",
        finds: "wants the user name x-bitbucket-api-token-auth",
        mended: Mended::ByCommand,
    },
    Case {
        name: "case_24_the_user_name_of_api_tokens_with_an_access_token",
        at: NOW,
        arrange: |scene| {
            scene.with_secret("x-bitbucket-api-token-auth", "workspace_access_token", "valid", "acme/site")
        },
        verdict: "fixable",
        confidence: "high",
        finds: "wants the user name x-token-auth",
        mended: Mended::ByCommand,
    },
    Case {
        name: "case_26_a_token_without_scopes",
        at: NOW,
        arrange: |scene| scene.with_secret("x-bitbucket-api-token-auth", "api_token", "unscoped", "acme/site"),
        verdict: "fixable",
        confidence: "high",
        finds: "without scopes for Bitbucket",
        mended: Mended::ByToken,
    },
    Case {
        name: "case_27_admin_does_not_imply_read",
        at: NOW,
        arrange: |scene| scene.with_secret("x-bitbucket-api-token-auth", "api_token", "admin_only", "acme/site"),
        verdict: "fixable",
        confidence: "high",
        finds: "it lacks read:repository:bitbucket",
        mended: Mended::ByToken,
    },
    Case {
        name: "case_28_the_login_probe_fails_and_git_works",
        at: NOW,
        arrange: |scene| scene.with_secret("x-token-auth", "repository_access_token", "valid", "acme/site"),
        verdict: "healthy",
        confidence: "high",
        finds: "the repository can be reached",
        mended: Mended::Healthy,
    },
    Case {
        name: "case_29_the_name_of_a_bot_with_a_repository_token",
        at: NOW,
        arrange: |scene| scene.with_secret("9f8e@bots.bitbucket.org", "repository_access_token", "valid", "acme/site"),
        verdict: "fixable",
        confidence: "high",
        finds: "wants the user name x-token-auth",
        mended: Mended::ByCommand,
    },
    Case {
        name: "case_31_a_user_name_in_the_address_hides_what_the_helper_has",
        at: NOW,
        arrange: |scene| {
            let store = scene.sandbox.url("x-bitbucket-api-token-auth", scene.secret("api_token", "valid"), "");
            scene.write(".git-credentials", &format!("{}\n", store.trim_end_matches("/.git")));
            scene.write(".gitconfig", "[credential]\n\thelper = store\n");
            scene.clone_of(&scene.site().replace("://", "://ada@"))
        },
        verdict: "fixable",
        confidence: "high",
        finds: "user_in_address",
        mended: Mended::ByCommand,
    },
    Case {
        name: "case_32_an_old_secret_wins_over_a_new_one",
        at: NOW,
        arrange: |scene| {
            for (file, state) in [("one", "revoked"), ("two", "valid")] {
                let url = scene.sandbox.url("x-bitbucket-api-token-auth", scene.secret("api_token", state), "");
                scene.write(file, &format!("{}\n", url.trim_end_matches("/.git")));
            }
            let helper = |file: &str| format!("\thelper = store --file={}\n", scene.home.join(file).display());
            scene.write(".gitconfig", &format!("[credential]\n{}{}", helper("one"), helper("two")));
            scene.clone_of(&scene.site())
        },
        verdict: "fixable",
        confidence: "medium",
        finds: "helpers_disagree",
        mended: Mended::ByToken,
    },
    Case {
        name: "case_33_a_secret_that_breaks_its_address",
        at: NOW,
        arrange: |scene| scene.clone_of("https://ada:a/b@bitbucket.org/acme/site.git"),
        verdict: "fixable",
        confidence: "medium",
        finds: "remote_unreadable",
        mended: Mended::ByHand("doorward credential add"),
    },
    Case {
        name: "case_33_a_token_that_was_copied_from_an_address",
        at: NOW,
        arrange: |scene| {
            let secret = scene.secret("api_token", "valid").replace('=', "%253D");
            scene.clone_of(&scene.site().replace("://", &format!("://x-bitbucket-api-token-auth:{secret}@")))
        },
        verdict: "fixable",
        confidence: "high",
        finds: "token_encoded",
        mended: Mended::ByToken,
    },
    Case {
        name: "case_41_the_submodules_are_other_repositories",
        at: NOW,
        arrange: |scene| {
            scene.write("work/.gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = ../infra.git\n");
            scene.with_secret("x-token-auth", "repository_access_token", "valid", "acme/site")
        },
        verdict: "healthy",
        confidence: "high",
        finds: "submodules_elsewhere",
        mended: Mended::Healthy,
    },
    Case {
        name: "case_42_no_credential_reaches_git",
        at: NOW,
        arrange: |scene| scene.clone_of(&scene.site()),
        verdict: "fixable",
        confidence: "high",
        finds: "no_credential",
        mended: Mended::ByToken,
    },
    Case {
        name: "case_43_44_an_app_password",
        at: NOW,
        arrange: |scene| scene.with_secret("ada", "app_password", "valid", "acme/site"),
        verdict: "fixable",
        confidence: "high",
        finds: "this is an app password; Bitbucket Cloud takes none since",
        mended: Mended::ByToken,
    },
    Case {
        name: "case_43_an_old_entry_in_netrc",
        at: NOW,
        arrange: |scene| {
            let old = scene.secret("app_password", "valid");
            scene.write(".netrc", &format!("machine 127.0.0.1 login ada password {old}\n"));
            scene.clone_of(&scene.site())
        },
        verdict: "fixable",
        confidence: "high",
        finds: "netrc",
        mended: Mended::ByToken,
    },
    Case {
        name: "case_45_an_operation_that_was_removed",
        at: NOW,
        arrange: |scene| vec![format!("{}/2.0/user/permissions/repositories?role=admin", scene.host())],
        verdict: "fixable",
        confidence: "high",
        finds: "operation_removed",
        mended: Mended::ByHand("/2.0/user/workspaces/{workspace}/permissions/repositories"),
    },
    Case {
        name: "case_48_a_token_that_has_ended",
        at: NOW,
        arrange: |scene| scene.with_secret("x-bitbucket-api-token-auth", "api_token", "expired", "acme/site"),
        verdict: "fixable",
        confidence: "medium",
        finds: "neither on git nor on REST: revoked, expired",
        mended: Mended::ByToken,
    },
    Case {
        name: "case_49_an_address_that_the_workspace_does_not_allow",
        at: NOW,
        arrange: |scene| {
            scene.sandbox.control("policy", r#"{"addresses": "10.0.0.0/8"}"#);
            scene.with_secret("x-bitbucket-api-token-auth", "api_token", "valid", "acme/site")
        },
        verdict: "administrator",
        confidence: "high",
        finds: "does not allow this machine's address",
        mended: Mended::ByHand("ask the workspace's administrator"),
    },
    Case {
        name: "case_49_a_workspace_that_asks_for_two_step_verification",
        at: NOW,
        arrange: |scene| {
            scene.sandbox.control("policy", r#"{"two_step": true}"#);
            scene.with_secret("x-bitbucket-api-token-auth", "api_token", "valid", "acme/site")
        },
        verdict: "fixable",
        confidence: "high",
        finds: "two-step verification",
        mended: Mended::ByHand("account's settings"),
    },
    Case {
        name: "case_50_a_repository_that_one_may_not_see",
        at: NOW,
        arrange: |scene| scene.with_secret("ada", "api_token", "valid", "other/secret"),
        verdict: "administrator",
        confidence: "medium",
        finds: "no such repository",
        mended: Mended::ByHand("ask the repository's administrator"),
    },
    Case {
        name: "case_56_an_address_for_browsers",
        at: NOW,
        arrange: |scene| vec![format!("{}/!api/2.0/repositories/acme/site", scene.host())],
        verdict: "fixable",
        confidence: "high",
        finds: "browsers_address",
        mended: Mended::ByHand("use http"),
    },
    Case {
        name: "case_57_the_password_of_an_account",
        at: "2026-11-22",
        arrange: |scene| scene.with_secret("ada", "account_password", "valid", "acme/site"),
        verdict: "fixable",
        confidence: "high",
        finds: "the password of an account",
        mended: Mended::ByToken,
    },
];
