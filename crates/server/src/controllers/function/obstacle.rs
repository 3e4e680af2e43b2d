//! Why a function is not as it should be, and how its state says so.

use std::time::Duration;

use dispatch_driver::Retry;
use dispatch_model::State;

/// Why something is not made.
#[derive(Debug, Clone)]
pub enum Obstacle {
    /// Until something it depends on changes.
    Wait(String),
    /// Until somebody changes something.
    Final(String),
    /// It may work the next time.
    Again(String),
}

impl From<dispatch_driver::Error> for Obstacle {
    fn from(error: dispatch_driver::Error) -> Self {
        let text = format!("{}: {error}", error.code);
        match error.retry {
            Retry::Never => Obstacle::Final(text),
            Retry::Now | Retry::After(_) => Obstacle::Again(text),
        }
    }
}

impl From<dispatch_images::Error> for Obstacle {
    fn from(error: dispatch_images::Error) -> Self {
        match error.is_passing() {
            true => Obstacle::Again(error.to_string()),
            false => Obstacle::Final(error.to_string()),
        }
    }
}

impl Obstacle {
    fn words(&self, wait: Duration) -> String {
        match self {
            Obstacle::Wait(text) | Obstacle::Final(text) => text.clone(),
            Obstacle::Again(text) => format!("{text}; next try in {} s", wait.as_secs()),
        }
    }

    fn may_pass(&self) -> bool {
        matches!(self, Obstacle::Again(_))
    }
}

/// An engine that has no deployment of a version which others have.
#[derive(Debug)]
pub struct Lacking {
    pub version: u64,
    pub engine: String,
    pub obstacle: Obstacle,
}

/// All that is wrong with a function.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Why it is not what is wanted.
    pub obstacle: Option<Obstacle>,
    pub lacking: Vec<Lacking>,
    /// What is as it was, though something else is wanted: sentences without a full stop.
    pub stays: Vec<String>,
}

impl Trouble {
    /// A version that was to take calls is on no engine; `lacking` says why.
    pub fn nowhere(&mut self, version: u64) {
        let mut lacking = self.lacking.iter().filter(|lacking| lacking.version == version);
        let Some(first) = lacking.next() else { return };
        let text = format!("version {version} takes no calls, as no engine has it");
        let may_pass = first.obstacle.may_pass() || lacking.any(|l| l.obstacle.may_pass());
        let obstacle = if may_pass { Obstacle::Again(text) } else { Obstacle::Final(text) };
        self.obstacle.get_or_insert(obstacle);
    }

    /// Whether another try may help.
    pub fn may_pass(&self) -> bool {
        let lacking = self.lacking.iter().map(|lacking| &lacking.obstacle);
        self.obstacle.iter().chain(lacking).any(Obstacle::may_pass)
    }

    /// The state and reason of a function that was in `state`, and of which a version may serve.
    pub fn words(
        &self,
        state: State,
        serving: Option<u64>,
        wait: Duration,
    ) -> (State, Vec<String>) {
        let pending = match state {
            State::Ready | State::Error => State::Updating,
            state => state,
        };
        let mut reason = Vec::new();
        let state = match &self.obstacle {
            None if serving.is_some() => State::Ready,
            None | Some(Obstacle::Wait(_) | Obstacle::Again(_)) => pending,
            Some(Obstacle::Final(_)) => State::Error,
        };
        if let Some(obstacle) = &self.obstacle {
            reason.push(obstacle.words(wait));
            reason.extend(serving.map(|version| format!("version {version} goes on serving")));
        }
        reason.extend(self.stays.iter().cloned());
        reason.extend(self.lacking.iter().map(|Lacking { version, engine, obstacle }| {
            format!("version {version} is not on engine {engine}: {}", obstacle.words(wait))
        }));
        (state, reason)
    }
}
