//! What a task may ask for.

use std::path::{Path, PathBuf};

use dispatch_driver::{Error, Result, Task};
use dispatch_model::code;

use crate::process::failure;
use crate::process::root::Shown;
use crate::process::tree;

/// Layers of an overlay; the kernel has 500.
const MAX_LAYERS: usize = 128;
const MAX_PLACES: usize = 64;
/// 16 MiB.
const MAX_OUTPUT_BYTES: usize = 16 << 20;
/// What is the sandbox's own, or the machine's when there are no layers.
const OWN: &[&str] = &["dev", "etc", "proc", "tmp"];
const MACHINE: &[&str] = &["bin", "lib", "lib32", "lib64", "libx32", "sbin", "usr"];

/// Checks everything that can be known before anything is made.
pub fn task(task: &Task) -> Result<()> {
    let limits = [
        ("layers", task.layers.len(), MAX_LAYERS),
        ("inputs and outputs", task.inputs.len() + task.outputs.len(), MAX_PLACES),
        ("max_output_bytes", task.max_output_bytes, MAX_OUTPUT_BYTES),
    ];
    for (what, found, most) in limits {
        if found > most {
            return Err(refused(format!("a task's {what}: {found}; {most} are allowed")));
        }
    }
    if task.command.first().is_none_or(String::is_empty) {
        return Err(refused("a task's command is empty".to_owned()));
    }
    let words = task.command.iter().chain(task.environment.iter().flat_map(|(n, v)| [n, v]));
    if let Some(word) = words.chain([&task.directory]).find(|word| word.contains('\0')) {
        return Err(refused(format!("a task's {word:?} has a zero byte in it")));
    }
    if !task.directory.starts_with('/') {
        return Err(refused(format!("a task's directory {:?} is not absolute", task.directory)));
    }
    for (_, target) in task.inputs.iter().chain(&task.outputs) {
        place(task, target)?;
    }
    Ok(())
}

/// A place of its own in the root, through no link of the image.
fn place(task: &Task, target: &str) -> Result<()> {
    let parts: Vec<_> = target.split('/').skip(1).collect();
    let plain = target.starts_with('/')
        && parts.iter().all(|part| !part.is_empty() && *part != "." && *part != "..");
    if !plain || target.contains('\0') {
        return Err(refused(format!("{target:?} is no plain absolute path for a task's file")));
    }
    if OWN.contains(&parts[0]) || task.layers.is_empty() && MACHINE.contains(&parts[0]) {
        return Err(refused(format!("{target:?}: /{} is not for a task's files", parts[0])));
    }
    let below = Path::new(target.trim_start_matches('/'));
    let links = below.ancestors().filter(|p| !p.as_os_str().is_empty()).any(|path| {
        let found = task.layers.iter().rev().find_map(|l| l.join(path).symlink_metadata().ok());
        found.is_some_and(|found| found.is_symlink() && !tree::is_whiteout(&found))
    });
    match links {
        true => Err(refused(format!("{target:?} leads through a link of the image"))),
        false => Ok(()),
    }
}

/// The machine's places, links followed.
pub fn shown(task: &Task) -> Result<Vec<Shown>> {
    let inputs = task.inputs.iter().map(|place| (place, false));
    let outputs = task.outputs.iter().map(|place| (place, true));
    let of = |((source, target), writable): (&(PathBuf, String), bool)| {
        let found = source.canonicalize();
        let source = found.map_err(|e| failure::engine(&source.to_string_lossy(), e))?;
        Ok(Shown { source, target: target.clone(), writable })
    };
    inputs.chain(outputs).map(of).collect()
}

fn refused(text: String) -> Error {
    Error::caller(code::ENGINE003, text)
}
