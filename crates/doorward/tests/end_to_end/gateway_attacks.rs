//! Those who want from the gateway what the upstream does not give them, and those who want it to serve nobody.

use doorward_testkit::{Http, Response, What, command};

use crate::gateway::{World, at_once, basic};

/// A question to `git-upload-pack` in version 2, with the good credential.
fn ask(http: &Http, question: &[u8]) -> Response {
    let good = format!("Authorization: {}", basic("ada", "good"));
    let headers = [&*good, "Content-Type: application/x-git-upload-pack-request", "Git-Protocol: version=2"];
    http.post("/acme/site.git/git-upload-pack", &headers, question)
}

#[test]
fn what_was_thrown_away_at_the_upstream_is_had_from_the_mirror_by_no_question() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    // Somebody pushes a secret, with a tag at what everybody has; jobs fetch both.
    world.git.ok(&clone, &["switch", "-q", "-c", "secret"]);
    let secret = world.git.commit(&clone, "token", "top secret");
    world.git.ok(&clone, &["tag", "-a", "-m", "the secret is in the branch", "leak", "main"]);
    let tag = world.git.ok(&clone, &["rev-parse", "leak"]);
    world.git.ok(&clone, &["push", "-q", "origin", "secret", "leak"]);
    world.clone_to("job");
    // It is noticed, and removed.
    world.git.ok(&world.bare, &["update-ref", "-d", "refs/heads/secret"]);
    world.git.ok(&world.bare, &["tag", "-d", "leak"]);
    world.git.ok(&world.bare, &["-c", "gc.reflogExpire=now", "gc", "-q", "--prune=now"]);
    let http = world.gateway.http();
    let good = command("ls-refs", &["object-format=sha1"], ["peel"]);
    // The name is not told, however the question ends: git would read what comes before the second end.
    for more in [&b""[..], b"0000", b"0001", b"nonsense", &[0; 20_000]] {
        let answer = ask(&http, &[&good, more].concat());
        assert!(!answer.text().contains("secret") && !answer.text().contains(&tag), "{}", answer.text());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains("refs/heads/main"), "the upstream answers it: {}", answer.text());
    }
    // Who knows it by heart does not get it, in any version of the protocol.
    for (id, what) in [(&secret, "the commit"), (&tag, "the tag")] {
        for version in ["0", "1", "2"] {
            let thief = format!("thief-{version}-{}", &id[..8]);
            world.git.ok(world.directory.path(), &["init", "-q", &thief]);
            let thief = world.directory.path().join(thief);
            let setting = format!("protocol.version={version}");
            let outcome = world.git.run(&thief, &["-c", &setting, "fetch", &world.url(), id]);
            let is_told = outcome.stderr.contains("not our ref") || outcome.stderr.contains("unadvertised object");
            assert!(!outcome.ok && is_told, "{what} in version {version}: {}", outcome.stderr);
            assert!(!world.git.run(&thief, &["cat-file", "-e", id]).ok, "{what} in version {version}");
        }
        let wants = [format!("want {id}"), "done".to_owned()];
        let answer = ask(&http, &command("fetch", &["object-format=sha1"], wants));
        assert!(answer.text().contains("ERR upload-pack: not our ref"), "{what}: {}", answer.text());
    }
    // Nor is the tag included in what it leads to.
    let late = world.clone_to("late");
    assert!(!world.git.run(&late, &["cat-file", "-e", &tag]).ok);
    // What is there still is had as ever, and what a ref leads back to.
    let before = world.git.ok(&world.bare, &["rev-parse", "main~2"]);
    for version in ["0", "2"] {
        let job = format!("job-{version}");
        world.git.ok(world.directory.path(), &["init", "-q", &job]);
        let job = world.directory.path().join(job);
        let setting = format!("protocol.version={version}");
        world.git.ok(&job, &["-c", &setting, "fetch", "-q", &world.url(), "main"]);
        if version == "2" {
            world.backend.take_requests();
            world.git.ok(&job, &["fetch", "-q", &world.url(), &before]);
            let fetches =
                world.backend.requests().into_iter().filter(|asked| asked.command.as_deref() == Some("fetch"));
            assert_eq!(fetches.count(), 0, "it is in the mirror, and the refs lead to it");
        }
    }
}

