//! The state every resource and run is in, as v1 spells it.

use serde::{Deserialize, Serialize};

/// Where a resource or a run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    Initialized,
    Creating,
    Ready,
    Updating,
    Error,
    Deleting,
    Deleted,
}

impl State {
    pub const ALL: [State; 7] = [
        State::Initialized,
        State::Creating,
        State::Ready,
        State::Updating,
        State::Error,
        State::Deleting,
        State::Deleted,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Initialized => "INITIALIZED",
            State::Creating => "CREATING",
            State::Ready => "READY",
            State::Updating => "UPDATING",
            State::Error => "ERROR",
            State::Deleting => "DELETING",
            State::Deleted => "DELETED",
        }
    }

    /// Reads v1's upper-case spelling.
    pub fn parse(text: &str) -> Option<State> {
        State::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether a controller has still something to do for a resource in this state.
    pub fn is_pending(self) -> bool {
        matches!(self, State::Initialized | State::Creating | State::Updating | State::Deleting)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
