//! Upstreams that have trouble in the midst of what they do.

use doorward_testkit::What;

use crate::gateway::World;

/// A line of the protocol.
fn line(data: &[u8]) -> Vec<u8> {
    [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
}

#[test]
fn trouble_in_the_midst_of_an_answer_is_not_taken_for_the_lack_of_an_object() {
    let world = World::new("");
    let clone = world.clone_to("clone");
    for trouble in [
        [line(b"packfile\n"), line(b"\x03died: out of memory")].concat(),
        line(b"ERR internal error: try again"),
        [line(b"packfile\n"), b"0000".to_vec()].concat(),
    ] {
        let new = world.git.commit(&world.directory.path().join("source"), "file", &format!("{trouble:?}"));
        world
            .git
            .ok(&world.directory.path().join("source"), &["push", "-q", world.bare.to_str().expect("UTF-8"), "main"]);
        world.backend.fault("git-upload-pack fetch", 2, What::Says(trouble.clone()));
        let outcome = world.git.run(&clone, &["pull", "-q"]);
        assert!(outcome.ok, "{}: {}", String::from_utf8_lossy(&trouble), outcome.stderr);
        assert_eq!(world.git.ok(&clone, &["rev-parse", "HEAD"]), new);
        world.backend.mend();
    }
}
