//! The client: finds the credential that git, or a person, needs for a host, and remembers what became of it.
//!
//! Knows the kernel's table of forms and nothing of the server. It asks hosts through git itself, and their REST, and calls the
//! REST of servers that are administered; it writes one file; secrets are in the desktop's keyring, where there is one.

mod askpass;
mod bounded;
mod choose;
pub mod doctor;
mod environment;
mod helper;
mod keyring;
pub mod migrate;
mod near;
mod place;
mod probe;
mod rest;
mod retry;
mod setup;
mod vault;

pub use askpass::{AskpassError, Prompt, askpass};
pub use choose::{Candidate, Choice, Chosen, Open, Passed, Source, choose};
pub use environment::{Environment, from_environment};
pub use helper::{Ask, Helper, HelperError, reach};
pub use keyring::{Keyring, KeyringError};
pub use near::read_near;
pub use place::{Place, PlaceError};
pub use probe::{Probe, probe};
pub use rest::{Api, ApiAnswer, Presented, RestAnswer, RestError, who_am_i};
pub use retry::{Effect, Trouble, Waits, stagger};
pub use setup::{SetupError, is_set_up, set_up, take_down};
pub use vault::{Contents, Entry, Held, History, Keep, Kept, Vault, VaultError, fingerprint};
