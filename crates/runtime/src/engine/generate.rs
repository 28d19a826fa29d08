//! One generation: read the prompt in pieces, then choose and append token after token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Worker;
use super::job::{DoneReason, Event, GenerateWork, Input, Job, Outcome, Progress};
use super::load::Loaded;
use crate::card::Card;
use crate::failure::Failure;
use crate::llama::{DecodeError, Grammar, Model, Outputs, Token};
use crate::sampler::Sampler;
use crate::stop::TextStream;
use crate::template::{self, Prompt};
use crate::thinking::{Parts, ThinkingSplitter};
use crate::threads::ThreadAdvice;

/// Tokens of a prompt that are read in one decode call: (models up to so many weights, tokens).
/// Small enough to show progress and to change the number of threads. The size does not follow
/// the clock: it changes the rounding, and the same seed should give the same answer.
const PIECES: [(u64, usize); 3] = [(1_000_000_000, 128), (4_000_000_000, 64), (u64::MAX, 32)];

impl Worker {
    pub(super) fn generate(
        &mut self,
        job: &Job,
        work: &GenerateWork,
        load: Duration,
    ) -> Result<Outcome, Failure> {
        let plain = self.library.plain_card();
        let Some(loaded) = &mut self.current else { return Err(Failure::Stopping) };
        let prompt = prompt_of(&loaded.model, job, work, plain.as_deref());
        let tokens = tokens_of(&loaded.model, &prompt, &work.context);
        let length = loaded.context.length();
        if tokens.len() >= length {
            return Err(Failure::PromptTooLong { tokens: tokens.len(), context: length });
        }
        let grammar = match &work.grammar {
            None => None,
            Some(text) => Some(Grammar::new(&loaded.model, text).ok_or_else(|| {
                Failure::Invalid("field \"format\" gives no grammar for this model".to_owned())
            })?),
        };
        let mut sampler = Sampler::new(job.request.options.sampling(), grammar);
        if prompt.special {
            // In a card's form the answer should use the question's words; penalties there look
            // at the answer alone.
            for &token in &tokens {
                sampler.remember(token);
            }
        }
        loaded.context.set_abort_flag(Some(Arc::clone(&job.canceled)));
        let run = Run {
            job,
            threads: Threads::new(&self.advice, job.request.options.num_thread),
            outcome: Outcome { load, prompt_tokens: tokens.len(), ..Outcome::default() },
        };
        let result = run.all(loaded, &tokens, &prompt, sampler);
        loaded.context.set_abort_flag(None);
        result
    }
}

/// The number of threads, as it changes during a request.
struct Threads<'a> {
    advice: &'a ThreadAdvice,
    limit: u32,
    last: u32,
    most: u32,
}

impl<'a> Threads<'a> {
    fn new(advice: &'a ThreadAdvice, limit: Option<u32>) -> Self {
        Self { advice, limit: limit.unwrap_or(u32::MAX).max(1), last: 0, most: 0 }
    }

    /// Before each decode call: what fits the machine now.
    fn apply(&mut self, loaded: &mut Loaded) {
        let threads = self.advice.now().min(self.limit);
        if threads != self.last {
            loaded.context.set_threads(threads);
            self.last = threads;
            self.most = self.most.max(threads);
        }
    }
}

struct Run<'a> {
    job: &'a Job,
    threads: Threads<'a>,
    outcome: Outcome,
}