#[test]
fn who_was_never_let_in_parks_nothing_on_the_disk_by_rest_either() {
    let world = World::new("");
    let junk = format!("Authorization: {}", basic("eve", "junk"));
    let body = vec![b'x'; 1 << 20];
    let http = world.gateway.http();
    let answer = http.post("/2.0/repositories/acme/site/downloads", &[&junk], &body);
    assert_eq!(answer.status, 401, "{}", answer.text());
    let asked = world.backend.take_requests();
    assert!(
        asked.iter().all(|asked| asked.method == "GET") && asked.len() == 1,
        "no byte of it was passed on: {asked:?}"
    );
    // Little is passed on as it is: the upstream has to say.
    let answer = http.post("/2.0/repositories/acme/site/downloads", &[&junk], b"x=1");
    assert_eq!((answer.status, world.backend.take_requests().len()), (401, 1), "{}", answer.text());
    // Who is let in on git may bring more: it is looked, which takes two requests the first time.
    let good = format!("Authorization: {}", basic("ada", "good"));
    for requests in [3, 2] {
        // http-backend knows no REST, and so lets nobody in by it.
        let answer = http.post("/2.0/repositories/acme/site/downloads", &[&good], &body);
        assert_eq!((answer.status, world.backend.take_requests().len()), (404, requests), "{}", answer.text());
    }
}

#[test]
fn what_is_sent_along_is_shown_to_nobody() {
    let world = World::new("");
    let answer = world.gateway.http().call("TRACE", "/2.0/repositories/acme/site", &[], b"");
    answer.refused(405, "method_not_allowed");
    assert!(world.backend.requests().is_empty());
}

#[test]
fn a_redirection_within_rest_leads_to_the_gateway_and_no_page_of_an_upstream_is_this_servers() {
    let world = World::new("");
    let good = format!("Authorization: {}", basic("ada", "good"));
    let upstream = world.backend.url();
    let moved = |to: &str| {
        let headers = vec![format!("Location: {to}"), "Strict-Transport-Security: max-age=1".to_owned()];
        world.backend.fault("/pullrequests/", 1, What::Status(302, headers));
        world.gateway.http().get("/2.0/repositories/acme/site/pullrequests/1/diff", &[&good])
    };
    let answer = moved(&format!("{upstream}/2.0/repositories/acme/site/diff/a..b"));
    let here = format!("{}/2.0/repositories/acme/site/diff/a..b", world.gateway.up().address);
    assert_eq!((answer.status, answer.header("location")), (302, &*here));
    assert_eq!(answer.header("strict-transport-security"), "", "that is of another name");
    assert_eq!(answer.header("content-security-policy"), "sandbox");
    for elsewhere in ["https://files.example.org/x", &format!("{upstream}/2.0.evil/x"), &format!("{upstream}/other")] {
        assert_eq!(moved(elsewhere).header("location"), elsewhere);
    }
}

