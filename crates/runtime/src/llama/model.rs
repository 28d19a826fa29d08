//! A loaded model: its weights and its vocabulary.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use super::Token;

/// Weights and vocabulary; freed on drop.
#[derive(Debug)]
pub(crate) struct Model {
    pointer: NonNull<sys::llama_model>,
}

// SAFETY: llama.cpp's model is not bound to the thread that made it; it is read-only once loaded.
unsafe impl Send for Model {}
// SAFETY: see above; all methods below only read, apart from drop, which has `&mut self`.
unsafe impl Sync for Model {}

impl Model {
    /// Maps and prepares the file. `progress` gets 0 to 1; it returns whether to go on.
    pub(crate) fn load(path: &Path, mut progress: impl FnMut(f32) -> bool) -> Result<Self, String> {
        let text = path.to_str().ok_or("the path is not UTF-8")?;
        let text = CString::new(text).map_err(|_| "the path holds a NUL byte")?;
        super::last_error();
        let mut callback: &mut dyn FnMut(f32) -> bool = &mut progress;
        // SAFETY: returns plain data.
        let mut params = unsafe { sys::llama_model_default_params() };
        params.progress_callback = Some(on_progress);
        params.progress_callback_user_data =
            std::ptr::from_mut::<&mut dyn FnMut(f32) -> bool>(&mut callback).cast::<c_void>();
        // SAFETY: the path lives for the call, and so does what `user_data` points to; llama.cpp
        // calls back only during this call.
        let model = unsafe { sys::llama_model_load_from_file(text.as_ptr(), params) };
        NonNull::new(model).map(|pointer| Self { pointer }).ok_or_else(|| {
            super::last_error().unwrap_or_else(|| "llama.cpp gave no reason".to_owned())
        })
    }

    pub(super) fn as_ptr(&self) -> *mut sys::llama_model {
        self.pointer.as_ptr()
    }

    pub(super) fn vocab(&self) -> *const sys::llama_vocab {
        // SAFETY: the model is alive; the vocabulary is part of it.
        unsafe { sys::llama_model_get_vocab(self.as_ptr()) }
    }

    /// Size of the vocabulary.
    pub(crate) fn vocab_size(&self) -> usize {
        // SAFETY: the vocabulary is alive as long as the model.
        usize::try_from(unsafe { sys::llama_vocab_n_tokens(self.vocab()) }).unwrap_or(0)
    }

    /// The context length the model was trained for.
    pub(crate) fn trained_context(&self) -> u32 {
        // SAFETY: the model is alive.
        u32::try_from(unsafe { sys::llama_model_n_ctx_train(self.as_ptr()) }).unwrap_or(0)
    }

    /// Bytes of all tensors.
    pub(crate) fn size_bytes(&self) -> u64 {
        // SAFETY: the model is alive.
        unsafe { sys::llama_model_size(self.as_ptr()) }
    }

    /// Length of an embedding vector.
    pub(crate) fn embedding_length(&self) -> usize {
        // SAFETY: the model is alive.
        usize::try_from(unsafe { sys::llama_model_n_embd_out(self.as_ptr()) }).unwrap_or(0)
    }

    /// Whether a generation ends with this token.
    pub(crate) fn is_end_of_generation(&self, token: Token) -> bool {
        // SAFETY: the vocabulary is alive; an unknown token is answered with false.
        unsafe { sys::llama_vocab_is_eog(self.vocab(), token) }
    }

    /// Whether prompts begin with the beginning-of-sequence token.
    pub(crate) fn adds_bos(&self) -> bool {
        // SAFETY: the vocabulary is alive.
        unsafe { sys::llama_vocab_get_add_bos(self.vocab()) }
    }

    pub(crate) fn bos(&self) -> Token {
        // SAFETY: the vocabulary is alive.
        unsafe { sys::llama_vocab_bos(self.vocab()) }
    }

    pub(crate) fn eos(&self) -> Token {
        // SAFETY: the vocabulary is alive.
        unsafe { sys::llama_vocab_eos(self.vocab()) }
    }

