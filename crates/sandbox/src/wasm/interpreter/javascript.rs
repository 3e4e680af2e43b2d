//! JavaScript handlers, made into components by componentize-js.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dispatch_driver::Result;
use serde_json::json;

use super::{Workshop, does_not_load, in_path, ours};
use crate::wasm::source;

pub const LANGUAGE: &str = "nodejs";
pub const HOST: &str = include_str!("host.js");
pub const MISSING: &str = "JavaScript on the wasm engine needs Node.js and componentize-js: \
    `cargo xtask setup`, or `npm install @bytecodealliance/componentize-js@0.23.0` \
    in wasm.tools_dir/node";

const COMPONENTIZE: &str = include_str!("componentize.mjs");
const LIBRARY: &str = "@bytecodealliance/componentize-js/src/componentize.js";

pub struct Tool {
    node: PathBuf,
    library: PathBuf,
}

/// The file that holds the handler, as a path from the source's folder, and its export.
struct Handler {
    path: String,
    member: String,
}

impl Tool {
    pub fn find(tools: &Path) -> Option<Self> {
        let own = tools.join("node/node_modules").join(LIBRARY);
        let own = (tools.is_absolute() && own.is_file()).then_some(own);
        // The command in PATH is a link to a file beside the library.
        let linked = || {
            let command = in_path("componentize-js")?.canonicalize().ok()?;
            let library = command.with_file_name("componentize.js");
            library.is_file().then_some(library)
        };
        Some(Self { library: own.or_else(linked)?, node: in_path("node")? })
    }

    pub async fn run(&self, shop: &Workshop, handler: &str, source: &[u8]) -> Result<()> {
        let single = handler.trim_start_matches("./");
        let single = if single.ends_with("js") { single } else { "handler.js" };
        let folder = shop.unpack(source, single)?;
        let host = host(&folder, &Handler::of(&folder, handler)?)?;
        let main = folder.join("dispatch_host.js");
        std::fs::write(&main, host).map_err(ours)?;
        let script = shop.path("componentize.mjs");
        std::fs::write(&script, COMPONENTIZE).map_err(ours)?;
        let (world, out) = (shop.path("world.wit"), shop.path("component.wasm"));
        shop.run(&self.node, &[&script, &self.library, &main, &world, &out]).await
    }
}

impl Handler {
    /// `./file.js`, `file.function`, or nothing when there is only one file or an index.js.
    fn of(folder: &Path, handler: &str) -> Result<Self> {
        let files = source::files(folder, &["js", "cjs", "mjs"])?;
        let files: Vec<String> = files.iter().map(|f| f.to_string_lossy().into_owned()).collect();
        let has = |path: &str| files.iter().any(|file| file == path);
        let name = handler.trim_start_matches("./");
        let default = |path: &str| Self { path: path.to_owned(), member: "default".to_owned() };
        if has(name) {
            return Ok(default(name));
        }
        if let Some((stem, member)) = name.rsplit_once('.') {
            let ends = ["js", "cjs", "mjs"].map(|end| format!("{stem}.{end}"));
            if let Some(path) = ends.into_iter().find(|path| has(path)) {
                return Ok(Self { path, member: member.to_owned() });
            }
            if files != ["handler.js"] {
                let message = format!("the source has no file for the handler {handler}");
                return Err(does_not_load(&message));
            }
        }
        match files.as_slice() {
            [only] => Ok(default(only)),
            _ if has("index.js") => Ok(default("index.js")),
            _ => Err(does_not_load("the source has several files; name one: ./file.js")),
        }
    }
}

/// The host with the handler in it: imported when it is an ES module, else with all files of the
/// source for `require`.
fn host(folder: &Path, handler: &Handler) -> Result<String> {
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).map_err(ours);
    let text = read(&handler.path)?;
    let mut files = BTreeMap::new();
    let (import, module) = if is_es_module(&handler.path, &text) {
        let import =
            format!("import * as imported from {};\n", json!(format!("./{}", handler.path)));
        (import, "imported".to_owned())
    } else {
        for path in source::files(folder, &["js", "cjs", "json"])? {
            let path = path.to_string_lossy().into_owned();
            files.insert(path.clone(), read(&path)?);
        }
        (String::new(), format!("load({})", json!(handler.path)))
    };
    let host = HOST
        .replace("__MODULE__", &module)
        .replace("__MEMBER__", &json!(handler.member).to_string())
        .replace("__FILES__", &json!(files).to_string());
    Ok(import + &host)
}

fn is_es_module(path: &str, text: &str) -> bool {
    let statement = |line: &str| line.starts_with("export ") || line.starts_with("import ");
    path.ends_with(".mjs") || (!path.ends_with(".cjs") && text.lines().any(statement))
}
