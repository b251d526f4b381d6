//! Input that no honest client sends: a clear error, and no harm to anybody else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use doorward_testkit::{Response, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::operation::await_that;
use crate::{server, server_with};

const PUSH: &str = "application/x-git-receive-pack-request";
const FETCH: &str = "application/x-git-upload-pack-request";

fn post(server: &Server, service: &str, kind: &str, more: &[&str], body: &[u8]) -> Response {
    let bearer = format!("Authorization: Bearer {}", server.up().token);
    let kind = format!("Content-Type: {kind}");
    server.http().post(&format!("/home/hello.git/{service}"), &[&[bearer.as_str(), &kind], more].concat(), body)
}

/// The server still does what it is for.
fn still_serves(server: &Server) {
    server.git().ok(server.directory(), &["ls-remote", &server.up().clone_url]);
}

#[test]
fn a_push_that_is_no_push_is_a_400_that_says_what_is_wrong() {
    let server = server();
    let zero = "0".repeat(40);
    let line = |text: &str| format!("{:04x}{text}0000", text.len() + 4).into_bytes();
    for (body, said) in [
        (b"PACK".to_vec(), "not hexadecimal digits"),
        (b"0003".to_vec(), "a length of 3"),
        (b"ffff".to_vec(), "a length of 65535"),
        (b"0001".to_vec(), "is not `OLD NEW REF`"),
        (b"00".to_vec(), "ends before its list of refs does"),
        (b"0064short".to_vec(), "ends before its list of refs does"),
        (Vec::new(), "ends before its list of refs does"),
        (line("hello"), "is not `OLD NEW REF`"),
        (line(&format!("{zero} {zero}")), "is not `OLD NEW REF`"),
        (line(&format!("{zero} 123 refs/heads/x")), "40 or 64 hexadecimal digits"),
        (line("push-cert\0 x"), "signed pushes are not supported"),
    ] {
        let answer = post(&server, "git-receive-pack", PUSH, &[], &body);
        assert_eq!(answer.status, 400, "{:?}: {}", String::from_utf8_lossy(&body), answer.text());
        assert!(answer.text().contains(said), "{}", answer.text());
    }
    let long = format!("{zero} {zero} refs/heads/x\n");
    let line = format!("{:04x}{long}", long.len() + 4).repeat(50_000);
    let answer = post(&server, "git-receive-pack", PUSH, &[], line.as_bytes());
    assert_eq!(answer.status, 413, "{}", answer.text());
    still_serves(&server);
}

#[test]
fn names_that_try_to_leave_their_place_are_no_repositories() {
    let server = server();
    let bearer = format!("Authorization: Bearer {}", server.up().token);
    for path in [
        "/../../etc/passwd/info/refs",
        "/home/../home/info/refs",
        "/home/%2e%2e/info/refs",
        "/home/..%2fhello/info/refs",
        "/home/hello%00/info/refs",
        "/home/hello%ff/info/refs",
        "/%c3%28/hello/info/refs",
        "/home/hello.git.git/info/refs",
        "/home/.git/info/refs",
        "/home/hello%0a/info/refs",
        "//home/hello/info/refs",
        "/home/-x/info/refs",
        "/home//info/refs",
    ] {
        let answer = server.http().get(&format!("{path}?service=git-upload-pack"), &[&bearer]);
        assert!(matches!(answer.status, 404 | 400), "{path}: {} {}", answer.status, answer.text());
        assert!(
            !answer.text().contains("/tmp") && !answer.text().contains("repositories/"),
            "{path}: {}",
            answer.text()
        );
    }
    still_serves(&server);
}

#[test]
fn odd_bytes_in_names_of_refs_are_refused_by_name() {
    let server = server();
    let zero = "0".repeat(40);
    for name in [
        &b"refs/heads/../../../config"[..],
        b"refs/heads/a\x01b",
        b"refs/heads/a b",
        b"refs/heads/.lock",
        b"HEAD",
        b"refs/heads/a\nb",
        b"../x",
    ] {
        let mut line = format!("{zero} {} ", "1".repeat(40)).into_bytes();
        line.extend(name);
        line.extend(b"\0report-status");
        let mut body = format!("{:04x}", line.len() + 4).into_bytes();
        body.extend(line);
        body.extend(b"0000");
        let answer = post(&server, "git-receive-pack", PUSH, &[], &body);
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("ng ") && answer.text().contains("cannot be pushed"), "{}", answer.text());
    }
    still_serves(&server);
}

