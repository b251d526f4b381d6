//! Everything a user does, done with the built program, real git and raw HTTP.

mod access;
mod administer;
mod big;
mod browser;
mod cases;
mod client;
mod clients;
mod command_line;
mod concurrency;
mod dependencies;
mod doctor;
mod doctor_cases;
mod fetches;
mod gateway;
mod gateway_attacks;
mod gateway_faults;
mod hostile;
mod keyring;
mod kill;
mod kinds;
mod layers;
mod login;
mod migrate;
mod oauth;
mod operation;
mod passkey;
mod protocol;
mod provider;
mod push;
mod refs;
mod rest;
mod rest_change;
mod sandbox;
mod sso;
mod up;
mod upload;
mod web;
mod webhook;

use doorward_testkit::Server;

/// The built program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

/// A new server.
fn server() -> Server {
    Server::start(PROGRAM)
}

/// A new server with settings from the environment.
fn server_with(environment: &[(&str, &str)]) -> Server {
    Server::start_with(PROGRAM, environment)
}
