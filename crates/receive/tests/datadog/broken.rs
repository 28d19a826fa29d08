use http::{Method, StatusCode};
use proptest::{prelude::*, sample::Index};

use crate::*;

const PACKED: &str = "application/msgpack";

#[tokio::test]
async fn what_cannot_be_read_says_what_and_where() {
    let receiver = Receiver::new();
    let half = &ARTICLE_NODE[..ARTICLE_NODE.len() / 2];
    let deep = vec![0x91; 100_000];
    let beyond = rmp_serde::to_vec(&serde_json::json!([
        ["", "a"],
        [[[0, 1, 99, 1, 1, 0, 1, 1, 0, {}, {}, 0]]]
    ]))
    .unwrap();
    let cases: [(&str, &str, &[u8], &str); 9] = [
        ("/v0.4/traces", PACKED, half, "at byte "),
        ("/v0.4/traces", PACKED, &deep, "nested too deep"),
        ("/v0.4/traces", PACKED, &[0x91, 0x05], "trace 0: not a list"),
        ("/v0.4/traces", PACKED, &[0xdd, 0xff, 0xff, 0xff, 0xff], "at byte 5"),
        ("/v0.5/traces", PACKED, &beyond, "trace 0, span 0: text 99 of a table of 2"),
        ("/v0.4/traces", "application/json", b"[[{]", "line 1 column 4"),
        (LLM_SPANS, "application/json", b"{}", "no spans"),
        (LLM_SPANS, "application/json", b"[1]", "no spans"),
        (EVALUATIONS, "application/json", b"[1]", "no evaluations"),
    ];
    for (path, kind, body, expected) in cases {
        let (status, said) = receiver.send(Method::POST, path, kind, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
        let message = said["error"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(receiver.rejected(Reason::Unreadable), cases.len() as u64);
    assert!(receiver.spans().is_empty());
    let (long, many) = (vec![b' '; 17 << 20], vec![b'['; (1 << 20) + 1]);
    for body in [long, many] {
        let (status, _) = receiver.send(Method::POST, LLM_SPANS, "application/json", &body).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[tokio::test]
async fn little_that_stands_for_much_is_refused() {
    let receiver = Receiver::new();
    // A text of 2 MB in a hundred places of as many spans.
    let places: std::collections::BTreeMap<u8, u8> = (0..100).map(|at| (at, 1)).collect();
    let mut table = vec![String::new(), "x".repeat(2 << 20)];
    table.resize(100, String::new());
    let row = (1, 1, 1, 1, 1, 0, 1, 1, 0, places, [(); 0], 1);
    let body = rmp_serde::to_vec(&(table, vec![vec![row; 100]])).unwrap();
    let (status, said) = receiver.send(Method::PUT, "/v0.5/traces", PACKED, &body).await;
    assert_eq!(
        (status, said["error"]["code"].as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, Some("too_large"))
    );
    // One call's event, again and again.
    let mut events: Json = serde_json::from_slice(LLM_SPANS_3).unwrap();
    let event = events[0].clone();
    let all = events.as_array_mut().unwrap();
    all.extend(std::iter::repeat_n(event, 50));
    receiver.json(LLM_SPANS, events.to_string().as_bytes()).await;
    assert_eq!(receiver.kept.spans.lock().unwrap().len(), 8);
    assert_eq!(receiver.rejected(Reason::SpanId), 50);
}

fn send(path: &str, kind: &str, body: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let receiver = Receiver::new();
    let sent = receiver.send(Method::POST, path, kind, body);
    // Evaluations wait for spans that do not come; that they are read is enough here.
    let answer =
        runtime.block_on(async { tokio::time::timeout(Duration::from_millis(20), sent).await });
    if let Ok((status, _)) = answer {
        assert!(status != StatusCode::INTERNAL_SERVER_ERROR);
    }
}

const ALL: [(&str, &str, &[u8]); 7] = [
    ("/v0.4/traces", PACKED, ARTICLE_PYTHON),
    ("/v0.4/traces", PACKED, TRACES_4),
    ("/v0.3/traces", PACKED, ARTICLE_NODE),
    ("/v0.5/traces", PACKED, TRACES_3),
    (LLM_SPANS, "application/json", LLM_SPANS_3),
    (EVALUATIONS, "application/json", EVALUATIONS_3),
    (EVALUATIONS, "application/json", EVALUATIONS_4),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_are_borne(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        for path in ["/v0.3/traces", "/v0.4/traces", "/v0.5/traces"] {
            send(path, PACKED, &body);
        }
        for path in ["/v0.4/traces", LLM_SPANS, EVALUATIONS] {
            send(path, "application/json", &body);
        }
    }

    #[test]
    fn changed_bodies_are_borne(
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..12),
        cut in proptest::option::weighted(0.3, any::<Index>()),
        which in 0..ALL.len(),
    ) {
        let (path, kind, body) = ALL[which];
        let mut body = body.to_vec();
        for (at, byte) in &changes {
            let at = at.index(body.len());
            body[at] = *byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        send(path, kind, &body);
    }

    /// JSON of the right shape whose values are of any other type.
    #[test]
    fn values_of_other_types_are_borne(which in 4..ALL.len(), at in any::<Index>(), kind in 0..6usize) {
        let (path, content_type, body) = ALL[which];
        let mut json: Json = serde_json::from_slice(body).unwrap();
        let count = walk(&mut json, &mut |_, _| {});
        let target = at.index(count);
        let values = [Json::Null, true.into(), (-1).into(), 1e300.into(), "x".into(), serde_json::json!([{}])];
        walk(&mut json, &mut |place, value| if place == target { *value = values[kind].clone() });
        send(path, content_type, json.to_string().as_bytes());
    }
}

fn walk(json: &mut Json, visit: &mut impl FnMut(usize, &mut Json)) -> usize {
    fn go(json: &mut Json, count: &mut usize, visit: &mut impl FnMut(usize, &mut Json)) {
        visit(*count, json);
        *count += 1;
        match json {
            Json::Array(all) => all.iter_mut().for_each(|one| go(one, count, visit)),
            Json::Object(map) => map.values_mut().for_each(|one| go(one, count, visit)),
            _ => {}
        }
    }
    let mut count = 0;
    go(json, &mut count, visit);
    count
}
