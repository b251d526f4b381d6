//! Any text is a list of scopes or names the one that is none; what is read is written back.

#![no_main]

use doorward_rules::{Scope, Scopes};
use doorward_wire::nearest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Scopes::parse(text) {
        Ok(scopes) => {
            assert_eq!(Scopes::parse(&scopes.to_string()), Ok(scopes));
            let effective = scopes.effective();
            assert!(effective.effective() == effective && scopes.iter().all(|scope| effective.contains(scope)));
        }
        Err(error) => {
            assert!(text.contains(&error.name));
            assert!(nearest(&error.name, Scope::ALL.iter().map(|scope| scope.name())).len() <= 3);
        }
    }
});
