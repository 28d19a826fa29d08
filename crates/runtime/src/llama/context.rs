//! A context: the model's memory of one text, and the calls that extend it.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use llama_cpp_sys_2 as sys;

use super::{Model, Token};

/// How a context is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ContextParams {
    /// Tokens it holds.
    pub(crate) length: u32,
    /// Most tokens of one decode call.
    pub(crate) batch: u32,
    pub(crate) threads: u32,
    /// For embeddings instead of generation.
    pub(crate) embeddings: Option<Pooling>,
}

/// Who makes one vector out of the tokens' vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The caller; the context gives a vector for each token.
    Caller,
    /// The model, as its file says.
    Model,
}

/// Why a decode call did nothing useful.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// Somebody raised the abort flag.
    #[error("aborted")]
    Aborted,
    #[error("the context is full")]
    Full,
    #[error("llama.cpp could not compute the batch (code {0})")]
    Failed(i32),
}

/// One text's memory; freed on drop.
pub(crate) struct Context {
    pointer: NonNull<sys::llama_context>,
    model: Arc<Model>,
    batch: sys::llama_batch,
    batch_size: usize,
    /// What the abort callback reads; made by `Box::into_raw`, freed in `drop`.
    abort: NonNull<AbortSlot>,
}

/// The flag of the job that computes now. Written only between two decode calls.
struct AbortSlot {
    flag: Option<Arc<AtomicBool>>,
}

// SAFETY: a context is not bound to the thread that made it, and is used by one at a time.
unsafe impl Send for Context {}

impl Context {
    pub(crate) fn new(model: &Arc<Model>, params: ContextParams) -> Result<Self, String> {
        let threads = i32::try_from(params.threads).unwrap_or(1);
        let slot = Box::new(AbortSlot { flag: None });
        // SAFETY: returns plain data.
        let mut raw = unsafe { sys::llama_context_default_params() };
        raw.n_ctx = params.length;
        raw.n_batch = params.batch;
        raw.n_ubatch = params.batch;
        raw.n_seq_max = 1;
        raw.n_threads = threads;
        raw.n_threads_batch = threads;
        raw.no_perf = true;
        // A window-sized cache forgets what a reused prefix needs; see `engine/prefix.rs`.
        raw.swa_full = true;
        raw.abort_callback = Some(should_abort);
        match params.embeddings {
            // One row of logits, not one for each token of a batch: at a vocabulary of 262,144
            // the buffer for 512 rows would be half a gigabyte.
            None => raw.n_outputs_max = 1,
            Some(pooling) => {
                raw.embeddings = true;
                if pooling == Pooling::Caller {
                    raw.pooling_type = sys::LLAMA_POOLING_TYPE_NONE;
                }
            }
        }
        super::last_error();
        let abort = NonNull::from(Box::leak(slot));
        raw.abort_callback_data = abort.as_ptr().cast();
        // SAFETY: the model is alive and stays so (`model` below); the abort slot outlives the
        // context, see `drop`.
        let pointer = unsafe { sys::llama_init_from_model(model.as_ptr(), raw) };
        let Some(pointer) = NonNull::new(pointer) else {
            // SAFETY: leaked above, and no context was made that could still read it.
            drop(unsafe { Box::from_raw(abort.as_ptr()) });
            return Err(super::last_error().unwrap_or_else(|| "out of memory".to_owned()));
        };
        // SAFETY: freed in `drop`; one sequence a token.
        let batch =
            unsafe { sys::llama_batch_init(i32::try_from(params.batch).unwrap_or(i32::MAX), 0, 1) };
        let batch_size = params.batch as usize;
        Ok(Self { pointer, model: Arc::clone(model), batch, batch_size, abort })
    }

    pub(crate) fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Tokens the context holds (llama.cpp rounds up what was asked for).
    pub(crate) fn length(&self) -> usize {
        // SAFETY: the context is alive.
        unsafe { sys::llama_n_ctx(self.pointer.as_ptr()) as usize }
    }

    /// Most tokens of one decode call.
    pub(crate) fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Threads of the next decode call.
    pub(crate) fn set_threads(&mut self, threads: u32) {
        let threads = i32::try_from(threads.max(1)).unwrap_or(1);
        // SAFETY: the context is alive and computes nothing now.
        unsafe { sys::llama_set_n_threads(self.pointer.as_ptr(), threads, threads) };
    }

    /// From now on a decode call ends early once `flag` is raised.
    pub(crate) fn set_abort_flag(&mut self, flag: Option<Arc<AtomicBool>>) {
        // SAFETY: the slot is ours; the callback reads it only during a decode call.
        unsafe { (*self.abort.as_ptr()).flag = flag };
    }

