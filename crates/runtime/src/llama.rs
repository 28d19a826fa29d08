//! The only door to llama.cpp, and the only unsafe code of the crate.
//!
//! A thin layer over the C functions rather than a ready wrapper, because the engine needs what
//! wrappers keep to themselves: the number of threads changes between two decode calls, and a
//! decode call that nobody waits for any more is broken off.
//!
//! Ownership is plain: a [`Context`] keeps its [`Model`] alive through an `Arc`, so neither has a
//! lifetime and the engine can hold both. Nothing here is `Sync`: one thread owns them.

#![expect(unsafe_code, reason = "calls into C; every block says why it is sound")]

mod context;
mod grammar;
mod logging;
mod model;
mod product;

use std::ffi::c_int;
use std::sync::Once;

pub(crate) use context::{Context, ContextParams, DecodeError, Outputs, Pooling};
pub(crate) use grammar::{Grammar, schema_to_grammar};
use logging::last_error;
pub(crate) use model::Model;
pub(crate) use product::fastest_product;

/// A token's number in the vocabulary.
pub(crate) type Token = i32;

static BACKEND: Once = Once::new();

/// Starts ggml once for the process; its log goes to `tracing`.
pub(crate) fn init_backend() {
    BACKEND.call_once(|| {
        logging::install();
        // SAFETY: takes nothing, is called once, before any other function of llama.cpp.
        unsafe { llama_cpp_sys_2::llama_backend_init() };
    });
}

/// Whether this CPU has what the library was compiled for. Without the check the process would
/// die of an illegal instruction in the middle of a load.
pub(crate) fn missing_cpu_feature() -> Option<&'static str> {
    // ggml's default build for x86-64 uses these; see the crate's notes on portable builds.
    #[cfg(target_arch = "x86_64")]
    {
        let features = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("f16c", std::arch::is_x86_feature_detected!("f16c")),
            ("bmi2", std::arch::is_x86_feature_detected!("bmi2")),
        ];
        features.iter().find(|(_, there)| !there).map(|(name, _)| *name)
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Gives freed memory back to the system. glibc keeps it otherwise, and an unloaded model would
/// still stand in the process's resident size.
pub(crate) fn release_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> c_int;
        }
        // SAFETY: a plain function of the C library, callable at any time from any thread.
        unsafe { malloc_trim(0) };
    }
}

/// Ends the process at once, without C++'s exit handlers: they would tear down ggml under a
/// thread that is still computing.
pub(crate) fn exit_now(status: c_int) -> ! {
    unsafe extern "C" {
        fn _exit(status: c_int) -> !;
    }
    // SAFETY: never returns, touches nothing of ours.
    unsafe { _exit(status) }
}

#[cfg(test)]
mod tests;
