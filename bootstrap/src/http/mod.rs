//! HTTP: the paths, and what goes over them.
//!
//! | Module | What it is |
//! |---|---|
//! | [`serve`] | connections: accepted, limited, encrypted, drained |
//! | [`client`] | where a request really comes from |
//! | [`media`] | the types of bodies |
//!
//! No answer depends on the `Host` header, and nothing that a client sent comes back in one.

pub mod client;
pub mod media;
pub mod serve;

use crate::clock::{Clock, Now};
use crate::desk::Desk;
use crate::store::keeper::Keeper;
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use client::{Observed, Proxies};
use media::Media;
use p2pnet_protocol::discovery::bootstrap::{
    HEARTBEAT_PATH, Heartbeat, IDENTITY_PATH, PEERS_PATH, PUBLIC_IP_PATH, Refusal, RefusalCode,
    Registration, VERIFY_HASH_PATH,
};
use p2pnet_protocol::id::Digest;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Whether the server serves.
pub const HEALTH_PATH: &str = "/health";
/// Numbers for Prometheus.
pub const METRICS_PATH: &str = "/metrics";
/// What the paths are, for programs.
pub const OPENAPI_PATH: &str = "/api/openapi.json";

/// The description of the interface.
pub const OPENAPI: &str = include_str!("openapi.json");

/// What all requests share.
pub struct App {
    /// Where peers are served.
    pub desk: Arc<Desk>,
    /// What time it is.
    pub clock: Clock,
    /// The database.
    pub keeper: Keeper,
    /// Who may say where a request comes from.
    pub proxies: Proxies,
    /// Who may read the metrics.
    pub metrics_token: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("desk", &self.desk).finish_non_exhaustive()
    }
}

/// The interface for everybody.
pub fn public(app: Arc<App>) -> Router {
    let limited = Router::new()
        .route(IDENTITY_PATH, get(identity))
        .route(PEERS_PATH, post(peers))
        .route(HEARTBEAT_PATH, post(heartbeat))
        .route(PUBLIC_IP_PATH, get(public_ip))
        .route(VERIFY_HASH_PATH, get(verify_hash))
        .route(OPENAPI_PATH, get(openapi))
        .layer(middleware::from_fn_with_state(app.clone(), enter));
    let mut router = Router::new().merge(limited).route(HEALTH_PATH, get(health));
    if app.metrics_token.is_some() {
        router = router.route(METRICS_PATH, get(metrics_by_token));
    }
    router
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(middleware::from_fn_with_state(app.clone(), around))
        .with_state(app)
}

/// The interface of the metrics' own listener.
pub fn metrics_only(app: Arc<App>) -> Router {
    Router::new()
        .route(METRICS_PATH, get(metrics))
        .route(HEALTH_PATH, get(health))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(middleware::from_fn_with_state(app.clone(), around))
        .with_state(app)
}

/// Around every request: it has an end, and says how its answer may be used.
async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    app.desk.counts.http_requests.up();
    let time = Duration::from_secs(app.desk.config().limits.request_secs.into());
    let mut answer = match tokio::time::timeout(time, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => {
            let mut late = StatusCode::REQUEST_TIMEOUT.into_response();
            late.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            late
        }
    };
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if app.desk.is_draining() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Before every request that peers make: where it comes from, and whether that may ask now.
async fn enter(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let now = app.clock.now();
    let media = Media::of_reply(request.headers(), Media::Binary);
    let peer = request.extensions().get::<Observed>().copied();
    let from = peer.and_then(|Observed(peer)| app.proxies.client(peer, request.headers()));
    let Some(from) = from else {
        return refused(app.desk.refuse(now, RefusalCode::Malformed), media);
    };
    if let Err(refusal) = app.desk.enter(now, from) {
        return refused(refusal, media);
    }
    request.extensions_mut().insert(Observed(from));
    next.run(request).await
}

async fn identity(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let media = Media::of_reply(&headers, Media::for_anything(&headers));
    media.answer(&*app.desk.identity(app.clock.now()))
}

async fn peers(
    State(app): State<Arc<App>>,
    Extension(Observed(from)): Extension<Observed>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let now = app.clock.now();
    match read::<Registration>(&app, now, &headers, body).await {
        Err(refusal) => refusal,
        Ok((registration, media)) => match app.desk.register(now, from, &registration) {
            Ok(list) => media.answer(&list),
            Err(refusal) => refused(refusal, media),
        },
    }
}

