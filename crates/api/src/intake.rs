//! What other programs send: where it is received, and what became of it.

use std::net::SocketAddr;

use andon_receive::{IntakeCounts, Protocol};
use axum::{Json, extract::State};
use serde::Serialize;

use crate::ApiState;

/// Where a protocol is received.
#[derive(Debug, Clone, Copy)]
pub struct ReceivePort {
    pub protocol: Protocol,
    /// `None` where it is off, or another program has the port.
    pub address: Option<SocketAddr>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IntakeState {
    doors: Vec<IntakeDoor>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IntakeDoor {
    #[schema(value_type = Option<String>)]
    address: Option<SocketAddr>,
    #[serde(flatten)]
    counts: IntakeCounts,
}

/// What came in since the start, by protocol, and what was rejected and why.
#[utoipa::path(get, path = "/api/v1/intake", tag = "status",
    responses((status = 200, body = IntakeState)))]
pub(crate) async fn intake(State(state): State<ApiState>) -> Json<IntakeState> {
    let ports = &state.0.receive_ports;
    let door = |counts: IntakeCounts| {
        let port = ports.iter().find(|port| port.protocol == counts.protocol);
        IntakeDoor { address: port.and_then(|port| port.address), counts }
    };
    Json(IntakeState { doors: state.0.intake.counts().into_iter().map(door).collect() })
}
