//! `/livez`, `/readyz` and `/metrics` over HTTP.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    exit::{self, Failure},
    metrics,
    snapshot::Snapshot,
};

#[derive(Clone)]
struct Shared {
    snapshot: Arc<Snapshot>,
    ready: watch::Receiver<bool>,
}

/// Binds now, so that a taken port is refused at the start, and returns the server.
pub(crate) async fn serve(
    address: SocketAddr,
    snapshot: Arc<Snapshot>,
    ready: watch::Receiver<bool>,
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
    let healthy = shared.snapshot.take().healthy;
    let connected = shared.snapshot.is_connected() && *shared.ready.borrow();
    match (healthy, connected) {
        (true, true) => (StatusCode::OK, "ready\n"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the game loop makes no progress\n"),
        (_, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: no confirmed connection to NATS\n"),
    }
}

async fn prometheus(State(shared): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::prometheus(&shared.snapshot))
}
