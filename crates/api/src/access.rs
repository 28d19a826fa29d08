//! The door: which host names and origins may ask, and the password where one is set.
//!
//! On loopback there is no password, so a web page of a stranger must not be able to ask in the
//! user's browser: `Host` must be a name of this machine (against DNS rebinding), `Origin` must be
//! this origin or an allowed one. The chat routes also take pages of other loopback ports, because
//! the original's page may be served by any small server beside Andon.

use std::{collections::HashSet, future::Future, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use andon_gateway::{Admitted, Denied, Door};
use andon_model::is_loopback;
use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::error::{ApiErrorCode, ErrorBody};

/// Where clients of Anthropic's API put their key.
const API_KEY: &str = "x-api-key";
const COOKIE: &str = "andon_session";
const SESSION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Every wrong password costs this long; guesses do not run in parallel for one door.
const WRONG_PASSWORD: Duration = Duration::from_millis(500);
const MAX_LOGIN_BODY: usize = 4 << 10;
const UNKNOWN_HOST: &str =
    "this Host is not a name of this machine; add it to allowed_hosts in andon.toml";
const LOGIN_PAGE: &str = include_str!("login.html");

/// A password, never printed.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// `None` for an empty one. A trailing line break, as files have it, is not part of it.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim_end_matches(['\r', '\n']);
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }
}

/// Who may come in. Cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Rules>);

struct Rules {
    password: Option<Password>,
    /// Signs sessions; new at every start, so a restart asks again.
    key: [u8; 32],
    hosts: HashSet<String>,
    origins: HashSet<String>,
    chat_routes: HashSet<String>,
    guesses: tokio::sync::Mutex<()>,
}

impl Access {
    /// `hosts`: further host names; `origins`: further origins, such as `https://chat.example`;
    /// `chat_routes`: paths that pages of other loopback ports may call.
    pub fn new(
        password: Option<Password>,
        hosts: impl IntoIterator<Item = String>,
        origins: impl IntoIterator<Item = String>,
        chat_routes: impl IntoIterator<Item = String>,
    ) -> Self {
        Self(Arc::new(Rules {
            password,
            key: rand::random(),
            hosts: hosts.into_iter().map(|host| host.to_lowercase()).collect(),
            origins: origins.into_iter().collect(),
            chat_routes: chat_routes.into_iter().collect(),
            guesses: tokio::sync::Mutex::new(()),
        }))
    }
}

/// The door for programs that call a runtime through Andon: no login, no page. The password comes
/// where their clients have a key for it, and goes no further than here.
impl Door for Access {
    fn admit<'h>(&self, header: &dyn Fn(&str) -> Option<&'h [u8]>) -> Result<Admitted, Denied> {
        let rules = &self.0;
        let denied = |status, code, message| Denied { status, code, message, is_guess: false };
        let host = header(header::HOST.as_str()).and_then(|host| std::str::from_utf8(host).ok());
        if !host.is_some_and(|host| rules.knows_host(host)) {
            return Err(denied(StatusCode::FORBIDDEN, "forbidden", UNKNOWN_HOST));
        }
        if rules.password.is_none() {
            return Ok(Admitted { strips_key: false });
        }
        match rules.has_key(header(header::AUTHORIZATION.as_str()), header(API_KEY)) {
            Some(true) => Ok(Admitted { strips_key: true }),
            key => Err(Denied {
                is_guess: key.is_some(),
                ..denied(
                    StatusCode::UNAUTHORIZED,
                    "unauthorized",
                    "Andon's password is needed, as the client's API key",
                )
            }),
        }
    }

    fn wrong_key(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.wrong_password())
    }
}

