//! `/livez`, `/readyz` and `/metrics` over HTTP.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use doom_bus::Readiness;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    exit::{self, Failure},
    metrics,
    snapshot::Snapshot,
};

#[derive(Clone)]
struct Shared {
    snapshot: Arc<Snapshot>,
    ready: watch::Receiver<Readiness>,
}

/// Binds now, so that a taken port is refused at the start, and returns the server.
pub(crate) async fn serve(
    address: SocketAddr,
    snapshot: Arc<Snapshot>,
    ready: watch::Receiver<Readiness>,
) -> Result<impl Future<Output = ()> + Send + use<>, Failure> {
    let listener = TcpListener::bind(address).await.map_err(|e| {
        Failure::new(exit::USAGE, format!("--http {address} cannot be listened on: {e}; choose another port (0 takes a free one)"))
    })?;
    if let Ok(bound) = listener.local_addr() {
        tracing::info!(address = %bound, "serving /livez, /readyz and /metrics");
    }
    let routes = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).route("/metrics", get(prometheus));
    let app = routes.with_state(Shared { snapshot, ready });
    Ok(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the HTTP probes ended");
        }
    })
}

/// The loop makes progress; the answer's body is the health reply.
async fn livez(State(shared): State<Shared>) -> impl IntoResponse {
    let health = shared.snapshot.take();
    let status = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(health))
}

/// Healthy, and the broker has our subscriptions.
async fn readyz(State(shared): State<Shared>) -> impl IntoResponse {
    let reason = if shared.snapshot.take().healthy {
        match &*shared.ready.borrow() {
            Readiness::Ready if shared.snapshot.is_connected() => return (StatusCode::OK, "ready\n".to_owned()),
            Readiness::Ready | Readiness::NotConnected => match shared.snapshot.refusal() {
                Some(refusal) => format!("no confirmed connection to NATS: {refusal}"),
                None => "no confirmed connection to NATS".to_owned(),
            },
            Readiness::Trapped(stream) => format!("the stream {stream} answers health requests in the agent's place"),
            Readiness::Namesake => "an older agent has the same id".to_owned(),
        }
    } else {
        "the game loop makes no progress".to_owned()
    };
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n"))
}

async fn prometheus(State(shared): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::prometheus(&shared.snapshot))
}
