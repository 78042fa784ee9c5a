//! Who may ask: keeps web pages of other origins from using a browser to change this worker.
//!
//! Some routes change things by GET, as in the Java project, so a page could trigger them with an
//! image tag, and a browser or a chat preview could prefetch them. Requests that a browser marks as
//! coming from another origin, or as a prefetch, are refused on those routes. On a loopback address
//! the `Host` header is checked on every route as well: a page whose name was rebound to 127.0.0.1
//! is of the same origin for its browser, and only its name gives it away.
//!
//! Must never stand in for authentication: a program on this machine may send any header it likes.

use axum::extract::{Request, State};
use axum::http::header::{ALLOW, HOST, ORIGIN, REFERER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::Refusal;

/// Which names this server answers to.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// The server listens on a loopback address only.
    pub(crate) loopback: bool,
    /// Further names, lower case, without port.
    pub(crate) hosts: Vec<String>,
}

/// Middleware of every route.
pub(crate) async fn known_host(
    State(guard): State<std::sync::Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    match guard.check_host(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Middleware of the routes that change something.
pub(crate) async fn same_origin(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        // the router would serve HEAD by the GET handler, and that one changes things
        let mut response = Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "HEAD does not change anything; use GET or POST",
        )
        .into_response();
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET,POST"));
        return response;
    }
    match check_origin(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(reason) => {
            tracing::warn!(path = request.uri().path(), reason, "request refused");
            Refusal::new(
                StatusCode::FORBIDDEN,
                format!("refused, nothing was changed: {reason}; send the request from a program or from a page of this server"),
            )
            .into_response()
        }
    }
}

impl Guard {
    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        if !self.loopback {
            return Ok(());
        }
        let Some(authority) = authority(uri, headers) else {
            // HTTP/1.0 programs send none; browsers always do
            return Ok(());
        };
        let name = without_port(authority).to_ascii_lowercase();
        let address = name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>();
        let local = name == "localhost"
            || name.ends_with(".localhost")
            || address.is_ok_and(|ip| ip.is_loopback());
        if local || self.hosts.contains(&name) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!(
                "this worker listens on a loopback address and does not answer to the name `{name}`; add it to `rest.hosts` if it is meant to"
            ),
        ))
    }
}

/// The reason why a request must not change anything, if there is one.
fn check_origin(uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
    if [text(headers, &PURPOSE), text(headers, &SEC_PURPOSE)]
        .into_iter()
        .flatten()
        .any(|it| it.contains("prefetch"))
    {
        return Err("the browser only prefetches");
    }
    match text(headers, &SEC_FETCH_SITE) {
        // `none`: typed into the address bar, or a bookmark
        None | Some("same-origin" | "none") => {}
        // `same-site` too: http://localhost:3000 is of the same site, but not ours
        Some(_) => return Err("the browser says that a page of another site asks"),
    }
    let own = authority(uri, headers);
    for (header, reason) in [
        (ORIGIN, "its Origin is not this server"),
        // older browsers, and plain http addresses other than localhost, come without Sec-Fetch-Site
        (REFERER, "its Referer is not this server"),
    ] {
        let Some(value) = headers.get(&header) else {
            continue;
        };
        let theirs = value.to_str().ok().and_then(authority_of_url);
        if theirs.is_none() || !same_authority(theirs, own) {
            return Err(reason);
        }
    }
    Ok(())
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // a value that is not text is no value a browser sends: treated as foreign by the callers
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// What the client takes this server for: `Host`, or the authority of an absolute request line.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    uri.authority()
        .map(|it| it.as_str())
        .or_else(|| text(headers, &HOST))
}

/// `host:port` of an `http` or `https` URL, the scheme's own port left out.
fn authority_of_url(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let usual = if scheme.eq_ignore_ascii_case("https") {
        ":443"
    } else {
        ":80"
    };
    Some(authority.strip_suffix(usual).unwrap_or(authority)).filter(|it| !it.is_empty())
}

fn same_authority(one: Option<&str>, other: Option<&str>) -> bool {
    let plain =
        |it: Option<&str>| it.map(|it| it.strip_suffix(":80").unwrap_or(it).to_ascii_lowercase());
    plain(one) == plain(other)
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // an IPv6 address in brackets has colons of its own
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn origin(pairs: &[(&'static str, &str)]) -> Result<(), &'static str> {
        check_origin(&Uri::from_static("/connectors/a/stop"), &headers(pairs))
    }

    #[test]
    fn programs_and_own_pages_pass() {
        for pairs in [
            &[("host", "127.0.0.1:8082")][..],
            &[],
            &[("host", "127.0.0.1:8082"), ("sec-fetch-site", "none")],
            &[
                ("host", "127.0.0.1:8082"),
                ("sec-fetch-site", "same-origin"),
                ("origin", "http://127.0.0.1:8082"),
            ],
            &[
                ("host", "connect.example"),
                ("origin", "http://connect.example:80"),
            ],
            &[
                ("host", "Connect.example"),
                ("origin", "https://connect.example"),
                ("referer", "https://connect.example/console/?a=b"),
            ],
        ] {
            assert_eq!(origin(pairs), Ok(()), "{pairs:?}");
        }
    }

    #[test]
    fn pages_of_others_do_not() {
        for pairs in [
            &[("host", "127.0.0.1:8082"), ("sec-fetch-site", "cross-site")][..],
            &[("host", "localhost:8082"), ("sec-fetch-site", "same-site")],
            &[
                ("host", "127.0.0.1:8082"),
                ("origin", "http://evil.example"),
            ],
            &[("host", "127.0.0.1:8082"), ("origin", "null")],
            &[
                ("host", "127.0.0.1:8082"),
                ("origin", "http://127.0.0.1:3000"),
            ],
            &[("origin", "http://evil.example")],
            &[
                ("host", "connect.example:8082"),
                ("referer", "http://evil.example/connect.example:8082"),
            ],
            &[
                ("host", "127.0.0.1:8082"),
                ("sec-purpose", "prefetch;prerender"),
            ],
            &[("host", "127.0.0.1:8082"), ("purpose", "prefetch")],
        ] {
            assert!(origin(pairs).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn a_rebound_name_is_refused_on_loopback_only() {
        let guard = Guard {
            loopback: true,
            hosts: vec!["connect.internal".into()],
        };
        let asks = |guard: &Guard, host: &str| {
            guard.check_host(&Uri::from_static("/"), &headers(&[("host", host)]))
        };
        for host in [
            "localhost",
            "localhost:8082",
            "127.0.0.1:8082",
            "[::1]:8082",
            "[::1]",
            "LOCALHOST:1",
            "a.localhost",
            "Connect.internal:99",
        ] {
            assert!(asks(&guard, host).is_ok(), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8082",
            "127.0.0.1.evil.example",
            "10.0.0.1:8082",
            "notlocalhost",
            "",
        ] {
            assert!(asks(&guard, host).is_err(), "{host}");
        }
        let text = asks(&guard, "evil.example").unwrap_err();
        assert!(text.message().contains("rest.hosts"));
        let open = Guard {
            loopback: false,
            hosts: Vec::new(),
        };
        assert!(asks(&open, "evil.example").is_ok());
        assert!(
            guard
                .check_host(&Uri::from_static("/"), &HeaderMap::new())
                .is_ok()
        );
        assert!(
            guard
                .check_host(
                    &Uri::from_static("http://evil.example/"),
                    &headers(&[("host", "localhost")])
                )
                .is_err()
        );
    }
}
