//! Runtimes beside the main one, and apps with a port of their own: what `[[runtimes]]` and `[[apps]]`
//! of `andon.toml` say.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::values::{address, authority};

/// More of either than anybody has; each of them costs a connection and a look every five seconds.
const MOST: usize = 64;
const MAX_NAME: usize = 64;

/// `[[runtimes]]`, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuntimeTable {
    name: String,
    url: String,
    capture_listen: Option<String>,
}

/// `[[apps]]`, as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppTable {
    name: String,
    capture_listen: String,
    runtime: Option<String>,
}

/// A runtime beside the main one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FurtherRuntime {
    /// The service of its spans.
    pub(crate) name: String,
    /// `host:port`.
    pub(crate) authority: String,
}

/// A port of the capture beside the main one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CapturePort {
    /// Where it stands in `andon.toml`, for messages.
    pub(crate) setting: String,
    pub(crate) listen: SocketAddr,
    /// The name of a further runtime; `None` for the main one.
    pub(crate) runtime: Option<String>,
    /// The app that has the port to itself.
    pub(crate) app: Option<String>,
}

/// Both lists, checked: names are there, short and unique, and every runtime named is one.
pub(super) fn read(
    runtimes: Vec<RuntimeTable>,
    apps: Vec<AppTable>,
) -> anyhow::Result<(Vec<FurtherRuntime>, Vec<CapturePort>)> {
    ensure!(runtimes.len() <= MOST, "runtimes: at most {MOST} are watched");
    ensure!(apps.len() <= MOST, "apps: at most {MOST} have a port of their own");
    let (mut further, mut ports) = (Vec::new(), Vec::new());
    for RuntimeTable { name, url, capture_listen } in runtimes {
        let setting = format!("runtimes.{name}");
        check_name(&setting, &name, further.iter().map(|one: &FurtherRuntime| &one.name))?;
        let authority = authority(&format!("{setting}.url"), &url)?;
        if let Some(listen) = capture_listen {
            let setting = format!("{setting}.capture_listen");
            let listen = address(&setting, &listen)?;
            ports.push(CapturePort { setting, listen, runtime: Some(name.clone()), app: None });
        }
        further.push(FurtherRuntime { name, authority });
    }
    for AppTable { name, capture_listen, runtime } in apps {
        let setting = format!("apps.{name}.capture_listen");
        check_name(&setting, &name, ports.iter().filter_map(|port| port.app.as_ref()))?;
        if let Some(runtime) = &runtime
            && !further.iter().any(|known| known.name == *runtime)
        {
            let known: Vec<_> = further.iter().map(|known| known.name.as_str()).collect();
            bail!(
                "apps.{name}.runtime: there is no {runtime:?} among [[runtimes]] ({}); leave it out \
                 for the main one",
                known.join(", ")
            );
        }
        let listen = address(&setting, &capture_listen).context("apps")?;
        ports.push(CapturePort { setting, listen, runtime, app: Some(name) });
    }
    Ok((further, ports))
}

fn check_name<'a>(
    setting: &str,
    name: &str,
    mut others: impl Iterator<Item = &'a String>,
) -> anyhow::Result<()> {
    let is_plain = |character: char| character.is_alphanumeric() || "-_.".contains(character);
    ensure!(
        !name.is_empty() && name.chars().count() <= MAX_NAME && name.chars().all(is_plain),
        "{setting}: {name:?} is no name; take up to {MAX_NAME} letters, digits, and - _ ."
    );
    ensure!(others.all(|other| other != name), "{setting}: the name is there twice");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Both {
        #[serde(default)]
        runtimes: Vec<RuntimeTable>,
        #[serde(default)]
        apps: Vec<AppTable>,
    }

    fn of(text: &str) -> anyhow::Result<(Vec<FurtherRuntime>, Vec<CapturePort>)> {
        let Both { runtimes, apps } = toml::from_str(text)?;
        read(runtimes, apps)
    }

    const BOX: &str = "[[runtimes]]\nname = \"box\"\nurl = \"http://10.0.0.5:8000\"\n";

    #[test]
    fn a_runtime_and_an_app_have_ports_of_their_own() {
        let (runtimes, ports) = of(&format!(
            "{BOX}capture_listen = \"127.0.0.1:11436\"\n[[apps]]\nname = \"web\"\n\
             capture_listen = \"127.0.0.1:11440\"\nruntime = \"box\"\n"
        ))
        .unwrap();
        assert_eq!(runtimes[0].authority, "10.0.0.5:8000");
        let said: Vec<_> =
            ports.iter().map(|port| (port.runtime.as_deref(), port.app.as_deref())).collect();
        assert_eq!(said, [(Some("box"), None), (Some("box"), Some("web"))]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let message = |text: &str| format!("{:#}", of(text).unwrap_err());
        assert!(message(&format!("{BOX}{BOX}")).contains("twice"));
        let app = "[[apps]]\nname = \"web\"\ncapture_listen = \"127.0.0.1:1\"\nruntime = \"bux\"\n";
        let unknown = message(&format!("{BOX}{app}"));
        assert!(unknown.contains("\"bux\"") && unknown.contains("box"), "{unknown}");
        let nameless = message("[[runtimes]]\nname = \"\"\nurl = \"http://a:1\"\n");
        assert!(nameless.contains("is no name"), "{nameless}");
        assert!(message("[[runtimes]]\nname = \"a\"\nport = 1\n").contains("port"));
    }
}
