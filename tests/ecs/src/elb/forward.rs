//! The load balancer itself: an HTTP server on the sandbox's address that hands each request to a healthy target.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::Inner;
use crate::elb::scope::Scope;
use crate::elb::state::{Health, Target};
use crate::elb::tls::{Peer, Secured};

/// Connection-level headers, which are not passed on (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
];
/// An application load balancer's default idle timeout.
const IDLE: Duration = Duration::from_secs(60);
/// More than the tests ever send; keeps one request from filling the memory.
const BODY_LIMIT: usize = 64 << 20;

#[derive(Clone)]
struct ListenerContext {
    inner: Arc<Inner>,
    account: String,
    region: String,
    listener: String,
    port: u16,
    /// `http` or `https`.
    scheme: &'static str,
}

/// Serves a listener on `socket` until the returned handle is dropped.
pub(crate) fn serve(
    scope: &Scope<'_>,
    listener: &str,
    socket: std::net::TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> std::io::Result<oneshot::Sender<()>> {
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let (handle, ended) = oneshot::channel::<()>();
    let context = ListenerContext {
        inner: scope.inner.clone(),
        account: scope.account.to_owned(),
        region: scope.region.to_owned(),
        listener: listener.to_owned(),
        port,
        scheme: if tls.is_some() { "https" } else { "http" },
    };
    let app = axum::Router::new().fallback(forward).with_state(context);
    let app = app.into_make_service_with_connect_info::<Peer>();
    tokio::spawn(async move {
        let server = async {
            match tls {
                Some(tls) => axum::serve(Secured::new(socket, tls), app).await,
                None => axum::serve(socket, app).await,
            }
        };
        tokio::select! {
            _ = server => {}
            _ = ended => {}
        }
    });
    Ok(handle)
}

enum Route {
    To(Target),
    Fixed(Value),
    /// The action, and where the load balancer's listener on that port really answers.
    Redirect(Value, Option<u16>),
    Nowhere,
}

/// The rule's target group by its weights, and in it the next target by round robin. With no healthy target the request
/// goes to any unhealthy one, as an application load balancer "fails open"; with none at all (or only new ones) it goes
/// nowhere.
fn route(context: &ListenerContext, request: &Request) -> Route {
    let mut world = context.inner.world();
    let region = world.region(&context.account, &context.region);
    let Some(index) = region
        .listeners
        .iter()
        .position(|one| one.arn == context.listener)
    else {
        return Route::Nowhere;
    };
    let others: Vec<(String, String, u16)> = region
        .listeners
        .iter()
        .map(|one| (one.balancer.clone(), one.body["Port"].to_string(), one.at))
        .collect();
    let listener = &mut region.listeners[index];
    listener.turn = listener.turn.wrapping_add(1);
    let turn = listener.turn;
    let Some(rule) = listener.rules.iter_mut().find(|rule| rule.takes(request)) else {
        return Route::Nowhere;
    };
    match rule.action()["Type"].as_str() {
        Some("fixed-response") => {
            return Route::Fixed(rule.action()["FixedResponseConfig"].clone());
        }
        Some("redirect") => {
            let config = rule.action()["RedirectConfig"].clone();
            let port = config["Port"].as_str().unwrap_or_default();
            let mut listeners = others.iter();
            let found = listeners.find(|one| one.0 == listener.balancer && one.1 == port);
            let at = found.map(|(_, _, at)| *at);
            return Route::Redirect(config, at);
        }
        _ => {}
    }
    let Some(group) = rule
        .next_group()
        .and_then(|arn| region.groups.iter().find(|one| one.arn == arn))
    else {
        return Route::Nowhere;
    };
    let of = |health| {
        group
            .targets
            .iter()
            .filter(|target| target.health == health)
            .collect::<Vec<_>>()
    };
    let mut targets = of(Health::Healthy);
    if targets.is_empty()
        && group
            .targets
            .iter()
            .all(|target| matches!(target.health, Health::Unhealthy | Health::Draining))
    {
        targets = of(Health::Unhealthy);
    }
    if targets.is_empty() {
        return Route::Nowhere;
    }
    Route::To(targets[turn % targets.len()].clone())
}

async fn forward(
    State(context): State<ListenerContext>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    match route(&context, &request) {
        Route::Nowhere => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "503 Service Temporarily Unavailable",
        ),
        Route::Fixed(config) => fixed(&config),
        Route::Redirect(config, at) => redirect(&config, at, &request),
        Route::To(target) => pass_on(&context, peer.ip(), &target, request).await,
    }
}