impl Rules {
    fn knows_host(&self, host: &str) -> bool {
        let name = andon_model::host_of(host);
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return true;
        }
        let name = name.to_lowercase();
        name == "localhost" || name.ends_with(".localhost") || self.hosts.contains(&name)
    }

    fn allows_origin(&self, origin: &str, host: Option<&str>, path: &str) -> bool {
        let Some(authority) = origin.split_once("://").map(|(_, authority)| authority) else {
            return false;
        };
        host == Some(authority)
            || self.origins.contains(origin)
            || (self.chat_routes.contains(path) && is_loopback(authority))
    }

    fn session(&self, expires_s: u64) -> String {
        format!("{expires_s}.{}", hex(&self.sign(expires_s)))
    }

    fn sign(&self, expires_s: u64) -> Vec<u8> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return Vec::new() };
        mac.update(&expires_s.to_le_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    fn is_session(&self, cookie: &str) -> bool {
        let Some((expires_s, signature)) = cookie.split_once('.') else { return false };
        let Ok(expires_s) = expires_s.parse::<u64>() else { return false };
        let expected = hex(&self.sign(expires_s));
        expires_s > now_s() && bool::from(expected.as_bytes().ct_eq(signature.as_bytes()))
    }

    fn is_password(&self, given: &[u8]) -> bool {
        self.password
            .as_ref()
            .is_some_and(|password| bool::from(password.0.as_bytes().ct_eq(given)))
    }

    async fn wrong_password(&self) {
        let _one_at_a_time = self.guesses.lock().await;
        tokio::time::sleep(WRONG_PASSWORD).await;
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let cookies =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| name == COOKIE && self.is_session(value))
    }

    /// `Authorization: Bearer PASSWORD`, or `x-api-key`, for programs. Bytes, not text: a password
    /// may hold any character, and clients send it as UTF-8.
    fn has_key(&self, authorization: Option<&[u8]>, api_key: Option<&[u8]>) -> Option<bool> {
        let bearer = authorization.and_then(|value| value.strip_prefix(b"Bearer "));
        bearer.or(api_key).map(|key| self.is_password(key))
    }
}

/// The middleware. Everything behind it is for those who may come in.
pub async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    let rules = &access.0;
    let path = request.uri().path().to_owned();
    let host = host_of(&request);
    if !host.as_deref().is_some_and(|host| rules.knows_host(host)) {
        return forbidden(UNKNOWN_HOST);
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let origin_text = origin.as_ref().and_then(|value| value.to_str().ok());
    if let Some(origin) = origin_text
        && !rules.allows_origin(origin, host.as_deref(), &path)
    {
        return forbidden("this Origin may not ask; add it to allowed_origins in andon.toml");
    }
    let is_foreign = origin_text.and_then(authority) != host.as_deref();
    let foreign = origin.filter(|_| is_foreign);
    if let (Some(origin), &Method::OPTIONS) = (&foreign, request.method()) {
        return preflight(origin);
    }
    let mut response = match admit(rules, request).await {
        Ok(request) => next.run(request).await,
        Err(refused) => *refused,
    };
    if let Some(origin) = foreign {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("x-trace-id, x-request-id, server-timing, retry-after"),
        );
    }
    response
}

