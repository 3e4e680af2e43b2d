//! What clients see of the REST API: one server in this process for each test, real HTTP.

#[path = "http/access.rs"]
mod access;
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
#[path = "http/can_i.rs"]
mod can_i;
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
#[path = "http/isolation.rs"]
mod isolation;
#[path = "http/limits.rs"]
mod limits;
#[path = "http/list.rs"]
mod list;
#[path = "http/openapi.rs"]
mod openapi;
#[path = "http/organization.rs"]
mod organization;
#[path = "http/placement.rs"]
mod placement;
#[path = "http/quota.rs"]
mod quota;
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
#[path = "http/root_key.rs"]
mod root_key;
#[path = "http/run.rs"]
mod run;
#[path = "http/secret.rs"]
mod secret;
#[path = "http/secret_source.rs"]
mod secret_source;
#[path = "http/secret_version.rs"]
mod secret_version;
#[path = "http/servers.rs"]
mod servers;
#[path = "http/session.rs"]
mod session;
#[path = "http/sign_in.rs"]
mod sign_in;
#[path = "http/sign_in_attack.rs"]
mod sign_in_attack;
#[path = "http/sign_in_bed.rs"]
mod sign_in_bed;
#[path = "http/sign_in_chromium.rs"]
mod sign_in_chromium;
#[path = "http/telemetry.rs"]
mod telemetry;
#[path = "http/usage.rs"]
mod usage;
#[path = "http/v1.rs"]
mod v1;
#[path = "http/version.rs"]
mod version;
#[path = "http/watch.rs"]
mod watch;
