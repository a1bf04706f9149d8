//! The front doors: wire types to the broker's own request types and back, nothing else.

pub(crate) mod native;
