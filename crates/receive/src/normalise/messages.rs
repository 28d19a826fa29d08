//! Messages in any of the shapes that conventions carry them in, as texts with their parts and roles.

use std::borrow::Cow;

use andon_model::{Contents, Part, RawText, media};
use serde_json::Value as Json;

/// On which side of a call a text is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Input,
    Output,
}

/// What was seen beside the texts.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) finish_reason: Option<String>,
    pub(super) tools: u64,
}

/// Where bodies of requests and answers keep their messages.
const CONTAINERS: [&str; 9] =
    ["messages", "message", "choices", "output", "response", "prompt", "content", "text", "input"];

/// Texts to be gathered.
pub(super) struct Reader<'a> {
    pub(super) contents: &'a mut Contents,
    pub(super) beside: &'a mut Beside,
    pub(super) side: Side,
}

impl Reader<'_> {
    /// A text of which it is not known whether it is JSON.
    pub(super) fn text(&mut self, text: &str) {
        let looks = text.trim_start().starts_with(['{', '[', '"']);
        match looks.then(|| serde_json::from_str::<Json>(text)) {
            // Escaped Japanese is found by no search.
            Some(Ok(json)) if text.contains("\\u") => self.json(&json),
            Some(Ok(json)) => self.value(&json, || text.into()),
            _ => self.push(self.part(None), None, text),
        }
    }

    /// What came as more than a text.
    pub(super) fn json(&mut self, json: &Json) {
        self.value(json, || json.to_string().into());
    }

    /// Whatever it is. `whole`: how it was written, for what has no shape that is known.
    fn value<'t>(&mut self, json: &Json, whole: impl FnOnce() -> Cow<'t, str>) {
        match json {
            Json::Null => {}
            Json::String(text) => self.push(self.part(None), None, text),
            Json::Array(all) if all.iter().all(is_message) => self.messages(json),
            Json::Array(all) if all.iter().all(Json::is_string) => self.messages(json),
            Json::Object(map) if is_message(json) || is_body(map) => self.body(json),
            _ => self.push(self.part(None), None, whole()),
        }
    }

    /// A list of messages, or one.
    pub(super) fn messages(&mut self, json: &Json) {
        match json {
            Json::Array(all) => all.iter().for_each(|message| self.message(message)),
            Json::Null => {}
            one => self.message(one),
        }
    }

    /// A request or an answer of an API, or a message.
    fn body(&mut self, json: &Json) {
        if is_message(json) {
            return self.message(json);
        }
        self.definitions(&json["tools"]);
        self.finish_reason(json);
        if self.side == Side::Input
            && let Some(system) = json["system"].as_str().or(json["instructions"].as_str())
        {
            self.push(Part::System, Some("system"), system);
        }
        let Some(inner) = CONTAINERS.iter().find_map(|name| json.get(name)) else { return };
        match inner {
            Json::Array(all) => all.iter().for_each(|one| self.message(one)),
            Json::String(text) => self.push(self.part(None), None, text),
            one => self.message(one),
        }
    }

    fn message(&mut self, json: &Json) {
        if let Some(text) = json.as_str() {
            return self.push(self.part(None), None, text);
        }
        self.finish_reason(json);
        // OpenInference and OpenAI's choices wrap it once more.
        let wrapped = ["message", "delta", "prompt", "completion"];
        if let Some(inner) =
            wrapped.iter().find_map(|name| json.get(name)).filter(|it| !it.is_null())
        {
            return self.message(inner);
        }
        let role = json["role"].as_str();
        let part = self.part(role);
        let content = ["parts", "content", "contents", "text", "output"];
        let content = content.iter().find_map(|name| json.get(name)).unwrap_or(&Json::Null);
        for name in ["reasoning_content", "reasoning", "thinking"] {
            if let Some(thought) = json[name].as_str() {
                self.push(Part::Thinking, role, thought);
            }
        }
        let text = self.parts(content, role);
        self.push(part, role, text);
        let single = json["type"] == "function_call";
        self.calls(if single { json } else { &json["tool_calls"] });
        if json["type"] == "function_call_output" {
            self.push(Part::Tool, Some("tool"), words(&json["output"]));
        }
        if let Some(images) = json["images"].as_array() {
            for image in images.iter().filter_map(Json::as_str) {
                self.push(part, role, media::describe(image, None));
            }
        }
    }

    /// The texts of a content's parts; tools and thoughts go their own ways.
    fn parts<'t>(&mut self, content: &'t Json, role: Option<&str>) -> Cow<'t, str> {
        let all = match content {
            Json::String(text) => return text.into(),
            Json::Array(all) => all.as_slice(),
            Json::Null => return Cow::default(),
            one => std::slice::from_ref(one),
        };
        let mut texts = Vec::new();
        for part in all {
            let part = part.get("message_content").unwrap_or(part);
            let kind = part["type"].as_str().unwrap_or("text");
            match kind {
                "tool_call" | "tool_use" | "function_call" => self.calls(part),
                "tool_call_response" | "tool_result" => {
                    let said = ["response", "result", "content", "output"];
                    let said = said.iter().find_map(|name| part.get(name));
                    self.push(Part::Tool, Some("tool"), said.map(words).unwrap_or_default());
                }
                "reasoning" | "thinking" => {
                    let thought = ["content", "thinking", "text"];
                    let thought = thought.iter().find_map(|name| part[name].as_str());
                    self.push(Part::Thinking, role, thought.unwrap_or_default());
                }
                _ => texts.extend(part_text(kind, part)),
            }
        }
        // Most have one.
        match texts.len() {
            1 => texts.pop().unwrap_or_default().into(),
            _ => texts.join("\n").into(),
        }
    }

    /// One call or a list of them, as people write calls.
    fn calls(&mut self, json: &Json) {
        let all = match json {
            Json::Array(all) => all.as_slice(),
            Json::Null => return,
            one => std::slice::from_ref(one),
        };
        for call in all {
            let call = call.get("tool_call").unwrap_or(call);
            let inner = call.get("function").filter(|it| it.is_object()).unwrap_or(call);
            let Some(name) = inner["name"].as_str().filter(|name| !name.is_empty()) else {
                continue;
            };
            let arguments = ["arguments", "input", "args"];
            let arguments = arguments.iter().find_map(|name| inner.get(name));
            let arguments = arguments.map(words).unwrap_or_default();
            self.push(Part::Tool, Some("call"), format!("{name}({arguments})"));
        }
    }

    /// Tools that were offered.
    pub(super) fn definitions(&mut self, json: &Json) {
        for tool in json.as_array().into_iter().flatten() {
            let tool = tool.get("tool").unwrap_or(tool);
            let said = tool.get("json_schema").unwrap_or(tool);
            self.push(Part::Tool, Some("definition"), words(said));
            self.beside.tools += 1;
        }
    }

    /// Documents that were found.
    pub(super) fn documents(&mut self, json: &Json) {
        for document in json.as_array().into_iter().flatten() {
            let document = document.get("document").unwrap_or(document);
            let text = ["content", "text", "page_content"];
            let text = text.iter().find_map(|name| document.get(name));
            self.push(Part::Document, None, text.map_or_else(|| words(document), words));
        }
    }

    fn finish_reason(&mut self, json: &Json) {
        if self.side == Side::Output && self.beside.finish_reason.is_none() {
            let names = ["finish_reason", "done_reason", "stop_reason"];
            let reason = names.iter().find_map(|name| json[name].as_str());
            self.beside.finish_reason = reason.map(str::to_owned);
        }
    }

    fn part(&self, role: Option<&str>) -> Part {
        match (role, self.side) {
            (Some("system" | "developer"), _) => Part::System,
            (Some("tool" | "function"), _) => Part::Tool,
            (_, Side::Output) => Part::Output,
            (_, Side::Input) => Part::Input,
        }
    }

    fn push<'t>(&mut self, part: Part, role: Option<&str>, text: impl Into<Cow<'t, str>>) {
        let role = match (role, part) {
            (Some(role), _) => Some(role),
            (None, Part::Output) => Some("assistant"),
            (None, _) => None,
        };
        self.contents.push(part, role, RawText::new(text.into()));
    }
}

