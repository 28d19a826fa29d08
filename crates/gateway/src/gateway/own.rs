//! From the gateway to the proxy of the same process and back.

use axum::response::Response;
use serde_json::json;

use super::{record::GatewayRecord, relay::proxy_error};
use crate::{
    answer::Ending,
    failure,
    headers::Caller,
    proxy::{Call, Out, ended_early},
    response, sse,
};

/// Answers with what the call comes to. Dropping the future, or the stream, cancels the call.
pub(super) async fn relay(caller: Caller, mut record: GatewayRecord, call: Box<Call>) -> Response {
    if !caller.wants_stream {
        return whole(&caller, &mut record, call.answer().await);
    }
    let mut events = call.spawn();
    match events.first().await {
        Some(Out::Event(first)) => {
            let head = caller.clone();
            let last = move |end| sse::end(seen_from_here(&caller, &mut record, end));
            response::events(&head, response::call_events(first, events, last))
        }
        Some(Out::End(end)) => whole(&caller, &mut record, *end),
        None => {
            let error = ended_early();
            let timings = record.failed(&error, None);
            failure::response(&caller, &error, &timings)
        }
    }
}

fn whole(caller: &Caller, record: &mut GatewayRecord, end: Ending) -> Response {
    match seen_from_here(caller, record, end) {
        Ok(answer) => response::whole(caller, &answer, &answer.timings),
        Err(failure) => failure::of_body(&failure, caller, &failure.timings),
    }
}

/// Records the end, and words it as the gateway does.
fn seen_from_here(caller: &Caller, record: &mut GatewayRecord, end: Ending) -> Ending {
    match end {
        Ok(mut answer) => {
            answer.timings = record.answered(&answer, true);
            Ok(answer)
        }
        Err(theirs) => {
            let (error, inner) = proxy_error(json!(theirs));
            let timings = record.failed(&error, inner.as_deref());
            Err(Box::new(failure::body(caller, &error, &timings)))
        }
    }
}
