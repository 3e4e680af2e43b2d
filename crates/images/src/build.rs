//! Building an image: a base, system packages on it, packages of its language on those.
//!
//! Each kind of package is one layer, made by its package manager in a workshop. The outcome
//! depends on nothing but what the recipe says and what the mirrors hold at that moment; a layer
//! that was made from the same inputs is used again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::language::dependencies::{Place, Step, step};
use dispatch_driver::language::{Language, PACKAGES_AT};
use dispatch_driver::{Task, TaskOutput, Workshop};
use dispatch_model::image::SystemPackage;
use serde::Serialize;

use crate::built::Inputs;
use crate::layer::NewLayer;
use crate::manifest::{Edits, pack_layer};
use crate::{Base, Content, Error, Image, Result};

/// Where a build has its files; nothing of it stays.
const DIRECTORY: &str = "/opt/dispatch/build";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What is kept of a package manager's output: its end, where it says what was wrong.
const MAX_OUTPUT_BYTES: usize = 16 << 10;
/// What of that is shown where people look: its end, and before it how it began, since some
/// (Bundler) say what was wrong first and much about themselves after.
const LAST_LINES: usize = 12;
const FIRST_LINES: usize = 6;

/// What builds may use.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    pub memory_mib: u64,
    /// 0.0 is no limit.
    pub max_cpus: f64,
    pub timeout: Duration,
    /// Hosts that package managers may connect to.
    pub egress: Vec<String>,
    /// More of their environment.
    pub environment: Vec<(String, String)>,
    /// Where the packages of a language come from, by its name.
    pub mirrors: BTreeMap<String, String>,
}

/// What is to be built.
#[derive(Debug)]
pub struct Recipe<'a> {
    /// `None`: packages for the machine's own interpreter.
    pub base: Option<&'a Base>,
    pub language: &'a Language,
    pub system: &'a [SystemPackage],
    /// The text that names the language's packages.
    pub manifest: Option<&'a str>,
    /// Unix milliseconds: layers that were made before that are not used again.
    pub fresh: Option<i64>,
    pub labels: BTreeMap<String, String>,
}

/// Builds images.
#[derive(Clone)]
pub struct Builder {
    pub content: Content,
    pub workshop: Arc<dyn Workshop>,
    pub limits: Limits,
}

/// All that decides about a layer of system packages.
#[derive(Debug, Serialize)]
struct SystemStep<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh: Option<i64>,
    script: &'a str,
    environment: &'a [(String, String)],
}

/// All that decides about a layer of a language's packages.
#[derive(Debug, Serialize)]
struct LanguageStep<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh: Option<i64>,
    files: &'a [(String, String)],
    command: &'a [String],
    environment: &'a [(String, String)],
}

impl Builder {
    /// Builds an image, or finds it built.
    ///
    /// # Errors
    /// [`Error::Refused`] with the package manager's own words when it fails, or one sentence when
    /// the recipe asks for what its base cannot have.
    pub async fn build(&self, recipe: &Recipe<'_>) -> Result<Image> {
        if let Some(unable) = self.workshop.unable() {
            return Err(Error::Unavailable(format!("images cannot be built here: {unable}")));
        }
        let mut image = match recipe.base {
            Some(base) => base.image.clone(),
            None => Image::empty(&self.content).await?,
        };
        if !recipe.system.is_empty() {
            let layer = self.system(recipe, &image).await?;
            image = image.extend(&self.content, &[layer], &Edits::default()).await?;
        }
        let mut layers = Vec::new();
        if let Some(manifest) = recipe.manifest {
            layers.push(self.packages(recipe, manifest, &image).await?);
        }
        let running = if layers.is_empty() { Vec::new() } else { recipe.language.running() };
        let edits =
            Edits { environment: running, labels: recipe.labels.clone(), ..Edits::default() };
        image.extend(&self.content, &layers, &edits).await
    }