fn is_message(json: &Json) -> bool {
    let has = |name| json.get(name).is_some();
    has("role") && (has("content") || has("parts") || has("contents") || has("tool_calls"))
        || has("message") && json["message"].is_object()
        || has("finish_reason") && (has("parts") || has("content") || has("text"))
        || json["type"] == "function_call"
        || json["type"] == "function_call_output"
}

/// Whether an object is a request to an API of models, or an answer of one.
fn is_body(map: &serde_json::Map<String, Json>) -> bool {
    let is_list = |name: &str| map.get(name).is_some_and(Json::is_array);
    is_list("messages")
        || is_list("choices")
        || (map.contains_key("model") && CONTAINERS.iter().any(|name| map.contains_key(*name)))
        || (map.len() == 1
            && ["prompt", "content", "text"].iter().any(|name| map.contains_key(*name)))
}

/// Texts bare, all else as JSON.
fn words(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

fn part_text(kind: &str, part: &Json) -> Option<String> {
    let bytes = |of: &Json| {
        let named = ["mime_type", "media_type", "mimeType"];
        let named = named.iter().find_map(|name| part[name].as_str().or(of[name].as_str()));
        let data = ["content", "data", "file_data"];
        let data = data.iter().find_map(|name| of[name].as_str());
        data.map(|data| media::describe(data, named))
    };
    let url = |of: &Json| {
        let url = of.as_str().or(of["url"].as_str()).or(of["image"]["url"].as_str());
        url.map(media::describe_url)
    };
    match kind {
        "image_url" | "input_image" => url(&part["image_url"]),
        "image" => url(&part["image"]).or_else(|| bytes(&part["source"])).or_else(|| bytes(part)),
        "input_audio" | "audio" => bytes(&part["input_audio"]).or_else(|| bytes(part)),
        "blob" => bytes(part),
        "uri" => part["uri"]
            .as_str()
            .map(|uri| format!("[{} at {uri}]", part["modality"].as_str().unwrap_or("file"))),
        "file" | "input_file" => bytes(&part["file"])
            .or_else(|| bytes(part))
            .or_else(|| part["file_id"].as_str().map(|id| format!("[file {id}]"))),
        _ => {
            let text = ["text", "content", "refusal"];
            let text = text.iter().find_map(|name| part[name].as_str());
            // What nobody knows is kept as it is.
            text.map(str::to_owned).or_else(|| Some(words(part)))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Part, role and text of each.
    fn read(side: Side, text: &str) -> Vec<(Part, String, String)> {
        let (mut contents, mut beside) = (Contents::default(), Beside::default());
        Reader { contents: &mut contents, beside: &mut beside, side }.text(text);
        let said = contents.into_vec();
        let said = said.into_iter().map(|content| {
            (content.part, content.role.unwrap_or_default(), content.text.expose().to_owned())
        });
        said.collect()
    }

    #[test]
    fn all_shapes_of_a_question_come_to_the_same() {
        let shapes = [
            json!([{"role": "system", "parts": [{"type": "text", "content": "短く"}]},
                   {"role": "user", "parts": [{"type": "text", "content": "空は?"}]}]),
            json!([{"role": "system", "content": "短く"}, {"role": "user", "content": "空は?"}]),
            json!({"model": "m", "messages": [{"role": "system", "content": "短く"},
                   {"role": "user", "content": [{"type": "text", "text": "空は?"}]}]}),
            json!({"model": "m", "system": "短く", "messages": [{"role": "user", "content": "空は?"}]}),
            json!([{"message": {"role": "system", "content": "短く"}}, {"message": {"role": "user",
                   "contents": [{"message_content": {"type": "text", "text": "空は?"}}]}}]),
        ];
        for shape in shapes {
            let said = read(Side::Input, &shape.to_string());
            let expected = [
                (Part::System, "system".to_owned(), "短く".to_owned()),
                (Part::Input, "user".to_owned(), "空は?".to_owned()),
            ];
            assert_eq!(said, expected, "{shape}");
        }
    }

    #[test]
    fn all_shapes_of_a_call_come_to_the_same() {
        let arguments = r#"{"city":"Osaka"}"#;
        let shapes = [
            json!([{"role": "assistant", "finish_reason": "tool_calls", "parts": [
                {"type": "tool_call", "id": "c", "name": "weather", "arguments": {"city": "Osaka"}}]}]),
            json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role":
                "assistant", "content": "", "tool_calls": [{"id": "c", "type": "function",
                "function": {"name": "weather", "arguments": arguments}}]}}]}),
            json!([{"message": {"role": "assistant", "tool_calls": [{"tool_call": {"id": "c",
                "function": {"name": "weather", "arguments": arguments}}}]}}]),
            json!([{"role": "assistant", "content": "", "tool_calls": [
                {"name": "weather", "arguments": {"city": "Osaka"}, "tool_id": "c"}]}]),
        ];
        for shape in shapes {
            let said = read(Side::Output, &shape.to_string());
            let expected = (Part::Tool, "call".to_owned(), format!("weather({arguments})"));
            assert_eq!(said, [expected], "{shape}");
        }
    }

    #[test]
    fn what_has_no_known_shape_is_kept_whole() {
        for text in ["hello", "{broken", r#"{"args":["x"],"kwargs":{}}"#, "[1,2]"] {
            let said = read(Side::Input, text);
            assert_eq!(said, [(Part::Input, String::new(), text.to_owned())]);
        }
        assert_eq!(read(Side::Input, ""), []);
    }

    #[test]
    fn an_image_is_kept_as_what_it_is() {
        let shape = json!([{"role": "user", "content": [
            {"type": "text", "text": "what?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]);
        let said = read(Side::Input, &shape.to_string());
        assert!(said[0].2.starts_with("what?\n[image/png, 8 bytes, sha256 "), "{said:?}");
    }
}
