//! What Langfuse's SDKs send. Spans of the newer ones come by OTLP; the older ones send batches of events
//! (`batch.rs`), of which `memory.rs` makes wholes and `spans.rs` spans. Beside these come scores, images
//! that would be uploaded, and questions whether somebody is there.
//!
//! Source: Langfuse's public API (`/api/public/ingestion`, `/scores`, `/media`, `/health`, `/projects`), and
//! what its Python SDKs 2 and 5 and its JavaScript SDK 3 were seen to send.

mod batch;
mod before;
mod ids;
mod media;
mod memory;
mod said;
mod score;
mod spans;

use ::http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN},
};
use andon_model::{Judgement, SpanId};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::{Value as Json, json};

pub(crate) use self::memory::Memory;
use self::{
    memory::{HandedOn, Outgoing},
    score::Score,
};

use crate::{
    body::{BodyError, Held},
    intake::{Batch, Intake, Protocol, Reason, Refused},
    otlp::{Body, RequestBody},
};

/// Scores of one request.
const MAX_SCORES: usize = 10_000;

/// What a path is for.
#[derive(Clone, Copy)]
pub(crate) enum Route {
    Batch,
    Scores,
    Media,
    Health,
    Projects,
}

impl Route {
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path.trim_end_matches('/') {
            "/api/public/ingestion" => Some(Self::Batch),
            "/api/public/media" => Some(Self::Media),
            "/api/public/scores" => Some(Self::Scores),
            "/api/public/health" => Some(Self::Health),
            "/api/public/projects" => Some(Self::Projects),
            _ => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("a web page may not send here")]
    Origin,
    #[error("{0} is not taken here")]
    Method(Method),
    #[error("{0}")]
    Body(#[from] BodyError),
    #[error("the body is not what is sent here: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the media: {0}")]
    Media(&'static str),
    #[error("more than {MAX_SCORES} scores in one request")]
    TooMany,
    #[error("score {place}: {what}")]
    Score { place: usize, what: &'static str },
    #[error("{0}")]
    Refused(#[from] Refused),
}

impl Wrong {
    fn status(&self) -> StatusCode {
        match self {
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Body(BodyError::TooLarge(_)) | Self::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Encoding(_)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyError::TooSlow(_)) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::Busy) | Self::Refused(Refused::Busy) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Refused(Refused::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn reason(&self) -> Option<Reason> {
        match self {
            Self::Body(error) => Some(error.reason()),
            Self::TooMany => Some(Reason::TooLarge),
            Self::Json(_) | Self::Media(_) | Self::Score { .. } => Some(Reason::Unreadable),
            Self::Origin | Self::Method(_) | Self::Refused(_) => None,
        }
    }
}

/// How often spans are handed on anew because others knew more of them meanwhile.
const MOST_AGAIN: usize = 8;

pub(crate) async fn answer<B: RequestBody>(
    intake: &Intake,
    route: Route,
    request: Request<B>,
) -> Response<Body> {
    let said = match route {
        // Some events may be taken and others not: that is what this status is for.
        Route::Batch => batch(intake, request).await.map(|said| (StatusCode::MULTI_STATUS, said)),
        Route::Scores => scores(intake, request).await.map(|said| (StatusCode::OK, said)),
        Route::Media => media(intake, request).await.map(|said| (StatusCode::CREATED, said)),
        Route::Health => {
            Ok((StatusCode::OK, json!({"status": "OK", "version": env!("CARGO_PKG_VERSION")})))
        }
        Route::Projects => Ok((StatusCode::OK, projects())),
    };
    match said {
        Ok((status, said)) => response(status, &said),
        Err(wrong) => {
            if let Some(reason) = wrong.reason() {
                intake.reject(Protocol::OtlpHttp, reason, 1);
            }
            let name = wrong.status().canonical_reason().unwrap_or("error");
            response(wrong.status(), &json!({"message": wrong.to_string(), "error": name}))
        }
    }
}

/// The SDK asks which project its keys are of, to see whether they are good. Version 2 wants all of it.
fn projects() -> Json {
    let organization = json!({"id": "andon", "name": "Andon"});
    json!({"data": [
        {"id": "andon", "name": "Andon", "metadata": {}, "organization": organization}
    ]})
}

/// A body that a program posted.
async fn posted<B: RequestBody>(
    intake: &Intake,
    request: Request<B>,
) -> Result<(HeaderMap, Held), Wrong> {
    if request.headers().contains_key(ORIGIN) {
        return Err(Wrong::Origin);
    }
    if request.method() != Method::POST {
        return Err(Wrong::Method(request.method().clone()));
    }
    let (head, body) = request.into_parts();
    let encoding = head.headers.get(CONTENT_ENCODING);
    let encoding = encoding.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let unpacked = intake.room.read(body, encoding.as_deref()).await?;
    Ok((head.headers, unpacked))
}

async fn batch<B: RequestBody>(intake: &Intake, request: Request<B>) -> Result<Json, Wrong> {
    let (headers, unpacked) = posted(intake, request).await?;
    let (bytes, _room) = unpacked.into_parts();
    intake.count_request(Protocol::OtlpHttp, bytes.len());
    let (key, mut read) = {
        let request = batch::Request::of(&bytes)?;
        (request.public_key().map(str::to_owned).or_else(|| user(&headers)), request.read())
    };
    drop(bytes);
    let events = std::mem::take(&mut read.events);
    let before = intake.known(intake.langfuse.unknown(&events)).await;
    let outgoing = intake.langfuse.take(events, &key.unwrap_or_default(), before);
    let evaluations = std::mem::take(&mut read.scores);
    let mut handed_on = keep(intake, outgoing, evaluations).await?;
    for _ in 0..MOST_AGAIN {
        let again = intake.langfuse.outdated(&handed_on);
        if again.is_empty() {
            break;
        }
        handed_on = keep(intake, again, Vec::new()).await?;
    }
    for (reason, count) in [(Reason::Unreadable, read.wrong()), (Reason::NotKept, read.not_kept)] {
        intake.reject(Protocol::OtlpHttp, reason, count);
    }
    Ok(read.answer())
}

/// Makes spans of them and waits until these are durable.
async fn keep(
    intake: &Intake,
    outgoing: Vec<Outgoing>,
    evaluations: Vec<Judgement>,
) -> Result<Vec<HandedOn>, Wrong> {
    let (handed_on, spans) = outgoing.into_iter().map(Outgoing::observe).unzip();
    intake.keep(Protocol::OtlpHttp, Batch { spans, evaluations, ..Batch::default() }).await?;
    Ok(handed_on)
}

/// The public key stands for a user's name.
fn user(headers: &HeaderMap) -> Option<String> {
    let basic = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let both = String::from_utf8(BASE64_STANDARD.decode(basic.trim()).ok()?).ok()?;
    both.split_once(':').map(|(user, _)| user.to_owned())
}

async fn media<B: RequestBody>(intake: &Intake, request: Request<B>) -> Result<Json, Wrong> {
    let (_, unpacked) = posted(intake, request).await?;
    let (bytes, _room) = unpacked.into_parts();
    media::answer(&serde_json::from_slice(&bytes)?).map_err(Wrong::Media)
}

async fn scores<B: RequestBody>(intake: &Intake, request: Request<B>) -> Result<Json, Wrong> {
    let (_, unpacked) = posted(intake, request).await?;
    let (bytes, _room) = unpacked.into_parts();
    intake.count_request(Protocol::OtlpHttp, bytes.len());
    let all = read(&bytes)?;
    let mut evaluations = Vec::with_capacity(all.len());
    let mut ids = Vec::with_capacity(all.len());
    for (place, score) in all.into_iter().enumerate() {
        ids.push(score.id.clone().unwrap_or_else(|| SpanId::random().to_string()));
        let judgement = score::judgement(score).map_err(|what| Wrong::Score { place, what })?;
        evaluations.push(judgement);
    }
    intake.keep(Protocol::OtlpHttp, Batch { evaluations, ..Batch::default() }).await?;
    // One was asked for by one id in all versions; of several, the first stands for all.
    Ok(json!({"id": ids.first()}))
}

/// One, or a list.
fn read(bytes: &Bytes) -> Result<Vec<Score>, Wrong> {
    let json: Json = serde_json::from_slice(bytes)?;
    let all = match json {
        Json::Array(all) => all,
        one => vec![one],
    };
    if all.len() > MAX_SCORES {
        return Err(Wrong::TooMany);
    }
    Ok(all.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?)
}

fn response(status: StatusCode, said: &Json) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(said.to_string())));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