#[test]
fn a_prober_gets_nothing_while_others_are_served_and_the_upstream_has_trouble() {
    let world = World::new("");
    world.clone_to("clone");
    let head = world.head();
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let old = format!("{}0000{}", line(&format!("want {head} side-band-64k ofs-delta\n")), line("done\n")).into_bytes();
    let refs = command("ls-refs", &["object-format=sha1"], ["peel"]);
    let objects = command("fetch", &["object-format=sha1"], [format!("want {head}"), "done".into()]);
    let twice = [&refs[..], b"0000"].concat();
    let questions: [(&[u8], &str); 5] = [
        (&refs, "version=2"),
        (&objects, "version=2"),
        (&twice, "version=2"),
        (&old, "version=1"),
        (&old, "version=0"),
    ];
    let is_over = std::sync::atomic::AtomicBool::new(false);
    world.backend.fault("git-upload-pack", 6, What::Status(401, Vec::new()));
    world.backend.fault("git-upload-pack", 6, What::Before);
    std::thread::scope(|scope| {
        let probers: Vec<_> =
            [None, Some(basic("eve", "guess")), Some(basic("ada", "Good")), Some("Bearer good".to_owned())]
                .into_iter()
                .map(|sent| {
                    let (http, is_over) = (world.gateway.http(), &is_over);
                    scope.spawn(move || {
                        let sent = sent.map(|sent| format!("Authorization: {sent}"));
                        let mut answers = Vec::new();
                        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                            for (question, version) in questions {
                                let version = format!("Git-Protocol: {version}");
                                let media_type = "Content-Type: application/x-git-upload-pack-request";
                                let mut headers = vec![&*version, media_type];
                                headers.extend(sent.as_deref());
                                answers.push(http.post("/acme/site.git/git-upload-pack", &headers, question));
                                headers.remove(1);
                                answers.push(http.get("/acme/site.git/info/refs?service=git-upload-pack", &headers));
                            }
                        }
                        answers
                    })
                })
                .collect();
        for round in 0..3 {
            let source = world.directory.path().join("source");
            world.git.commit(&source, "file", &format!("round {round}"));
            world.git.ok(&source, &["push", "-q", world.bare.to_str().expect("UTF-8"), "main"]);
            let jobs = at_once(4, |number| {
                world.git.run(world.directory.path(), &["clone", "-q", &world.url(), &format!("job-{round}-{number}")])
            });
            assert!(jobs.iter().all(|job| job.ok), "{jobs:?}");
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        for prober in probers {
            let answers = prober.join().expect("it ends");
            assert!(answers.len() >= 10);
            for answer in answers {
                // Refused, or not to be told now, but never let in.
                assert!(matches!(answer.status, 401 | 503), "{}: {}", answer.status, answer.text());
                let text = answer.text();
                assert!(!text.contains(&head) && !text.contains("PACK") && !text.contains("refs/heads"), "{text}");
            }
        }
    });
}

#[test]
fn no_secret_that_passes_through_is_written_down_anywhere() {
    let world = World::with("doubt = \"1s\"", &[("DOORWARD_LOG_LEVEL", "debug")]);
    let secret = format!("ATCTT3xFfGN0{}", "s3cretly".repeat(20));
    let sent = basic("x-token-auth", &secret);
    world.backend.admit(&sent);
    let url = world.gateway.url("x-token-auth", &secret, "acme/site");
    let clone = world.directory.path().join("clone");
    world.git.ok(world.directory.path(), &["clone", "-q", &url, "clone"]);
    world.git.commit(&clone, "file", "pushed");
    world.git.ok(&clone, &["push", "-q"]);
    let http = world.gateway.http();
    let header = format!("Authorization: {sent}");
    // In all sorts of trouble, and where an upstream repeats what it was sent.
    for what in [
        What::Before,
        What::Status(500, Vec::new()),
        What::Status(302, vec![format!("Location: http://x-token-auth:{secret}@elsewhere/acme/site.git")]),
        What::Says([format!("{:04x}ERR not for ", 16 + secret.len()).as_bytes(), secret.as_bytes()].concat()),
    ] {
        world.backend.fault("", 1, what);
        world.git.run(&clone, &["fetch", "-q"]);
        world.backend.mend();
        http.get("/2.0/repositories/acme/site", &[&header]);
        http.post("/2.0/repositories/acme/site/src", &[&header], format!("secret={secret}").as_bytes());
    }
    world.backend.revoke(&sent);
    world.git.run(&clone, &["fetch", "-q"]);
    let cli = world.gateway.cli();
    let told = [world.gateway.log(), http.get("/metrics", &[]).text(), cli.ok(&["audit", "--json"])];
    assert!(
        told[0].contains("it is tried again") && told[2].contains("bitbucket refused"),
        "there is something to look through"
    );
    let encoded = sent.trim_start_matches("Basic ");
    let is_secret = |text: &str| text.contains("s3cretlys3cretly") || text.contains(&encoded[encoded.len() / 2..]);
    told.iter().for_each(|text| assert!(!is_secret(text), "{:?}", text.lines().find(|line| is_secret(line))));
    // Nor in any file: of the mirror, of what is remembered, of the database.
    let mut directories = vec![cli.data().to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir().expect("a directory").flatten() {
            let path = entry.path();
            match entry.file_type().expect("a type").is_dir() {
                true => directories.push(path),
                false => {
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    assert!(!is_secret(&String::from_utf8_lossy(&bytes)), "{}", path.display());
                }
            }
        }
    }
}

