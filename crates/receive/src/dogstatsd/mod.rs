//! DogStatsD: lines of text in datagrams, added up for ten seconds and kept as points.
//!
//! Nobody hears whether a datagram was taken, so nothing is acknowledged: what waits for the end of its
//! ten seconds is lost with the process, as it is with any agent.

mod line;
mod series;

use std::{
    net::UdpSocket as StdUdpSocket,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use andon_model::{Span, UnixNanos};
use tokio::{
    net::{UdpSocket, UnixDatagram},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use self::series::Series;
use crate::intake::{Batch, Intake, Protocol, Reason};

/// As long as Datadog's agent takes.
const INTERVAL: Duration = Duration::from_secs(10);
/// Larger than a datagram can be.
const DATAGRAM_BYTES: usize = 64 << 10;

/// What lines add up to, whoever brings them.
pub struct Dogstatsd {
    intake: Intake,
    series: Mutex<(Series, UnixNanos)>,
}

impl Dogstatsd {
    pub fn new(intake: Intake) -> Self {
        Self { intake, series: Mutex::new((Series::default(), Span::now_ns())) }
    }

    /// Takes the lines of one datagram, or of one body.
    pub fn take(&self, bytes: &[u8]) {
        self.intake.count_request(Protocol::Dogstatsd, bytes.len());
        let now_ns = Span::now_ns();
        let text = String::from_utf8_lossy(bytes);
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines().filter(|line| !line.is_empty()) {
            let reason = match line::read(line) {
                None => Reason::Unreadable,
                Some(line) if series.0.add(&line, now_ns) => continue,
                Some(_) => Reason::Busy,
            };
            self.intake.reject(Protocol::Dogstatsd, reason, 1);
        }
    }

    /// Keeps what was added up so far.
    pub async fn flush(&self) {
        let now_ns = Span::now_ns();
        let (series, from_ns) = {
            let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *series, (Series::default(), now_ns))
        };
        if series.is_empty() {
            return;
        }
        let batch = Batch { metrics: series.finish(from_ns, now_ns), ..Batch::default() };
        // What cannot be kept is counted there.
        if let Err(error) = self.intake.keep(Protocol::Dogstatsd, batch).await {
            tracing::warn!(%error, "metrics of ten seconds were not stored");
        }
    }

    /// Keeps every ten seconds, and at the end what there is.
    pub async fn flush_until(&self, stop: CancellationToken) {
        let mut every = tokio::time::interval_at(Instant::now() + INTERVAL, INTERVAL);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => self.flush().await,
                () = stop.cancelled() => return self.flush().await,
            }
        }
    }

    /// Reads a socket until it is to stop.
    ///
    /// # Errors
    /// Where the socket cannot be used.
    pub async fn listen(
        &self,
        socket: StdUdpSocket,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        socket.set_nonblocking(true)?;
        self.read(UdpSocket::from_std(socket)?, stop).await;
        Ok(())
    }

    /// As [`Self::listen`], of a socket in the file system.
    ///
    /// # Errors
    /// As [`Self::listen`].
    pub async fn listen_here(
        &self,
        socket: std::os::unix::net::UnixDatagram,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        socket.set_nonblocking(true)?;
        self.read(UnixDatagram::from_std(socket)?, stop).await;
        Ok(())
    }

    async fn read(&self, socket: impl Datagrams, stop: CancellationToken) {
        let mut datagram = vec![0; DATAGRAM_BYTES];
        loop {
            tokio::select! {
                read = socket.next(&mut datagram) => match read {
                    Ok(bytes) => self.take(&datagram[..bytes]),
                    Err(error) => tracing::debug!(%error, "a datagram could not be read"),
                },
                () = stop.cancelled() => return,
            }
        }
    }
}

/// A socket that gives one datagram at a time.
trait Datagrams: Send + Sync {
    fn next(&self, into: &mut [u8]) -> impl Future<Output = std::io::Result<usize>> + Send;
}

impl Datagrams for UdpSocket {
    fn next(&self, into: &mut [u8]) -> impl Future<Output = std::io::Result<usize>> + Send {
        self.recv(into)
    }
}

impl Datagrams for UnixDatagram {
    fn next(&self, into: &mut [u8]) -> impl Future<Output = std::io::Result<usize>> + Send {
        self.recv(into)
    }
}
