//! Engines of anybody's making: the one of the examples keeps the contract.

#[path = "remote/document.rs"]
mod document;
#[path = "remote/example.rs"]
mod example;
#[path = "remote/spared.rs"]
mod spared;
#[path = "remote/wrong.rs"]
mod wrong;
