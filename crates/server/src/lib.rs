//! The control plane and the data plane of Dispatch, as one library.
//!
//! Rooms: `boot` starts everything and alone names concrete drivers; `http` is the REST edge and
//! sees `app` only; `app` authorises and changes the store; `controllers` make stored wishes
//! true; `invoke` runs functions; `gateway` turns routes into runs; `authn` says who calls;
//! `authz` says what they may; `signin` lets people
//! in by identity providers; `seal` alone holds key material; `secrets` opens and reads secrets
//! wherever they are kept; `audit` keeps the log of who did what; `telemetry` counts and logs.

pub mod app;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod boot;
pub mod command;
pub mod config;
pub mod content;
pub mod controllers;
pub mod gateway;
pub mod http;
pub mod invoke;
pub mod seal;
pub mod secrets;
pub mod signin;
pub mod telemetry;
