//! What the person sees who runs it: health, metrics, logs, signals, certificates, proxies.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use doorward_testkit::{Cli, Server};
use rustix::process::Signal;

use crate::{PROGRAM, server, server_with};

#[test]
fn health_readiness_and_metrics_answer() {
    let server = server();
    assert_eq!((server.http().get("/healthz", &[]).status, server.http().get("/readyz", &[]).status), (200, 200));
    server.git().ok(server.directory(), &["ls-remote", &server.up().clone_url]);
    for line in [
        "doorward_requests_total{route=\"info/refs\",status=\"200\"} 1",
        "doorward_requests_total{route=\"info/refs\",status=\"401\"} 1",
        "doorward_refusals_total{reason=\"credential_missing\"} 1",
        "doorward_requests_in_flight 1",
        "doorward_git_places_free 64",
        "# EOF",
    ] {
        // A request is counted when its answer has been sent, which its client may know a moment earlier.
        await_that(line, || server.http().get("/metrics", &[]).text().lines().any(|found| found == line));
    }
}

#[test]
fn metrics_are_not_there_for_strangers() {
    let server = server_with(&[("DOORWARD_SERVER_METRICS_FROM", "10.0.0.0/8")]);
    assert_eq!(server.http().get("/metrics", &[]).status, 404);
}

#[test]
fn only_a_trusted_proxy_is_believed_about_the_address() {
    let address = |server: &Server| {
        let headers = ["Authorization: Bearer dwa_1", "X-Forwarded-For: 203.0.113.7, 198.51.100.9"];
        server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &headers);
        server.cli().json(&["audit", "--refused"])[0]["address"].clone()
    };
    assert_eq!(address(&server()), "127.0.0.1");
    assert_eq!(address(&server_with(&[("DOORWARD_SERVER_TRUSTED_PROXIES", "127.0.0.0/8")])), "198.51.100.9");
}

#[test]
fn logs_are_structured_and_hold_no_secret_wherever_it_was_put() {
    let server = server_with(&[("DOORWARD_LOG_FORMAT", "json"), ("DOORWARD_LOG_LEVEL", "debug")]);
    let token = &server.up().token;
    let secret = &token[17..];
    for (path, headers) in [
        (format!("/{token}/x/info/refs?service=git-upload-pack"), vec![]),
        (format!("/home/hello.git/info/refs?service={token}"), vec![]),
        (
            format!("/home/hello.git/info/refs?service=git-upload-pack&token={token}"),
            vec![format!("Authorization: Bearer {token}")],
        ),
        (format!("http://admin:{token}@127.0.0.1/home/hello.git/info/refs?service=git-upload-pack"), vec![]),
        (
            "/home/hello.git/info/refs?service=git-upload-pack".into(),
            vec![format!("User-Agent: me/{token}"), format!("Authorization: Basic {token}")],
        ),
        (
            format!("/home/{token}.git/info/refs?service=git-upload-pack"),
            vec![format!("Authorization: Bearer {token}x")],
        ),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = server.http().get(&path, &headers);
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    server.git().ok(server.directory(), &["ls-remote", &server.up().clone_url]);
    let import = server.cli().run(&[
        "repository",
        "create",
        "home/x",
        "--import",
        &format!("http://admin:{token}@127.0.0.1:1/x"),
    ]);
    assert!(!import.ok && !import.stderr.contains(secret), "{}", import.stderr);
    let audit = server.cli().ok(&["audit", "--json"]);
    assert!(!audit.contains(secret), "a secret is in the audit");
    let log = server.log();
    assert!(!log.contains(secret), "a secret is in the log");
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let answered = lines.iter().find(|line| line["status"] == 200).expect("a request that was answered");
    for field in ["request", "method", "path", "status", "duration_ms", "bytes", "address", "account", "repository"] {
        assert!(!answered[field].is_null(), "{field} in {answered}");
    }
}

#[test]
fn an_import_keeps_its_secret_to_itself_and_leaves_nothing_when_it_is_interrupted() {
    let server = server();
    // A source that takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let source = format!("http://ada:s%33cret@{}/x.git", silent.local_addr().expect("an address"));
    let mut import = server
        .cli()
        .command(&["repository", "create", "home/x", "--import", &source])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let (connection, _) = silent.accept().expect("git connects");
    let mut asked = [0; 4096];
    let length = (&connection).read(&mut asked).expect("a request");
    assert!(
        String::from_utf8_lossy(&asked[..length]).contains("Authorization: Basic YWRhOnMzY3JldA=="),
        "the credential is sent"
    );
    let doorward = format!("{}", import.id());
    for process in
        fs::read_dir("/proc").expect("processes").flatten().filter(|process| process.file_name() != doorward.as_str())
    {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(!line.contains("s%33cret") && !line.contains("s3cret"), "{line}");
    }
    let pid = rustix::process::Pid::from_raw(import.id().cast_signed()).expect("a process id");
    rustix::process::kill_process(pid, Signal::INT).expect("the process is there");
    assert_eq!(import.wait().expect("it ends").code(), Some(1));
    let mut said = String::new();
    import.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    assert_eq!(said, "error: the import was interrupted; nothing is left of it\n");
    let left: Vec<_> = fs::read_dir(server.cli().data().join("repositories"))
        .expect("a list")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_sigterm_lets_requests_in_flight_finish_and_takes_no_more() {
    let mut server = server();
    let git = server.git();
    git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, "clone"]);
    let clone = server.directory().join("clone");
    let noise: String = (0..1_000_000_u64).map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    git.commit(&clone, "large", &noise);
    let mut push = git.command(&clone, &["push", "-q", "origin", "main"]).spawn().expect("git runs");
    let started = |server: &Server| server.cli().ok(&["audit", "--json"]).contains("push.started");
    await_that("the push has begun", || started(&server));
    server.signal(Signal::TERM);
    assert!(push.wait().expect("git ends").success(), "the push was cut off: {}", server.log());
    assert!(server.wait().success());
    assert!(TcpStream::connect(server.host()).is_err());
    let log = server.log();
    assert!(log.contains("stopping") && log.trim_end().ends_with("stopped"), "{log}");
    assert!(server.cli().ok(&["audit", "--json"]).contains("push.finished"));
}