#[test]
fn the_longest_name_that_fits_a_line_is_refused_like_any_other() {
    let server = server();
    let zero = "0".repeat(40);
    for name in [format!("refs/doorward/{}", "x".repeat(65_300)), format!("refs/heads/{}", "a/".repeat(32_000))] {
        let line = format!("{zero} {} {name}\0report-status", "1".repeat(40));
        let body = format!("{:04x}{line}0000", line.len() + 4);
        let answer = post(&server, "git-receive-pack", PUSH, &[], body.as_bytes());
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("ng refs/") && answer.text().contains("cannot be pushed"), "{}", answer.text());
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
    // A connection that had ended in a panic would be counted for ever; one that ends well is for a moment.
    await_that("only the one that asks is counted", || {
        server.http().get("/metrics", &[]).text().lines().any(|line| line == "doorward_connections 1")
    });
}

#[test]
fn a_client_of_http_2_that_never_begins_or_never_takes_its_answer_is_cut_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, trusted) = crate::operation::tls_server(
        directory.path(),
        &[("DOORWARD_LIMITS_HEAD_TIME", "1s"), ("DOORWARD_LIMITS_IDLE_TIME", "1s")],
    );
    let mut silent = connect_http_2(&server, &trusted);
    let began = Instant::now();
    let _ = silent.read_to_end(&mut Vec::new());
    assert!(began.elapsed() < Duration::from_secs(40), "held for {:?}", began.elapsed());

    // A client that opens no window: nothing is ever written to it, so no time-out for writing meets it.
    let mut closed = connect_http_2(&server, &trusted);
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let bearer = format!("Bearer {}", server.up().token);
    let field = |name: &str, value: &str| {
        // HPACK: a literal without indexing, its name and value not compressed (RFC 7541 §6.2.2).
        [
            &[0, u8::try_from(name.len()).expect("short")],
            name.as_bytes(),
            &[u8::try_from(value.len()).expect("short")],
            value.as_bytes(),
        ]
        .concat()
    };
    let head = [
        field(":method", "POST"),
        field(":scheme", "https"),
        field(":authority", "x"),
        field(":path", "/home/hello.git/git-upload-pack"),
        field("authorization", &bearer),
        field("content-type", FETCH),
        field("git-protocol", "version=2"),
    ]
    .concat();
    let no_window = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let question = b"0014command=ls-refs\n0000";
    let request =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &no_window, &frame(1, 4, 1, &head), &frame(0, 1, 1, question)]
            .concat();
    closed.write_all(&request).expect("sent");
    let ended = |server: &Server| server.log().contains("path=\"/home/hello.git/git-upload-pack\"");
    let began = Instant::now();
    while !ended(&server) {
        assert!(began.elapsed() < Duration::from_secs(40), "the request is held: {}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(closed);
    server
        .git()
        .set("http.sslCAInfo", &trusted.to_string_lossy())
        .ok(server.directory(), &["ls-remote", &server.up().clone_url]);
}

/// A TLS connection that has agreed on HTTP/2 and has sent nothing.
fn connect_http_2(
    server: &Server,
    trusted: &std::path::Path,
) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(trusted).expect("a certificate")).expect("a root");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("a name");
    let mut connection = rustls::ClientConnection::new(config.into(), name).expect("a connection");
    let mut stream = server.http().connect();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).expect("the handshake is done");
    }
    assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]));
    rustls::StreamOwned::new(connection, stream)
}

