//! llama.cpp's and ggml's log lines, handed to `tracing` at debug.
//!
//! They are chatty (hundreds of lines a load) and nobody's errors: what matters comes back as an
//! error value. The last line of level «error» is kept, because the C functions return only null
//! and the reason stands in the log alone.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Mutex;

static LAST_ERROR: Mutex<Option<String>> = Mutex::new(None);

/// Longest reason that is kept of a log line, in bytes.
const REASON_LIMIT: usize = 300;

pub(super) fn install() {
    // SAFETY: `forward` matches the callback's type, needs no user data and never unwinds.
    unsafe { llama_cpp_sys_2::llama_log_set(Some(forward), std::ptr::null_mut()) };
}

/// The most recent error line, once.
pub(super) fn last_error() -> Option<String> {
    LAST_ERROR.lock().ok().and_then(|mut slot| slot.take())
}

unsafe extern "C" fn forward(
    level: llama_cpp_sys_2::ggml_log_level,
    text: *const c_char,
    _user_data: *mut c_void,
) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a NUL-terminated string that lives for the call.
    let line = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let line = line.trim();
    if line.is_empty() || line.chars().all(|c| c == '.') {
        return;
    }
    tracing::debug!(target: "llama.cpp", "{line}");
    if level == llama_cpp_sys_2::GGML_LOG_LEVEL_ERROR
        && let Ok(mut slot) = LAST_ERROR.lock()
    {
        let mut end = line.len().min(REASON_LIMIT);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        // The first line says what is wrong; those after it («failed to load model») do not.
        slot.get_or_insert_with(|| line[..end].to_owned());
    }
}
