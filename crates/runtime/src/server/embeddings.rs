//! Embeddings in three dialects: `/api/embed`, the older `/api/embeddings`, `/v1/embeddings`.

use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::native::into_openai;
use super::reply::{json_reply, nanos};
use super::{Call, NativeResult, Shared, body, progress, shortened};
use crate::engine::{EmbedWork, Outcome, Work};
use crate::failure::Failure;
use crate::fields::{Fields, wrong};
use crate::keep_alive::KeepAlive;
use crate::options::Options;

/// Most texts of one request.
const MAX_INPUTS: usize = 2048;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) async fn embed(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> NativeResult {
    let received = Instant::now();
    let value = body::read_json(body, shared.max_body).await?;
    let fields = Fields::root(&value)?;
    let call = read_call(&shared, &fields, &headers, received).await?;
    let name = call.model_name.clone();
    let inputs = read_inputs(&fields)?;
    let truncate = fields.flag("truncate")?.unwrap_or(true);
    let dimensions = read_dimensions(&fields)?;
    let mut outcome = run(&shared, call, inputs, truncate, dimensions.is_none()).await?;
    if let Some(dimensions) = dimensions {
        shorten(&mut outcome.embeddings, dimensions);
    }
    let mut object = json!({
        "model": name,
        "embeddings": outcome.embeddings,
        "total_duration": nanos(outcome.total),
        "load_duration": nanos(outcome.load),
    });
    if outcome.prompt_tokens > 0 {
        object["prompt_eval_count"] = outcome.prompt_tokens.into();
    }
    Ok(json_reply(StatusCode::OK, &object))
}

/// One text, one vector, not scaled, no counts: as the old endpoint always was.
pub(super) async fn embeddings_old(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> NativeResult {
    let received = Instant::now();
    let value = body::read_json(body, shared.max_body).await?;
    let fields = Fields::root(&value)?;
    let call = read_call(&shared, &fields, &headers, received).await?;
    let prompt = fields.text("prompt")?.unwrap_or_default();
    let inputs = if prompt.is_empty() { Vec::new() } else { vec![prompt.to_owned()] };
    let mut outcome = run(&shared, call, inputs, true, false).await?;
    let vector = outcome.embeddings.pop().unwrap_or_default();
    Ok(json_reply(StatusCode::OK, &json!({ "embedding": vector })))
}

pub(super) async fn openai(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    into_openai(embed_openai(shared, &headers, body).await)
}

async fn embed_openai(shared: Shared, headers: &HeaderMap, body: Body) -> NativeResult {
    let received = Instant::now();
    let value = body::read_json(body, shared.max_body).await?;
    let fields = Fields::root(&value)?;
    let call = read_call(&shared, &fields, headers, received).await?;
    let name = call.model_name.clone();
    let inputs = read_inputs(&fields)?;
    if inputs.is_empty() {
        return Err(Failure::Invalid("field \"input\" must hold at least one text".to_owned()));
    }
    let as_base64 = match fields.text("encoding_format")? {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(Failure::Invalid(
                "field \"encoding_format\" must be float or base64".to_owned(),
            ));
        }
    };
    let dimensions = read_dimensions(&fields)?;
    let mut outcome = run(&shared, call, inputs, true, dimensions.is_none()).await?;
    if let Some(dimensions) = dimensions {
        shorten(&mut outcome.embeddings, dimensions);
    }
    let data: Vec<Value> = outcome
        .embeddings
        .iter()
        .enumerate()
        .map(|(index, vector)| {
            let vector = if as_base64 { base64(vector).into() } else { json!(vector) };
            json!({ "object": "embedding", "index": index, "embedding": vector })
        })
        .collect();
    let tokens = outcome.prompt_tokens;
    Ok(json_reply(
        StatusCode::OK,
        &json!({
            "object": "list",
            "data": data,
            "model": name,
            "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
        }),
    ))
}

async fn read_call(
    shared: &Shared,
    fields: &Fields<'_>,
    headers: &HeaderMap,
    received: Instant,
) -> Result<Call, Failure> {
    let name = fields.text("model")?;
    let model = shared.model(name).await?;
    let model_name = name.filter(|name| !name.is_empty()).map_or(model.name.clone(), shortened);
    let options = match fields.object("options")? {
        Some(options) => Options::from_json(&options)?,
        None => Options::default(),
    };
    let keep_alive = KeepAlive::from_json(fields.get("keep_alive"))?;
    let tell = progress::followed(headers);
    Ok(Call { model, model_name, options, keep_alive, tell, received })
}

fn read_inputs(fields: &Fields<'_>) -> Result<Vec<String>, Failure> {
    match fields.get("input") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(list)) => {
            if list.len() > MAX_INPUTS {
                return Err(Failure::Invalid(format!(
                    "field \"input\" takes at most {MAX_INPUTS} texts"
                )));
            }
            let mut inputs = Vec::with_capacity(list.len());
            for (index, value) in list.iter().enumerate() {
                let text = value.as_str();
                let path = format!("input[{index}]");
                inputs.push(text.ok_or_else(|| wrong(&path, "a string", value))?.to_owned());
            }
            Ok(inputs)
        }
        Some(other) => Err(wrong("input", "a string or an array of strings", other)),
    }
}

fn read_dimensions(fields: &Fields<'_>) -> Result<Option<usize>, Failure> {
    match fields.integer("dimensions")? {
        None | Some(0) => Ok(None),
        Some(number) => usize::try_from(number)
            .map(Some)
            .map_err(|_| Failure::Invalid("field \"dimensions\" must not be negative".to_owned())),
    }
}

async fn run(
    shared: &Shared,
    call: Call,
    inputs: Vec<String>,
    truncate: bool,
    normalize: bool,
) -> Result<Box<Outcome>, Failure> {
    let work = Work::Embed(EmbedWork { inputs, truncate, normalize });
    let (_, outcome) = shared.submit(call, work)?.collect().await?;
    Ok(outcome)
}

/// Cuts vectors and scales them to length one again.
fn shorten(vectors: &mut [Vec<f32>], dimensions: usize) {
    for vector in vectors {
        vector.truncate(dimensions);
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            for value in vector {
                *value /= length;
            }
        }
    }
}

/// Little-endian floats in base64, which OpenAI's clients ask for by default.
fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|i| u32::from(chunk.get(i).copied().unwrap_or(0)));
        let group = a << 16 | b << 8 | c;
        for place in 0..4 {
            let index = (group >> (18 - 6 * place) & 63) as usize;
            let filled = place <= chunk.len();
            text.push(if filled { char::from(BASE64[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_base64() {
        // Bytes 00 00 80 3f, and with them 00 00 00 c0.
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, -2.0]), "AACAPwAAAMA=");
        assert_eq!(base64(&[]), "");
    }

    #[test]
    fn cut_vectors_have_length_one_again() {
        let mut vectors = vec![vec![3.0, 4.0, 12.0]];
        shorten(&mut vectors, 2);
        assert_eq!(vectors, [[0.6, 0.8]]);
    }
}
