//! Parts a model's thinking (`<think>…</think>` before the answer) from the answer itself.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing visible came yet: it may still turn out to be a thinking block.
    Start,
    /// Between the opening mark and the first line of thinking.
    Opened,
    Inside,
    /// Between the block and the answer's first visible character.
    Between,
    Answer,
}

/// What a piece of text turned out to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) thinking: String,
    pub(crate) content: String,
}

impl Parts {
    pub(crate) fn is_empty(&self) -> bool {
        self.thinking.is_empty() && self.content.is_empty()
    }
}

/// Reads an answer as it comes.
#[derive(Debug)]
pub(crate) struct ThinkingSplitter {
    state: State,
    held: String,
}

impl ThinkingSplitter {
    /// `inside`: the prompt already opened the block.
    pub(crate) fn new(inside: bool) -> Self {
        Self { state: if inside { State::Opened } else { State::Start }, held: String::new() }
    }

    pub(crate) fn push(&mut self, text: &str) -> Parts {
        let mut parts = Parts::default();
        self.held.push_str(text);
        while self.step(&mut parts) {}
        parts
    }

    /// The rest, when nothing more comes.
    pub(crate) fn finish(&mut self) -> Parts {
        let rest = std::mem::take(&mut self.held);
        match self.state {
            State::Inside => Parts { thinking: rest, content: String::new() },
            State::Opened | State::Between => Parts::default(),
            State::Start | State::Answer => Parts { thinking: String::new(), content: rest },
        }
    }

    /// One change of state; false when more text is needed.
    fn step(&mut self, parts: &mut Parts) -> bool {
        match self.state {
            State::Start => {
                let visible = self.held.trim_start();
                if let Some(rest) = visible.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.state = State::Opened;
                    return true;
                }
                if OPEN.starts_with(visible) {
                    return false;
                }
                self.state = State::Answer;
                true
            }
            State::Opened => {
                self.held = self.held.trim_start().to_owned();
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Inside;
                true
            }
            State::Inside => {
                if let Some(at) = self.held.find(CLOSE) {
                    parts.thinking.push_str(&self.held[..at]);
                    self.held.drain(..at + CLOSE.len());
                    self.state = State::Between;
                    return true;
                }
                let keep = (1..CLOSE.len())
                    .rev()
                    .find(|&length| self.held.ends_with(&CLOSE[..length]))
                    .unwrap_or(0);
                let rest = self.held.split_off(self.held.len() - keep);
                parts.thinking.push_str(&std::mem::replace(&mut self.held, rest));
                false
            }
            State::Between => {
                self.held = self.held.trim_start().to_owned();
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Answer;
                true
            }
            State::Answer => {
                parts.content.push_str(&std::mem::take(&mut self.held));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(inside: bool, text: &str, size: usize) -> (String, String) {
        let mut splitter = ThinkingSplitter::new(inside);
        let characters: Vec<char> = text.chars().collect();
        let mut all = Parts::default();
        for chunk in characters.chunks(size) {
            let parts = splitter.push(&chunk.iter().collect::<String>());
            all.thinking.push_str(&parts.thinking);
            all.content.push_str(&parts.content);
        }
        let rest = splitter.finish();
        (all.thinking + &rest.thinking, all.content + &rest.content)
    }

    #[test]
    fn thinking_is_parted_however_the_text_is_cut() {
        for size in 1..12 {
            let parts = run(false, "\n<think>\n考え中 <b></think>\n\n答え <think>", size);
            assert_eq!(parts, ("考え中 <b>".to_owned(), "答え <think>".to_owned()));
            let parts = run(true, "so</think>yes", size);
            assert_eq!(parts, ("so".to_owned(), "yes".to_owned()));
        }
    }

    #[test]
    fn an_answer_without_thinking_is_untouched() {
        assert_eq!(run(false, " <thin ice>", 1), (String::new(), " <thin ice>".to_owned()));
        assert_eq!(run(false, "<thi", 1), (String::new(), "<thi".to_owned()));
    }
}
