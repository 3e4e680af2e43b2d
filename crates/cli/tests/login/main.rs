//! `dispatch login`, `logout` and sessions: the built command, against a server that speaks the
//! part of the API that signs in.

mod browser;
mod one_server;
mod other_ways;
mod run;
mod server;
mod sessions;
mod terminal;
