//! Requests by HTTP and HTTPS, done by helper threads.
//!
//! Nothing is followed: neither redirections, which would let a server choose whom a node asks next, nor proxies, since a
//! bootstrap server shall see the node's own address. Times, headers and bodies are bounded. Certificates are held against
//! the operating system's store.

use p2pnet_protocol::Answer;
use p2pnet_protocol::io::{Fetch, Fetched};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use ureq::config::IpFamily;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// How long one request may take, the name's resolution included.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Headers of an answer are never larger.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What a node's requests share: connections that are still open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetcher(Arc<OnceLock<Agent>>);

impl Fetcher {
    /// Does what is asked, however long that takes. Never call it on the loop's thread.
    pub(crate) fn answer(&self, request: &Fetch) -> Answer {
        match self.fetch(request) {
            Ok(fetched) => Answer::Fetched(fetched),
            Err(error) => {
                tracing::debug!(
                    target: "p2pnet::bootstrap", url = %request.url, %error, "fetch failed"
                );
                Answer::Failed
            }
        }
    }

    fn fetch(&self, request: &Fetch) -> Result<Fetched, ureq::Error> {
        let agent = self.0.get_or_init(agent);
        let family = if request.ipv4_only { IpFamily::Ipv4Only } else { IpFamily::Any };
        let mut answer = match &request.body {
            None => {
                let get = agent.get(&request.url).header("accept", request.media_type);
                get.config().ip_family(family).build().call()?
            }
            Some(body) => {
                let post = agent.post(&request.url).header("accept", request.media_type);
                let post = post.header("content-type", request.media_type);
                post.config().ip_family(family).build().send(&body[..])?
            }
        };
        let media_type = answer.headers().get("content-type").and_then(|text| text.to_str().ok());
        let media_type = media_type.unwrap_or_default();
        let media_type: String = media_type.chars().take(Fetched::MEDIA_TYPE_BYTES_MAX).collect();
        let status = answer.status().as_u16();
        let body = read(answer.body_mut(), request.bytes_max)?;
        Ok(Fetched { status, media_type, body })
    }
}

/// The body, if it isn't too long.
fn read(body: &mut Body, bytes_max: u32) -> Result<Vec<u8>, ureq::Error> {
    // One more than may come tells a body that is too long from one that fits exactly.
    let bytes = body.with_config().limit(u64::from(bytes_max) + 1).read_to_vec()?;
    if bytes.len() > bytes_max as usize {
        return Err(ureq::Error::Io(io::Error::other("the answer is too long")));
    }
    Ok(bytes)
}

fn agent() -> Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(target: "p2pnet::bootstrap", %error, "a certificate of the system's store can't be used");
    }
    let roots = found.certs.iter().map(|root| Certificate::from_der(root).to_owned());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(HEAD_BYTES_MAX)
        .max_idle_connections(4)
        .proxy(None)
        .user_agent(concat!("p2pnet/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    fn get(url: String, bytes_max: u32) -> Fetch {
        Fetch { url, body: None, media_type: "text/plain", bytes_max, ipv4_only: true }
    }

    /// Answers one request with `answer_with`, and gives what was asked and what came of it.
    fn exchange(mut request: Fetch, answer_with: &'static [u8]) -> (String, Answer) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        request.url = format!("http://{}/ip", listener.local_addr().unwrap());
        let wanted = request.body.as_ref().map_or(0, |body| body.len());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let end = |asked: &[u8]| asked.windows(4).position(|four| four == b"\r\n\r\n");
            while end(&asked).is_none_or(|end| asked.len() < end + 4 + wanted) {
                let mut some = [0; 512];
                let n = stream.read(&mut some).unwrap();
                asked.extend_from_slice(&some[..n]);
            }
            stream.write_all(answer_with).unwrap();
            String::from_utf8(asked).unwrap()
        });
        let got = Fetcher::default().answer(&request);
        (server.join().unwrap(), got)
    }

    fn fetched(status: u16, media_type: &str, body: &[u8]) -> Answer {
        Answer::Fetched(Fetched { status, media_type: media_type.into(), body: body.to_vec() })
    }

    #[test]
    fn bodies_arrive_whole_or_not_at_all() {
        let asked = |bytes_max| get(String::new(), bytes_max);
        let ok =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n192.0.2.1";
        let (said, got) = exchange(asked(9), ok);
        assert!(said.starts_with("GET /ip HTTP/1.1\r\n"), "{said}");
        assert!(said.to_lowercase().contains("accept: text/plain\r\n"), "{said}");
        assert_eq!(got, fetched(200, "text/plain", b"192.0.2.1"));
        assert_eq!(exchange(asked(8), ok).1, Answer::Failed, "too long");
        let endless = b"HTTP/1.1 200 OK\r\n\r\n192.0.2.1192.0.2.1";
        assert_eq!(exchange(asked(9), endless).1, Answer::Failed, "too long, and no length told");
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n192.0.2.1";
        assert_eq!(exchange(asked(100), short).1, Answer::Failed, "cut");
        assert_eq!(exchange(asked(100), b"nonsense\r\n\r\n").1, Answer::Failed);
    }

    #[test]
    fn bodies_are_posted_and_refusals_are_answers() {
        let request = Fetch {
            body: Some(bytes::Bytes::from_static(b"hello")),
            media_type: "application/vnd.p2pnet.v1",
            ..get(String::new(), 100)
        };
        let busy = b"HTTP/1.1 503 Busy\r\nContent-Type: application/vnd.p2pnet.v1\r\nContent-Length: 2\r\n\r\nno";
        let (said, got) = exchange(request, busy);
        assert!(
            said.starts_with("POST /ip HTTP/1.1\r\n") && said.ends_with("\r\n\r\nhello"),
            "{said}"
        );
        assert!(
            said.to_lowercase().contains("content-type: application/vnd.p2pnet.v1\r\n"),
            "{said}"
        );
        assert_eq!(got, fetched(503, "application/vnd.p2pnet.v1", b"no"));
    }

    #[test]
    fn redirections_are_not_followed() {
        let away =
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(exchange(get(String::new(), 100), away).1, fetched(302, "", b""));
    }

    #[test]
    fn what_nobody_answers_fails() {
        for url in
            ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "ftp://x/", "http://127.0.0.1/a b"]
        {
            assert_eq!(Fetcher::default().answer(&get(url.into(), 10)), Answer::Failed, "{url}");
        }
    }

    #[test]
    fn a_server_without_a_certificate_that_counts_is_not_talked_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 3];
            stream.read_exact(&mut hello).unwrap();
            hello
        });
        assert_eq!(Fetcher::default().answer(&get(url, 10)), Answer::Failed);
        assert_eq!(server.join().unwrap()[..2], [22, 3], "a TLS handshake began");
    }
}
