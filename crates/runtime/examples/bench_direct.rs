//! llama.cpp alone: reads a prompt and writes greedily, with nothing around it.
//!
//! The measure for what the runtime adds. Usage: `bench_direct MODEL PROMPT_FILE TOKENS THREADS
//! [RUNS] [PIECE]`; prints one JSON object with the best of the runs. PIECE is the number of the
//! prompt's tokens in one decode call.

#![expect(unsafe_code, reason = "the point is to call llama.cpp directly")]
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::error::Error;
use std::ffi::{CString, c_char};
use std::time::Instant;

use llama_cpp_sys_2 as sys;

/// As the runtime has it by default.
const CONTEXT: u32 = 4096;
const BATCH: usize = 512;

struct Measure {
    prompt_per_second: f64,
    eval_per_second: f64,
}

unsafe extern "C" fn silent(
    _level: sys::ggml_log_level,
    _text: *const c_char,
    _data: *mut std::ffi::c_void,
) {
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model_path, prompt_path, tokens, threads, rest @ ..] = arguments.as_slice() else {
        return Err("usage: bench_direct MODEL PROMPT_FILE TOKENS THREADS [RUNS] [PIECE]".into());
    };
    let wanted: usize = tokens.parse()?;
    let threads: i32 = threads.parse()?;
    let runs: usize = rest.first().map_or(Ok(3), |runs| runs.parse())?;
    let piece: usize = rest.get(1).map_or(Ok(BATCH), |piece| piece.parse())?;
    let piece = piece.clamp(1, BATCH);
    let prompt = std::fs::read_to_string(prompt_path)?;

    // SAFETY: called first, once each; `silent` needs no data.
    unsafe {
        sys::llama_log_set(Some(silent), std::ptr::null_mut());
        sys::llama_backend_init();
    }
    let path = CString::new(model_path.as_str())?;
    // SAFETY: the path lives for the call.
    let model = unsafe {
        sys::llama_model_load_from_file(path.as_ptr(), sys::llama_model_default_params())
    };
    if model.is_null() {
        return Err(format!("cannot load {model_path}").into());
    }
    // SAFETY: the model is alive.
    let vocab = unsafe { sys::llama_model_get_vocab(model) };
    let mut prompt_tokens = vec![0; prompt.len() + 8];
    // SAFETY: both buffers have the lengths given.
    let count = unsafe {
        sys::llama_tokenize(
            vocab,
            prompt.as_ptr().cast(),
            i32::try_from(prompt.len())?,
            prompt_tokens.as_mut_ptr(),
            i32::try_from(prompt_tokens.len())?,
            true,
            true,
        )
    };
    prompt_tokens.truncate(usize::try_from(count).map_err(|_| "cannot tokenize the prompt")?);
    if prompt_tokens.is_empty() || prompt_tokens.len() + wanted > CONTEXT as usize {
        return Err("the prompt is empty or does not fit the context".into());
    }

    // SAFETY: plain data; the model is alive and outlives the context.
    let context = unsafe {
        let mut params = sys::llama_context_default_params();
        params.n_ctx = CONTEXT;
        params.n_batch = u32::try_from(BATCH)?;
        params.n_ubatch = u32::try_from(BATCH)?;
        params.n_outputs_max = 1;
        params.n_threads = threads;
        params.n_threads_batch = threads;
        sys::llama_init_from_model(model, params)
    };
    if context.is_null() {
        return Err("cannot make a context".into());
    }
    let mut best = Measure { prompt_per_second: 0.0, eval_per_second: 0.0 };
    // One run more than counted: the first one warms up.
    for run in 0..=runs {
        let measure = run_once(context, vocab, &mut prompt_tokens.clone(), wanted, piece)?;
        if run > 0 {
            best.prompt_per_second = best.prompt_per_second.max(measure.prompt_per_second);
            best.eval_per_second = best.eval_per_second.max(measure.eval_per_second);
        }
    }
    println!(
        "{{\"model\":{model_path:?},\"threads\":{threads},\"runs\":{runs},\
         \"prompt_tokens\":{},\"prompt_tokens_per_s\":{:.2},\
         \"eval_tokens\":{wanted},\"eval_tokens_per_s\":{:.2}}}",
        prompt_tokens.len(),
        best.prompt_per_second,
        best.eval_per_second
    );
    // SAFETY: made above, freed once, the context before its model.
    unsafe {
        sys::llama_free(context);
        sys::llama_model_free(model);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "rates for people")]
fn run_once(
    context: *mut sys::llama_context,
    vocab: *const sys::llama_vocab,
    prompt: &mut [sys::llama_token],
    wanted: usize,
    piece: usize,
) -> Result<Measure, Box<dyn Error>> {
    // SAFETY: the context is alive and has a memory.
    unsafe { sys::llama_memory_clear(sys::llama_get_memory(context), true) };
    let started = Instant::now();
    for tokens in prompt.chunks_mut(piece) {
        decode(context, tokens)?;
    }
    let prompt_time = started.elapsed().as_secs_f64();
    let started = Instant::now();
    for index in 0..wanted {
        let token = greedy(context, vocab)?;
        if index + 1 < wanted {
            decode(context, &mut [token])?;
        }
    }
    let eval_time = started.elapsed().as_secs_f64();
    Ok(Measure {
        prompt_per_second: prompt.len() as f64 / prompt_time,
        eval_per_second: wanted as f64 / eval_time,
    })
}

fn decode(
    context: *mut sys::llama_context,
    tokens: &mut [sys::llama_token],
) -> Result<(), Box<dyn Error>> {
    let count = i32::try_from(tokens.len())?;
    // SAFETY: the batch borrows `tokens`, which live for the call.
    let status =
        unsafe { sys::llama_decode(context, sys::llama_batch_get_one(tokens.as_mut_ptr(), count)) };
    if status == 0 { Ok(()) } else { Err(format!("llama_decode: {status}").into()) }
}

fn greedy(
    context: *mut sys::llama_context,
    vocab: *const sys::llama_vocab,
) -> Result<sys::llama_token, Box<dyn Error>> {
    // SAFETY: a row of logits has as many floats as the vocabulary has tokens.
    let logits = unsafe {
        let row = sys::llama_get_logits_ith(context, -1);
        if row.is_null() {
            return Err("no logits".into());
        }
        std::slice::from_raw_parts(row, usize::try_from(sys::llama_vocab_n_tokens(vocab))?)
    };
    let best = (0..).zip(logits).max_by(|a, b| a.1.total_cmp(b.1)).map(|(token, _)| token);
    best.ok_or_else(|| "empty vocabulary".into())
}
