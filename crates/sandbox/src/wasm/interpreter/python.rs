//! Python handlers, made into components by componentize-py.

use std::path::{Path, PathBuf};

use dispatch_driver::Result;

use super::{Workshop, does_not_load, in_path, ours};
use crate::wasm::source;

pub const LANGUAGE: &str = "python3";
pub const HOST: &str = include_str!("host.py");
pub const MISSING: &str = "Python on the wasm engine needs componentize-py: \
    `cargo xtask setup`, or `pip install componentize-py==0.25.1` into PATH or \
    wasm.tools_dir/python";

pub struct Tool(PathBuf);

impl Tool {
    pub fn find(tools: &Path) -> Option<Self> {
        let own = tools.join("python/bin/componentize-py");
        let own = (tools.is_absolute() && own.is_file()).then_some(own);
        own.or_else(|| in_path("componentize-py")).map(Self)
    }

    pub async fn run(&self, shop: &Workshop, handler: &str, source: &[u8]) -> Result<()> {
        let named = handler.rsplit_once('.').map(|(module, _)| module);
        let folder = shop.unpack(source, &format!("{}.py", named.unwrap_or("handler")))?;
        let (module, function) = handler_of(&folder, handler)?;
        let host = HOST.replace("{module}", &module).replace("{function}", &function);
        std::fs::write(folder.join("dispatch_host.py"), host).map_err(ours)?;
        let (world, out) = (shop.path("world.wit"), shop.path("component.wasm"));
        let word = Path::new;
        let arguments = [
            word("--quiet"),
            word("--wit-path"),
            &world,
            word("--world"),
            word("function"),
            word("componentize"),
            word("--python-path"),
            &folder,
            word("--output"),
            &out,
            word("dispatch_host"),
        ];
        shop.run(&self.0, &arguments).await
    }
}

/// `module.function`; without a module the source's only file holds it.
fn handler_of(folder: &Path, handler: &str) -> Result<(String, String)> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    if !handler.chars().all(word) {
        return Err(does_not_load(&format!("{handler:?} is not the name of a Python function")));
    }
    let (module, function) = handler.rsplit_once('.').unwrap_or(("", handler));
    let function = if function.is_empty() { "handle" } else { function };
    if !module.is_empty() {
        return Ok((module.to_owned(), function.to_owned()));
    }
    let files = source::files(folder, &["py"])?;
    let [only] = files.as_slice() else {
        let message = format!("the source has several files; write the handler as FILE.{function}");
        return Err(does_not_load(&message));
    };
    Ok((only.with_extension("").to_string_lossy().replace('/', "."), function.to_owned()))
}
