//! Keeps docs/reference/config.md equal to the defaults. `DISPATCH_UPDATE=1` rewrites it.

use super::DEFAULT;

fn page() -> String {
    format!(
        "# Configuration\n\nThe server needs none. These are all settings with their defaults; \
         `--config FILE` gives others, then the environment (`DISPATCH_SECTION__KEY`), then \
         flags. An unknown key is an error. `dispatch-server check-config` tells whether a \
         configuration can be used.\n\n```toml\n{}\n```\n",
        DEFAULT.trim_end()
    )
}

#[test]
fn the_reference_equals_the_defaults() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/config.md");
    if std::env::var_os("DISPATCH_UPDATE").is_some() {
        std::fs::write(file, page()).unwrap();
    }
    let found = std::fs::read_to_string(file).unwrap_or_default();
    assert!(found == page(), "{file}: run with DISPATCH_UPDATE=1");
}
