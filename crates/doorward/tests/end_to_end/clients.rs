//! Clients that other people made, as they come from their registries: each does a working day against a server of ours, and
//! knows nothing of it but the address. What they do is in `tests/clients`, with the versions of all that they need.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use doorward_testkit::Server;

use crate::server;

const SCOPES: &[&str] = &[
    "read:repository:bitbucket",
    "write:repository:bitbucket",
    "admin:repository:bitbucket",
    "delete:repository:bitbucket",
    "read:project:bitbucket",
    "admin:project:bitbucket",
    "read:workspace:bitbucket",
    "read:user:bitbucket",
    "read:webhook:bitbucket",
    "write:webhook:bitbucket",
    "delete:webhook:bitbucket",
    "write:permission:bitbucket",
    "delete:permission:bitbucket",
    "read:token:doorward",
    "write:token:doorward",
    "read:audit:doorward",
    "read:admin:doorward",
    "write:admin:doorward",
];

/// What schemathesis looks for: no server error, no status, type or shape that was not described, nothing taken that should not be.
const CHECKS: &str = "not_a_server_error,status_code_conformance,response_schema_conformance,content_type_conformance,\
    response_headers_conformance,negative_data_rejection";

struct Day {
    server: Server,
    token: String,
}

impl Day {
    fn new() -> Self {
        let server = server();
        let (_, token) = server.cli().token("admin", SCOPES, &[]);
        Self { server, token }
    }

    /// A copy of what a client needs, in which it may be installed.
    fn client(&self, name: &str) -> PathBuf {
        let there = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").join(name);
        let here = self.server.directory().join(name);
        fs::create_dir_all(&here).expect("a directory");
        for file in fs::read_dir(there).expect("the client's directory").flatten() {
            if file.path().is_file() {
                fs::copy(file.path(), here.join(file.file_name())).expect("a copy");
            }
        }
        here
    }

    fn root(&self) -> String {
        format!("http://{}", self.server.host())
    }
}

/// Runs a command to its end; it must succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.into_owned()
}

/// Installs what a client written in Python needs, in the versions that were looked at.
fn install(client: &Path) {
    run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(client));
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", "requirements.txt"];
    run(Command::new(client.join("venv/bin/pip")).args(pip).current_dir(client));
}

#[test]
fn the_npm_client_bitbucket_works_for_a_day() {
    let day = Day::new();
    let client = day.client("npm");
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&client));
    let base = format!("{}/2.0", day.root());
    let said = run(Command::new("node").args(["day.js", &base, &day.token]).current_dir(&client));
    assert!(said.contains("a working day is over"), "{said}");
}

#[test]
fn the_pypi_client_atlassian_python_api_works_for_a_day() {
    let day = Day::new();
    let client = day.client("pypi");
    install(&client);
    let python = client.join("venv/bin/python");
    let said = run(Command::new(python).args(["day.py", &day.root(), &day.token]).current_dir(&client));
    assert!(said.contains("a working day is over"), "{said}");
}

#[test]
fn whatever_schemathesis_asks_is_answered_as_the_description_says() {
    let day = Day::new();
    day.server.cli().ok(&["account", "create", "guest", "--email", "guest@example.org"]);
    let client = day.client("schemathesis");
    install(&client);
    let description = format!("{}/2.0/openapi.json", day.root());
    let authorization = format!("Authorization: Bearer {}", day.token);
    let mut schemathesis = Command::new(client.join("venv/bin/schemathesis"));
    schemathesis.current_dir(&client).args(["--config-file", "schemathesis.toml", "run", &description]);
    schemathesis.args(["--header", &authorization, "--max-examples", "10", "--seed", "1", "--no-color"]);
    schemathesis.args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS]);
    let said = run(&mut schemathesis);
    let operations = said.lines().find_map(|line| line.trim().strip_prefix("Tested: "));
    assert!(operations.is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count > 100)), "{said}");
}

#[test]
fn curl_as_in_the_providers_documentation_works_for_a_day() {
    let day = Day::new();
    let client = day.client("curl");
    let base = format!("{}/2.0", day.root());
    let said = run(Command::new("sh").args(["day.sh", &base, "admin", &day.token]).current_dir(&client));
    assert!(said.contains("a working day is over"), "{said}");
}
