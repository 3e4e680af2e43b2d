//! `dispatch init`: a folder with a function that deploys as it is.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::hint::wrong;
use crate::printer::Printer;
use crate::scaffold;

const EXAMPLES: &str = "\
Examples:
  dispatch init python3 hello
  dispatch init nodejs greet functions/greet";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Init {
    /// Language of the handler
    #[arg(value_parser = scaffold::LANGUAGES)]
    language: String,
    /// Name of the function
    name: String,
    /// Folder to make [default: NAME]
    dir: Option<PathBuf>,
}

impl Init {
    pub fn run(self, printer: Printer) -> Result<()> {
        dispatch_model::Name::new(&self.name).context("the function's name")?;
        let folder = self.dir.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(wrong(
                format!("{} is not empty", folder.display()),
                format!("name another folder: dispatch init {} {} DIR", self.language, self.name),
            ));
        }
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        for file in scaffold::files(&self.language, &self.name) {
            let path = folder.join(&file.name);
            std::fs::write(&path, &file.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            if file.executable {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(&path, mode)?;
            }
        }
        let shown = folder.display();
        printer.say(&format!("Created function folder: {shown}"));
        printer
            .say(&format!("Deploy it: dispatch apply -f {shown}/dispatch.yaml -w {shown} --wait"));
        Ok(())
    }
}