    /// Reads every weight once, so that a mapped file is really in memory afterwards.
    pub(crate) fn warm_up(&mut self) -> Result<(), DecodeError> {
        let token = match (self.model.bos(), self.model.eos()) {
            (bos, _) if bos >= 0 => bos,
            (_, eos) if eos >= 0 => eos,
            _ => 0,
        };
        // SAFETY: the context is alive; warm-up makes all experts of a mixture take part.
        unsafe { sys::llama_set_warmup(self.pointer.as_ptr(), true) };
        let result = self.decode(&[token], 0, Outputs::Last);
        // SAFETY: as above.
        unsafe { sys::llama_set_warmup(self.pointer.as_ptr(), false) };
        self.clear();
        result
    }

    /// Appends `tokens` at `position`.
    pub(crate) fn decode(
        &mut self,
        tokens: &[Token],
        position: usize,
        outputs: Outputs,
    ) -> Result<(), DecodeError> {
        if tokens.is_empty() || tokens.len() > self.batch_size {
            return Err(DecodeError::Failed(-1));
        }
        for (index, &token) in tokens.iter().enumerate() {
            let wanted = match outputs {
                Outputs::None => false,
                Outputs::Last => index + 1 == tokens.len(),
                Outputs::All => true,
            };
            let at = i32::try_from(position + index).unwrap_or(i32::MAX);
            // SAFETY: the batch has `batch_size` places, and `index` is below that.
            unsafe {
                *self.batch.token.add(index) = token;
                *self.batch.pos.add(index) = at;
                *self.batch.n_seq_id.add(index) = 1;
                **self.batch.seq_id.add(index) = 0;
                *self.batch.logits.add(index) = i8::from(wanted);
            }
        }
        self.batch.n_tokens = i32::try_from(tokens.len()).unwrap_or(0);
        // SAFETY: the context is alive and the batch is filled as above.
        match unsafe { sys::llama_decode(self.pointer.as_ptr(), self.batch) } {
            0 => Ok(()),
            1 => Err(DecodeError::Full),
            2 => Err(DecodeError::Aborted),
            code => Err(DecodeError::Failed(code)),
        }
    }

    /// Logits of the last output of the last decode call.
    pub(crate) fn logits(&self) -> Option<&[f32]> {
        // SAFETY: the context is alive; -1 asks for the last row, null means there is none.
        let row = unsafe { sys::llama_get_logits_ith(self.pointer.as_ptr(), -1) };
        // SAFETY: a row has as many floats as the vocabulary has tokens, and stays unchanged
        // until the next decode call, which needs `&mut self`.
        (!row.is_null())
            .then(|| unsafe { std::slice::from_raw_parts(row, self.model.vocab_size()) })
    }

    /// The vector of the `index`-th token of the last decode call.
    pub(crate) fn token_embedding(&self, index: usize) -> Option<&[f32]> {
        let index = i32::try_from(index).ok()?;
        // SAFETY: the context is alive; an index that is not there gives null.
        let row = unsafe { sys::llama_get_embeddings_ith(self.pointer.as_ptr(), index) };
        self.embedding_row(row)
    }

    /// The vector the model made of the whole text.
    pub(crate) fn text_embedding(&self) -> Option<&[f32]> {
        // SAFETY: the context is alive; null means that there is none.
        let row = unsafe { sys::llama_get_embeddings_seq(self.pointer.as_ptr(), 0) };
        self.embedding_row(row)
    }

    fn embedding_row(&self, row: *const f32) -> Option<&[f32]> {
        // SAFETY: a row has `embedding_length` floats, valid until the next decode call.
        (!row.is_null())
            .then(|| unsafe { std::slice::from_raw_parts(row, self.model.embedding_length()) })
    }

    /// Forgets everything from `position` on. False: this kind of memory cannot, and is as it was.
    pub(crate) fn forget_from(&mut self, position: usize) -> bool {
        let Ok(position) = i32::try_from(position) else { return false };
        // SAFETY: the context is alive and has a memory (null only for encoders, checked).
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            !memory.is_null() && sys::llama_memory_seq_rm(memory, 0, position, -1)
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        // SAFETY: as in `forget_from`.
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            if !memory.is_null() {
                sys::llama_memory_clear(memory, true);
            }
        }
    }
}

/// Which tokens of a batch get an output.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outputs {
    None,
    Last,
    All,
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: both are ours alone and freed once; the abort slot goes after them.
        unsafe {
            sys::llama_batch_free(self.batch);
            sys::llama_free(self.pointer.as_ptr());
            drop(Box::from_raw(self.abort.as_ptr()));
        }
    }
}

unsafe extern "C" fn should_abort(data: *mut c_void) -> bool {
    // SAFETY: `new` passed the slot, which lives as long as the context, and which the
    // owning thread changes only between decode calls.
    let slot = unsafe { &*data.cast::<AbortSlot>() };
    slot.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
}
