//! The pages, embedded in the binary. `cargo build` runs no Node: where the real pages were not
//! built, a placeholder says how to build them.

use axum::{
    Router,
    body::Body,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use rust_embed::Embed;

#[derive(Embed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Assets;

const PLACEHOLDER: &str = include_str!("placeholder.html");
const CHAT: &str = "index.html";
const DASHBOARD: &str = "andon/index.html";

/// No script, style or picture from anywhere else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; \
    form-action 'self'";

/// Whether this binary holds the real pages. A release must.
pub fn has_real_pages() -> bool {
    Assets::get(CHAT).is_some() && Assets::get(DASHBOARD).is_some()
}

/// The chat page at `/`, the dashboard below `/andon/`, their assets.
pub fn pages() -> Router {
    Router::new()
        .route("/", get(|| async { page(CHAT) }))
        .route("/andon", get(|| async { Redirect::permanent("/andon/") }))
        .route("/andon/", get(|| async { page(DASHBOARD) }))
        .route("/andon/{*path}", get(|| async { page(DASHBOARD) }))
        .route("/assets/{*path}", get(asset))
        .route("/favicon.svg", get(|| async { file("favicon.svg", "no-cache") }))
}

async fn asset(Path(path): Path<String>) -> Response {
    // Names carry a hash of what is in them.
    file(&format!("assets/{path}"), "public, max-age=31536000, immutable")
}

fn page(name: &str) -> Response {
    let mut response = match Assets::get(name) {
        Some(_) => file(name, "no-cache"),
        None => axum::response::Html(PLACEHOLDER).into_response(),
    };
    let headers = response.headers_mut();
    headers
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn file(name: &str, cache: &'static str) -> Response {
    let Some(file) = Assets::get(name) else {
        return (StatusCode::NOT_FOUND, "not found").into_response();
    };
    let mut response = Response::new(Body::from(file.data));
    let headers = response.headers_mut();
    if let Ok(mime) = HeaderValue::from_str(file.metadata.mimetype()) {
        headers.insert(header::CONTENT_TYPE, mime);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}
