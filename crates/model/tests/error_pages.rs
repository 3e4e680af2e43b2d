//! Keeps `docs/errors/*.md` and `docs/reference/errors.md` equal to the list of codes.
//! `DISPATCH_UPDATE=1` rewrites them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dispatch_model::code;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn pages() -> BTreeMap<PathBuf, String> {
    let mut index = String::from(
        "# Error codes\n\nEvery error of the API and the CLI has a code. \
         `dispatch explain CODE` prints its page.\n\n| code | what it is |\n|---|---|\n",
    );
    let mut pages = BTreeMap::new();
    for entry in code::ALL {
        let code::Code { code, title, meaning, fix } = entry;
        writeln!(index, "| [{code}](../errors/{code}.md) | {title} |").unwrap();
        let page = format!("# {code}: {title}\n\n{meaning}\n\n## What to do\n\n{fix}\n");
        pages.insert(docs().join("errors").join(format!("{code}.md")), page);
    }
    pages.insert(docs().join("reference/errors.md"), index);
    pages
}

#[test]
fn pages_equal_the_codes() {
    let update = std::env::var_os("DISPATCH_UPDATE").is_some();
    for (file, text) in pages() {
        if update {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(found, text, "{}: run with DISPATCH_UPDATE=1", file.display());
    }
    let known = code::ALL.len();
    let files = std::fs::read_dir(docs().join("errors")).unwrap().count();
    assert_eq!(files, known, "docs/errors holds a page of a code that is gone");
}

#[test]
fn codes_are_unique_and_found_in_any_case() {
    let mut seen = std::collections::BTreeSet::new();
    for entry in code::ALL {
        assert!(seen.insert(entry.code), "{} twice", entry.code);
        assert_eq!(code::find(&entry.code.to_lowercase()).unwrap().code, entry.code);
    }
}
