//! Which calls carry their texts, and which texts those are.
//!
//! Texts have random numbers of their own: a span is the same whether or not it carries any.

use andon_model::{LlmKind, Observation, Part, RawContent, RawText};

use crate::{
    random::Random,
    text::{self, Prose},
    world::{Language, Trace},
};

/// Most texts of one call.
const MAX_TEXTS: u64 = 200;

/// Spreads texts evenly over the spans that have some to carry.
pub(crate) struct Contents {
    random: Random,
    wanted: u64,
    /// Spans in all.
    spans: u64,
    seen: u64,
    made: u64,
}

impl Contents {
    pub(crate) fn new(random: Random, wanted: u64, spans: u64) -> Self {
        Self { random, wanted, spans, seen: 0, made: 0 }
    }

    /// Gives a trace its texts. A call has all of its texts or none, so that this one may come
    /// early and the next one later.
    pub(crate) fn fill(&mut self, trace: &mut Trace) {
        let language = trace.language;
        for observation in &mut trace.observations {
            self.seen += 1;
            let kind = observation.span.llm_kind;
            if !matches!(kind, Some(LlmKind::Llm | LlmKind::Embedding)) {
                continue;
            }
            let due = u128::from(self.wanted) * u128::from(self.seen) / u128::from(self.spans);
            let late = (due as u64).saturating_sub(self.made).min(MAX_TEXTS);
            if late > 0 {
                let mut call = Call { texts: Vec::new(), language, random: &mut self.random };
                call.tell(observation, late);
                call.texts.truncate((self.wanted - self.made) as usize);
                self.made += call.texts.len() as u64;
                observation.contents = call.texts;
            }
        }
    }
}

/// The texts of one call.
struct Call<'a> {
    texts: Vec<RawContent>,
    language: Language,
    random: &'a mut Random,
}

impl Call<'_> {
    /// Where many texts are late, a conversation was long.
    fn tell(&mut self, observation: &Observation, late: u64) {
        let span = &observation.span;
        if span.llm_kind == Some(LlmKind::Embedding) {
            self.say(Part::Input, None, Prose::Question);
            return;
        }
        let works = span.attributes.get("gen_ai.agent.name").is_some();
        if works || self.random.percent(40) {
            self.say(Part::System, Some("system"), Prose::Rules);
        }
        let turns = self.random.below(3).max(late.saturating_sub(4) / 2);
        for _ in 0..turns {
            self.say(Part::Input, Some("user"), Prose::Question);
            self.say(Part::Input, Some("assistant"), Prose::Answer);
        }
        self.say(Part::Input, Some("user"), Prose::Question);
        if works && self.random.percent(60) {
            let json = text::tool_result(self.random);
            self.push(Part::Tool, Some("tool"), json);
        }
        if span.reasoning_tokens.is_some() {
            self.say(Part::Thinking, Some("assistant"), Prose::Thought);
        }
        match span.finish_reason.as_deref() {
            Some("tool_calls") => {
                let json = text::tool_call(self.random);
                self.push(Part::Tool, Some("call"), json);
            }
            _ if span.output_tokens.is_some() => {
                self.say(Part::Output, Some("assistant"), Prose::Answer);
            }
            _ => {}
        }
    }

    fn say(&mut self, part: Part, role: Option<&str>, prose: Prose) {
        let text = text::prose(self.random, self.language, prose);
        self.push(part, role, text);
    }

    fn push(&mut self, part: Part, role: Option<&str>, text: String) {
        let idx = self.texts.iter().filter(|before| before.part == part).count() as u32;
        let (role, text) = (role.map(str::to_owned), RawText::new(text));
        self.texts.push(RawContent { part, role, idx, text });
    }
}
