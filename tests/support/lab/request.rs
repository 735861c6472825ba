//! Requests as they come and answers as they go, without a network.

use percent_encoding::percent_decode_str;

use super::record::Site;
use super::script::{Answer, Op, Text};

/// The head of a request, taken apart.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The origin that received the request.
    pub site: Site,
    /// Scheme and authority that the client used.
    pub base: String,
    /// What the request asks for.
    pub op: Op,
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub target: String,
    /// The repository; empty for a ping.
    pub repository: String,
    /// A blob's digest, a tag, or a manifest's digest.
    pub name: String,
    /// The upload session's id, if the target has one.
    pub session: Option<String>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Bytes announced.
    pub announced: u64,
}

impl Request<'_> {
    /// Returns a request header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a query parameter.
    pub fn queries(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|pair| pair.0 == name)
            .map(|pair| decode(pair.1))
            .collect()
    }

    /// A query parameter.
    pub fn query(&self, name: &str) -> Option<String> {
        self.queries(name).into_iter().next()
    }

    /// Returns whether the request needs the right to push.
    pub fn pushes(&self) -> bool {
        !matches!(self.op, Op::Ping | Op::HeadBlob | Op::GetBlob | Op::HeadManifest | Op::GetManifest | Op::Referrers)
    }
}

/// What a method and a path ask for: operation, repository, name, session.
pub fn route(method: &str, path: &str) -> (Op, String, String, Option<String>) {
    let other = |op| (op, String::new(), String::new(), None);
    if path == "/v2/token" || path == "/token" {
        return other(Op::Token);
    }
    if matches!(path, "/v2" | "/v2/") {
        return other(if method == "GET" { Op::Ping } else { Op::Other });
    }
    let session = |repository: &str, id: &str| {
        let op = match method {
            "PATCH" => Op::Patch,
            "GET" => Op::Status,
            "PUT" => Op::Commit,
            "DELETE" => Op::Cancel,
            _ => Op::Other,
        };
        (op, repository.to_owned(), String::new(), Some(id.to_owned()))
    };
    if let Some(rest) = path.strip_prefix("/artifacts-uploads/") {
        return rest.rsplit_once('/').map_or_else(|| other(Op::Other), |(repository, id)| session(repository, id));
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return other(Op::Other) };
    if let Some((repository, id)) = rest.split_once("/blobs/uploads") {
        return match id.trim_matches('/') {
            "" if method == "POST" => (Op::Open, repository.to_owned(), String::new(), None),
            "" => other(Op::Other),
            id => session(repository, id),
        };
    }
    for (part, ops) in [
        ("/blobs/", [("HEAD", Op::HeadBlob), ("GET", Op::GetBlob), ("", Op::Other)]),
        ("/manifests/", [("HEAD", Op::HeadManifest), ("GET", Op::GetManifest), ("PUT", Op::PutManifest)]),
        ("/referrers/", [("GET", Op::Referrers), ("", Op::Other), ("", Op::Other)]),
    ] {
        if let Some((repository, name)) = rest.rsplit_once(part) {
            let op = ops.iter().find(|(known, _)| *known == method).map_or(Op::Other, |(_, op)| *op);
            return (op, repository.to_owned(), name.to_owned(), None);
        }
    }
    other(Op::Other)
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns an answer without a body.
    pub fn of(status: u16) -> Self {
        let version = ("Docker-Distribution-Api-Version".to_owned(), "registry/2.0".to_owned());
        Self { status, headers: vec![version], body: Vec::new() }
    }

    /// Returns an answer of plain text.
    pub fn plain(status: u16, text: &str) -> Self {
        Self::of(status).with("Content-Type", "text/plain; charset=utf-8").body(format!("{text}\n").into_bytes())
    }

    /// The specification's envelope.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
        Self::of(status).with("Content-Type", "application/json").body(body.into_bytes())
    }

    /// What a script wants to be said.
    pub fn scripted(answer: &Answer) -> Self {
        let reply = match &answer.text {
            Text::Nothing => Self::of(answer.status),
            Text::Json(code, message) => Self::error(answer.status, code, message),
            Text::Plain(text) => Self::plain(answer.status, text),
            Text::Body(json) => {
                Self::of(answer.status).with("Content-Type", "application/json").body(json.as_bytes().to_vec())
            }
            Text::Gitea(reason) => {
                let body = format!(
                    "<!DOCTYPE html>\n<html lang=\"en-US\" data-theme=\"gitea-auto\">\n<head>\n\
                     <title>{reason} - Gitea: Git with a cup of tea</title>\n</head>\n<body></body>\n</html>\n"
                );
                let headers = [("Server", "nginx"), ("Content-Type", "text/html; charset=utf-8")];
                let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
                Self { status: answer.status, headers: headers.to_vec(), body: body.into_bytes() }
            }
            Text::Html(reason) => {
                let title = format!("{} {reason}", answer.status);
                let body = format!(
                    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
                     <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
                );
                let headers = [("Server", "nginx"), ("Content-Type", "text/html")];
                let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
                Self { status: answer.status, headers: headers.to_vec(), body: body.into_bytes() }
            }
        };
        answer.headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value.clone()))
    }

    /// With that header, instead of one of the same name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Returns a header, by its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Replaces the body.
    #[must_use]
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }
}
