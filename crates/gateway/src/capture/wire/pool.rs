//! Connections to the runtime that wait for their next call.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

use super::super::upstream::Known;

/// Shorter than llama-server's five seconds: a connection that the runtime is about to close must
/// not be given a call.
const MAX_IDLE: Duration = Duration::from_secs(4);
/// How often those that nobody needs are looked at.
const TEND: Duration = Duration::from_secs(1);
const MAX_KEPT: usize = 1_024;
const CONNECT: Duration = Duration::from_secs(10);

struct Idle {
    stream: TcpStream,
    runtime: Arc<Known>,
    since: Instant,
}

#[derive(Default)]
struct Kept {
    /// The last one is taken first: so those that are not needed grow old.
    idle: Vec<Idle>,
    /// Somebody closes those that do.
    is_tended: bool,
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub(in crate::capture) struct Pool(Arc<Mutex<Kept>>);

impl Pool {
    /// A kept connection to this runtime, which was not closed as far as is known: nobody is asked.
    pub(super) fn take(&self, runtime: &Known) -> Option<TcpStream> {
        let mut kept = self.lock();
        while let Some(Idle { stream, runtime: there, since }) = kept.idle.pop() {
            if since.elapsed() > MAX_IDLE {
                // All below are older.
                kept.idle.clear();
                break;
            }
            if there.authority == runtime.authority && is_quiet(&stream) {
                return Some(stream);
            }
        }
        None
    }

    pub(super) fn put(&self, stream: TcpStream, runtime: Arc<Known>) {
        let mut kept = self.lock();
        if kept.idle.len() >= MAX_KEPT {
            return;
        }
        kept.idle.push(Idle { stream, runtime, since: Instant::now() });
        if !std::mem::replace(&mut kept.is_tended, true) {
            tokio::spawn(self.clone().tend());
        }
    }

    /// Closes what has grown old or was closed by the runtime, until nothing is left.
    async fn tend(self) {
        loop {
            tokio::time::sleep(TEND).await;
            let mut kept = self.lock();
            kept.idle.retain(|idle| idle.since.elapsed() <= MAX_IDLE && is_quiet(&idle.stream));
            if kept.idle.is_empty() {
                kept.is_tended = false;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Neither bytes that nobody asked for have come, nor the end.
fn is_quiet(stream: &TcpStream) -> bool {
    // Whoever is woken by this connection from now on is the one who takes it.
    let mut nobody = Context::from_waker(Waker::noop());
    stream.poll_read_ready(&mut nobody).is_pending()
}

pub(super) async fn connect(runtime: &Known) -> io::Result<TcpStream> {
    let authority = &runtime.authority;
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await??;
    // A token is a small packet: without this it would wait for the one before to be confirmed.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn runtime(authority: &str) -> Arc<Known> {
        let host = http::HeaderValue::from_str(authority).unwrap();
        Arc::new(Known { authority: authority.parse().unwrap(), host, info: None })
    }

    #[tokio::test]
    async fn only_an_open_connection_to_the_same_runtime_is_given() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = runtime(&listener.local_addr().unwrap().to_string());
        let pool = Pool::default();
        let mut far = Vec::new();
        for _ in 0..3 {
            pool.put(connect(&here).await.unwrap(), Arc::clone(&here));
            far.push(listener.accept().await.unwrap().0);
        }
        assert!(pool.take(&here).is_some());
        // The last one kept is closed from afar.
        drop(far.remove(1));
        let kept = pool.lock().idle.pop().unwrap();
        std::future::poll_fn(|context| kept.stream.poll_read_ready(context)).await.unwrap();
        pool.lock().idle.push(kept);
        assert!(pool.take(&here).is_some());
        assert!(pool.take(&here).is_none(), "it was thrown away");
        pool.put(connect(&here).await.unwrap(), Arc::clone(&here));
        assert!(pool.take(&runtime("127.0.0.1:1")).is_none());
    }

    #[tokio::test]
    async fn one_that_has_grown_old_is_not_given() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = runtime(&listener.local_addr().unwrap().to_string());
        let pool = Pool::default();
        pool.put(connect(&here).await.unwrap(), Arc::clone(&here));
        pool.lock().idle[0].since -= MAX_IDLE * 2;
        assert!(pool.take(&here).is_none());
    }
}