/// Lets a request through, or answers it: the login page, the login, a refusal.
async fn admit(rules: &Rules, request: Request) -> Result<Request, Box<Response>> {
    let path = request.uri().path();
    if rules.password.is_none() || path == "/healthz" {
        return Ok(request);
    }
    if path == "/login" && request.method() == Method::POST {
        return Err(Box::new(log_in(rules, request.into_body()).await));
    }
    let headers = request.headers();
    let bytes = |name| headers.get(name).map(HeaderValue::as_bytes);
    let key = rules.has_key(bytes(header::AUTHORIZATION.as_str()), bytes(API_KEY));
    if key == Some(true) || rules.has_session(request.headers()) {
        return Ok(request);
    }
    if key == Some(false) {
        rules.wrong_password().await;
    }
    let wants_page = request.method() == Method::GET
        && request
            .headers()
            .get(header::ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
    Err(Box::new(if wants_page {
        login_page(StatusCode::UNAUTHORIZED, "")
    } else {
        let error = "a password is needed: Authorization: Bearer PASSWORD".to_owned();
        let body = axum::Json(ErrorBody { error, code: ApiErrorCode::Unauthorized });
        let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
        (StatusCode::UNAUTHORIZED, challenge, body).into_response()
    }))
}

async fn log_in(rules: &Rules, body: Body) -> Response {
    let Ok(body) = axum::body::to_bytes(body, MAX_LOGIN_BODY).await else {
        return login_page(StatusCode::PAYLOAD_TOO_LARGE, "");
    };
    // Read as a query string: the form's encoding is the same.
    let uri: Option<Uri> = format!("/?{}", String::from_utf8_lossy(&body)).parse().ok();
    let given = uri.and_then(|uri| {
        axum::extract::Query::<std::collections::HashMap<String, String>>::try_from_uri(&uri)
            .ok()
            .and_then(|mut fields| fields.0.remove("password"))
    });
    let _one_at_a_time = rules.guesses.lock().await;
    if !given.is_some_and(|given| rules.is_password(given.as_bytes())) {
        tokio::time::sleep(WRONG_PASSWORD).await;
        return login_page(StatusCode::UNAUTHORIZED, "is-wrong");
    }
    let expires_s = now_s() + SESSION.as_secs();
    let cookie = format!(
        "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}",
        rules.session(expires_s),
        SESSION.as_secs()
    );
    let mut response = Redirect::to("/").into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn login_page(status: StatusCode, class: &str) -> Response {
    let page = LOGIN_PAGE.replace("{class}", class);
    (status, axum::response::Html(page)).into_response()
}

fn forbidden(error: &str) -> Response {
    let body = axum::Json(ErrorBody { error: error.to_owned(), code: ApiErrorCode::Forbidden });
    (StatusCode::FORBIDDEN, body).into_response()
}

fn preflight(origin: &HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, traceparent, tracestate, x-request-id, x-session-id, x-user-id, \
             x-datadog-trace-id, x-datadog-parent-id, x-datadog-origin, x-datadog-sampling-priority",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
        (header::VARY, "origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn host_of<B>(request: &http::Request<B>) -> Option<String> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    header
        .or_else(|| request.uri().authority().map(|authority| authority.as_str()))
        .map(str::to_owned)
}

fn authority(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, authority)| authority)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now_s() -> u64 {
    andon_model::Span::now_ns() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Access {
        let strings = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        Access::new(
            Password::new("open sesame\n"),
            strings(&["andon.example"]),
            strings(&["https://chat.example"]),
            strings(&["/chat"]),
        )
    }

    #[test]
    fn a_rebound_name_is_not_this_machine() {
        let access = rules();
        for host in ["127.0.0.1:3000", "[::1]:3000", "localhost:3000", "Andon.example", "10.0.0.2"]
        {
            assert!(access.0.knows_host(host), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:3000"] {
            assert!(!access.0.knows_host(host), "{host}");
        }
    }

    #[test]
    fn a_programs_key_opens_the_door_and_goes_no_further() {
        let access = rules();
        let admit = |host: &'static str, key: Option<(&str, &'static str)>| {
            access.admit(&|name| match name {
                "host" => Some(host.as_bytes()),
                name => key.filter(|(named, _)| *named == name).map(|(_, key)| key.as_bytes()),
            })
        };
        let open = Ok(Admitted { strips_key: true });
        assert_eq!(admit("localhost", Some(("authorization", "Bearer open sesame"))), open);
        assert_eq!(admit("localhost", Some(("x-api-key", "open sesame"))), open);
        for (key, is_guess) in [(None, false), (Some(("x-api-key", "open")), true)] {
            let denied = admit("localhost", key).unwrap_err();
            assert_eq!((denied.status, denied.is_guess), (StatusCode::UNAUTHORIZED, is_guess));
        }
        let strange = admit("evil.example", Some(("x-api-key", "open sesame"))).unwrap_err();
        assert_eq!((strange.status, strange.is_guess), (StatusCode::FORBIDDEN, false));
        assert_eq!(access.admit(&|_| None).unwrap_err().status, StatusCode::FORBIDDEN);
    }

    #[test]
    fn strange_origins_may_not_ask_and_loopback_pages_only_chat() {
        let access = rules();
        let host = Some("127.0.0.1:3000");
        assert!(access.0.allows_origin("http://127.0.0.1:3000", host, "/api/v1/traces"));
        assert!(access.0.allows_origin("http://localhost:8080", host, "/chat"));
        assert!(!access.0.allows_origin("http://localhost:8080", host, "/api/v1/traces"));
        assert!(access.0.allows_origin("https://chat.example", host, "/api/v1/traces"));
        for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
            assert!(!access.0.allows_origin(origin, host, "/chat"), "{origin}");
        }
    }

    #[test]
    fn sessions_are_signed_and_end() {
        let access = rules();
        let good = access.0.session(now_s() + 10);
        assert!(access.0.is_session(&good));
        assert!(!access.0.is_session(&access.0.session(now_s() - 1)));
        assert!(!access.0.is_session(&good.replace('.', "9.")));
        assert!(!rules().0.is_session(&good));
        assert!(access.0.is_password(b"open sesame"));
        assert!(!access.0.is_password(b"open"));
    }
}