    /// How a token is written in templates, `<bos>` for instance; empty for «no such token».
    pub(crate) fn token_text(&self, token: Token) -> String {
        if token < 0 || usize::try_from(token).is_ok_and(|t| t >= self.vocab_size()) {
            return String::new();
        }
        // SAFETY: the token is within the vocabulary, checked above.
        let text = unsafe { sys::llama_vocab_get_text(self.vocab(), token) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: a NUL-terminated string owned by the vocabulary.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }

    /// Text to tokens. `special` reads marks such as `<end_of_turn>` as the tokens they name.
    pub(crate) fn tokenize(&self, text: &str, add_bos: bool, special: bool) -> Vec<Token> {
        let Ok(length) = i32::try_from(text.len()) else { return Vec::new() };
        let mut tokens: Vec<Token> = vec![0; text.len() / 2 + 8];
        loop {
            let room = i32::try_from(tokens.len()).unwrap_or(i32::MAX);
            // SAFETY: `text` has `length` bytes, `tokens` has `room` places.
            let count = unsafe {
                sys::llama_tokenize(
                    self.vocab(),
                    text.as_ptr().cast::<c_char>(),
                    length,
                    tokens.as_mut_ptr(),
                    room,
                    add_bos,
                    special,
                )
            };
            if count == i32::MIN {
                return Vec::new();
            }
            let needed = usize::try_from(count.unsigned_abs()).unwrap_or(0);
            if count >= 0 || needed <= tokens.len() {
                tokens.truncate(needed);
                return tokens;
            }
            tokens.resize(needed, 0);
        }
    }

    /// The bytes a token stands for: maybe part of a character only. Marks give nothing.
    pub(crate) fn piece(&self, token: Token, buffer: &mut Vec<u8>) {
        let mut room = 64;
        loop {
            buffer.resize(room, 0);
            let places = i32::try_from(room).unwrap_or(i32::MAX);
            // SAFETY: `buffer` has `places` bytes; tokens come from this vocabulary.
            let count = unsafe {
                let at = buffer.as_mut_ptr().cast::<c_char>();
                sys::llama_token_to_piece(self.vocab(), token, at, places, 0, false)
            };
            let needed = usize::try_from(count.unsigned_abs()).unwrap_or(0);
            if count >= 0 {
                buffer.truncate(needed);
                return;
            }
            room = needed;
        }
    }

    /// llama.cpp's own reading of a template, for those it knows by sight.
    pub(crate) fn apply_known_template(
        &self,
        template: &str,
        messages: &[(String, String)],
    ) -> Option<String> {
        let template = CString::new(template).ok()?;
        let mut texts = Vec::with_capacity(messages.len());
        for (role, content) in messages {
            texts.push((CString::new(role.as_str()).ok()?, CString::new(content.as_str()).ok()?));
        }
        let chat: Vec<sys::llama_chat_message> = texts
            .iter()
            .map(|(role, content)| sys::llama_chat_message {
                role: role.as_ptr(),
                content: content.as_ptr(),
            })
            .collect();
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            let room = i32::try_from(buffer.len()).ok()?;
            // SAFETY: all strings live in `texts` and `template`; the buffer has `room` bytes.
            let length = unsafe {
                sys::llama_chat_apply_template(
                    template.as_ptr(),
                    chat.as_ptr(),
                    chat.len(),
                    true,
                    buffer.as_mut_ptr().cast::<c_char>(),
                    room,
                )
            };
            let length = usize::try_from(length).ok()?;
            if length <= buffer.len() {
                buffer.truncate(length);
                return String::from_utf8(buffer).ok();
            }
            buffer.resize(length, 0);
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: ours alone; contexts hold the model through an `Arc`, so none is left.
        unsafe { sys::llama_model_free(self.as_ptr()) };
    }
}

unsafe extern "C" fn on_progress(progress: f32, user_data: *mut c_void) -> bool {
    // SAFETY: `load` passed a pointer to a `&mut dyn FnMut` that outlives the call.
    let callback = unsafe { &mut *user_data.cast::<&mut dyn FnMut(f32) -> bool>() };
    callback(progress)
}
