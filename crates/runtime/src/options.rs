//! `options` of a request, and how they are laid over what the model's card or file says.

use serde_json::Value;

use crate::failure::Failure;
use crate::fields::{Fields, whole_number};

/// Most stop strings of a request, and the most bytes of one.
const MAX_STOPS: usize = 64;
const MAX_STOP_BYTES: usize = 1024;
/// Most tokens back that a repetition penalty looks.
const MAX_REPEAT_WINDOW: i64 = 8192;

/// What somebody asked for; none is «no opinion».
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) num_predict: Option<i64>,
    pub(crate) temperature: Option<f32>,
    pub(crate) top_k: Option<i64>,
    pub(crate) top_p: Option<f32>,
    pub(crate) min_p: Option<f32>,
    pub(crate) repeat_penalty: Option<f32>,
    pub(crate) repeat_last_n: Option<i64>,
    pub(crate) presence_penalty: Option<f32>,
    pub(crate) frequency_penalty: Option<f32>,
    pub(crate) seed: Option<i64>,
    pub(crate) stop: Option<Vec<String>>,
    pub(crate) num_ctx: Option<u32>,
    pub(crate) num_thread: Option<u32>,
}

impl Options {
    /// Reads an `options` object; names not known here are left alone.
    pub(crate) fn from_json(fields: &Fields<'_>) -> Result<Self, Failure> {
        Ok(Self {
            num_predict: integer(fields, "num_predict")?,
            temperature: float(fields, "temperature")?,
            top_k: integer(fields, "top_k")?,
            top_p: float(fields, "top_p")?,
            min_p: float(fields, "min_p")?,
            repeat_penalty: float(fields, "repeat_penalty")?,
            repeat_last_n: integer(fields, "repeat_last_n")?,
            presence_penalty: float(fields, "presence_penalty")?,
            frequency_penalty: float(fields, "frequency_penalty")?,
            seed: integer(fields, "seed")?,
            stop: fields.get("stop").map(stops).transpose()?,
            num_ctx: count(fields, "num_ctx")?,
            num_thread: count(fields, "num_thread")?,
        })
    }

    /// `self`, and where it has no opinion, `other`. Stop strings add up.
    pub(crate) fn or(mut self, other: &Self) -> Self {
        self.num_predict = self.num_predict.or(other.num_predict);
        self.temperature = self.temperature.or(other.temperature);
        self.top_k = self.top_k.or(other.top_k);
        self.top_p = self.top_p.or(other.top_p);
        self.min_p = self.min_p.or(other.min_p);
        self.repeat_penalty = self.repeat_penalty.or(other.repeat_penalty);
        self.repeat_last_n = self.repeat_last_n.or(other.repeat_last_n);
        self.presence_penalty = self.presence_penalty.or(other.presence_penalty);
        self.frequency_penalty = self.frequency_penalty.or(other.frequency_penalty);
        self.seed = self.seed.or(other.seed);
        self.stop = self.stop.or_else(|| other.stop.clone());
        self.num_ctx = self.num_ctx.or(other.num_ctx);
        self.num_thread = self.num_thread.or(other.num_thread);
        self
    }

    /// With Ollama's defaults where nobody had an opinion.
    pub(crate) fn sampling(&self) -> Sampling {
        let window = self.repeat_last_n.unwrap_or(64);
        Sampling {
            temperature: self.temperature.unwrap_or(0.8),
            top_k: self.top_k.and_then(|k| usize::try_from(k).ok()).unwrap_or(match self.top_k {
                None => 40,
                Some(_) => 0,
            }),
            top_p: self.top_p.unwrap_or(0.9),
            min_p: self.min_p.unwrap_or(0.0),
            repeat_penalty: self.repeat_penalty.unwrap_or(1.0),
            // -1 is «the whole context»; bounded, since each token of it costs time.
            repeat_last_n: usize::try_from(if window < 0 { MAX_REPEAT_WINDOW } else { window })
                .unwrap_or(0)
                .min(MAX_REPEAT_WINDOW as usize),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            seed: self.seed.and_then(|seed| u64::try_from(seed).ok()),
        }
    }
}

/// How the next token is chosen. `top_k` 0 is «all»; no seed is a random one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) temperature: f32,
    pub(crate) top_k: usize,
    pub(crate) top_p: f32,
    pub(crate) min_p: f32,
    pub(crate) repeat_penalty: f32,
    pub(crate) repeat_last_n: usize,
    pub(crate) presence_penalty: f32,
    pub(crate) frequency_penalty: f32,
    pub(crate) seed: Option<u64>,
}

/// One string or several; empty ones are dropped, as they would stop everything.
pub(crate) fn stops(value: &Value) -> Result<Vec<String>, Failure> {
    let wrong = || Failure::OptionType { name: "stop", expected: "array of strings" };
    let texts: Vec<&str> = match value {
        Value::String(text) => vec![text],
        Value::Array(list) => {
            list.iter().map(|item| item.as_str().ok_or_else(wrong)).collect::<Result<_, _>>()?
        }
        _ => return Err(wrong()),
    };
    if texts.len() > MAX_STOPS || texts.iter().any(|text| text.len() > MAX_STOP_BYTES) {
        return Err(Failure::Invalid(format!(
            "option \"stop\" takes at most {MAX_STOPS} strings of {MAX_STOP_BYTES} bytes"
        )));
    }
    Ok(texts.into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect())
}

fn integer(fields: &Fields<'_>, name: &'static str) -> Result<Option<i64>, Failure> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    whole_number(value).map(Some).ok_or(Failure::OptionType { name, expected: "integer" })
}

fn count(fields: &Fields<'_>, name: &'static str) -> Result<Option<u32>, Failure> {
    match integer(fields, name)? {
        // 0 is Ollama's «choose for me».
        None | Some(0) => Ok(None),
        Some(number) => u32::try_from(number)
            .map(Some)
            .map_err(|_| Failure::Invalid(format!("option \"{name}\" is out of range"))),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "sampling needs no more digits")]
fn float(fields: &Fields<'_>, name: &'static str) -> Result<Option<f32>, Failure> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let number = value.as_f64().ok_or(Failure::OptionType { name, expected: "float32" })? as f32;
    if number.is_finite() {
        Ok(Some(number))
    } else {
        Err(Failure::Invalid(format!("option \"{name}\" is out of range")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Options, Failure> {
        Options::from_json(&Fields::root(&value).unwrap())
    }

    #[test]
    fn wrong_types_name_the_option() {
        assert_eq!(
            read(json!({ "num_predict": "40" })).unwrap_err().to_string(),
            "option \"num_predict\" must be of type integer"
        );
        assert!(read(json!({ "temperature": true })).is_err());
        assert!(read(json!({ "stop": [1] })).is_err());
        assert!(read(json!({ "num_ctx": -5 })).is_err());
        assert!(read(json!({ "temperature": 1e300 })).is_err());
    }

    #[test]
    fn unknown_and_null_are_left_alone() {
        assert_eq!(read(json!({ "num_keep": "x", "seed": null })), Ok(Options::default()));
    }

    #[test]
    fn the_request_wins_over_the_card() {
        let card = read(json!({ "temperature": 0.2, "top_k": 5 })).unwrap();
        let merged = read(json!({ "temperature": 1 })).unwrap().or(&card);
        assert_eq!((merged.temperature, merged.top_k), (Some(1.0), Some(5)));
    }

    #[test]
    fn negative_top_k_means_all() {
        assert_eq!(read(json!({ "top_k": -1 })).unwrap().sampling().top_k, 0);
        assert_eq!(read(json!({})).unwrap().sampling().top_k, 40);
    }
}
