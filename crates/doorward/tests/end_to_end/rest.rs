//! REST: what is in a repository, as scripts ask for it. Real git makes what is asked about, and is asked for the truth.

use std::fs;
use std::path::PathBuf;

use doorward_testkit::{Response, Server};
use serde_json::Value;

use crate::operation::await_that;
use crate::server;

/// A server with a repository that has some history.
struct World {
    server: Server,
    clone: PathBuf,
    token: String,
}

const API: &str = "/2.0/repositories/home/hello";

impl World {
    fn new() -> Self {
        let server = server();
        let scopes = ["read:repository:bitbucket", "write:repository:bitbucket"];
        let (_, token) = server.cli().token("admin", &scopes, &[]);
        let git = server.git();
        let clone = server.directory().join("clone");
        git.ok(server.directory(), &["clone", "-q", &server.url("admin", &token, "home/hello"), "clone"]);
        fs::create_dir_all(clone.join("src/deep/er")).expect("made");
        fs::write(clone.join("src/deep/er/ä b#%.txt"), "umlaut\n").expect("written");
        fs::write(clone.join("src/run.sh"), "#!/bin/sh\n").expect("written");
        fs::write(clone.join("logo.png"), [0_u8, 159, 146, 150]).expect("written");
        std::os::unix::fs::symlink("README.md", clone.join("link")).expect("a link");
        git.ok(&clone, &["add", "."]);
        git.ok(&clone, &["update-index", "--chmod=+x", "src/run.sh"]);
        git.ok(&clone, &["commit", "-q", "-m", "Many <files> & more\n\nWith a body."]);
        for number in 1..=12 {
            git.commit(&clone, "counter", &format!("{number}\n"));
        }
        git.ok(&clone, &["branch", "feature/one"]);
        git.ok(&clone, &["tag", "v1.2"]);
        git.ok(&clone, &["tag", "-a", "-m", "Ten", "v1.10", "HEAD~2"]);
        git.ok(&clone, &["push", "-q", "origin", "HEAD", "feature/one", "--tags"]);
        Self { server, clone, token }
    }

    fn get(&self, path: &str) -> Response {
        self.server.http().get(path, &[&format!("Authorization: Bearer {}", self.token)])
    }

    fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn refused(&self, path: &str, status: u16, code: &str) -> Value {
        let answer = self.get(path);
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!((answer.status, value["error"]["detail"]["code"].as_str()), (status, Some(code)), "{path}: {value}");
        value
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.server.git().ok(&self.clone, arguments)
    }
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let values = list["values"].as_array().expect("values");
    values.iter().map(|value| value[key].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn history_is_listed_page_by_page_as_git_has_it() {
    let world = World::new();
    let expected: Vec<String> = world.git(&["log", "--format=%H"]).lines().map(str::to_owned).collect();
    let (mut path, mut found, mut pages) = (format!("{API}/commits?pagelen=5"), Vec::new(), 0);
    loop {
        let list = world.json(&path);
        found.extend(names(&list, "hash"));
        pages += 1;
        let Some(next) = list["next"].as_str() else { break };
        path = next.split_once("/2.0/").map(|(_, rest)| format!("/2.0/{rest}")).expect("an address of ours");
    }
    assert_eq!((found, pages), (expected.clone(), 3));
    let commit = world.json(&format!("{API}/commit/{}", expected[12]));
    assert_eq!(commit["summary"]["html"], "<p>Many &lt;files&gt; &amp; more\n\nWith a body.</p>");
    assert_eq!(
        (commit["author"]["raw"].as_str(), commit["type"].as_str()),
        (Some("Ada <ada@example.org>"), Some("commit"))
    );
    let date = world.git(&["log", "-1", "--format=%aI", &expected[12]]).replace('Z', "+00:00");
    assert_eq!(commit["date"], date.as_str());
    // By branch, tag, short id; without what others have; of a path.
    for name in ["main", "v1.2", "feature%2Fone", &expected[0][..8]] {
        assert_eq!(world.json(&format!("{API}/commits/{name}"))["values"][0]["hash"], expected[0].as_str(), "{name}");
    }
    assert_eq!(names(&world.json(&format!("{API}/commits?include=main&exclude=v1.10")), "hash"), expected[..2]);
    assert_eq!(names(&world.json(&format!("{API}/commits/main?path=src")), "hash"), [expected[12].clone()]);
}

#[test]
fn branches_and_tags_are_listed_by_name_and_lead_to_their_commits() {
    let world = World::new();
    let head = world.git(&["rev-parse", "HEAD"]);
    let branches = world.json(&format!("{API}/refs/branches"));
    assert_eq!(
        (names(&branches, "name"), branches["size"].as_u64()),
        (vec!["feature/one".into(), "main".into()], Some(2))
    );
    // Numbers in names are compared as numbers.
    let tags = world.json(&format!("{API}/refs/tags"));
    assert_eq!(names(&tags, "name"), ["v1.2", "v1.10"]);
    assert_eq!(tags["values"][1]["target"]["hash"], world.git(&["rev-parse", "HEAD~2"]).as_str());
    assert_eq!(world.json(&format!("{API}/refs?pagelen=3"))["values"].as_array().map(Vec::len), Some(3));
    for name in ["feature/one", "feature%2Fone"] {
        let branch = world.json(&format!("{API}/refs/branches/{name}"));
        assert_eq!((branch["type"].as_str(), branch["target"]["hash"].as_str()), (Some("branch"), Some(head.as_str())));
    }
    world.refused(&format!("{API}/refs/branches/none"), 404, "ref_not_found");
}

#[test]
fn files_come_byte_for_byte_and_directories_entry_by_entry() {
    let world = World::new();
    let head = world.git(&["rev-parse", "HEAD"]);
    let leads = world.get(&format!("{API}/src"));
    assert_eq!(leads.status, 302);
    assert!(leads.header("location").ends_with(&format!("{API}/src/{head}/")), "{}", leads.header("location"));
    let top = world.json(&format!("{API}/src/main/"));
    assert_eq!(names(&top, "path"), ["README.md", "counter", "link", "logo.png", "src"]);
    assert_eq!(top["values"][4]["type"], "commit_directory");
    assert_eq!(top["values"][2]["attributes"][0], "link");
    let deep = world.json(&format!("{API}/src/main/src/?max_depth=5"));
    assert_eq!(names(&deep, "path"), ["src/deep", "src/run.sh", "src/deep/er", "src/deep/er/ä b#%.txt"]);
    assert_eq!(
        (&deep["values"][1]["attributes"][0], deep["values"][1]["size"].as_u64()),
        (&"executable".into(), Some(10))
    );
    // The address that an entry has leads to its bytes.
    let href = deep["values"][3]["links"]["self"]["href"].as_str().expect("an address");
    let file = world.get(href.split_once("/2.0/").map(|(_, rest)| format!("/2.0/{rest}")).expect("ours").as_str());
    assert_eq!((file.status, file.text().as_str()), (200, "umlaut\n"));
    let logo = world.get(&format!("{API}/src/{head}/logo.png"));
    assert_eq!((logo.status, logo.body.as_slice()), (200, &[0_u8, 159, 146, 150][..]));
    assert_eq!((logo.header("content-type"), logo.header("content-length")), ("image/png", "4"));
    assert_eq!(logo.header("x-content-type-options"), "nosniff");
    assert!(logo.header("content-disposition").starts_with("attachment"));
    let meta = world.json(&format!("{API}/src/{head}/logo.png?format=meta"));
    assert_eq!((meta["type"].as_str(), meta["size"].as_u64()), (Some("commit_file"), Some(4)));
    let known = [format!("Authorization: Bearer {}", world.token), format!("If-None-Match: {}", logo.header("etag"))];
    let again = world.server.http().get(&format!("{API}/src/{head}/logo.png"), &[&known[0], &known[1]]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    world.refused(&format!("{API}/src/main/absent"), 404, "path_not_found");
}

#[test]
fn two_commits_are_compared_as_git_compares_them() {
    let world = World::new();
    world.git(&["checkout", "-q", "-b", "side", "HEAD~3"]);
    let side = world.server.git().commit(&world.clone, "side", "only here\n");
    world.git(&["push", "-q", "origin", "side"]);
    let text = |path: &str| {
        let answer = world.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; charset=utf-8"), "{path}");
        answer.text()
    };
    let git = |arguments: &[&str]| format!("{}\n", world.git(arguments));
    assert_eq!(text(&format!("{API}/diff/{side}")), git(&["diff", "side~1..side"]));
    // The commit with the changes comes first: the other way round than with git.
    assert_eq!(text(&format!("{API}/diff/side..main")), git(&["diff", "main...side"]));
    assert_eq!(
        text(&format!("{API}/diff/side..main?topic=false&path=counter&context=0")),
        git(&["diff", "-U0", "main..side", "--", "counter"])
    );
    assert!(text(&format!("{API}/diff/{}", world.git(&["rev-list", "--max-parents=0", "HEAD"]))).contains("README.md"));
    assert_eq!(
        text(&format!("{API}/patch/side..main")),
        git(&["format-patch", "--stdout", "main..side"]).trim_end().to_owned() + "\n\n"
    );
    let base = world.json(&format!("{API}/merge-base/side..main"));
    assert_eq!(base["hash"], world.git(&["merge-base", "side", "main"]).as_str());
    for spec in ["none", "main..none", "--output=x", "main..--all"] {
        world.refused(&format!("{API}/diff/{spec}"), 404, "commit_not_found");
    }
    world.refused(&format!("{API}/diff/main?context=x"), 400, "bad_parameter");
    world.refused(&format!("{API}/diff/main?path=..%2Fx"), 400, "bad_parameter");
    world.refused(&format!("{API}/merge-base/main"), 400, "bad_parameter");
}

#[test]
fn whoever_pushes_cannot_give_an_id_another_meaning_and_what_git_guesses_is_no_name() {
    let world = World::new();
    let (good, evil) = (world.git(&["rev-parse", "HEAD"]), world.git(&["rev-parse", "HEAD~5"]));
    world.git(&["push", "-q", "origin", &format!("{evil}:refs/heads/{good}"), &format!("{evil}:refs/replace/{good}")]);
    world.git(&["push", "-q", "origin", &format!("{good}:refs/tags/refs/heads/ghost")]);
    let commit = world.json(&format!("{API}/commit/{good}"));
    assert_eq!(
        (&commit["hash"], &commit["parents"][0]["hash"]),
        (&good.clone().into(), &world.git(&["rev-parse", "HEAD~1"]).into())
    );
    assert_eq!(world.get(&format!("{API}/src/{good}/counter")).text(), "12\n");
    for name in ["ghost", &format!("nonsense-7-g{}", &good[..8])] {
        world.refused(&format!("{API}/commits/{name}"), 404, "commit_not_found");
    }
}

#[test]
fn what_has_no_plain_answer_is_said_and_not_broken_off() {
    let world = World::new();
    world.git(&["checkout", "-q", "--orphan", "apart"]);
    world.server.git().commit(&world.clone, "apart", "alone\n");
    world.git(&["checkout", "-q", "-b", "merged", "main~2"]);
    world.server.git().commit(&world.clone, "merged", "one\n");
    world.git(&["merge", "-q", "-m", "Merge main", "main"]);
    world.git(&["push", "-q", "origin", "apart", "merged"]);
    for path in ["diff/apart..main", "merge-base/apart..main"] {
        world.refused(&format!("{API}/{path}"), 404, "merge_base_not_found");
    }
    assert_eq!(world.get(&format!("{API}/diff/apart..main?topic=false")).status, 200);
    // The patch of a merge is its own, and not that of the commit before it.
    let merge = world.git(&["rev-parse", "merged"]);
    assert!(world.get(&format!("{API}/patch/{merge}")).text().starts_with(&format!("From {merge} ")));
    // A message as long as a file is not sent a hundred times over.
    fs::write(world.clone.join("message"), "a".repeat(3_000_000)).expect("written");
    world.git(&["commit", "-q", "--allow-empty", "-F", "message"]);
    world.git(&["push", "-q", "origin", "HEAD:long"]);
    let long = world.get(&format!("{API}/commits/long?pagelen=1"));
    assert!(long.status == 200 && long.body.len() < 100_000, "{} bytes", long.body.len());
    let many: String = (0..21).map(|_| "exclude=main&").collect();
    world.refused(&format!("{API}/commits?{many}"), 400, "bad_parameter");
    // What was asked and not found is counted as let in.
    world.refused(&format!("{API}/src/main/absent"), 404, "path_not_found");
    let answer = world.get(&format!("{API}/src/main/absent"));
    // Counts are written every second.
    let cli = world.server.cli();
    await_that("it is counted", || cli.run(&["why", answer.header("x-request-id")]).ok);
    let why = cli.json(&["why", answer.header("x-request-id")]);
    assert!(why.to_string().contains("fetch"), "{why}");
}

#[test]
fn an_id_tells_nothing_about_what_one_may_not_see() {
    let world = World::new();
    let uuid = world.json(API)["uuid"].as_str().expect("an id").trim_matches(['{', '}']).to_owned();
    let other = "01900000-0000-7000-8000-000000000000";
    let ask = |id: &str, header: &str| {
        let answer = world.server.http().get(&format!("/2.0/repositories/%7B%7D/%7B{id}%7D/commits"), &[header]);
        let text = answer.text();
        let without_id = text.split("request_id").next().unwrap_or_default().to_owned();
        (answer.status, without_id, answer.header("x-oauth-scopes").to_owned())
    };
    world.server.cli().ok(&["account", "create", "mallory", "--email", "mallory@example.org"]);
    let (_, stranger) = world.server.cli().token("mallory", &["read:repository:bitbucket"], &[]);
    for header in ["X-No: credential", "Authorization: Bearer wrong", &format!("Authorization: Bearer {stranger}")] {
        assert_eq!(ask(&uuid, header), ask(other, header), "{header}");
    }
}

#[test]
fn what_is_no_revision_no_path_and_no_page_is_said_and_reaches_nothing() {
    let world = World::new();
    for revision in [
        "none",
        "--all",
        "-1",
        "main~1",
        "main%5E%7Btree%7D",
        "%40%7Bu%7D",
        "..",
        "a%00b",
        "v1.2%0Amain",
        &"a".repeat(5000),
    ] {
        let answer = world.get(&format!("{API}/commits/{revision}"));
        assert!(answer.status == 404, "{revision}: {} {}", answer.status, answer.text());
    }
    for path in ["../../../etc/passwd", "%2e%2e/x", ":(glob)*", "--", "src%00x", ".git/config", "/etc/passwd"] {
        let answer = world.get(&format!("{API}/src/main/{path}"));
        assert!(answer.status == 404, "{path}: {} {}", answer.status, answer.text());
    }
    for (query, field) in
        [("page=0", "page"), ("pagelen=1000", "pagelen"), ("q=x", "q"), ("sort=-x", "sort"), ("fields=a..b", "fields")]
    {
        let value = world.refused(&format!("{API}/refs?{query}"), 400, "bad_parameter");
        assert!(value["error"]["fields"][field].is_array(), "{value}");
    }
    for path in ["..%2F..%2Fx", "a%00b", "src/../x"] {
        world.refused(&format!("{API}/commits?path={path}"), 400, "bad_parameter");
    }
    for path in ["commits/%ff", "src/main/caf%E9", "refs/branches/%c3%28"] {
        world.refused(&format!("{API}/{path}"), 400, "address_unreadable");
    }
    world.refused(&format!("{API}/src/main/?max_depth=1000"), 400, "bad_parameter");
    world.refused(&format!("{API}/src/main/README.md?format=rendered"), 400, "bad_parameter");
}

#[test]
fn a_part_of_a_file_is_given_to_whoever_goes_on_with_what_it_has() {
    let world = World::new();
    let path = format!("{API}/src/main/logo.png");
    let part = |range: &str, more: &str| {
        let headers = [&format!("Authorization: Bearer {}", world.token), range, more];
        let answer = world.server.http().get(&path, &headers);
        (answer.status, answer.header("content-range").to_owned(), answer.body)
    };
    let whole = world.get(&path);
    let (etag, bytes) = (whole.header("etag").to_owned(), whole.body.clone());
    assert_eq!((bytes.len(), whole.header("accept-ranges")), (4, "bytes"));
    assert_eq!(part("Range: bytes=1-2", "X-No: more"), (206, "bytes 1-2/4".into(), bytes[1..3].to_vec()));
    assert_eq!(part("Range: bytes=-1", &format!("If-Range: {etag}")), (206, "bytes 3-3/4".into(), bytes[3..].to_vec()));
    assert_eq!(part("Range: bytes=1-", "If-Range: \"another\""), (200, String::new(), bytes.clone()));
    assert_eq!(part("Range: bytes=4-", "X-No: more").0, 416);
}

#[test]
fn contents_are_read_by_whoever_may_and_by_the_repositorys_id_too() {
    let world = World::new();
    let uuid = world.json(API)["uuid"].as_str().expect("an id").replace('{', "%7B").replace('}', "%7D");
    let by_id = world.json(&format!("/2.0/repositories/%7B%7D/{uuid}/commits?pagelen=1"));
    assert_eq!(by_id["values"][0]["hash"], world.git(&["rev-parse", "HEAD"]).as_str());
    let elsewhere = world.get(&format!("/2.0/repositories/other/{uuid}/commits"));
    let absent = world.get("/2.0/repositories/home/absent/commits");
    assert_eq!((elsewhere.status, absent.status), (404, 404));
    let nobody = world.server.http().get(&format!("{API}/src/main/README.md"), &[]);
    assert_eq!(nobody.status, 401, "{}", nobody.text());
    let (_, account_only) = world.server.cli().token("admin", &["account"], &[]);
    let header = format!("Authorization: Bearer {account_only}");
    let refused = world.server.http().get(&format!("{API}/commits"), &[&header]);
    assert!(refused.status == 403 && refused.text().contains("read:repository:bitbucket"), "{}", refused.text());
    // Of an empty repository there is nothing to list, and no source.
    world.server.cli().ok(&["repository", "create", "home/empty"]);
    let empty = world.json("/2.0/repositories/home/empty/commits");
    assert_eq!(empty["values"].as_array().map(Vec::len), Some(0));
    world.refused("/2.0/repositories/home/empty/src", 404, "commit_not_found");
}

#[test]
fn long_lists_are_compressed_for_those_who_take_it_and_nothing_else_is() {
    let world = World::new();
    let authorization = format!("Authorization: Bearer {}", world.token);
    let ask = |path: &str, coding: &str| {
        world.server.http().get(path, &[&authorization, &format!("Accept-Encoding: {coding}")])
    };
    let path = format!("{API}/commits");
    let (short, plain) = (ask(&path, "br, gzip"), ask(&path, "identity"));
    assert_eq!((short.header("content-encoding"), plain.header("content-encoding")), ("gzip", ""));
    assert!(short.header("vary").contains("accept-encoding"), "{:?}", short.headers);
    assert!(short.body.len() * 4 < plain.body.len(), "{} of {}", short.body.len(), plain.body.len());
    let file = world.clone.join("answer.gz");
    fs::write(&file, &short.body).expect("written");
    let unpacked = std::process::Command::new("gzip").arg("-dc").arg(&file).output().expect("gzip runs");
    assert!(unpacked.status.success() && unpacked.stdout == plain.body);
    // What is short, what is a file, and what is no answer.
    for path in [format!("{API}/src/main/README.md"), "/2.0/user".into(), format!("{API}/commits/none")] {
        let answer = ask(&path, "gzip");
        assert_eq!(answer.header("content-encoding"), "", "{path}: {:?}", answer.headers);
    }
}

#[test]
fn what_is_read_here_of_a_repository_is_what_git_says_of_it() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mut server = server();
    let (git, here) = (server.git(), server.directory().to_owned());
    git.ok(&here, &["clone", "-q", &server.up().clone_url, "clone"]);
    let clone = here.join("clone");
    let write = |name: &str, bytes: &[u8]| std::fs::write(clone.join(name), bytes).expect("written");
    std::fs::create_dir_all(clone.join("dir/sub")).expect("a directory");
    write("plain.txt", b"plain\n");
    write("empty", b"");
    write("dir.txt", b"between them\n");
    write("dir/sub/file", b"deep\n");
    write("run.sh", b"#!/bin/sh\n");
    std::fs::set_permissions(clone.join("run.sh"), PermissionsExt::from_mode(0o755)).expect("set");
    symlink("plain.txt", clone.join("link")).expect("a link");
    std::fs::write(clone.join(std::ffi::OsStr::from_bytes(b"odd\xff name")), b"odd").expect("written");
    // Larger than what is held in memory, and alike enough that one is a delta of the other.
    let noise: Vec<u8> = (0..2_000_000_u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
    write("large", &noise);
    let head = git.ok(&clone, &["rev-parse", "HEAD"]);
    git.ok(&clone, &["update-index", "--add", "--cacheinfo", &format!("160000,{head},module")]);
    git.ok(&clone, &["add", "."]);
    git.ok(&clone, &["commit", "-qm", "odd"]);
    git.ok(&clone, &["tag", "light"]);
    git.ok(&clone, &["tag", "-am", "said", "v1"]);
    write("large", &[&noise[..], b"more"].concat());
    git.ok(&clone, &["commit", "-qam", "more"]);
    git.ok(&clone, &["branch", "feature/x", "HEAD~1"]);
    git.ok(&clone, &["push", "-q", "origin", "--all"]);
    git.ok(&clone, &["push", "-q", "origin", "--tags"]);
    let last = git.ok(&clone, &["rev-parse", "HEAD"]);
    server.kill();
    // Some packed and as deltas, some loose.
    let bare = server.bare("home/hello");
    git.ok(&bare, &["repack", "-adq", "-f", "--depth=50"]);
    server.start_again();
    git.commit(&clone, "dir/sub/file", "deeper\n");
    git.ok(&clone, &["push", "-q", "origin", "main"]);
    let token = server.up().token.clone();
    let answers = |server: &doorward_testkit::Server| {
        let mut answers = Vec::new();
        for revision in ["main", "v1", "light", "feature%2Fx", &last, &last[..9], "absent", "refs", "dead"] {
            for path in [
                "",
                "dir/",
                "dir",
                "dir/sub/",
                "dir/sub/file",
                "plain.txt",
                "empty",
                "run.sh",
                "link",
                "module",
                "large",
                "absent",
                "plain.txt/x",
                "dir/absent",
                "dir.txt",
                "odd%FF%20name",
            ] {
                for form in ["", "?format=meta"] {
                    let place = format!("/2.0/repositories/home/hello/src/{revision}/{path}{form}");
                    let answer = server.http().json(&token, "GET", &place, &Value::Null);
                    let headers: Vec<_> =
                        answer.headers.iter().filter(|(name, _)| name.starts_with("content-")).cloned().collect();
                    let told = match answer.status < 300 {
                        true => answer.body,
                        // What is refused has an id of its own.
                        false => serde_json::from_slice::<Value>(&answer.body)
                            .map(|value| value["error"]["message"].to_string().into_bytes())
                            .expect("an error"),
                    };
                    answers.push((place, answer.status, headers, told));
                }
            }
        }
        answers
    };
    let read_here = answers(&server);
    assert!(read_here.iter().filter(|(_, status, ..)| *status == 200).count() > 100);
    server.kill();
    // Where objects of another repository are part of it, git is asked.
    let other = server.directory().join("other/objects");
    std::fs::create_dir_all(&other).expect("a directory");
    std::fs::write(bare.join("objects/info/alternates"), format!("{}\n", other.display())).expect("written");
    server.start_again();
    for (here, by_git) in read_here.iter().zip(answers(&server)) {
        assert_eq!((&here.0, here.1, &here.2), (&by_git.0, by_git.1, &by_git.2));
        assert!(here.3 == by_git.3, "{}: {:?}", here.0, String::from_utf8_lossy(&here.3).get(..200));
    }
}