    async fn system(&self, recipe: &Recipe<'_>, image: &Image) -> Result<NewLayer> {
        let Some(base) = recipe.base else {
            return Err(Error::refused(
                "system packages cannot be added to the machine's own programs: install them on \
                 the machine, or name a base image of a registry",
            ));
        };
        let Some(manager) = base.package_manager else {
            let os = base.os.as_ref().map_or("the base image", |os| os.name.as_str());
            return Err(Error::refused(format!(
                "{os} has no package manager (apt, apk or tdnf), so that no system packages can be \
                 added"
            )));
        };
        let script = manager.script(recipe.system);
        let own = manager.environment().iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let environment = self.environment(own);
        let fresh = recipe.fresh;
        let step = SystemStep { fresh, script: &script, environment: &environment };
        let key = Inputs { below: image.diff_ids(), step: &step }.key()?;
        let turn = self.content.turn(key.as_str());
        let _turn = turn.lock().await;
        if let Some(layer) = self.content.built(&key).await {
            return Ok(layer);
        }
        let scratch = self.content.scratch()?;
        let upper = self.directory(scratch.path(), "upper")?;
        let task = Task {
            layers: image.unpack(&self.content).await?.layers,
            upper: Some(upper.clone()),
            command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
            environment,
            ..self.task()
        };
        self.run(manager.as_str(), task).await?;
        let named: Vec<_> = recipe.system.iter().map(|package| package.name.as_str()).collect();
        let by = format!("dispatch: {} packages {}", manager.as_str(), named.join(" "));
        let layer = pack_layer(&self.content, &upper, Path::new(""), &by).await?;
        self.content.remember(&key, &layer).await?;
        Ok(layer)
    }

    async fn packages(
        &self,
        recipe: &Recipe<'_>,
        manifest: &str,
        image: &Image,
    ) -> Result<NewLayer> {
        let language = recipe.language;
        let mut inputs = Vec::new();
        let interpreter = match recipe.base {
            Some(_) => language.program().to_owned(),
            None => {
                let found = self.workshop.interpreter(&language.name).ok_or_else(|| {
                    Error::refused(format!("this machine has no {}", language.name))
                })?;
                let elsewhere = found.prefixes.iter().filter(|prefix| !prefix.starts_with("/usr"));
                inputs.extend(elsewhere.map(|p| (p.clone(), p.to_string_lossy().into_owned())));
                found.path.to_string_lossy().into_owned()
            }
        };
        let interpreter = interpreter.as_str();
        let mirror = self.limits.mirrors.get(&language.name).map(String::as_str);
        let place = Place { interpreter, packages: PACKAGES_AT, directory: DIRECTORY, mirror };
        let Step { files, command, environment } = step(language, manifest, &place)
            .map_err(|why| Error::refused(format!("runtimeDependencies.manifest: {why}")))?;
        // The image's own first: it knows where its programs are.
        let environment = image.environment().into_iter().chain(environment);
        let environment = self.environment(environment);
        let fresh = recipe.fresh;
        let step =
            LanguageStep { fresh, files: &files, command: &command, environment: &environment };
        let key = Inputs { below: image.diff_ids(), step: &step }.key()?;
        let turn = self.content.turn(key.as_str());
        let _turn = turn.lock().await;
        if let Some(layer) = self.content.built(&key).await {
            return Ok(layer);
        }
        let scratch = self.content.scratch()?;
        let packages = self.directory(scratch.path(), "packages")?;
        let work = self.directory(scratch.path(), "work")?;
        for (path, text) in &files {
            let place = inside(path, &packages, &work)?;
            self.write(&place, text)?;
        }
        let layers = image.unpack(&self.content).await?.layers;
        // What is changed elsewhere is not wanted.
        let upper = match recipe.base {
            Some(_) => Some(self.directory(scratch.path(), "upper")?),
            None => None,
        };
        let outputs =
            vec![(packages.clone(), PACKAGES_AT.to_owned()), (work, DIRECTORY.to_owned())];
        let directory = DIRECTORY.to_owned();
        let task =
            Task { layers, upper, inputs, outputs, command, directory, environment, ..self.task() };
        self.run(&language.name, task).await?;
        let prefix = Path::new(PACKAGES_AT.trim_start_matches('/'));
        let by = format!("dispatch: packages of {}", language.name);
        let layer = pack_layer(&self.content, &packages, prefix, &by).await?;
        self.content.remember(&key, &layer).await?;
        Ok(layer)
    }

