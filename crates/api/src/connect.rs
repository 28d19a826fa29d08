//! How apps are connected: the lines to paste, for the page that shows them.

use andon_connect::{Door, Language, Place, RECIPES};
use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};

use crate::ApiState;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConnectQuery {
    /// Language of comments: `ja` or `en`.
    lang: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Connections {
    recipes: Vec<Connection>,
}

/// How one app, language or framework is connected.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Connection {
    name: &'static str,
    title: &'static str,
    /// By which door its telemetry comes: `capture`, `otlp` or `datadog`.
    door: &'static str,
    /// `None` where that door is off.
    lines: Option<String>,
}

/// The lines to paste so that an app is seen.
#[utoipa::path(get, path = "/api/v1/connect", tag = "status", params(ConnectQuery),
    responses((status = 200, body = Connections)))]
pub(crate) async fn connect(
    State(state): State<ApiState>,
    Query(query): Query<ConnectQuery>,
) -> Json<Connections> {
    let language = match query.lang.as_deref() {
        Some("ja") => Language::Japanese,
        _ => Language::English,
    };
    let known = &state.0.place;
    let model = state.0.catalog.models().first().map(|model| model.name.clone());
    let place =
        Place { language, model: model.unwrap_or_else(|| known.model.clone()), ..known.clone() };
    let recipes = RECIPES.iter().map(|recipe| {
        let address = match recipe.door {
            Door::Capture => &place.capture,
            Door::Otlp => &place.otlp_http,
            Door::Datadog => &place.datadog,
        };
        Connection {
            name: recipe.name,
            title: recipe.title,
            door: recipe.door.name(),
            lines: (!address.is_empty()).then(|| recipe.lines(&place)),
        }
    });
    Json(Connections { recipes: recipes.collect() })
}
