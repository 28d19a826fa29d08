//! The runtime through its front door: a real server on a port of its own, and the bytes that
//! clients send.
//!
//! Tests that need a model take `ANDON_TEST_MODEL`, or Gemma 3 270M where `make` puts it, and say
//! so when they are skipped.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod cancel;
mod client;
mod errors;
mod generate;
mod lifecycle;
mod openai;
mod reuse;
mod server;