#[test]
fn a_bomb_of_zeros_is_cut_off_and_costs_no_memory() {
    let server = server_with(&[("DOORWARD_FETCH_REQUEST_BYTES", "1m"), ("DOORWARD_PUSH_PACK_BYTES", "1m")]);
    let mut gzip = std::process::Command::new("sh");
    gzip.args(["-c", "head -c 1000000000 /dev/zero | gzip -1"]);
    let bomb = gzip.output().expect("gzip runs").stdout;
    for (service, kind) in [("git-upload-pack", FETCH), ("git-receive-pack", PUSH)] {
        let answer = post(&server, service, kind, &["Content-Encoding: gzip"], &bomb);
        assert_ne!(answer.status, 503, "{}", answer.text());
    }
    let broken = post(&server, "git-receive-pack", PUSH, &["Content-Encoding: gzip"], b"this is not gzip");
    assert_eq!(broken.status, 400, "{}", broken.text());
    let announced = server.http().raw(
        format!(
            "POST /home/hello.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {FETCH}\r\n\
             Content-Length: 99999999999\r\nConnection: close\r\n\r\n",
            server.up().token
        )
        .as_bytes(),
    );
    assert_eq!(announced.status, 413);
    assert!(server.memory("VmHWM") < 100 << 20, "{} bytes", server.memory("VmHWM"));
    still_serves(&server);
}

#[test]
fn heads_of_requests_that_are_wrong_or_huge_are_turned_away() {
    let server = server();
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Big: {}\r\n\r\n", "x".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: b\r\n".repeat(5000));
    for (bytes, statuses) in [
        (huge.as_str(), &[431, 0][..]),
        (&many, &[431, 0]),
        ("GET / HTTP/9.9\r\n\r\n", &[400, 505, 0]),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}", &[400, 0]),
        (
            "GET /home/hello.git/info/refs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            &[400, 403, 0],
        ),
        ("POST /home/hello.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", &[400, 0]),
        ("DELETE /home/hello.git/info/refs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &[405]),
    ] {
        let answer = server.http().raw(bytes.as_bytes());
        assert!(statuses.contains(&answer.status), "{:?}: {}", &bytes[..bytes.len().min(60)], answer.status);
    }
    still_serves(&server);
}

#[test]
fn a_flood_of_strangers_is_counted_and_does_not_fill_the_audit() {
    let mut server = server();
    let mut ids = Vec::new();
    for number in 0..2500 {
        // Two thirds make names up, one third makes tokens up.
        let bearer = format!("Authorization: Bearer hunter{number}");
        let headers: &[&str] = if number % 3 == 0 { &[&bearer] } else { &[] };
        let answer = server.http().get(&format!("/home/name{number}/info/refs?service=git-upload-pack"), headers);
        // More made-up tokens than anybody mistypes are not answered one by one; requests without any are.
        let expected = if !headers.is_empty() && answer.status == 429 { 429 } else { 401 };
        assert_eq!(answer.status, expected, "{}", answer.text());
        ids.push(answer.header("x-request-id").to_owned());
    }
    server.restart();
    let rows = server.cli().json(&["audit"]);
    let rows = rows.as_array().expect("a list");
    let counted: i64 = rows.iter().filter_map(|row| row["requests"].as_i64()).sum();
    let recorded = rows.iter().filter(|row| row["event"] == "refused" && row["requests"].is_null()).count();
    assert_eq!(usize::try_from(counted).expect("a count") + recorded, 2500, "every request is in the audit");
    assert!(server.cli().run(&["why", &ids[0]]).ok && server.cli().run(&["why", &ids[2400]]).ok);
    still_serves(&server);
}

#[test]
fn a_token_that_was_revoked_does_not_fill_the_audit_either() {
    let mut server = server();
    let (id, secret) = server.cli().token("admin", &["read:repository:bitbucket"], &[]);
    server.cli().ok(&["token", "revoke", &id]);
    let header = format!("Authorization: Bearer {secret}");
    let ask = || server.http().get("/home/hello.git/info/refs?service=git-upload-pack", &[&header]);
    let answers: Vec<_> = (0..500).map(|_| ask()).collect();
    assert!(answers.iter().all(|answer| answer.status == 401));
    let last = answers[499].header("x-request-id").to_owned();
    server.restart();
    let rows = server.cli().json(&["audit"]);
    let rows: Vec<_> = rows.as_array().expect("a list").iter().filter(|row| row["reason"] == "token_revoked").collect();
    let counted: i64 = rows.iter().filter_map(|row| row["requests"].as_i64()).sum();
    let recorded = rows.iter().filter(|row| row["requests"].is_null()).count();
    // The minute may have turned over on the way.
    assert!((60..=120).contains(&recorded), "{recorded}");
    assert_eq!(usize::try_from(counted).expect("a count") + recorded, 500);
    // Under whatever names: the counts are few.
    for number in 0..300 {
        let path = format!("/home/name{number}/info/refs?service=git-upload-pack");
        assert_eq!(server.http().get(&path, &[&header]).status, 401);
    }
    server.restart();
    let rows = server.cli().json(&["audit"]);
    let rows = rows.as_array().expect("a list").iter().filter(|row| row["reason"] == "token_revoked").count();
    assert!(rows < 200, "{rows}");
    let why = server.cli().ok(&["why", &last]);
    assert!(why.contains("NO   the credential is not revoked"), "{why}");
}

