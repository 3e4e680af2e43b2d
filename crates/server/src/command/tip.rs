//! What was probably meant by a flag there is not.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::Layers;

/// Flags other servers have (v1's among them), and ours.
const MEANT: [(&str, &str); 10] = [
    ("--port", "--api 127.0.0.1:"),
    ("--host", "--api "),
    ("--listen", "--api "),
    ("--bind", "--api "),
    ("--address", "--api "),
    ("--gateway-port", "--gateway-http 127.0.0.1:"),
    ("--gateway-tls-port", "--gateway-https 127.0.0.1:"),
    ("--tls-port", "--gateway-https 127.0.0.1:"),
    ("--db-file", "--database sqlite:"),
    ("--data", "--data-dir "),
];

/// The error with a tip, where there is one to give.
pub fn with_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return error };
    let words: Vec<String> = std::env::args().collect();
    if let Some(tip) = tip(flag, &words) {
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
        error.remove(ContextKind::SuggestedArg);
    }
    error
}

fn tip(flag: &str, words: &[String]) -> Option<String> {
    let flag = flag.split('=').next().unwrap_or(flag);
    if let Some((_, ours)) = MEANT.iter().find(|(theirs, _)| *theirs == flag) {
        return Some(format!("write {ours}{}", value(flag, words).unwrap_or("...")));
    }
    let word = flag.strip_prefix("--")?.replace('-', "_");
    let names = Layers::default().names();
    let called = |name: &&String| {
        let key = name.split_once('.').map_or("", |(_, key)| key);
        key == word || name.replace('.', "_") == word
    };
    let name = names.iter().find(called)?;
    let (section, key) = name.split_once('.')?;
    let variable = format!("DISPATCH_{}__{}", section.to_uppercase(), key.to_uppercase());
    Some(format!("set {variable} in the environment, or {key} in [{section}] of --config FILE"))
}

/// The word after a flag, or after its `=`.
fn value<'a>(flag: &str, words: &'a [String]) -> Option<&'a str> {
    let at = words.iter().position(|word| word.split('=').next() == Some(flag))?;
    match words[at].split_once('=') {
        Some((_, value)) => Some(value),
        None => words.get(at + 1).map(String::as_str).filter(|word| !word.starts_with('-')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_of_another_server_names_ours() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let tip = |flag: &str, line: &str| tip(flag, &words(line)).unwrap_or_default();
        assert_eq!(tip("--port", "run --port 9090"), "write --api 127.0.0.1:9090");
        assert_eq!(tip("--port", "run --port=9090"), "write --api 127.0.0.1:9090");
        assert_eq!(tip("--port", "run --port --ready-json"), "write --api 127.0.0.1:...");
        assert!(tip("--log-format", "").contains("DISPATCH_LOG__FORMAT"));
        assert!(tip("--max-workers", "").contains("max_workers in [process]"));
        assert_eq!(tip("--colour", ""), "");
    }
}
