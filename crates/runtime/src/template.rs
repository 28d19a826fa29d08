//! From messages to the text a model reads.
//!
//! In this order: the chat template in the GGUF file (Jinja, rendered here; llama.cpp's own
//! reading of well-known templates where that fails), the form of the model's card, a plain
//! question-and-answer form. Ollama's Go templates are not interpreted.

use serde::Serialize;

use crate::card::{Card, Form};
use crate::llama::Model;

/// Steps a template may take; a real one takes some thousands for a long conversation.
const TEMPLATE_FUEL: u64 = 10_000_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    pub(crate) role: String,
    pub(crate) content: String,
}

/// What the model reads, and how to read its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) text: String,
    /// Whether marks in the text are the tokens they name.
    pub(crate) special: bool,
    pub(crate) stops: Vec<String>,
    /// Drop white space at the start of the answer.
    pub(crate) trim_start: bool,
    /// The text ends within a thinking block.
    pub(crate) thinking: bool,
}

/// The text as it is, with nothing around it.
pub(crate) fn raw(text: &str) -> Prompt {
    Prompt {
        text: text.to_owned(),
        special: true,
        stops: Vec::new(),
        trim_start: false,
        thinking: false,
    }
}

/// The prompt for a conversation. `template` is the GGUF's.
pub(crate) fn chat(
    model: &Model,
    template: Option<&str>,
    card: Option<&Card>,
    messages: &[Message],
    think: Option<bool>,
) -> Prompt {
    // A card's form is a choice somebody made for this very model.
    if let Some(form) = card.and_then(|card| card.form_for(question_of(messages))) {
        return from_form(form, messages);
    }
    let rendered = template.and_then(|template| {
        render(model, template, messages, think)
            .map_err(|error| tracing::debug!(%error, "the chat template cannot be rendered"))
            .ok()
            .or_else(|| known(model, template, messages))
    });
    let text = rendered.unwrap_or_else(|| {
        tracing::warn!("no usable chat template: the messages are joined in plain form");
        plain(messages)
    });
    let thinking = text.trim_end().ends_with("<think>");
    Prompt { text, special: true, stops: Vec::new(), trim_start: false, thinking }
}

/// The last thing the user said.
fn question_of(messages: &[Message]) -> &str {
    let last = messages.iter().rev().find(|message| message.role == "user");
    last.map_or("", |message| message.content.as_str())
}

fn render(
    model: &Model,
    template: &str,
    messages: &[Message],
    think: Option<bool>,
) -> Result<String, minijinja::Error> {
    render_jinja(
        template,
        messages,
        &model.token_text(model.bos()),
        &model.token_text(model.eos()),
        think,
    )
}

fn render_jinja(
    template: &str,
    messages: &[Message],
    bos: &str,
    eos: &str,
    think: Option<bool>,
) -> Result<String, minijinja::Error> {
    let mut environment = minijinja::Environment::new();
    let mut syntax = minijinja::syntax::SyntaxConfig::builder();
    // As the library that templates are written for has it.
    environment.set_syntax(syntax.trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(TEMPLATE_FUEL));
    // Templates are written for Python and call methods of its strings and lists.
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |text: String| -> Result<String, _> {
        Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, text))
    });
    environment.add_function("strftime_now", |format: String| crate::clock::format_today(&format));
    let context = minijinja::context! {
        messages => minijinja::Value::from(minijinja::value::Serde(messages)),
        add_generation_prompt => true,
        bos_token => bos,
        eos_token => eos,
        enable_thinking => think.unwrap_or(true),
    };
    environment.render_str(template, context)
}

fn known(model: &Model, template: &str, messages: &[Message]) -> Option<String> {
    let pairs: Vec<(String, String)> =
        messages.iter().map(|m| (m.role.clone(), m.content.clone())).collect();
    model.apply_known_template(template, &pairs)
}

fn plain(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages {
        text.push_str(&format!("{}: {}\n", message.role, message.content));
    }
    text.push_str("assistant:");
    text
}

