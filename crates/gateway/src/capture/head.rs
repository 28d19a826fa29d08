//! The heads of a call on their way: what belongs to one connection only stays behind
//! (RFC 9110, section 7.6.1), everything else goes on as it came.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request, response, uri};

use super::upstream::Known;

/// Names that are never passed on.
const HOP_BY_HOP: [HeaderName; 6] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Makes a client's head that of a call to the runtime. `None`: its target is no path.
pub(super) fn forward(head: &mut request::Parts, known: &Known) -> Option<()> {
    let mut target = uri::Parts::default();
    target.scheme = Some(uri::Scheme::HTTP);
    target.authority = Some(known.authority.clone());
    target.path_and_query = head.uri.path_and_query().cloned();
    head.uri = Uri::from_parts(target).ok()?;
    head.version = http::Version::HTTP_11;
    drop_hop_by_hop(&mut head.headers);
    // Andon has asked for the body itself by then.
    head.headers.remove(header::EXPECT);
    head.headers.insert(header::HOST, known.host.clone());
    Some(())
}

/// Makes the runtime's head that of the answer to the client, and says which trace it is.
pub(super) fn backward(head: &mut response::Parts, trace_id: HeaderValue) {
    drop_hop_by_hop(&mut head.headers);
    head.version = http::Version::HTTP_11;
    head.headers.insert(crate::headers::TRACE_ID, trace_id);
    head.extensions.clear();
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    if let Some(connection) = headers.remove(header::CONNECTION) {
        let named = connection.to_str().unwrap_or_default().split(',');
        for name in named.filter_map(|name| name.trim().parse::<HeaderName>().ok()) {
            // Naming these would change what the message is.
            if ![header::CONTENT_LENGTH, header::HOST, header::CONTENT_TYPE].contains(&name) {
                headers.remove(name);
            }
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_connection_stays_and_the_rest_goes_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private, content-length"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("traceparent", "t"),
            ("x-stainless-retry-count", "1"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        drop_hop_by_hop(&mut headers);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "traceparent", "x-stainless-retry-count"]);
    }
}
