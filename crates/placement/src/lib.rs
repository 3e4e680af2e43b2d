//! Placement: which of several engines takes a call, decided in memory.
