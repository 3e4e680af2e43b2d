//! How a worker of each language is started.

use std::io;
use std::path::Path;

use dispatch_driver::language::{Languages, RunValues, Start};

use super::host::HostLanguage;
use super::network::Network;
use super::plan::{Program, Step};
use super::root::RUNTIMES;

/// The interpreter's own share of its address space, where that is what is limited.
const ADDRESS_SPACE_MIB: u64 = 128;

/// Writes the hosts to the state directory, one folder for each language.
pub fn write_hosts(directory: &Path, languages: &Languages) -> io::Result<()> {
    for language in languages.iter().filter(|language| !language.files.is_empty()) {
        let folder = directory.join(&language.name);
        super::source::open_directory(&folder)?;
        for file in &language.files {
            std::fs::write(folder.join(&file.name), &*file.text)?;
        }
    }
    Ok(())
}

/// Whether workers are forked from a warm interpreter.
pub fn is_forked(host: &HostLanguage) -> bool {
    host.rules.run.start == Start::Fork
}

/// What the sandbox runs: the pool for forked languages, else one worker.
pub fn program(host: &HostLanguage, memory_mib: u64, network: Option<&Network>) -> Program {
    let run = &host.rules.run;
    if run.start == Start::Bridge {
        return Program::Bridge;
    }
    Program::Exec(run.command(&RunValues {
        interpreter: &host.interpreter.to_string_lossy(),
        host: &format!("{RUNTIMES}/{}", host.language),
        version: &host.version,
        memory_mib,
        proxy_properties: network.map(Network::java_properties).unwrap_or_default(),
    }))
}

/// Limits of a worker whose memory no cgroup limits. Some languages reserve far more addresses
/// than they use, so only their own heap limits hold them. An executable is limited by the bridge,
/// which is this binary and maps more itself than some functions may have.
pub fn address_space(host: &HostLanguage, memory_mib: u64) -> Vec<Step> {
    match host.rules.run.address_space {
        true => vec![Step::Rlimit { resource: libc::RLIMIT_AS, limit: addresses(memory_mib) }],
        false => Vec::new(),
    }
}

/// Bytes of addresses that stand in for a limit on memory.
pub fn addresses(memory_mib: u64) -> u64 {
    (memory_mib + ADDRESS_SPACE_MIB) << 20
}
