//! `andon connect APP`: the lines to paste so that an app is seen.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use andon_connect::{Door, Place, Recipe};
use andon_gateway::{detect, http_client, list_models};
use anyhow::Context;

use crate::{cli::ConnectArgs, config::Config, language::Language};

/// How long to look for a model to name in the lines.
const PATIENCE: Duration = Duration::from_secs(2);
/// Stands where no model was found.
const PLACEHOLDER: &str = "MODEL";

pub(crate) async fn run(args: ConnectArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(*args.settings)?;
    let recipe = Recipe::named(&args.app).context("nothing of this name is known")?;
    let (setting, address) = match recipe.door {
        Door::Capture => ("capture_listen", config.capture_listen),
        Door::Otlp => ("otlp_http_listen", config.receive.otlp_http),
        Door::Datadog => ("datadog_listen", port(&config, "datadog_listen")),
    };
    let address = address.with_context(|| format!("{setting}: it is off"))?;
    let capture = config.capture_listen.map(authority).unwrap_or_default();
    let model = match args.for_model {
        Some(model) => model,
        None => first_model(&capture).await.unwrap_or_else(|| PLACEHOLDER.to_owned()),
    };
    let place = Place {
        model,
        needs_key: config.password.is_some() && !address.ip().is_loopback(),
        ..place(&config)
    };
    crate::config::write_line(&mut std::io::stdout().lock(), &recipe.lines(&place))?;
    Ok(ExitCode::SUCCESS)
}

/// Where this configuration's Andon is, as far as it is not off.
pub(crate) fn place(config: &Config) -> Place {
    let at = |address: Option<SocketAddr>| address.map(authority).unwrap_or_default();
    Place {
        capture: at(config.capture_listen),
        otlp_http: at(config.receive.otlp_http),
        datadog: at(port(config, "datadog_listen")),
        model: PLACEHOLDER.to_owned(),
        needs_key: false,
        language: match config.language {
            Language::Japanese => andon_connect::Language::Japanese,
            Language::English => andon_connect::Language::English,
        },
    }
}

fn port(config: &Config, setting: &str) -> Option<SocketAddr> {
    let port = config.receive.ports().find(|(name, _)| *name == setting);
    port.map(|(_, address)| address)
}

/// An address that stands for all is none to call.
fn authority(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("127.0.0.1:{}", address.port()),
        false => address.to_string(),
    }
}

/// The model that answers by default, else the first one, of the runtime behind a running capture.
async fn first_model(authority: &str) -> Option<String> {
    let client = http_client();
    let look = async {
        let runtime = detect(&client, authority).await.ok()?;
        let models = list_models(&client, &runtime).await.ok()?;
        let default = models.iter().position(|model| model.default).unwrap_or(0);
        models.into_iter().nth(default).map(|model| model.name)
    };
    tokio::time::timeout(PATIENCE, look).await.ok()?
}
