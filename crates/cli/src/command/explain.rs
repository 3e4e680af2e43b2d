//! `dispatch explain`: the page of an error code.

use anyhow::Result;
use clap::Args;
use dispatch_model::code;
use serde_json::json;

use crate::hint;
use crate::printer::{self, Printer};

#[derive(Debug, Args)]
pub struct Explain {
    /// Such as ENGINE003
    code: String,
}

impl Explain {
    pub fn run(&self, printer: Printer) -> Result<()> {
        let all = code::ALL.iter().map(|code| code.code);
        let found =
            code::find(&self.code).ok_or_else(|| hint::unknown("error code", &self.code, all))?;
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
