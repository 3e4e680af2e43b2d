//! Who may do what, as v1 writes it, and what was added to it.

pub mod bootstrap;
pub mod can_i;
pub mod condition;
pub mod group;
pub mod organization;
pub mod policy;
pub mod role;
pub mod service_account;
pub mod session;
pub mod sign_in;

pub use bootstrap::{BootstrapClaim, BootstrapUser};
pub use can_i::{CanI, Decision, Right};
pub use condition::{Condition, Hours};
pub use group::Group;
pub use organization::Organization;
pub use policy::{Policy, Rule};
pub use role::{Permission, Role};
pub use service_account::{ServiceAccount, Trust};
pub use session::{Membership, Session};
pub use sign_in::{
    DeviceCode, DeviceSignIn, DeviceWaiting, IdentityProvider, SignIn, SignedIn, SignedOut,
};
