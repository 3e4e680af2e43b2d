//! `dispatch explain`: the page of an error code.

use anyhow::{Context as _, Result};
use clap::Args;
use dispatch_model::code;
use serde_json::json;

use crate::printer::{self, Printer};

#[derive(Debug, Args)]
pub struct Explain {
    /// Such as ENGINE003
    code: String,
}

impl Explain {
    pub fn run(&self, printer: Printer) -> Result<()> {
        let found = code::find(&self.code).with_context(|| {
            let all: Vec<_> = code::ALL.iter().map(|c| c.code).collect();
            format!("there is no code {:?}; there are: {}", self.code, all.join(", "))
        })?;
        if printer.is_structured() {
            let (title, meaning) = (found.title, found.meaning);
            let page = json!({"code": found.code, "title": title, "meaning": meaning,
                              "fix": found.fix});
            return printer.value(&page);
        }
        printer::line(&format!("{}: {}\n\n{}\n", found.code, found.title, found.meaning));
        printer::line(&format!("What to do: {}", found.fix));
        Ok(())
    }
}
