//! When to end: signals, and the death of the parent process.

use std::io::{self, Read};
use std::thread;

use crate::llama;

/// Ends the process once standard input ends. A pipe closes however its other side dies, so this
/// also holds when the parent is killed and can say nothing any more.
pub(crate) fn exit_with_parent() -> io::Result<()> {
    let wait = || {
        let mut buffer = [0; 256];
        let mut input = io::stdin().lock();
        loop {
            match input.read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                _ => {}
            }
        }
        llama::exit_now(0);
    };
    thread::Builder::new().name("parent-watch".into()).spawn(wait).map(|_| ())
}

/// Comes back when the process is asked to end.
pub(crate) async fn asked_to_end() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
