//! What clients see of the REST API: one server in this process for each test, real HTTP.

#[path = "http/api.rs"]
mod api;
#[path = "http/audit.rs"]
mod audit;
#[path = "http/authorization.rs"]
mod authorization;
#[path = "http/base_image.rs"]
mod base_image;
#[path = "http/bootstrap.rs"]
mod bootstrap;
#[path = "http/content.rs"]
mod content;
#[path = "http/edge.rs"]
mod edge;
#[path = "http/engine.rs"]
mod engine;
#[path = "http/fault.rs"]
mod fault;
#[path = "http/function.rs"]
mod function;
#[path = "http/iam.rs"]
mod iam;
#[path = "http/image.rs"]
mod image;
#[path = "http/inspection.rs"]
mod inspection;
#[path = "http/limits.rs"]
mod limits;
#[path = "http/list.rs"]
mod list;
#[path = "http/openapi.rs"]
mod openapi;
#[path = "http/placement.rs"]
mod placement;
#[path = "http/random.rs"]
mod random;
#[path = "http/restart.rs"]
mod restart;
#[path = "http/retention.rs"]
mod retention;
#[path = "http/revision.rs"]
mod revision;
#[path = "http/revocation.rs"]
mod revocation;
#[path = "http/run.rs"]
mod run;
#[path = "http/secret.rs"]
mod secret;
#[path = "http/servers.rs"]
mod servers;
#[path = "http/telemetry.rs"]
mod telemetry;
#[path = "http/v1.rs"]
mod v1;
#[path = "http/version.rs"]
mod version;
#[path = "http/watch.rs"]
mod watch;