/// Introduction, examples, the conversation so far, and an open answer.
fn from_form(form: &Form, messages: &[Message]) -> Prompt {
    let mut text = format!("{}\n\n", form.introduction.trim());
    for example in &form.examples {
        let Form { question, answer, .. } = form;
        text.push_str(&format!("{question} {}\n{answer} {}\n\n", example.question, example.answer));
    }
    // After the examples: what comes before them must stay the same for the prefix cache.
    for message in messages.iter().filter(|message| message.role == "system") {
        let instruction = one_paragraph(&message.content);
        if !instruction.is_empty() {
            text.push_str(&format!("({instruction})\n\n"));
        }
    }
    let mut open = false;
    for message in messages {
        let words = one_paragraph(&message.content);
        match message.role.as_str() {
            "system" => {}
            "assistant" => {
                if !open {
                    text.push_str(&form.answer);
                }
                text.push_str(&format!(" {words}\n\n"));
                open = false;
            }
            _ => {
                if open {
                    text.push_str("\n\n");
                }
                text.push_str(&format!("{} {words}\n{}", form.question, form.answer));
                open = true;
            }
        }
    }
    if !open {
        // The conversation ends with an answer: let the model go on with it.
        text.truncate(text.trim_end().len());
    }
    Prompt { text, special: false, stops: form.stop.clone(), trim_start: true, thinking: false }
}

/// Without blank lines, which end a turn in the plain form.
fn one_paragraph(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Cards;

    fn message(role: &str, content: &str) -> Message {
        Message { role: role.to_owned(), content: content.to_owned() }
    }

    fn form_prompt(messages: &[Message]) -> String {
        let card = Cards::load(&[]).plain().unwrap();
        from_form(card.form_for(question_of(messages)).unwrap(), messages).text
    }

    #[test]
    fn the_form_ends_with_an_open_answer() {
        let text = form_prompt(&[message("user", "日本で一番\n\n高い山は?")]);
        assert!(text.ends_with("\n\n質問: 日本で一番\n高い山は?\n回答:"), "{text}");
    }

    #[test]
    fn earlier_turns_stand_in_the_same_form() {
        let first = form_prompt(&[message("user", "What is 1+1?")]);
        let second = form_prompt(&[
            message("user", "What is 1+1?"),
            message("assistant", "Two."),
            message("user", "And 2+2?"),
        ]);
        assert!(second.starts_with(&first));
        assert!(second.ends_with("Answer: Two.\n\nQuestion: And 2+2?\nAnswer:"), "{second}");
    }

    #[test]
    fn a_system_message_leaves_the_examples_where_they_are() {
        let without = form_prompt(&[message("user", "Hi")]);
        let with = form_prompt(&[message("system", "Be brief."), message("user", "Hi")]);
        let prefix = without.strip_suffix("Question: Hi\nAnswer:").unwrap();
        assert_eq!(with, format!("{prefix}(Be brief.)\n\nQuestion: Hi\nAnswer:"));
    }

    #[test]
    fn an_answer_that_was_begun_is_continued() {
        let text = form_prompt(&[message("user", "Hi"), message("assistant", "Good")]);
        assert!(text.ends_with("Answer: Good"), "{text}");
    }

    #[test]
    fn jinja_templates_are_rendered() {
        let template = "{{ bos_token }}{% for message in messages %}\
            {% if (message['role'] == 'assistant') %}{% set role = 'model' %}\
            {% else %}{% set role = message['role'] %}{% endif %}\
            {{ '<start_of_turn>' + role + '\n' + message['content'].strip() + '<end_of_turn>\n' }}\
            {% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";
        let messages = [message("user", " Hi "), message("assistant", "Yes?")];
        let text = render_jinja(template, &messages, "<bos>", "<eos>", None).unwrap();
        assert_eq!(
            text,
            "<bos><start_of_turn>user\nHi<end_of_turn>\n\
             <start_of_turn>model\nYes?<end_of_turn>\n<start_of_turn>model\n"
        );
    }

    #[test]
    fn a_template_that_refuses_or_never_ends_is_an_error() {
        let refuse = "{{ raise_exception('no system role') }}";
        let error = render_jinja(refuse, &[], "", "", None).unwrap_err();
        assert!(error.to_string().contains("no system role"));
        let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}\
                       {% endfor %}";
        assert!(render_jinja(endless, &[], "", "", None).is_err());
    }
}