#[test]
fn a_client_that_was_asked_for_its_credential_is_served_also_when_the_server_stops_meanwhile() {
    let mut server = server();
    let mut stream = server.http().connect();
    let ask = |stream: &mut TcpStream, more: &str| {
        let path = "/home/hello.git/info/refs?service=git-upload-pack";
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n").as_bytes()).expect("sent");
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    let challenge = ask(&mut stream, "");
    assert!(challenge.starts_with("HTTP/1.1 401") && !challenge.contains("connection: close"), "{challenge}");
    server.signal(Signal::TERM);
    await_that("the server stops", || server.log().contains("stopping"));
    let answer = ask(&mut stream, &format!("Authorization: Bearer {}\r\n", server.up().token));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(server.wait().success());
}

#[test]
fn plain_http_to_other_machines_needs_to_be_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let cli = Cli::new(PROGRAM, &directory.path().join("data"));
    let outcome = cli.run(&["up", "--listen", "0.0.0.0:0"]);
    assert_eq!(outcome.code, Some(5));
    assert!(
        outcome.stderr.contains("tokens would cross the network in the clear; set server.tls_certificate"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn tls_serves_http_1_and_2_and_its_certificate_is_read_again_on_sighup() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, trusted) = tls_server(directory.path(), &[]);
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    assert!(server.up().address.starts_with("https://127.0.0.1:"));
    let git = server.git().set("http.sslCAInfo", &trusted.to_string_lossy());
    for version in ["HTTP/1.1", "HTTP/2"] {
        let outcome =
            git.clone().set("http.version", version).run(server.directory(), &["ls-remote", &server.up().clone_url]);
        assert!(outcome.ok, "{version}: {}", outcome.stderr);
    }
    git.ok(server.directory(), &["clone", "-q", &server.up().clone_url, "clone"]);
    git.commit(&server.directory().join("clone"), "a", "a\n");
    git.ok(&server.directory().join("clone"), &["push", "-q"]);
    fs::write(&key, "not a key").expect("written");
    server.signal(Signal::HUP);
    await_that("the bad key is refused", || server.log().contains("the old one stays"));
    git.ok(server.directory(), &["ls-remote", &server.up().clone_url]);
    let second = write_certificate(&certificate, &key);
    server.signal(Signal::HUP);
    await_that("the new certificate is read", || server.log().contains("the certificate was read again"));
    assert!(
        !git.run(server.directory(), &["ls-remote", &server.up().clone_url]).ok,
        "the old certificate is still served"
    );
    fs::write(&trusted, &second).expect("written");
    git.ok(server.directory(), &["ls-remote", &server.up().clone_url]);
}

#[test]
fn trouble_of_our_own_is_503_with_retry_after_and_never_a_refusal() {
    let server = server();
    let ask = |headers: &[&str]| server.http().get("/home/hello.git/info/refs?service=git-upload-pack", headers);
    let valid = format!("Authorization: Bearer {}", server.up().token);
    let stranger = "Authorization: Bearer dwa_000000000000_00000000000000000000000000000000";
    assert_eq!((ask(&[&valid]).status, ask(&[stranger]).status, ask(&[]).status), (200, 401, 401));
    change_database(&server, "ALTER TABLE credential RENAME TO gone");
    // What was found a moment ago is still let in; it is remembered for no longer than a second.
    await_that("the database is asked again", || match ask(&[&valid]).status {
        200 => false,
        503 => true,
        status => panic!("a valid credential was answered {status}"),
    });
    for headers in [&[valid.as_str()][..], &[stranger], &[]] {
        let answer = ask(headers);
        assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{}", answer.text());
        assert!(answer.text().contains("your credential was not refused"), "{}", answer.text());
        assert_eq!(answer.header("www-authenticate"), "");
    }
    assert_eq!(server.http().get("/healthz", &[]).status, 200);
    change_database(&server, "ALTER TABLE gone RENAME TO credential");
    assert_eq!((ask(&[&valid]).status, ask(&[stranger]).status, ask(&[]).status), (200, 401, 401));
}

#[test]
fn readiness_says_when_the_database_cannot_be_used() {
    let server = server();
    change_database(&server, "ALTER TABLE epoch RENAME TO gone");
    assert_eq!(server.http().get("/readyz", &[]).status, 503);
    change_database(&server, "ALTER TABLE gone RENAME TO epoch");
    assert_eq!(server.http().get("/readyz", &[]).status, 200);
}

#[test]
fn an_audit_that_cannot_be_written_for_a_while_loses_nothing() {
    let server = server();
    change_database(&server, "ALTER TABLE audit RENAME TO gone");
    let stranger = "Authorization: Bearer dwa_1";
    let refused = server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &[stranger]);
    assert_eq!(refused.status, 401);
    assert!(server.log().contains("the audit cannot be written; trying again"), "{}", server.log());
    change_database(&server, "ALTER TABLE gone RENAME TO audit");
    let push = server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &["Authorization: Bearer dwa_2"]);
    await_that("later ones are recorded, too", || server.cli().run(&["why", push.header("x-request-id")]).ok);
    await_that("the refusal is recorded", || server.cli().run(&["why", refused.header("x-request-id")]).ok);
}

