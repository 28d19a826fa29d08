//! Other proxies, as bare as they can be, to stand beside Andon in the same run. One that is not
//! installed is left out.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::http::Connection;

pub(crate) struct Peer {
    child: Child,
    pub(crate) authority: String,
}

impl Peer {
    /// nginx with one worker; `None` where it is not installed.
    pub(crate) fn nginx(folder: &Path, upstream: &str) -> Result<Option<Self>> {
        let authority = free_authority()?;
        let at = folder.join("nginx");
        fs::create_dir_all(&at)?;
        let at = fs::canonicalize(at)?;
        let root = at.display();
        let config = format!(
            "daemon off; worker_processes 1; pid {root}/pid; error_log {root}/log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {root}/b;\n\
             proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u;\n\
             scgi_temp_path {root}/s; tcp_nodelay on;\n\
             upstream u {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}\n\
             server {{ listen {authority}; location / {{ proxy_pass http://u; proxy_buffering off;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n"
        );
        let file = at.join("conf");
        fs::write(&file, config)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&at).arg("-c").arg(&file);
        Self::start(command, authority, &at, Duration::from_secs(10))
    }

    /// LiteLLM's proxy with one worker and one model; `None` where it is not installed.
    pub(crate) fn litellm(program: &Path, folder: &Path, upstream: &str) -> Result<Option<Self>> {
        let authority = free_authority()?;
        let at = folder.join("litellm");
        fs::create_dir_all(&at)?;
        let file = at.join("config.yaml");
        fs::write(
            &file,
            format!(
                "model_list:\n  - model_name: stub\n    litellm_params:\n      model: openai/stub\n      \
                 api_base: http://{upstream}/v1\n      api_key: none\n"
            ),
        )?;
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        let mut command = Command::new(program);
        command
            .args(["--host", "127.0.0.1", "--port", port, "--num_workers", "1"])
            .args(["--telemetry", "False", "--config"])
            .arg(&file)
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            // Nobody but this program calls it.
            .env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true")
            .env("LITELLM_LOG", "ERROR");
        Self::start(command, authority, &at, Duration::from_secs(120))
    }

    /// Phoenix with its own store, in a folder of its own; `None` where it is not installed.
    pub(crate) fn phoenix(program: &Path, folder: &Path) -> Result<Option<Self>> {
        let (authority, grpc) = (free_authority()?, free_authority()?);
        let at = folder.join("phoenix");
        fs::create_dir_all(&at)?;
        let port = |authority: &str| authority.rsplit_once(':').map(|(_, port)| port.to_owned());
        let mut command = Command::new(program);
        command
            .arg("serve")
            .env("PHOENIX_HOST", "127.0.0.1")
            .env("PHOENIX_PORT", port(&authority).unwrap_or_default())
            .env("PHOENIX_GRPC_PORT", port(&grpc).unwrap_or_default())
            .env("PHOENIX_WORKING_DIR", &at)
            .env("PHOENIX_TELEMETRY_ENABLED", "false");
        Self::start(command, authority, &at, Duration::from_secs(120))
    }

    /// Datadog's test agent, which keeps what it is sent in memory; `None` where it is not installed.
    pub(crate) fn test_agent(program: &Path, folder: &Path) -> Result<Option<Self>> {
        let (authority, otlp, grpc) = (free_authority()?, free_authority()?, free_authority()?);
        let at = folder.join("test-agent");
        fs::create_dir_all(&at)?;
        let port = |authority: &str| authority.rsplit_once(':').map(|(_, port)| port.to_owned());
        let mut command = Command::new(program);
        command
            .current_dir(&at)
            .args(["--port", &port(&authority).unwrap_or_default()])
            .args(["--otlp-http-port", &port(&otlp).unwrap_or_default()])
            .args(["--otlp-grpc-port", &port(&grpc).unwrap_or_default()])
            .args(["--log-level", "ERROR"]);
        Self::start(command, authority, &at, Duration::from_secs(60))
    }

    fn start(
        mut command: Command,
        authority: String,
        folder: &Path,
        patience: Duration,
    ) -> Result<Option<Self>> {
        let started = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("stderr"))?)
            .spawn();
        let Ok(child) = started else { return Ok(None) };
        let mut peer = Self { child, authority };
        let began = Instant::now();
        while Connection::open(&peer.authority).is_err() {
            let ended = peer.child.try_wait()?;
            ensure!(ended.is_none(), "a peer ended: see {}", folder.join("stderr").display());
            ensure!(began.elapsed() < patience, "a peer does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(peer))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Its workers end with it.
        if let Some(pid) =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

fn free_authority() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