/// The pack in an answer, of whatever version: what is in the first side band.
fn pack_of(answer: &[u8]) -> Vec<u8> {
    let (mut rest, mut pack) = (answer, Vec::new());
    while rest.len() >= 4 {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..4]).expect("a length"), 16).expect("a length");
        let length = length.max(4).min(rest.len());
        let line = &rest[4..length];
        pack.extend_from_slice(line.strip_prefix(&[1]).unwrap_or_default());
        rest = &rest[length..];
    }
    pack
}

#[test]
fn who_pretends_to_have_a_part_of_what_was_thrown_away_is_not_sent_the_rest() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    world.git.ok(&clone, &["switch", "-q", "--orphan", "secret"]);
    let secret = world.git.commit(&clone, "token", "top secret");
    let known = world.git.commit(&clone, "token", "removed, it was thought");
    world.git.ok(&clone, &["tag", "-a", "-m", "about the first one", "about", "main"]);
    let tag = world.git.ok(&clone, &["rev-parse", "about"]);
    world.git.ok(&clone, &["push", "-q", "origin", "secret", "about"]);
    world.clone_to("job");
    world.git.ok(&world.bare, &["update-ref", "-d", "refs/heads/secret"]);
    world.git.ok(&world.bare, &["tag", "-d", "about"]);
    world.git.ok(&world.bare, &["-c", "gc.reflogExpire=now", "gc", "-q", "--prune=now"]);
    let (http, head) = (world.gateway.http(), world.head());
    let good = format!("Authorization: {}", basic("ada", "good"));
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let wants = format!("want {head} side-band-64k ofs-delta");
    let in_2 = |more: &[&str]| {
        let wants = [format!("want {head}"), "done".to_owned()].into_iter();
        command("fetch", &["object-format=sha1"], wants.chain(more.iter().map(|more| (*more).to_owned())))
    };
    let in_0 = |first: &str, more: &[String]| {
        let more: String = more.iter().map(|more| line(more)).collect();
        format!("{}{more}0000{}", line(&format!("{first}\n")), line("done\n")).into_bytes()
    };
    let shallow = format!("shallow {known}");
    let questions = [
        ("version=2", in_2(&[&shallow, "deepen 2147483647"])),
        ("version=2", in_2(&[&shallow, "deepen 017777777777"])),
        ("version=2", in_2(&[&shallow, "deepen 3", "deepen-relative"])),
        ("version=2", in_2(&["include-tag"])),
        ("version=1", in_0(&wants, &[shallow.clone(), "deepen 2147483647".into()])),
        ("version=1", in_0(&format!("{wants} include-tag"), &[])),
        ("version=1", in_0(&format!("{wants} include-tag=1"), &[])),
        ("version=1", in_0(&format!("{wants}\tinclude-tag"), &[])),
    ];
    for (number, (version, question)) in questions.iter().enumerate() {
        let version = format!("Git-Protocol: {version}");
        let headers = [&*good, "Content-Type: application/x-git-upload-pack-request", &version];
        let answer = http.post("/acme/site.git/git-upload-pack", &headers, question);
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        let name = format!("thief-{number}.git");
        world.git.ok(world.directory.path(), &["init", "-q", "--bare", &name]);
        let thief = world.directory.path().join(name);
        let pack = thief.join("objects/pack/pack-1.pack");
        std::fs::write(&pack, pack_of(&answer.body)).expect("written");
        world.git.ok(&thief, &["index-pack", "objects/pack/pack-1.pack"]);
        world.git.ok(&thief, &["cat-file", "-e", &head]);
        for (id, what) in [(&secret, "what was behind it"), (&known, "what it says that it has"), (&tag, "the tag")] {
            assert!(!world.git.run(&thief, &["cat-file", "-e", id]).ok, "{number}: {what}");
        }
    }
}
