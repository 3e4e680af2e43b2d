//! Drivers of foreign systems: one module and one cargo feature each.
//!
//! None is here yet: the embedded engines live in `dispatch-sandbox`. A driver that lands here
//! implements one contract of `dispatch-driver` and runs that contract's suite.
