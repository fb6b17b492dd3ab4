//! Rare requests of the core, done by a helper thread.

use p2pnet_protocol::{Answer, Request};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// How long one step of a fetch may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Status line and headers are never larger.
const HEAD_BYTES_MAX: u64 = 16 << 10;

/// Does what is asked, however long that takes. Never call it on the loop's thread.
pub(crate) fn answer(request: &Request) -> Answer {
    match request {
        Request::Fetch { url, bytes_max } => match fetch(url, *bytes_max) {
            Ok(body) => Answer::Body(body),
            Err(error) => {
                tracing::debug!(target: "p2pnet::bootstrap", %url, %error, "fetch failed");
                Answer::Failed
            }
        },
        _ => Answer::Failed,
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// Gets `url` by HTTP/1.0 (RFC 1945): one request, one answer, and the end of the stream ends the body. There is no
/// TLS here, so `https:` is refused.
fn fetch(url: &str, bytes_max: u32) -> io::Result<Vec<u8>> {
    let rest = url.strip_prefix("http://").ok_or_else(|| invalid("only http: is supported"))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) || host.contains('@') {
        return Err(invalid("not a plain URL"));
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let target = if has_port { host.to_owned() } else { format!("{host}:80") };
    let mut last = invalid("the name has no address");
    for address in target.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, STEP_TIMEOUT) {
            Ok(stream) => return get(stream, host, path, bytes_max),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn get(mut stream: TcpStream, host: &str, path: &str, bytes_max: u32) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(STEP_TIMEOUT))?;
    stream.set_write_timeout(Some(STEP_TIMEOUT))?;
    let asked = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: p2pnet\r\n\r\n");
    stream.write_all(asked.as_bytes())?;
    let mut answer = Vec::new();
    let bytes_max_all = HEAD_BYTES_MAX + u64::from(bytes_max) + 1;
    stream.take(bytes_max_all).read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let head = head.ok_or_else(|| invalid("no end of headers"))?;
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let status = text.split(' ').nth(1).unwrap_or_default();
    if !text.starts_with("http/1.") || status != "200" {
        return Err(invalid("the server did not answer 200"));
    }
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if header("transfer-encoding:").is_some() {
        return Err(invalid("a transfer encoding in answer to HTTP/1.0"));
    }
    let body = answer.split_off(head + 4);
    if body.len() > bytes_max as usize {
        return Err(invalid("the body is too large"));
    }
    if header("content-length:").is_some_and(|told| told.parse() != Ok(body.len())) {
        return Err(invalid("the body is cut short"));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn ask(answer_with: &'static str, bytes_max: u32) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/ip", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 512];
            let n = stream.read(&mut asked).unwrap();
            assert!(asked[..n].starts_with(b"GET /ip HTTP/1.0\r\n"));
            stream.write_all(answer_with.as_bytes()).unwrap();
        });
        let got = answer(&Request::Fetch { url, bytes_max });
        server.join().unwrap();
        got
    }

    #[test]
    fn bodies_arrive_whole_or_not_at_all() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n192.0.2.1";
        assert_eq!(ask(ok, 100), Answer::Body(b"192.0.2.1".to_vec()));
        assert_eq!(ask(ok, 8), Answer::Failed, "too large");
        assert_eq!(
            ask("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n192.0.2.1", 100),
            Answer::Failed
        );
        assert_eq!(ask("HTTP/1.1 404 Not Found\r\n\r\n", 100), Answer::Failed);
        assert_eq!(ask("nonsense", 100), Answer::Failed);
    }

    #[test]
    fn what_is_not_plain_http_is_refused() {
        for url in ["https://127.0.0.1/", "http://127.0.0.1/a b", "ftp://x/", "http://127.0.0.1:1/"]
        {
            let asked = Request::Fetch { url: url.into(), bytes_max: 10 };
            assert_eq!(answer(&asked), Answer::Failed, "{url}");
        }
    }
}
