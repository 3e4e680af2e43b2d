//! What a source is as a WebAssembly program, for whoever packages it.

use dispatch_driver::{Error, Result};
use dispatch_model::code;
use wasmparser::{Parser, Payload};

use super::source;

/// Interfaces of one program that are told.
const MAX_INTERFACES: usize = 1_000;

/// A program in its binary form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub bytes: Vec<u8>,
    /// Names of the interfaces a component needs, and of those it offers, in its own order.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

impl Program {
    /// The program a function's source is or holds.
    ///
    /// # Errors
    /// `Fault::Caller` when there is none in it.
    pub fn of(source: &[u8]) -> Result<Self> {
        let found = source::component(source)?;
        let bytes = wat::parse_bytes(&found).map_err(refused)?.into_owned();
        let (mut imports, mut exports) = (Vec::new(), Vec::new());
        // Parts of a component lie one in another; the outermost says what all of it needs.
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(&bytes) {
            match payload.map_err(refused)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section.into_iter().take(MAX_INTERFACES) {
                        imports.push(import.map_err(refused)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section.into_iter().take(MAX_INTERFACES) {
                        exports.push(export.map_err(refused)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(Self { bytes, imports, exports })
    }
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::caller(code::ENGINE002, format!("the source is no WebAssembly program: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_tells_its_own_interfaces_only() {
        let text = r#"(component
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance))
            (core module (import "inner" "x" (func)) (func (export "y")))
            (component (import "nested:a/b" (instance)))
            (instance $out)
            (export "dispatch:function/x" (instance $out)))"#;
        let program = Program::of(text.as_bytes()).expect("a component");
        assert!(program.bytes.starts_with(b"\0asm"));
        assert_eq!(program.imports, ["wasi:clocks/monotonic-clock@0.2.0"]);
        assert_eq!(program.exports, ["dispatch:function/x"]);
        assert!(Program::of(b"(module").is_err());
        assert!(Program::of(b"no program").is_err());
    }
}
