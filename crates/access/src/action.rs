//! What can be done with a thing.

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Get,
    Create,
    Update,
    Delete,
}

impl Action {
    pub const ALL: [Action; 4] = [Action::Get, Action::Create, Action::Update, Action::Delete];

    /// As policies spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Get => "get",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }

    pub fn parse(text: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.as_str() == text)
    }

    /// The action an HTTP method stands for.
    pub fn of_method(method: &str) -> Option<Action> {
        match method {
            "GET" | "HEAD" | "OPTIONS" => Some(Action::Get),
            "POST" => Some(Action::Create),
            "PUT" | "PATCH" => Some(Action::Update),
            "DELETE" => Some(Action::Delete),
            _ => None,
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of actions. `*` is more than all of them: whoever holds it holds those to come as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Actions(u8);

impl Actions {
    pub const NONE: Actions = Actions(0);
    pub const ANY: Actions = Actions(u8::MAX);

    pub fn of(action: Action) -> Self {
        Self(action.bit())
    }

    /// An entry of a rule; none for what is no action.
    pub fn parse(text: &str) -> Option<Actions> {
        if text == "*" { Some(Actions::ANY) } else { Action::parse(text).map(Actions::of) }
    }

    pub fn with(self, other: Actions) -> Self {
        Self(self.0 | other.0)
    }

    pub fn has(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    pub fn is_any(self) -> bool {
        self == Self::ANY
    }

    pub fn overlaps(self, other: Actions) -> bool {
        self.0 & other.0 != 0
    }

    /// The parts somebody can hold one by one.
    pub fn parts(self) -> Vec<Actions> {
        if self.is_any() {
            return vec![self];
        }
        Action::ALL.into_iter().filter(|action| self.has(*action)).map(Actions::of).collect()
    }

    pub fn covers(self, other: Actions) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn words(self) -> String {
        if self.is_any() {
            return "*".to_owned();
        }
        let words = Action::ALL.into_iter().filter(|action| self.has(*action));
        words.map(Action::as_str).collect::<Vec<_>>().join(", ")
    }
}
