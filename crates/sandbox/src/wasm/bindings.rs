//! What wasmtime generates from `wit/dispatch-function`.

#![allow(unsafe_code, reason = "generated: calls a function whose type was checked just before")]

wasmtime::component::bindgen!({
    path: "../../wit/dispatch-function",
    world: "function",
    exports: { default: async },
});
