//! Grammars: what makes an answer valid JSON.

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use super::{Model, Token};

/// Which tokens may follow, by a grammar in llama.cpp's notation.
pub(crate) struct Grammar {
    pointer: NonNull<sys::llama_sampler>,
}

impl Grammar {
    pub(crate) fn new(model: &Model, grammar: &str) -> Option<Self> {
        let grammar = CString::new(grammar).ok()?;
        // SAFETY: both strings live for the call; the vocabulary lives as long as the model,
        // which the engine drops after the job that holds this grammar.
        let pointer = unsafe {
            sys::llama_rs_sampler_init_grammar(model.vocab(), grammar.as_ptr(), c"root".as_ptr())
        };
        NonNull::new(pointer).map(|pointer| Self { pointer })
    }

    /// Whether `token` may come next.
    pub(crate) fn allows(&mut self, token: Token) -> bool {
        let mut logits = [(token, 1.0)];
        self.filter(&mut logits);
        logits[0].1.is_finite()
    }

    /// Sets the logit of every token that may not come next to minus infinity.
    pub(crate) fn filter(&mut self, candidates: &mut [(Token, f32)]) {
        let mut data: Vec<sys::llama_token_data> = candidates
            .iter()
            .map(|&(id, logit)| sys::llama_token_data { id, logit, p: 0.0 })
            .collect();
        let mut array = sys::llama_token_data_array {
            data: data.as_mut_ptr(),
            size: data.len(),
            selected: -1,
            sorted: false,
        };
        // SAFETY: the array describes `data`, which lives for the call; a grammar changes logits
        // in place and neither moves nor resizes.
        unsafe { sys::llama_sampler_apply(self.pointer.as_ptr(), &raw mut array) };
        for (candidate, entry) in candidates.iter_mut().zip(&data) {
            candidate.1 = entry.logit;
        }
    }

    /// Notes that `token` came. False: the grammar did not allow it.
    pub(crate) fn accept(&mut self, token: Token) -> bool {
        // SAFETY: the grammar is alive; the shim turns C++ exceptions into a status.
        let status = unsafe { sys::llama_rs_sampler_accept(self.pointer.as_ptr(), token) };
        status == sys::LLAMA_RS_STATUS_OK
    }
}

impl Drop for Grammar {
    fn drop(&mut self) {
        // SAFETY: ours alone, freed once.
        unsafe { sys::llama_sampler_free(self.pointer.as_ptr()) };
    }
}

/// A grammar for values that match a JSON schema; none if llama.cpp cannot read the schema.
pub(crate) fn schema_to_grammar(schema: &str) -> Option<String> {
    let schema = CString::new(schema).ok()?;
    let mut out: *mut c_char = std::ptr::null_mut();
    // SAFETY: the string lives for the call; the shim catches exceptions and fills `out` with a
    // string that `llama_rs_string_free` frees.
    let status =
        unsafe { sys::llama_rs_json_schema_to_grammar(schema.as_ptr(), false, &raw mut out) };
    if status != sys::LLAMA_RS_STATUS_OK || out.is_null() {
        return None;
    }
    // SAFETY: NUL-terminated, ours until freed below.
    let grammar = unsafe { CStr::from_ptr(out) }.to_str().ok().map(str::to_owned);
    // SAFETY: comes from the shim, freed once.
    unsafe { sys::llama_rs_string_free(out) };
    grammar
}
