//! All SQL of Dispatch: resources, their change log, blobs, settings, runs and their queue.
//!
//! One API over SQLite and PostgreSQL. The same statements serve both: placeholders are `$n`, ids
//! are UUIDs, documents are JSON text. No HTTP and no engines here.

mod audit;
mod audit_chain;
mod audit_read;
mod blob;
mod change;
mod change_follow;
pub mod content;
mod database;
mod dead_letter;
mod error;
#[cfg(not(feature = "testing"))]
mod fault;
pub mod inspection;
mod label;
mod organization;
mod quota;
mod resource;
mod resource_list;
mod resource_select;
mod row;
mod run;
mod run_batch;
mod run_body;
mod run_commit;
mod run_delete;
mod run_queue;
mod run_read;
mod run_writer;
mod secret_seal;
mod secret_use;
mod secret_version;
mod setting;
#[cfg(feature = "testing")]
pub mod testing;
pub mod usage;

#[cfg(feature = "testing")]
use testing as fault;

pub use audit::{Audited, Told};
pub use audit_chain::{AuditRow, End};
pub use audit_read::{AUDIT_PAGE, AuditQuery};
pub use change::{Change, Op};
pub use database::{Options, Store, Synchronous};
pub use error::{Error, Result};
pub use label::ON;
pub use resource_list::token_after;
pub use run::{Accepted, Lease, RunQuery, RunWriterStats};
pub use secret_seal::SealedContent;
