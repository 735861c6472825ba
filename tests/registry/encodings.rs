//! Bodies that are encoded although they were asked for as they are.

use std::io::Write as _;

use idpbuilder_oci::image::{Descriptor, Digest, Document, Manifest};
use idpbuilder_oci::registry::{Registry, RegistryError, Target, Violation};

use crate::fixture::{noise, registry};
use crate::scripted::{Reply, Scripted, with};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("encoded")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("encoded")
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("encoded")
}

fn encoded(status: u16, encoding: &str, body: Vec<u8>, more: Option<(&'static str, String)>) -> Reply {
    let headers = [("Content-Encoding", encoding.to_owned())].into_iter().chain(more);
    Reply::Answer(status, headers.collect(), body)
}

async fn read(registry: &Registry, blob: &Descriptor) -> Result<Vec<u8>, RegistryError> {
    use idpbuilder_oci::registry::Piece;
    let mut download = registry.get_blob("team/app", blob).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = download.next().await? {
        match piece {
            Piece::Bytes(next) => bytes.extend_from_slice(&next),
            Piece::Restart => bytes.clear(),
        }
    }
    Ok(bytes)
}

#[tokio::test]
async fn bodies_are_asked_for_as_they_are() {
    let server = Scripted::start(|_| with(200, "Content-Length", "5"));
    registry(&server.host(), None).head_blob("team/app", Digest::of(b"")).await.expect("an answer");
    assert!(server.seen().iter().all(|request| request.header("accept-encoding") == Some("identity")));
}

#[tokio::test]
async fn an_encoded_blob_is_decoded_where_its_bytes_are_not_the_blob() {
    let content: Vec<u8> = noise(1, 200_000).into_iter().map(|byte| byte & 3).collect();
    let blob = Descriptor::of("application/octet-stream", &content);
    for (encoding, encode) in
        [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("x-gzip", gzip), ("deflate", zlib), ("zstd", zstandard)]
    {
        let body = encode(&content);
        let server = Scripted::start(move |_| encoded(200, encoding, body.clone(), None));
        let found = read(&registry(&server.host(), None), &blob).await;
        assert_eq!(Digest::of(&found.expect("decoded")), blob.digest, "{encoding}");
        assert_eq!(server.log().len(), 2, "once as it is, once decoded");
    }
}

#[tokio::test]
async fn a_layer_of_gzip_that_is_called_encoded_stays_as_it_is() {
    let layer = gzip(&noise(2, 50_000));
    let blob = Descriptor::of("application/vnd.oci.image.layer.v1.tar+gzip", &layer);
    let body = layer.clone();
    let server = Scripted::start(move |_| encoded(200, "gzip", body.clone(), None));
    assert_eq!(read(&registry(&server.host(), None), &blob).await.expect("as it is"), layer);
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn an_encoding_that_is_not_decoded_is_named() {
    let blob = Descriptor::of("application/octet-stream", b"hello, world");
    for (encoding, body) in [("br", noise(3, 9)), ("gzip", noise(4, 300))] {
        let server = Scripted::start(move |_| encoded(200, encoding, body.clone(), None));
        let error = read(&registry(&server.host(), None), &blob).await.expect_err("not the blob");
        let RegistryError::Protocol { violation: Violation::Encoding(named), .. } = &error else { panic!("{error:?}") };
        assert_eq!(named, encoding);
    }
}

#[tokio::test]
async fn an_encoded_bomb_ends_at_the_size_of_the_blob() {
    let blob = Descriptor::of("application/octet-stream", &[7; 1000]);
    for body in [gzip(&vec![7; 8 << 20]), zstandard(&vec![7; 8 << 20])] {
        let encoding = if body.starts_with(&[0x1f, 0x8b]) { "gzip" } else { "zstd" };
        let server = Scripted::start(move |_| encoded(200, encoding, body.clone(), None));
        let error = read(&registry(&server.host(), None), &blob).await.expect_err("too long");
        assert!(matches!(error, RegistryError::Protocol { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn encoded_manifests_and_tokens_are_decoded() {
    let config = Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}");
    let document = Document::from_manifest(Manifest::new(config, Vec::new(), std::collections::BTreeMap::new()));
    let digest = document.digest();
    for told in [Some(("Docker-Content-Digest", digest.to_string())), None] {
        let bytes = document.bytes.clone();
        let server = Scripted::start(move |request| {
            let kind = ("Content-Type", "application/vnd.oci.image.manifest.v1+json".to_owned());
            match request.header("authorization") {
                _ if request.path() == "/token" => encoded(200, "gzip", gzip(b"{\"token\":\"t1\"}"), None),
                None => {
                    let host = request.header("host").unwrap_or_default();
                    with(401, "WWW-Authenticate", format!("Bearer realm=\"http://{host}/token\""))
                }
                Some(_) => {
                    let Reply::Answer(status, mut headers, body) = encoded(200, "gzip", gzip(&bytes), told.clone())
                    else {
                        unreachable!("an answer")
                    };
                    headers.push(kind);
                    Reply::Answer(status, headers, body)
                }
            }
        });
        let registry = registry(&server.host(), None);
        for target in [Target::Tag("v1"), Target::Digest(digest)] {
            assert_eq!(registry.get_manifest("team/app", target).await.expect("decoded").digest(), digest);
        }
    }
}

#[tokio::test]
async fn encoded_refusals_are_read() {
    for (encoding, encode) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("deflate", zlib), ("zstd", zstandard)] {
        let body = encode(br#"{"errors":[{"code":"DENIED","message":"the quota is used up"}]}"#);
        let server = Scripted::start(move |_| encoded(403, encoding, body.clone(), None));
        let error = registry(&server.host(), None).get_manifest("team/app", Target::Tag("v1")).await;
        let text = error.expect_err("refused").to_string();
        assert!(text.contains("DENIED: the quota is used up"), "{encoding}: {text}");
    }
}
