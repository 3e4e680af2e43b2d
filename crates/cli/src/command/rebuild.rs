//! `dispatch rebuild`: newer packages for an image.

use anyhow::Result;
use clap::Args;
use reqwest::Method;

use super::Context;
use super::api_object::Waiting;
use crate::complete;
use crate::document::Document;
use crate::noun::Noun;

const EXAMPLES: &str = "\
Examples:
  dispatch rebuild python3 --wait";

/// Build an image again with the packages that mirrors have now
///
/// Packages that an image names without a version stay those that were found first, so that the
/// same image built twice is a look-up. This takes newer ones. Functions on the image follow; what
/// they run on serves until then.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Rebuild {
    /// Name of the image
    #[arg(add = complete::names(Noun::Image))]
    name: String,
    #[command(flatten)]
    waiting: Waiting,
}

impl Rebuild {
    pub async fn run(self, context: &Context) -> Result<()> {
        let (client, noun) = (&context.session.client, Noun::Image);
        let path = format!("{}/{}/rebuild", noun.path(), self.name);
        let image = client.send(Method::POST, &path, &[], None).await?.body;
        let document = Document::new(noun, noun.words(), &self.name, image.clone());
        self.waiting.wait(client, std::slice::from_ref(&document)).await?;
        let did = if self.waiting.wait.is_some() { "Rebuilt" } else { "Rebuilding" };
        context.printer.say(&format!("{did} {}: {}", noun.words(), self.name));
        if context.printer.is_structured() {
            context.printer.value(&image)?;
        }
        Ok(())
    }
}