impl Run<'_> {
    fn all(
        mut self,
        loaded: &mut Loaded,
        tokens: &[Token],
        prompt: &Prompt,
        sampler: Sampler,
    ) -> Result<Outcome, Failure> {
        self.read_prompt(loaded, tokens)?;
        let mut stops = prompt.stops.clone();
        // With a grammar the grammar says when the answer ends; a card's blank line would cut it.
        if !prompt.special && sampler.has_grammar() {
            stops.clear();
        }
        stops.extend(self.job.request.options.stop.clone().unwrap_or_default());
        let mut answer = Answer {
            stream: TextStream::new(stops, prompt.trim_start),
            splitter: ThinkingSplitter::new(prompt.thinking),
        };
        let started = Instant::now();
        let generated = self.write(loaded, sampler, &mut answer)?;
        self.outcome.eval = started.elapsed();
        self.outcome.eval_tokens = generated.len();
        self.outcome.threads = self.threads.last;
        self.outcome.threads_most = self.threads.most;
        self.outcome.context = [tokens, &generated].concat();
        Ok(self.outcome)
    }

    fn read_prompt(&mut self, loaded: &mut Loaded, tokens: &[Token]) -> Result<(), Failure> {
        let started = Instant::now();
        let cached = loaded.prefix.keep_common(&mut loaded.context, tokens);
        self.outcome.cached_tokens = cached;
        let total = tokens.len();
        let mut done = cached;
        let weights = loaded.entry.head.as_ref().map_or(0, |head| head.parameters);
        let piece = piece_for(weights).min(loaded.context.batch_size());
        self.job.tell(Progress::Prompt { done, total, cached });
        while done < total {
            let end = total.min(done + piece);
            let outputs = if end == total { Outputs::Last } else { Outputs::None };
            self.decode(loaded, &tokens[done..end], outputs)?;
            done = end;
            self.job.tell(Progress::Prompt { done, total, cached });
        }
        self.outcome.prompt = started.elapsed();
        Ok(())
    }

    /// Writes until the model, a stop string or a limit ends it; gives the tokens.
    fn write(
        &mut self,
        loaded: &mut Loaded,
        mut sampler: Sampler,
        answer: &mut Answer,
    ) -> Result<Vec<Token>, Failure> {
        let limit = self.job.request.options.num_predict.unwrap_or(-1);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut generated = Vec::new();
        let mut piece = Vec::new();
        self.outcome.done_reason = DoneReason::Length;
        while generated.len() < limit {
            let logits = loaded.context.logits();
            let logits = logits.ok_or_else(|| Failure::Compute("no logits".to_owned()))?;
            let Some(token) = sampler.next(logits) else {
                self.outcome.done_reason = DoneReason::Stop;
                break;
            };
            generated.push(token);
            if loaded.model.is_end_of_generation(token) {
                self.outcome.done_reason = DoneReason::Stop;
                break;
            }
            loaded.model.piece(token, &mut piece);
            self.say(answer.push(&piece));
            if answer.stream.stopped() {
                self.outcome.done_reason = DoneReason::Stop;
                break;
            }
            if generated.len() == limit || loaded.prefix.len() + 1 > loaded.context.length() {
                break;
            }
            self.decode(loaded, &[token], Outputs::Last)?;
        }
        for parts in answer.finish() {
            self.say(parts);
        }
        Ok(generated)
    }

    fn say(&self, parts: Parts) {
        if !parts.is_empty() {
            self.job.send(Event::Text(parts));
        }
    }

    fn decode(
        &mut self,
        loaded: &mut Loaded,
        tokens: &[Token],
        outputs: Outputs,
    ) -> Result<(), Failure> {
        if self.job.is_canceled() {
            return Err(Failure::Canceled);
        }
        self.threads.apply(loaded);
        let position = loaded.prefix.len();
        match loaded.context.decode(tokens, position, outputs) {
            Ok(()) => {
                loaded.prefix.extend(tokens);
                Ok(())
            }
            Err(error) => {
                // Part of the batch may be in the context already.
                loaded.prefix.shorten(&mut loaded.context, position);
                Err(match error {
                    DecodeError::Aborted => Failure::Canceled,
                    other => Failure::Compute(other.to_string()),
                })
            }
        }
    }
}

/// From tokens to what is shown.
struct Answer {
    stream: TextStream,
    splitter: ThinkingSplitter,
}

impl Answer {
    fn push(&mut self, piece: &[u8]) -> Parts {
        let text = self.stream.push(piece);
        self.splitter.push(&text)
    }

    fn finish(&mut self) -> [Parts; 2] {
        let text = self.stream.finish();
        [self.splitter.push(&text), self.splitter.finish()]
    }
}

fn piece_for(weights: u64) -> usize {
    PIECES.iter().find(|(most, _)| weights <= *most).map_or(PIECES[2].1, |(_, piece)| *piece)
}

fn prompt_of(model: &Model, job: &Job, work: &GenerateWork, plain: Option<&Card>) -> Prompt {
    let entry = &job.request.model;
    match &work.input {
        Input::Raw(text) => template::raw(text),
        Input::Chat(messages) => {
            let template = entry.chat_template();
            let card = entry.card.as_deref().filter(|card| !card.forms.is_empty());
            // Without a template and a card of its own, a model gets the plain form.
            let card = card.or(if template.is_none() { plain } else { None });
            template::chat(model, template, card, messages, work.think)
        }
    }
}

/// The prompt's tokens, after those of an earlier answer.
fn tokens_of(model: &Model, prompt: &Prompt, context: &[Token]) -> Vec<Token> {
    let bos = model.bos();
    let wants_bos = model.adds_bos() && bos >= 0 && context.is_empty();
    // Many templates write the mark themselves; twice would be wrong.
    let has_bos = prompt.special && prompt.text.starts_with(&model.token_text(bos));
    let vocabulary = model.vocab_size();
    let known = |token: &Token| usize::try_from(*token).is_ok_and(|token| token < vocabulary);
    let mut tokens: Vec<Token> = context.iter().copied().filter(known).collect();
    tokens.extend(model.tokenize(&prompt.text, wants_bos && !has_bos, prompt.special));
    if tokens.is_empty() && bos >= 0 {
        tokens.push(bos);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_models_read_in_smaller_pieces() {
        assert_eq!(piece_for(268_098_176), 128);
        assert_eq!(piece_for(3_000_000_000), 64);
        assert_eq!(piece_for(8_000_000_000), 32);
    }
}
