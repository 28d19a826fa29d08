//! Where telemetry of other programs is received, and how much of it at a time.

use std::{net::SocketAddr, path::PathBuf};

use andon_receive::{BodyLimits, SamplingRules};
use serde::Deserialize;

use super::{Merge, values};

/// `[receive]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReceiveTable {
    max_body_bytes: Option<usize>,
    max_held_bytes: Option<usize>,
    timeout: Option<String>,
    allowed_origins: Option<Vec<String>>,
    datadog_socket: Option<PathBuf>,
    dogstatsd_socket: Option<PathBuf>,
    sampling: SamplingTable,
}

/// `[receive.sampling]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SamplingTable {
    one_in: Option<u64>,
    keep_errors: Option<bool>,
    keep_slower_than: Option<String>,
}

/// Receivers' ports and limits. A port is `None` when it is off.
#[derive(Debug, Clone)]
pub(crate) struct Receive {
    pub(crate) otlp_grpc: Option<SocketAddr>,
    pub(crate) otlp_http: Option<SocketAddr>,
    pub(crate) datadog: Option<SocketAddr>,
    /// UDP, where nobody can be asked for a password.
    pub(crate) dogstatsd: Option<SocketAddr>,
    /// Sockets in the file system, beside the ports.
    pub(crate) datadog_socket: Option<PathBuf>,
    pub(crate) dogstatsd_socket: Option<PathBuf>,
    /// Web pages that may send.
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) limits: BodyLimits,
    pub(crate) sampling: SamplingRules,
}

/// An address as a flag or the environment says it, and as the file does.
pub(super) type Said = (Option<String>, Option<String>);

impl Receive {
    pub(super) fn read(
        table: ReceiveTable,
        otlp_grpc: Said,
        otlp_http: Said,
        datadog: Said,
        dogstatsd: Said,
        merge: &mut Merge,
    ) -> anyhow::Result<Self> {
        let mut port = |name: &'static str, (said, file): Said, default| {
            let text = merge.text(name, said, file, default);
            values::address_or_off(name, &text)
        };
        let otlp_grpc = port("otlp_grpc_listen", otlp_grpc, "127.0.0.1:4317")?;
        let otlp_http = port("otlp_http_listen", otlp_http, "127.0.0.1:4318")?;
        let datadog = port("datadog_listen", datadog, "127.0.0.1:8126")?;
        let dogstatsd = port("dogstatsd_listen", dogstatsd, "127.0.0.1:8125")?;
        if let Some(address) = dogstatsd.filter(|address| !address.ip().is_loopback()) {
            anyhow::bail!(
                "dogstatsd_listen: {address} can be reached from other machines, and the protocol \
                 knows no password; listen on 127.0.0.1"
            );
        }
        let defaults = BodyLimits::default();
        let mut take = |name, said, default| merge.take(name, None, said, default);
        let limits = BodyLimits {
            max_body_bytes: take(
                "receive.max_body_bytes",
                table.max_body_bytes,
                defaults.max_body_bytes,
            ),
            max_held_bytes: take(
                "receive.max_held_bytes",
                table.max_held_bytes,
                defaults.max_held_bytes,
            ),
            timeout: values::duration(
                "receive.timeout",
                &merge.text("receive.timeout", None, table.timeout, "30s"),
            )?,
        };
        let sampling = sampling(table.sampling, merge)?;
        let origins = table.allowed_origins;
        let allowed_origins = merge.take("receive.allowed_origins", None, origins, Vec::new());
        let mut socket = |name, said| merge.take(name, None, Some(said), None);
        let datadog_socket = socket("receive.datadog_socket", table.datadog_socket);
        let dogstatsd_socket = socket("receive.dogstatsd_socket", table.dogstatsd_socket);
        Ok(Self {
            datadog_socket,
            dogstatsd_socket,
            otlp_grpc,
            otlp_http,
            datadog,
            dogstatsd,
            allowed_origins,
            limits,
            sampling,
        })
    }

    /// All ports, by the names of their settings.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        let ports = [
            ("otlp_grpc_listen", self.otlp_grpc),
            ("otlp_http_listen", self.otlp_http),
            ("datadog_listen", self.datadog),
            ("dogstatsd_listen", self.dogstatsd),
        ];
        ports.into_iter().filter_map(|(name, address)| Some((name, address?)))
    }
}

fn sampling(table: SamplingTable, merge: &mut Merge) -> anyhow::Result<SamplingRules> {
    const SLOWER: &str = "receive.sampling.keep_slower_than";
    let defaults = SamplingRules::default();
    let one_in = merge.take("receive.sampling.one_in", None, table.one_in, defaults.one_in);
    anyhow::ensure!(one_in > 0, "receive.sampling.one_in: 1 keeps all traces; 0 is none of them");
    let errors = table.keep_errors;
    let keep_errors =
        merge.take("receive.sampling.keep_errors", None, errors, defaults.keep_errors);
    let slower = merge.text(SLOWER, None, table.keep_slower_than, "5s");
    let keep_slower_than =
        if slower == "off" { None } else { Some(values::duration(SLOWER, &slower)?) };
    Ok(SamplingRules { one_in, keep_errors, keep_slower_than })
}
