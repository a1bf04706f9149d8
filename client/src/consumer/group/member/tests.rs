//! The member against a coordinator in memory.
