//! The types of bodies: the core's own binary records, JSON for people and other languages, postcard.

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use p2pnet_protocol::discovery::bootstrap::{self, Heartbeat, HeartbeatReply, PeerList};
use p2pnet_protocol::discovery::bootstrap::{Refusal, Registration, ServerIdentity};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// As it is signed.
    Binary,
    /// As JSON: keys, ids and signatures in hex.
    Json,
    /// As postcard.
    Postcard,
}

impl Media {
    const ALL: [Self; 3] = [Self::Binary, Self::Json, Self::Postcard];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => bootstrap::CONTENT_TYPE,
            Self::Json => "application/json",
            Self::Postcard => "application/postcard",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        // What comes after a semicolon, as a charset, changes nothing for these.
        let name = name.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|media| media.name().eq_ignore_ascii_case(name))
    }

    /// The type of a request's body, if it is known.
    pub fn of_request(headers: &HeaderMap) -> Option<Self> {
        Self::from_name(headers.get(CONTENT_TYPE)?.to_str().ok()?)
    }

    /// The type that the client likes best, or `otherwise` if it likes none of these or doesn't say.
    pub fn of_reply(headers: &HeaderMap, otherwise: Self) -> Self {
        let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let liked = lines.flat_map(|line| line.split(',')).filter_map(|part| {
            let media = Self::from_name(part)?;
            let quality = part.split(';').skip(1).find_map(|said| said.trim().strip_prefix("q="));
            let quality = quality.map_or(Some(1.0), |said| said.trim().parse::<f32>().ok())?;
            (quality > 0.0).then_some((media, quality))
        });
        // The first of the best.
        let best = liked.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map_or(otherwise, |(media, _)| media)
    }

    /// What whoever takes anything gets: people's tools say so, and people read JSON.
    pub fn for_anything(headers: &HeaderMap) -> Self {
        if headers.contains_key(ACCEPT) { Self::Json } else { Self::Binary }
    }

    /// A reply's body with its type.
    pub fn answer(self, reply: &impl Reply) -> Response {
        let body = match self {
            Self::Binary => Some(reply.binary()),
            Self::Json => serde_json::to_vec(reply).ok(),
            Self::Postcard => postcard::to_allocvec(reply).ok(),
        };
        match body {
            Some(body) => ([(CONTENT_TYPE, self.name())], body).into_response(),
            None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// A record that clients send.
pub trait Request: DeserializeOwned {
    /// Reads it from its binary form.
    fn from_binary(bytes: &[u8]) -> Option<Self>;

    /// Whether what came by serde keeps its bounds.
    fn is_bounded(&self) -> bool;

    /// Reads it: exactly one, within its bounds.
    fn read(media: Media, bytes: &[u8]) -> Option<Self> {
        let read: Self = match media {
            Media::Binary => return Self::from_binary(bytes),
            Media::Json => serde_json::from_slice(bytes).ok()?,
            Media::Postcard => {
                let (read, []) = take(bytes)? else { return None };
                read
            }
        };
        read.is_bounded().then_some(read)
    }
}

fn take<R: DeserializeOwned>(bytes: &[u8]) -> Option<(R, &[u8])> {
    postcard::take_from_bytes(bytes).ok()
}

/// A record that the server sends.
pub trait Reply: Serialize {
    /// Its binary form.
    fn binary(&self) -> Vec<u8>;
}

macro_rules! requests {
    ($($name:ty),*) => {$(
        impl Request for $name {
            fn from_binary(bytes: &[u8]) -> Option<Self> {
                Self::decode(bytes).ok()
            }

            fn is_bounded(&self) -> bool {
                self.check().is_ok()
            }
        }
    )*};
}

macro_rules! replies {
    ($($name:ty),*) => {$(
        impl Reply for $name {
            fn binary(&self) -> Vec<u8> {
                self.encode()
            }
        }
    )*};
}

requests! { Registration, Heartbeat }
replies! { PeerList, HeartbeatReply, ServerIdentity, Refusal }

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(accept: &[&str]) -> Media {
        let mut headers = HeaderMap::new();
        accept.iter().for_each(|line| _ = headers.append(ACCEPT, line.parse().unwrap()));
        Media::of_reply(&headers, Media::Binary)
    }

    #[test]
    fn the_client_gets_what_it_likes_best() {
        assert_eq!(reply(&[]), Media::Binary);
        assert_eq!(reply(&["*/*"]), Media::Binary);
        assert_eq!(reply(&["application/json"]), Media::Json);
        assert_eq!(reply(&["text/html, Application/JSON;charset=utf-8"]), Media::Json);
        assert_eq!(reply(&["application/json;q=0.5, application/postcard"]), Media::Postcard);
        assert_eq!(reply(&["application/postcard;q=0.2", "application/json; q=0.3"]), Media::Json);
        assert_eq!(reply(&["application/json;q=0"]), Media::Binary);
        assert_eq!(reply(&["application/json;q=much"]), Media::Binary);
    }

    #[test]
    fn a_request_says_what_it_is() {
        let of = |name: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, name.parse().unwrap());
            Media::of_request(&headers)
        };
        assert_eq!(of(bootstrap::CONTENT_TYPE), Some(Media::Binary));
        assert_eq!(of("application/json; charset=utf-8"), Some(Media::Json));
        assert_eq!(of("text/plain"), None);
        assert_eq!(Media::of_request(&HeaderMap::new()), None);
    }
}
