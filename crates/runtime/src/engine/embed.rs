//! Embeddings: one vector for each text.
//!
//! A model made for embeddings says in its file how the tokens' vectors become one. A generating
//! model says nothing; for it the mean is taken, read in pieces like a prompt.

use std::time::{Duration, Instant};

use super::Worker;
use super::job::{EmbedWork, Job, Outcome};
use super::load::{BATCH, Loaded};
use crate::failure::Failure;
use crate::llama::{Context, ContextParams, Outputs, Pooling, Token};

/// Longest text for a model that must see it whole in one decode call.
const MAX_WHOLE: u32 = 2048;

impl Worker {
    pub(super) fn embed(
        &mut self,
        job: &Job,
        work: &EmbedWork,
        load: Duration,
    ) -> Result<Outcome, Failure> {
        let threads = self.advice.now();
        let Some(loaded) = &mut self.current else { return Err(Failure::Stopping) };
        let mut outcome = Outcome { load, threads, threads_most: threads, ..Outcome::default() };
        let started = Instant::now();
        for text in &work.inputs {
            if job.is_canceled() {
                return Err(Failure::Canceled);
            }
            let mut tokens = loaded.model.tokenize(text, true, false);
            let pooling = pooling_of(loaded);
            let context = embedding_context(loaded, pooling, threads)?;
            if tokens.len() > context.length() {
                if !work.truncate {
                    return Err(Failure::PromptTooLong {
                        tokens: tokens.len(),
                        context: context.length(),
                    });
                }
                tokens.truncate(context.length());
            }
            if tokens.is_empty() {
                tokens.push(context.model().bos().max(0));
            }
            outcome.prompt_tokens += tokens.len();
            context.set_abort_flag(Some(std::sync::Arc::clone(&job.canceled)));
            let vector = vector_of(context, &tokens, pooling);
            context.set_abort_flag(None);
            let mut vector = vector?;
            if work.normalize {
                normalize(&mut vector);
            }
            outcome.embeddings.push(vector);
        }
        outcome.prompt = started.elapsed();
        Ok(outcome)
    }
}

fn pooling_of(loaded: &Loaded) -> Pooling {
    let stated =
        loaded.entry.head.as_ref().ok().and_then(|h| h.architecture_number("pooling_type"));
    match stated {
        Some(kind) if kind > 0 => Pooling::Model,
        _ => Pooling::Caller,
    }
}

fn embedding_context(
    loaded: &mut Loaded,
    pooling: Pooling,
    threads: u32,
) -> Result<&mut Context, Failure> {
    let context = match loaded.embedding_context.take() {
        Some(mut context) => {
            context.set_threads(threads);
            context
        }
        None => {
            let length = u32::try_from(loaded.context.length()).unwrap_or(MAX_WHOLE);
            let (length, batch) = match pooling {
                Pooling::Model => (length.min(MAX_WHOLE), length.min(MAX_WHOLE)),
                // A row of outputs for each token of a batch, so a small batch.
                Pooling::Caller => (length, (BATCH / 4).min(length)),
            };
            let params = ContextParams { length, batch, threads, embeddings: Some(pooling) };
            Context::new(&loaded.model, params).map_err(|reason| Failure::Load {
                path: loaded.entry.path.clone(),
                reason: format!("no context for embeddings: {reason}"),
            })?
        }
    };
    Ok(loaded.embedding_context.insert(context))
}

fn vector_of(
    context: &mut Context,
    tokens: &[Token],
    pooling: Pooling,
) -> Result<Vec<f32>, Failure> {
    let no_vector = || Failure::Compute("the model gives no embeddings".to_owned());
    context.clear();
    if pooling == Pooling::Model {
        context.decode(tokens, 0, Outputs::All).map_err(failure_of)?;
        return Ok(context.text_embedding().ok_or_else(no_vector)?.to_vec());
    }
    let mut sum = vec![0.0_f32; context.model().embedding_length()];
    let batch = context.batch_size();
    for (index, piece) in tokens.chunks(batch).enumerate() {
        context.decode(piece, index * batch, Outputs::All).map_err(failure_of)?;
        for row in 0..piece.len() {
            let vector = context.token_embedding(row).ok_or_else(no_vector)?;
            for (total, value) in sum.iter_mut().zip(vector) {
                *total += value;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a context is far below 2^24 tokens")]
    let count = tokens.len() as f32;
    for value in &mut sum {
        *value /= count;
    }
    Ok(sum)
}

fn failure_of(error: crate::llama::DecodeError) -> Failure {
    match error {
        crate::llama::DecodeError::Aborted => Failure::Canceled,
        other => Failure::Compute(other.to_string()),
    }
}

/// To length one; a vector of zeros stays.
fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        for value in vector {
            *value /= length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_get_length_one() {
        let mut vector = [3.0, 4.0];
        normalize(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut nothing = [0.0, 0.0];
        normalize(&mut nothing);
        assert_eq!(nothing, [0.0, 0.0]);
    }
}
