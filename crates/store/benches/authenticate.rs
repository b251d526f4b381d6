//! What it costs to know a caller, with a million credentials in the store: `cargo bench -p doorward-store`.
//!
//! An authentication is everything from the bytes of the header to the verdict.

use std::cell::Cell;
use std::path::Path;
use std::sync::OnceLock;

use divan::Bencher;
use doorward_rules::{Action, Ask, Kind, RuleSet, Rules, Scope, Scopes, Surface, Timestamp, decide};
use doorward_store::{Holder, Named, NewCredential, Store};
use doorward_wire::{Authorization, MintedToken, Passwords, RepositoryName, TokenShape};
use secrecy::ExposeSecret;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const CREDENTIALS: usize = 1_000_000;
/// Of the many, how many are asked for in turn, so that none of them is remembered.
const ASKED: usize = 100_000;
const NOW: Timestamp = Timestamp::utc(2026, 11, 22);

struct World {
    _directory: TempDir,
    runtime: Runtime,
    store: Store,
    name: RepositoryName,
    first: String,
    many: Vec<String>,
}

fn main() {
    let before = resident();
    let world = world();
    let store = resident();
    world.runtime.block_on(async {
        for header in &world.many[..32_768] {
            authenticate(world, header).await;
        }
    });
    let (opened, filled) = (store.saturating_sub(before) >> 20, resident().saturating_sub(store) >> 20);
    let file = std::fs::metadata(world._directory.path().join("doorward.db")).map_or(0, |data| data.len() >> 20);
    println!("{CREDENTIALS} credentials: {file} MiB on disk, {opened} MiB of memory with {ASKED} secrets to ask for;");
    println!("{filled} MiB more after 32768 different ones were let in");
    divan::main();
}

/// The same credential again and again, as a busy job's is: found in memory.
#[divan::bench(sample_count = 200)]
fn warm(bencher: Bencher<'_, '_>) {
    let world = world();
    bencher.bench_local(|| world.runtime.block_on(authenticate(world, &world.first)));
}

/// Another credential each time: one look-up in the database.
#[divan::bench(sample_count = 200)]
fn cold(bencher: Bencher<'_, '_>) {
    let world = world();
    let next = Cell::new(40_000);
    bencher.bench_local(|| {
        next.set((next.get() + 1) % world.many.len());
        world.runtime.block_on(authenticate(world, &world.many[next.get()]))
    });
}

/// The parts of a warm one that are not the store's: reading the header, its checksum and its digest.
#[divan::bench]
fn reading_the_header(bencher: Bencher<'_, '_>) {
    let world = world();
    bencher.bench_local(|| Authorization::read([world.first.as_bytes()], Passwords::Refused));
}

async fn authenticate(world: &World, header: &str) -> bool {
    let authorization = Authorization::read([header.as_bytes()], Passwords::Refused);
    let found = world.store.find(&authorization, Named::Repository(&world.name)).await.expect("an answer");
    let calendar = world.store.calendar().await.expect("a calendar");
    let ask = Ask { surface: Surface::Git, action: Action::Fetch, address: None };
    let rules = Rules { set: RuleSet::Doorward, calendar: &calendar };
    let allowed = decide(rules, &ask, &found.facts, NOW).outcome.is_ok();
    assert!(allowed);
    allowed
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let directory = TempDir::new().expect("a directory");
        let (store, first, many) = runtime.block_on(fill(directory.path()));
        World { _directory: directory, runtime, store, name: parsed("acme/site"), first, many }
    })
}

async fn fill(directory: &Path) -> (Store, String, Vec<String>) {
    let store = Store::open(directory).await.expect("a store");
    let account = parsed("ada");
    let owner = store.create_account(&account, &parsed("ada@example.org"), NOW).await.expect("made").id;
    store.create_workspace(&parsed("acme"), &account, NOW).await.expect("made");
    store.create_repository(store.new_repository_id(NOW), &parsed("acme/site"), None, false, NOW).await.expect("made");
    let scopes = Scopes::of(&[Scope::ReadRepository]);
    let new =
        NewCredential { kind: Kind::ApiToken, shape: TokenShape::Doorward, name: "first", scopes, expires_at: None };
    let (_, secret) = store.create_credential(Holder::Account(&account, None), new, NOW).await.expect("made");
    let first = format!("Bearer {}", secret.expose_secret());

    // One by one through the front door would take an hour.
    let options = SqliteConnectOptions::new().filename(directory.join("doorward.db"));
    let mut database = SqliteConnection::connect_with(&options).await.expect("the database");
    let mut many = Vec::with_capacity(ASKED);
    let mut change = database.begin().await.expect("a transaction");
    for number in 0..CREDENTIALS {
        let token =
            MintedToken::mint(Kind::ApiToken, TokenShape::Doorward, |buffer| getrandom::fill(buffer).expect("random"));
        sqlx::query(
            "INSERT INTO credential (id, kind, account_id, name, scopes, digest, created_at) \
             VALUES ($1, 'api_token', $2, 'one of many', 'read:repository:bitbucket', $3, 5)",
        )
        .bind(token.id.as_str())
        .bind(owner.to_string())
        .bind(token.digest.as_bytes().as_slice())
        .execute(&mut *change)
        .await
        .expect("inserted");
        if number % (CREDENTIALS / ASKED) == 0 {
            many.push(format!("Bearer {}", token.secret.expose_secret()));
        }
    }
    change.commit().await.expect("committed");
    database.close().await.expect("closed");
    (store, first, many)
}

fn parsed<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} can be parsed"))
}

/// Memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) * 1024
}
