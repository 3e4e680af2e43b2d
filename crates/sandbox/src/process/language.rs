//! How a worker of each language is started.

use std::path::Path;

use super::host::HostLanguage;
use super::java;
use super::network::Network;
use super::plan::{Program, Step};
use super::root::RUNTIMES;

/// The hosts, as they are written to the state directory.
const FILES: &[(&str, &str)] = &[
    java::SOURCES[0],
    java::SOURCES[1],
    ("nodejs/host.js", include_str!("../../../../runtimes/nodejs/host.js")),
    ("php/host.php", include_str!("../../../../runtimes/php/host.php")),
    ("powershell/host.ps1", include_str!("../../../../runtimes/powershell/host.ps1")),
    ("python3/host.py", include_str!("../../../../runtimes/python3/host.py")),
    ("ruby/host.rb", include_str!("../../../../runtimes/ruby/host.rb")),
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
pub fn program(host: &HostLanguage, memory_mib: u64, network: Option<&Network>) -> Program {
    let interpreter = host.interpreter.to_string_lossy().into_owned();
    let host_file = |name: &str| format!("{RUNTIMES}/{name}");
    // The rest is for what is not the handler's heap.
    let heap_mib = memory_mib * 3 / 4;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let arguments: Vec<String> = match host.language.as_str() {
        "python3" => words(&["-I", "-B", &host_file("python3/host.py")]),
        "nodejs" => {
            let heap = format!("--max-old-space-size={heap_mib}");
            words(&[&heap, &host_file("nodejs/host.js")])
        }
        "ruby" => words(&[&host_file("ruby/host.rb")]),
        "php" => {
            let heap = format!("memory_limit={heap_mib}M");
            let file = host_file("php/host.php");
            words(&["-d", "display_errors=stderr", "-d", &heap, &file])
        }
        "powershell" => {
            words(&["-NoProfile", "-NonInteractive", "-File", &host_file("powershell/host.ps1")])
        }
        "java" => {
            let proxy = network.map(Network::java_properties).unwrap_or_default();
            return Program::Exec(java::command(host, heap_mib, proxy));
        }
        _ => return Program::Bridge,
    };
    Program::Exec(std::iter::once(interpreter).chain(arguments).collect())
}

/// Limits of a worker whose memory no cgroup limits. Node and Java reserve far more addresses
/// than they use, so only their own heap limits hold them. An executable is limited by the bridge,
/// which is this binary and maps more itself than some functions may have.
pub fn address_space(language: &str, memory_mib: u64) -> Vec<Step> {
    if matches!(language, "nodejs" | "java" | "powershell" | "binary") {
        return Vec::new();
    }
    vec![Step::Rlimit { resource: libc::RLIMIT_AS, limit: addresses(memory_mib) }]
}

/// Bytes of addresses that stand in for a limit on memory.
pub fn addresses(memory_mib: u64) -> u64 {
    (memory_mib + ADDRESS_SPACE_MIB) << 20
}