    pub(crate) fn task(&self) -> Task {
        Task {
            directory: "/".to_owned(),
            egress: self.limits.egress.clone(),
            memory_mib: self.limits.memory_mib,
            max_cpus: self.limits.max_cpus,
            timeout: self.limits.timeout,
            max_output_bytes: MAX_OUTPUT_BYTES,
            ..Task::default()
        }
    }

    /// A step's own environment, then what the operator adds.
    pub(crate) fn environment(
        &self,
        own: impl Iterator<Item = (String, String)>,
    ) -> Vec<(String, String)> {
        let path = ("PATH".to_owned(), PATH.to_owned());
        let all = [path].into_iter().chain(own).chain(self.limits.environment.clone());
        all.collect::<BTreeMap<_, _>>().into_iter().collect()
    }

    pub(crate) async fn run(&self, what: &str, task: Task) -> Result<()> {
        let offline = task.egress.is_empty();
        let ran = self.workshop.run(task).await;
        let TaskOutput { status, output } = ran.map_err(|error| match error.retry {
            dispatch_driver::Retry::Never => Error::refused(format!("{what}: {error}")),
            _ => Error::Unavailable(format!("{what}: {error}")),
        })?;
        if status == 0 {
            return Ok(());
        }
        let shown = shown(&output);
        let hint = match offline {
            true => "\n(builds have no network: images.build_egress names no host)",
            false => "",
        };
        Err(Error::refused(format!("{what} ended with status {status}: {shown}{hint}")))
    }

    /// A directory that belongs to who builds.
    pub(crate) fn directory(&self, above: &Path, name: &str) -> Result<std::path::PathBuf> {
        let place = above.join(name);
        let failed = || Error::io(format!("{} cannot be made", place.display()));
        std::fs::create_dir(&place).map_err(failed())?;
        self.give(&place)?;
        Ok(place)
    }

    pub(crate) fn write(&self, place: &Path, text: &str) -> Result<()> {
        let failed = || Error::io(format!("{} cannot be written", place.display()));
        let mut made = Vec::new();
        let mut above = place.parent();
        while let Some(directory) = above.filter(|directory| !directory.exists()) {
            made.push(directory);
            above = directory.parent();
        }
        for directory in made.into_iter().rev() {
            std::fs::create_dir(directory).map_err(failed())?;
            self.give(directory)?;
        }
        std::fs::write(place, text).map_err(failed())?;
        self.give(place)
    }

    fn give(&self, place: &Path) -> Result<()> {
        let Some((uid, gid)) = self.content.limits().owner else { return Ok(()) };
        let given = std::os::unix::fs::chown(place, Some(uid), Some(gid));
        given.map_err(Error::io(format!("{} cannot be given away", place.display())))
    }
}

fn shown(output: &str) -> String {
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.len() <= FIRST_LINES + LAST_LINES {
        return lines.join("\n");
    }
    let (first, last) = (&lines[..FIRST_LINES], &lines[lines.len() - LAST_LINES..]);
    [first, &["…"], last].concat().join("\n")
}

/// Where a file that a step names is on this machine.
fn inside(path: &str, packages: &Path, work: &Path) -> Result<std::path::PathBuf> {
    let below = |at: &str| path.strip_prefix(at).and_then(|rest| rest.strip_prefix('/'));
    let (root, rest) = match (below(PACKAGES_AT), below(DIRECTORY)) {
        (Some(rest), _) => (packages, rest),
        (_, Some(rest)) => (work, rest),
        _ => return Err(Error::refused(format!("{path} is outside of what a build may write"))),
    };
    if rest.split('/').any(|part| part == "..") {
        return Err(Error::refused(format!("{path} leads out of where it is")));
    }
    Ok(root.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_began_and_how_it_ended_are_shown() {
        let lines: Vec<_> = (1..=100).map(|n| n.to_string()).collect();
        let told = shown(&lines.join("\n\n"));
        assert_eq!(told.lines().count(), FIRST_LINES + 1 + LAST_LINES);
        assert!(told.starts_with("1\n2\n") && told.ends_with("\n100"), "{told}");
        assert!(told.contains("\n6\n…\n89\n"), "{told}");
        assert_eq!(shown(&lines[..18].join("\n")), lines[..18].join("\n"));
    }
}
