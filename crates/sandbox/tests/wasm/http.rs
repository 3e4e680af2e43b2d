//! Components that speak HTTP, in and out.
