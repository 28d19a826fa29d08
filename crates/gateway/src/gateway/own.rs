//! From the gateway to the proxy of the same process and back.

use axum::response::Response;
use serde_json::json;

use super::{record::GatewayRecord, relay::proxy_error};
use crate::{answer::Ending, failure, headers::Caller, proxy::Call, response};

/// Answers with what the call comes to. Dropping the future, or the stream, cancels the call.
pub(super) async fn relay(caller: Caller, mut record: GatewayRecord, call: Box<Call>) -> Response {
    let own = caller.clone();
    response::of_call(caller, call, move |end| seen_from_here(&own, &mut record, end)).await
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