async fn pass_on(
    context: &ListenerContext,
    peer: IpAddr,
    target: &Target,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("http://{}:{}{path}", target.address, target.port);
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            "413 Request Entity Too Large",
        );
    };
    let mut headers = without_hop_by_hop(parts.headers);
    let peer = peer.to_string();
    for (name, value) in [
        ("x-forwarded-for", peer.as_str()),
        ("x-forwarded-proto", context.scheme),
        ("x-forwarded-port", &context.port.to_string()),
    ] {
        if let Ok(value) = value.parse() {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let sent = context
        .inner
        .http
        .request(parts.method, url)
        .headers(headers)
        .body(body)
        .timeout(IDLE)
        .send()
        .await;
    match sent {
        Ok(answer) => {
            let (status, headers) = (
                answer.status(),
                without_hop_by_hop(answer.headers().clone()),
            );
            let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response
        }
        Err(error) if error.is_timeout() => {
            plain(StatusCode::GATEWAY_TIMEOUT, "504 Gateway Time-out")
        }
        Err(_) => plain(StatusCode::BAD_GATEWAY, "502 Bad Gateway"),
    }
}

fn without_hop_by_hop(mut headers: HeaderMap) -> HeaderMap {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let page = format!(
        "<html>\r\n<head><title>{text}</title></head>\r\n<body>\r\n<center><h1>{text}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    (
        status,
        [
            (header::SERVER, "awselb/2.0"),
            (header::CONTENT_TYPE, "text/html"),
        ],
        page,
    )
        .into_response()
}

fn status(config: &Value, default: StatusCode) -> StatusCode {
    let code = config["StatusCode"]
        .as_str()
        .map(|code| code.trim_start_matches("HTTP_"));
    code.and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok())
        .unwrap_or(default)
}

fn fixed(config: &Value) -> Response {
    let kind = config["ContentType"]
        .as_str()
        .unwrap_or("text/plain")
        .to_owned();
    let body = config["MessageBody"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (
        status(config, StatusCode::OK),
        [(header::CONTENT_TYPE, kind)],
        body,
    )
        .into_response()
}

/// Fills the placeholders of a redirect action: `https://#{host}:443/#{path}?#{query}`. Where the load balancer has a listener
/// on that port, the redirect leads to the port at which it really answers.
fn redirect(config: &Value, at: Option<u16>, request: &Request) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let part = |name: &str, default: &str| config[name].as_str().unwrap_or(default).to_owned();
    let mut to = format!(
        "{}://{}:{}{}",
        part("Protocol", "#{protocol}").to_lowercase(),
        part("Host", "#{host}"),
        at.map_or_else(|| part("Port", "#{port}"), |at| at.to_string()),
        part("Path", "/#{path}")
    );
    let query = part("Query", "#{query}");
    if !query.is_empty() {
        to = format!("{to}?{query}");
    }
    let to = to
        .replace("#{protocol}", "http")
        .replace("#{host}", host)
        .replace("#{port}", "80")
        .replace("#{path}", request.uri().path().trim_start_matches('/'))
        .replace("#{query}", request.uri().query().unwrap_or_default());
    let to = to.trim_end_matches('?').to_owned();
    (status(config, StatusCode::FOUND), [(header::LOCATION, to)]).into_response()
}
