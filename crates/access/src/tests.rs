//! What is promised: in tables, and by chance against Cedar alone.

mod broken;
mod conditions;
mod explain;
mod grant;
mod kit;
mod many;
mod objects;
mod properties;
mod random;
mod roles;
mod rules;
mod size;
