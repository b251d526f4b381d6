//! What it costs to make a page of what is there, and how long it is: `cargo bench -p doorward-pages`.
//!
//! The largest of their sorts: a full page of records with its timeline, a hundred tokens, a file of 2,000 lines, a README. Lengths
//! are printed first; the server compresses nothing.

use divan::{Bencher, black_box};
use doorward_admin::{AuditRow, TokenRow};
use doorward_pages::{
    Bar, ChosenRecords, CredentialsPage, FilePage, Frame, RefusalsPage, RepositoryHead, Template, Timeline, Viewer,
    render_markdown,
};

fn main() {
    for (name, length) in [
        ("credentials", credentials().render().expect("rendered").len()),
        ("refusals", refusals().render().expect("rendered").len()),
        ("file", file().render().expect("rendered").len()),
    ] {
        println!("{name}: {:.1} kB", length as f64 / 1e3);
    }
    divan::main();
}

#[divan::bench]
fn a_hundred_tokens(bencher: Bencher<'_, '_>) {
    let page = credentials();
    bencher.bench(|| black_box(&page).render());
}

#[divan::bench]
fn fifty_records_and_their_timeline(bencher: Bencher<'_, '_>) {
    let page = refusals();
    bencher.bench(|| black_box(&page).render());
}

#[divan::bench]
fn a_file_of_2000_lines(bencher: Bencher<'_, '_>) {
    let page = file();
    bencher.bench(|| black_box(&page).render());
}

#[divan::bench]
fn a_readme_of_20_kb(bencher: Bencher<'_, '_>) {
    let text = "# Title\n\nSome *words* about [a thing](docs/thing.md), and `code`.\n\n- one\n- two\n\n".repeat(250);
    bencher.bench(|| render_markdown(black_box(&text), "/acme/site/src/main", "/acme/site/raw/main"));
}

fn frame() -> Frame {
    Frame {
        title: "A page".into(),
        at: "credentials",
        viewer: Some(Viewer { name: "ada".into(), administrator: true }),
        form_token: "0".repeat(64).into(),
        notice: None,
        request: "01m83hw8zy00000010ye6fezbv".into(),
    }
}

fn credentials() -> CredentialsPage {
    let token = |number: usize| TokenRow {
        id: format!("{number:012}"),
        kind: "api_token".into(),
        account: Some("ada".into()),
        name: format!("nightly build {number}"),
        scopes: vec!["read:repository:bitbucket".into()],
        workspace: None,
        place: None,
        created_at: "2026-11-23T06:35:00Z".into(),
        expires_at: Some("2027-11-23T06:35:00Z".into()),
        revoked_at: None,
        replaced_by: None,
        made_by: None,
        last_used: None,
        state: "valid".into(),
    };
    let tokens = (0..100).map(token).collect();
    CredentialsPage { frame: frame(), tokens, ended: 3, all: false, findings: Vec::new(), grants: Vec::new() }
}

fn refusals() -> RefusalsPage {
    let record = |number: usize| AuditRow {
        at: "2026-11-23T06:35:00Z".into(),
        event: "refused".into(),
        request: Some(format!("{number:026}")),
        subject: "acme/site".into(),
        surface: Some("git".into()),
        action: Some("fetch".into()),
        scheme: Some("Basic".into()),
        name_form: Some("the owner's user name".into()),
        credential: Some("3kq8c2xw1m5z".into()),
        account: Some("ada".into()),
        address: Some("192.0.2.7".into()),
        agent: Some("git/2.47.3".into()),
        rule: Some("scope".into()),
        reason: Some("scope_missing".into()),
        status: Some(403),
        sentence: "this token is valid, but this needs the scope repository; it has read:user:bitbucket".into(),
        remedy: None,
        requests: None,
    };
    let bar = |number: usize| Bar {
        label: format!("{:02}:00", number % 24),
        href: format!("/site/refusals?since=2026-11-23T{:02}:00:00Z", number % 24),
        counts: vec![(None, 100), (Some("scope_missing".into()), 7), (Some("token_expired".into()), 3)],
    };
    RefusalsPage {
        frame: frame(),
        workspace: None,
        slug: String::new(),
        server: true,
        action: "/site/refusals".into(),
        why: "/account/refusals".into(),
        here: "/site/refusals?page=1".into(),
        chosen: ChosenRecords::default(),
        reasons: vec!["scope_missing", "token_expired"],
        timeline: Timeline {
            heading: "From … to …".into(),
            bars: (0..48).map(bar).collect(),
            by_reason: Some("/site/refusals?reason=".into()),
        },
        spans: Vec::new(),
        records: (0..50).map(record).collect(),
        newer: None,
        older: None,
    }
}

fn file() -> FilePage {
    FilePage {
        frame: frame(),
        head: RepositoryHead {
            workspace: "acme".into(),
            slug: "site".into(),
            description: String::new(),
            public: false,
            tab: "src",
        },
        revision: "main".into(),
        crumbs: Vec::new(),
        size: "60 kB".into(),
        raw: "/acme/site/raw/main/x".into(),
        history: "/acme/site/commits".into(),
        prose: None,
        lines: Some(vec!["    let answer = 6 * 7; // < & >".into(); 2000]),
        instead: String::new(),
    }
}