async fn heartbeat(
    State(app): State<Arc<App>>,
    Extension(Observed(from)): Extension<Observed>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let now = app.clock.now();
    let (beat, media) = match read::<Heartbeat>(&app, now, &headers, body).await {
        Err(refusal) => return refusal,
        Ok(read) => read,
    };
    let answered = match app.desk.heartbeat(now, from, &beat) {
        Err(refusal) => return refused(refusal, media),
        Ok(answered) => answered,
    };
    let peer = p2pnet_protocol::PeerId::of(&beat.key);
    for id in answered.received {
        let kept = app.keeper.ask(move |store| store.delivered(&peer, &id)).await;
        if let Err(error) = kept {
            // It comes again, and the peer knows it.
            app.desk.counts.store_errors.up();
            tracing::warn!(target: "p2pnet::bootstrap", %error, "a delivered task stays queued");
        }
    }
    media.answer(&answered.reply)
}

async fn public_ip(Extension(Observed(from)): Extension<Observed>) -> Response {
    plain(format!("{from}\n"))
}

async fn verify_hash(State(app): State<Arc<App>>, request: Request) -> Response {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let hash = pairs.filter_map(|pair| pair.strip_prefix("hash=")).next();
    let Some(Ok(Digest(hash))) = hash.map(str::parse) else {
        let problem = "expected ?hash= and the 64 hex digits of a SHA-256 digest\n";
        return (StatusCode::BAD_REQUEST, problem).into_response();
    };
    match app.keeper.ask(move |store| store.signing(&hash)).await {
        Ok(signing) => plain(format!("{}\n", signing.is_some())),
        Err(error) => {
            app.desk.counts.store_errors.up();
            tracing::warn!(target: "p2pnet::bootstrap", %error, "a hash can't be looked up");
            refused(app.desk.refuse(app.clock.now(), RefusalCode::Busy), Media::Json)
        }
    }
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let (status, word) = match app.desk.is_draining() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        false => (StatusCode::OK, "ok"),
    };
    let body = format!("{{\"status\":\"{word}\"}}\n");
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn metrics_by_token(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let fits = app.metrics_token.as_ref().is_some_and(|token| same(token, given));
    if fits { metrics(State(app)).await } else { StatusCode::UNAUTHORIZED.into_response() }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let (leases, networks, bytes) = {
        let leases = app.desk.leases();
        (leases.len(), leases.networks(), leases.bytes())
    };
    let gauges = [
        ("leases", "Leases.", leases as u64),
        ("networks", "Networks with leases.", networks as u64),
        ("lease_bytes", "Bytes of memory for leases, labels apart.", bytes as u64),
        ("bans", "Bans.", app.desk.bans() as u64),
        ("tasks", "Tasks that wait for their peers.", app.desk.tasks() as u64),
    ];
    plain(app.desk.counts.render(&gauges))
}

/// Compares secrets without telling by the time it takes where they differ.
fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let differences = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && differences == 0
}

fn plain(text: String) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// The answer to whoever isn't served.
fn refused(refusal: Refusal, media: Media) -> Response {
    let mut answer = media.answer(&refusal);
    *answer.status_mut() =
        StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    if refusal.retry_after_secs > 0 {
        answer.headers_mut().insert(RETRY_AFTER, refusal.retry_after_secs.into());
    }
    answer
}

/// Reads a request's body, and says in which type to answer.
async fn read<R: media::Request>(
    app: &App,
    now: Now,
    headers: &HeaderMap,
    body: Body,
) -> Result<(R, Media), Response> {
    let asked = Media::of_request(headers);
    let media = Media::of_reply(headers, asked.unwrap_or(Media::Binary));
    let refuse = |code| refused(app.desk.refuse(now, code), media);
    let asked = asked.ok_or_else(|| refuse(RefusalCode::ContentType))?;
    let most = app.desk.config().limits.body_bytes_max as usize;
    let told = headers.get(CONTENT_LENGTH).and_then(|told| told.to_str().ok()?.parse().ok());
    if told.is_some_and(|told: u64| told > most as u64) {
        return Err(refuse(RefusalCode::TooLarge));
    }
    let bytes = axum::body::to_bytes(body, most).await.map_err(|error| {
        let too_large = std::error::Error::source(&error)
            .is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
        refuse(if too_large { RefusalCode::TooLarge } else { RefusalCode::Malformed })
    })?;
    let read = R::read(asked, &bytes).ok_or_else(|| refuse(RefusalCode::Malformed))?;
    Ok((read, media))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_whole() {
        assert!(same("abc", "abc") && same("", ""));
        assert!(!same("abc", "abd") && !same("abc", "ab") && !same("ab", "abc") && !same("", "a"));
    }

    #[test]
    fn the_description_names_every_path() {
        let described: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let paths: Vec<&str> =
            described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut wanted = [
            IDENTITY_PATH,
            PEERS_PATH,
            HEARTBEAT_PATH,
            PUBLIC_IP_PATH,
            VERIFY_HASH_PATH,
            HEALTH_PATH,
            METRICS_PATH,
            OPENAPI_PATH,
        ];
        wanted.sort_unstable();
        assert_eq!(paths, wanted);
    }
}
