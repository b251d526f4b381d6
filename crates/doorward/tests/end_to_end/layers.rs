//! The crates may depend on each other in one direction alone.

use std::process::Command;

use serde_json::Value;

/// What each crate may use of the others.
const ALLOWED: &[(&str, &[&str])] = &[
    ("doorward-rules", &[]),
    ("doorward-lookout", &[]),
    ("doorward-packs", &[]),
    ("doorward-webauthn", &[]),
    ("doorward-wire", &["doorward-rules"]),
    ("doorward-store", &["doorward-rules", "doorward-wire"]),
    ("doorward-git", &["doorward-rules", "doorward-wire", "doorward-lookout", "doorward-packs"]),
    ("doorward-admin", &["doorward-rules", "doorward-wire", "doorward-store", "doorward-git"]),
    ("doorward-openid", &["doorward-rules", "doorward-wire"]),
    ("doorward-pages", &["doorward-rules", "doorward-admin"]),
    ("doorward-upstream", &["doorward-rules", "doorward-wire", "doorward-git", "doorward-lookout"]),
    (
        "doorward-server",
        &[
            "doorward-rules",
            "doorward-wire",
            "doorward-store",
            "doorward-git",
            "doorward-upstream",
            "doorward-admin",
            "doorward-openid",
            "doorward-webauthn",
            "doorward-pages",
        ],
    ),
    ("doorward-client", &["doorward-rules", "doorward-wire"]),
    ("doorward-testkit", &[]),
    (
        "doorward",
        &[
            "doorward-rules",
            "doorward-wire",
            "doorward-store",
            "doorward-git",
            "doorward-admin",
            "doorward-openid",
            "doorward-server",
            "doorward-upstream",
            "doorward-client",
        ],
    ),
];

#[test]
fn every_crate_depends_only_on_those_below_it() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert_eq!(packages.len(), ALLOWED.len(), "a crate is missing from the table above");
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("{name} is not in the table above"));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            let ours = used.starts_with("doorward");
            assert!(!ours || dependency["kind"] == "dev" || allowed.contains(&used), "{name} must not use {used}");
        }
    }
}