#[test]
fn more_requests_at_once_than_an_address_may_have_get_429_and_the_rest_are_served() {
    let server = server_with(&[("DOORWARD_LIMITS_REQUESTS_PER_ADDRESS", "2")]);
    let hold = || {
        let mut stream = server.http().connect();
        let head = format!(
            "POST /home/hello.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/x-git-upload-pack-request\r\nContent-Length: 1000\r\n\r\n0014command=ls-refs\n",
            server.up().token
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream
    };
    let held = [hold(), hold()];
    await_that("two are in flight", || server.http().get("/healthz", &[]).status == 429);
    let refused = server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &[]);
    assert_eq!((refused.status, refused.header("retry-after")), (429, "5"));
    drop(held);
    await_that("they are over", || server.http().get("/healthz", &[]).status == 200);
}

/// A server with a certificate of its own, `cert.pem` and `key.pem` in a directory, and a copy for clients to trust.
pub(crate) fn tls_server(directory: &Path, environment: &[(&str, &str)]) -> (Server, PathBuf) {
    let (certificate, key, trusted) =
        (directory.join("cert.pem"), directory.join("key.pem"), directory.join("trusted.pem"));
    fs::write(&trusted, write_certificate(&certificate, &key)).expect("written");
    let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
    let tls = [("DOORWARD_SERVER_TLS_CERTIFICATE", certificate.as_ref()), ("DOORWARD_SERVER_TLS_KEY", key.as_ref())];
    (server_with(&[&tls, environment].concat()), trusted)
}

/// Waits until something is so, and fails if it is not within a minute: other tests may keep the machine busy.
pub(crate) fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Changes a server's database behind its back.
fn change_database(server: &Server, sql: &'static str) {
    let path = server.cli().data().join("doorward.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(path)
            .pragma("legacy_alter_table", "ON")
            .foreign_keys(false);
        let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("changed");
        sqlx::Connection::close(connection).await.expect("closed");
    });
}

/// Writes a new certificate for 127.0.0.1 with its key; the certificate.
fn write_certificate(certificate: &Path, key: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).expect("a certificate");
    fs::write(certificate, made.cert.pem()).expect("written");
    fs::write(key, made.signing_key.serialize_pem()).expect("written");
    made.cert.pem()
}