#[test]
fn a_client_that_sends_nothing_or_ever_so_slowly_is_cut_off() {
    let server = server_with(&[("DOORWARD_LIMITS_HEAD_TIME", "1s"), ("DOORWARD_LIMITS_IDLE_TIME", "1s")]);
    let bearer = format!("Authorization: Bearer {}", server.up().token);
    let half = format!(
        "POST /home/hello.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Type: {PUSH}\r\nContent-Length: 500\r\n\r\n00"
    );
    for sent in ["", "GET /home", "GET / HTTP/1.1\r\nHost: x\r\n", &half] {
        let mut stream = server.http().connect();
        stream.write_all(sent.as_bytes()).expect("sent");
        let began = Instant::now();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(40), "{sent:?} was held for {took:?}");
    }
    // One that never reads its answer is cut off too: its process ends and its place is free again.
    server.cli().ok(&["repository", "create", "home/large"]);
    let git = server.git();
    git.ok(server.directory(), &["init", "-q", "large"]);
    let noise: String = (0..2_000_000_u64).map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let commit = git.commit(&server.directory().join("large"), "noise", &noise);
    git.ok(&server.directory().join("large"), &["push", "-q", &server.url_of("home/large"), "main"]);
    let question = format!("0011command=fetch0001000fofs-delta0032want {commit}\n0009done\n0000");
    let head = format!(
        "POST /home/large.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Type: {FETCH}\r\nGit-Protocol: version=2\r\n\
         Content-Length: {}\r\n\r\n{question}",
        question.len()
    );
    let mut stream = server.http().connect();
    stream.write_all(head.as_bytes()).expect("sent");
    let places = |server: &Server| {
        let metrics = server.http().get("/metrics", &[]).text();
        metrics.lines().find_map(|line| line.strip_prefix("doorward_git_places_free ")).map(str::to_owned)
    };
    // It ends before its answer does, and its place is free.
    await_that("a client that does not read is cut off", || {
        let log = server.log();
        let line = log.lines().find(|line| line.contains("path=\"/home/large.git/git-upload-pack\""));
        line.is_some_and(|line| line.contains("whole=false"))
    });
    await_that("its place is free again", || places(&server).as_deref() == Some("64"));
    drop(stream);
    still_serves(&server);
}

#[test]
fn a_request_whose_client_closes_its_half_early_ends_without_harm() {
    let server = server();
    let bearer = format!("Authorization: Bearer {}", server.up().token);
    for sent in [
        format!(
            "POST /home/hello.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Type: {FETCH}\r\nContent-Length: 100\r\n\r\n0014"
        ),
        format!(
            "POST /home/hello.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Type: {FETCH}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n00"
        ),
        format!(
            "POST /home/hello.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Type: {PUSH}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        ),
    ] {
        let answer = server.http().half_closed(sent.as_bytes());
        assert_ne!(answer.status, 401);
    }
    still_serves(&server);
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_out() {
    let server = server();
    // Each connection is an open file of this process too; the usual limit is far below.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).expect("a higher limit");
    let idle: Vec<TcpStream> = (0..10_000).map_while(|_| TcpStream::connect(server.host()).ok()).collect();
    assert_eq!(idle.len(), 10_000, "this machine lets a process open {} connections", idle.len());
    let began = Instant::now();
    still_serves(&server);
    let took = began.elapsed();
    println!("with 10,000 idle connections: {} MiB, a request by git in {took:?}", server.memory("VmRSS") >> 20);
    assert!(server.memory("VmRSS") < 64 << 20, "{} bytes", server.memory("VmRSS"));
}
