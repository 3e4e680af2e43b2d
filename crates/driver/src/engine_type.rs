//! Types of engines: what makes an [`Engine`] of what an operator wrote, and says what may be
//! written.

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_model::code;

use crate::setting::{Config, Known, Setting};
use crate::{Engine, Error, ImageStore, Languages, Result, SourceStore};

/// Makes engines of one type.
#[async_trait]
pub trait EngineType: Send + Sync + 'static {
    /// As an engine's `type` spells it: `openfaas`.
    fn name(&self) -> &'static str;

    /// What it is, for the operator: a sentence without its full stop.
    fn about(&self) -> &'static str;

    /// Everything that may be set; nothing else is accepted.
    fn settings(&self) -> &'static [Setting];

    /// What its settings are checked against.
    fn known(&self) -> Known {
        Known { kind: "engines", of: self.name(), settings: self.settings() }
    }

    /// Makes an engine. Touches no network: whether the system answers is its health.
    ///
    /// # Errors
    /// `Fault::Caller` for settings that cannot be used together, or files that cannot be read.
    async fn make(&self, config: Config, beside: &Beside) -> Result<Arc<dyn Engine>>;
}

/// What an engine may be given beside its settings.
#[derive(Clone)]
pub struct Beside {
    pub sources: Arc<dyn SourceStore>,
    /// Unpacked images; `None` where the server keeps none.
    pub images: Option<Arc<dyn ImageStore>>,
    pub languages: Languages,
}

/// An error of settings that are each readable but do not go together.
pub fn refused(message: impl Into<String>) -> Error {
    Error::caller(code::ENGINE008, message)
}
