//! Use cases. Each takes the caller first, authorises, then works on the store.
//!
//! No HTTP here, and no concrete driver.

pub mod caller;
pub mod error;

pub use caller::{Caller, Principal};
pub use error::{Error, Result};
