//! What tests need: a hermetic server, real git, raw HTTP, and histories to work on.
//!
//! Nothing of the machine's own configuration reaches what is started here, and everything that is started is stopped.

mod backend;
mod browser;
mod command;
mod git;
mod history;
mod http;
mod lfs;
mod sandbox;
mod server;
mod visitor;

pub use backend::{Backend, Request, What};
pub use browser::{Browser, Look};
pub use command::command;
pub use git::{Git, Outcome};
pub use history::{History, write_history};
pub use http::{Http, Response, read as read_answer};
pub use sandbox::Sandbox;
pub use server::{Cli, Server, Up};
pub use visitor::{PASSWORD, Page, Visitor};
