//! What the program is made of: licences that may be combined with ours, one source, and a budget.

use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than their text being kept. An expression must be satisfied by these alone.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unicode-3.0",
    "CDLA-Permissive-2.0",
    "Unlicense",
    "CC0-1.0",
    "BlueOak-1.0.0",
];

/// How many packages a build may take, tests included. Raising it takes a reason in the change that does.
const PACKAGES: usize = 338;

#[test]
fn every_dependency_has_a_licence_that_may_be_used_comes_from_the_registry_and_fits_the_budget() {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc runs").stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    // What the build has fetched is what there is to look at without a network.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    for package in packages {
        let name = &package["name"];
        let source = package["source"].as_str().unwrap_or("this workspace");
        assert!(source == "this workspace" || source.starts_with("registry+"), "{name} comes from {source}");
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(may_be_used(licence), "{name} is under {licence}");
    }
    assert!(packages.len() <= PACKAGES, "{} packages", packages.len());
    println!("{} packages", packages.len());
}

/// Whether one alternative of an expression has allowed licences alone. `A/B` is an old spelling of `A OR B`.
fn may_be_used(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], "");
    let allowed = |licence: &str| {
        let licence = licence.trim();
        LICENCES.contains(&licence) || licence == "Apache-2.0 WITH LLVM-exception"
    };
    // Without the parentheses `A AND (B OR C)` reads as `A AND B` or `C`; both must do then.
    let mut alternatives = expression.split(" OR ").map(|alternative| alternative.split(" AND ").all(allowed));
    if expression.contains(" AND ") {
        alternatives.all(|alternative| alternative)
    } else {
        alternatives.any(|alternative| alternative)
    }
}
