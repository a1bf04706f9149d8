//! Cuts a stream of bytes into frames: a `u32` length, then so many bytes.
