//! How a worker of each language is started.

use std::path::Path;

use super::host::HostLanguage;
use super::plan::{Program, Step};
use super::root::RUNTIMES;

/// The hosts, as they are written to the state directory.
const FILES: &[(&str, &str)] = &[
    ("python3/host.py", include_str!("../../../../runtimes/python3/host.py")),
];

/// The interpreter's own share of its address space, where that is what is limited.
const ADDRESS_SPACE_MIB: u64 = 128;

pub fn write_hosts(directory: &Path) -> std::io::Result<()> {
    for (name, text) in FILES {
        let path = directory.join(name);
        super::source::open_directory(path.parent().unwrap_or(directory))?;
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// Languages whose workers are forked from a warm interpreter.
pub fn is_forked(language: &str) -> bool {
    language == "python3"
}

/// What the sandbox runs: the pool for forked languages, else one worker.
pub fn program(host: &HostLanguage, memory_mib: u64) -> Program {
    let interpreter = host.interpreter.to_string_lossy().into_owned();
    let host_file = |name: &str| format!("{RUNTIMES}/{name}");
    // The rest is for what is not the handler's heap.
    let heap_mib = memory_mib * 3 / 4;
    let _ = heap_mib;
    let arguments: Vec<String> = match host.language.as_str() {
        "python3" => vec!["-I".into(), "-B".into(), host_file("python3/host.py")],
        _ => return Program::Bridge,
    };
    Program::Exec(std::iter::once(interpreter).chain(arguments).collect())
}

/// Limits of a worker whose memory no cgroup limits. Node and Java reserve far more addresses
/// than they use, so only their own heap limits hold them.
pub fn address_space(language: &str, memory_mib: u64) -> Vec<Step> {
    if matches!(language, "nodejs" | "java" | "powershell") {
        return Vec::new();
    }
    let limit = (memory_mib + ADDRESS_SPACE_MIB) << 20;
    vec![Step::Rlimit { resource: libc::RLIMIT_AS, limit }]
}
