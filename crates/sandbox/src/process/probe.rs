//! What this machine lacks, found out by making a sandbox.

use super::host::HostLanguage;
use super::plan::{Launch, Program};
use super::pool::Kind;
use super::root::{Base, Tree};
use super::start::Starter;
use super::{landlock, language};

/// Mostly the reason when the server is not root.
const ORDINARY: &str = " An ordinary user needs user namespaces: see the settings \
    user.max_user_namespaces, kernel.unprivileged_userns_clone and \
    kernel.apparmor_restrict_unprivileged_userns of `sysctl`.";

/// What was found.
#[derive(Debug)]
pub struct Probe {
    /// One sentence for each thing that is not there.
    pub missing: Vec<String>,
    /// Why no sandbox can be made at all.
    pub unable: Option<String>,
    /// Whether layers may be mounted over one another.
    pub overlays: bool,
}

/// Makes one sandbox of a lone worker, and spare workers of languages that have them.
pub async fn run(starter: &Starter, mut missing: Vec<String>) -> Probe {
    match starter.site.landlock {
        0 => missing.push("The kernel has no Landlock; only mounts limit file access.".to_owned()),
        version if version < landlock::NEWEST => missing.push(format!(
            "The kernel's Landlock is version {version} of {}; newer rules are left out.",
            landlock::NEWEST
        )),
        _ => {}
    }
    let unable = alone(starter).await.err();
    if unable.is_none() {
        for host in starter.hosts.values().filter(|h| language::is_forked(h)) {
            let kind = Kind { host: host.clone(), image: None };
            if let Err(error) = starter.fill(&kind).await {
                missing.push(format!("No warm {}: {error}.", host.language));
            }
        }
    }
    missing.extend(unable.clone());
    let mut overlays = starter.config.overlays && unable.is_none();
    if overlays && let Err(error) = overlay(starter).await {
        missing.push(format!("Images are copied, as overlays cannot be mounted: {error}."));
        overlays = false;
    }
    for sentence in &missing {
        tracing::warn!(target: "dispatch_sandbox", "{sentence}");
    }
    Probe { missing, unable, overlays }
}

/// Makes a sandbox whose root is an overlay, of an image in which nothing is.
async fn overlay(starter: &Starter) -> Result<(), String> {
    let layers = vec![starter.site.runtimes.clone(), starter.site.skeleton.clone()];
    let tree = Tree::Layers(layers);
    let launch = Launch {
        steps: starter.site.alone(Base::Image(&tree), ".", &[], None),
        program: Program::Bridge,
        environment: Vec::new(),
    };
    starter.greet(&launch).await.map_err(|e| e.to_string())
}

/// Carries out the whole plan of a worker and has it say hello.
async fn alone(starter: &Starter) -> Result<(), String> {
    let any = starter.languages.iter().next().ok_or("no language is known")?;
    let none = HostLanguage::bare(any);
    let launch = Launch {
        steps: starter.site.alone(Base::Machine(&none), ".", &[], None),
        program: Program::Bridge,
        environment: Vec::new(),
    };
    starter.greet(&launch).await.map_err(|e| {
        let hint = if starter.site.root { "" } else { ORDINARY };
        format!("Sandboxes cannot be made here: {e}.{hint}")
    })
}
