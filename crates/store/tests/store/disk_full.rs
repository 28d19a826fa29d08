//! A disk that refuses, for real: a size limit that the kernel sets on every file of a child.

use std::{path::Path, process::Command, thread, time::Duration};

use andon_store::{Config, EmbeddedStore, Store, StoreError};

use crate::support::*;

const FOLDER: &str = "ANDON_TEST_FULL_FOLDER";
const TEST: &str = "disk_full::a_full_disk_refuses_appends_and_keeps_what_it_acknowledged";

#[test]
fn a_full_disk_refuses_appends_and_keeps_what_it_acknowledged() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return fill(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    // The signal that would end the process is ignored, so that the write fails as on a full disk.
    let script = r#"trap '' XFSZ; ulimit -f 128; exec "$0" "$@""#;
    let output = Command::new("bash")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let acknowledged: u64 =
        text.lines().find_map(|line| line.strip_prefix("acknowledged ")).unwrap().parse().unwrap();
    assert!(acknowledged > 5);

    let store = open(folder.path());
    assert_eq!(store.state().replay.faults, [], "no garbage was left behind");
    let mut found = numbers(&page(&store, ""));
    found.sort_unstable();
    assert_eq!(found, (0..acknowledged).collect::<Vec<_>>());
    put(&store, spans(vec![span(acknowledged, 1)]));
}

/// In the child: appends until the disk refuses.
fn fill(folder: &Path) {
    let config = Config { retry_interval: Duration::from_millis(50), ..Config::default() };
    let store = EmbeddedStore::open(folder, config).unwrap();
    let text = incompressible(3_000);
    let mut acknowledged = 0;
    let refusal = loop {
        assert!(acknowledged < 1_000, "the limit was never reached");
        let appended = store.append(with_text(span(acknowledged, acknowledged), &text));
        match appended.and_then(|ack| ack.wait()) {
            Ok(()) => acknowledged += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, StoreError::Unavailable { .. }), "{refusal}");
    assert!(!store.state().healthy);
    assert!(store.state().message.is_some());
    let at_once = store.append(spans(vec![span(9_999, 1)])).err();
    assert!(matches!(at_once, Some(StoreError::Unavailable { .. })));
    // Several tries of its own later it is as it was, and still answers.
    thread::sleep(Duration::from_millis(300));
    assert!(!store.state().healthy);
    assert_eq!(page(&store, "").total_matched, acknowledged);
    assert!(store.trace(id(0)).unwrap().is_some());
    println!("\nacknowledged {acknowledged}");
}
