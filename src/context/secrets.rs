//! Files that are known to hold secrets, by their names and, where a name alone says too little, by their first bytes.
//!
//! The names are those that gitleaks, trufflehog and the manuals of the programs concerned agree on. Public halves,
//! templates and lists of known hosts have names of their own and are left alone.

use std::io::Read;

use super::{Context, Entry, Kind};

/// How much of a file is looked at, in bytes: certificates of a whole chain come before the key, if it comes last.
pub const SECRET_HEAD_BYTES: usize = 64 << 10;

/// What a file's path says about secrets in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Nothing.
    None,
    /// A file of this name holds a secret.
    Certain,
    /// It holds a secret if there is a private key in it.
    PrivateKey,
    /// It holds a secret if a line sets one of these, and not to a variable such as `${TOKEN}`.
    Setting(&'static [&'static str]),
}

/// Directories whose files are secret, but for what [`is_public`] says of their names. Each is hidden.
const DIRECTORIES: &[&str] = &[".ssh/", ".gnupg/private-keys-v1.d/", ".aws/sso/cache/", ".aws/cli/cache/"];

/// Paths, from any directory on, that are secret. Each begins with a hidden name.
const PATHS: &[&str] = &[
    ".aws/credentials",
    ".azure/accessTokens.json",
    ".azure/msal_token_cache.bin",
    ".azure/msal_token_cache.json",
    ".azure/service_principal_entries.bin",
    ".azure/service_principal_entries.json",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".config/containers/auth.json",
    ".config/gcloud/access_tokens.db",
    ".config/gcloud/credentials.db",
    ".config/gh/hosts.yml",
    ".config/git/credentials",
    ".config/rclone/rclone.conf",
    ".docker/config.json",
    ".gem/credentials",
    ".gnupg/secring.gpg",
    ".kube/config",
    ".terraform.d/credentials.tfrc.json",
];

/// Names that are secret in any directory.
const NAMES: &[&str] = &[
    ".boto",
    ".dockercfg",
    ".dockerconfigjson",
    ".git-credentials",
    ".kubeconfig",
    ".netrc",
    ".pgpass",
    ".s3cfg",
    ".vault-token",
    "_netrc",
    "application_default_credentials.json",
    "id_dsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    "id_rsa",
    "id_xmss",
    "kubeconfig",
];

/// Ends of names that are secret: key stores, and kubeconfigs beside the usual one.
const ENDS: &[&str] = &[".kubeconfig", ".p12", ".pfx", ".ppk"];

/// Ends of names that are secret if there is a private key in the file.
const KEY_ENDS: &[&str] = &[".key", ".p8", ".pem"];

/// Names that are secret if a setting of theirs is.
const SETTINGS: &[(&str, &[&str])] = &[
    (".my.cnf", &["password"]),
    (".npmrc", &["_authToken", "_auth", "_password"]),
    (".pypirc", &["password"]),
    (".yarnrc.yml", &["npmAuthToken", "npmAuthIdent"]),
];

/// Judges a file by its path, whose components are separated by `/`.
pub fn suspicion(path: &[u8]) -> Suspicion {
    let path = String::from_utf8_lossy(path);
    let path = path.as_ref();
    let name = path.rsplit('/').next().unwrap_or_default();
    if is_public(name) {
        return Suspicion::None;
    }
    let is_there =
        |wanted: &&str| path.strip_suffix(*wanted).is_some_and(|above| above.is_empty() || above.ends_with('/'));
    let is_below =
        |wanted: &&str| path.match_indices(*wanted).any(|(at, _)| at == 0 || path.as_bytes()[at - 1] == b'/');
    // Most paths have no hidden name, and every file of every build is asked about.
    let has_hidden_name = path.starts_with('.') || path.contains("/.");
    if has_hidden_name && (PATHS.iter().any(is_there) || DIRECTORIES.iter().any(is_below)) {
        return Suspicion::Certain;
    }
    suspicion_of_name(name)
}

fn suspicion_of_name(name: &str) -> Suspicion {
    if let Some((_, settings)) = SETTINGS.iter().find(|(other, _)| *other == name) {
        return Suspicion::Setting(settings);
    }
    let is_host_key = name.starts_with("ssh_host_") && name.ends_with("_key");
    if NAMES.contains(&name) || ends_in(name, ENDS) || is_host_key || is_environment(name) {
        return Suspicion::Certain;
    }
    // Further keys of a person, and what a service account of Google's cloud has.
    let is_key = name.starts_with("id_") && !name.contains('.');
    let is_account = ends_in(name, &[".json"])
        && (name == "credentials.json" || name.contains("service") && name.contains("account"));
    if ends_in(name, KEY_ENDS) || is_key || is_account { Suspicion::PrivateKey } else { Suspicion::None }
}

/// Returns whether the name is something and one of these, in upper or lower case: Windows programs write `SERVER.KEY`.
fn ends_in(name: &str, ends: &[&str]) -> bool {
    let name = name.as_bytes();
    let has = |end: &str| {
        name.len().checked_sub(end.len()).is_some_and(|at| at > 0 && name[at..].eq_ignore_ascii_case(end.as_bytes()))
    };
    ends.iter().any(|end| has(end))
}

/// Returns whether a file of this name is public in any directory.
fn is_public(name: &str) -> bool {
    ends_in(name, &[".pub"]) || name.starts_with("known_hosts") || name == "authorized_keys"
}

/// Returns whether it is a file of variables (`.env`, `.env.local`, `.envrc`), and not a template of one.
fn is_environment(name: &str) -> bool {
    const TEMPLATES: &[&str] =
        &["default", "defaults", "dist", "example", "examples", "sample", "schema", "template", "tmpl", "tpl"];
    let Some(rest) = name.strip_prefix(".env") else { return false };
    let is_one = rest.is_empty() || rest == "rc" || rest.starts_with(['.', '-', '_']) || rest.starts_with("rc.");
    is_one && !rest.split(['.', '-', '_']).any(|part| TEMPLATES.contains(&part.to_ascii_lowercase().as_str()))
}

impl Suspicion {
    /// Returns whether the file is secret, judged by the first [`SECRET_HEAD_BYTES`] of its content.
    pub fn holds(self, head: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Certain => true,
            Self::PrivateKey => has_private_key(head),
            Self::Setting(names) => head.split(|byte| *byte == b'\n').any(|line| sets(line, names)),
        }
    }

    /// Returns whether the content decides.
    pub fn depends_on_content(self) -> bool {
        matches!(self, Self::PrivateKey | Self::Setting(_))
    }
}

/// Returns whether there is a private key: PEM of any kind, or DER of PKCS #1, PKCS #8 or SEC 1 from the first byte on.
fn has_private_key(head: &[u8]) -> bool {
    const MARK: &[u8] = b"-----BEGIN ";
    let begins = |at: usize| {
        let label = &head[at + MARK.len()..];
        let label = &label[..label.iter().take(64).position(|byte| *byte == b'-').unwrap_or(0)];
        label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK")
    };
    let mut marks = head.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    marks.any(|(at, _)| begins(at)) || is_der_key(head)
}

/// Returns whether the bytes begin as a private key does in DER: a sequence that has the version, 0 or 1, first.
fn is_der_key(head: &[u8]) -> bool {
    let content = match head {
        [0x30, length, rest @ ..] if *length < 0x80 => rest,
        [0x30, 0x81, _, rest @ ..] | [0x30, 0x82, _, _, rest @ ..] => rest,
        _ => return false,
    };
    matches!(content, [0x02, 0x01, 0x00 | 0x01, 0x02 | 0x04 | 0x30, ..])
}

/// Returns whether a line such as `//host/:_authToken=secret` or `password: secret` sets one of these, and to a text.
fn sets(line: &[u8], names: &[&str]) -> bool {
    let line = String::from_utf8_lossy(line);
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return false;
    }
    let Some((key, value)) = line.split_once('=').or_else(|| line.rsplit_once(':')) else { return false };
    let key = key.trim().rsplit(':').next().unwrap_or_default();
    let value = value.trim().trim_matches(['"', '\'']);
    names.contains(&key) && !value.is_empty() && !value.starts_with('$')
}

impl Context {
    /// Returns the paths of files that look like secrets, in the order of `entries`.
    ///
    /// Opens those files whose names alone do not decide, and reads their first bytes. What cannot be read is left to
    /// the packer.
    pub fn secrets<'a>(&self, entries: &'a [Entry]) -> Vec<&'a [u8]> {
        let mut path = self.last_names();
        let above = path.len();
        let is_secret = |entry: &&Entry| {
            if !matches!(entry.kind, Kind::File { .. }) {
                return false;
            }
            path.truncate(above);
            path.extend_from_slice(&entry.path);
            let suspicion = suspicion(&path);
            if suspicion.depends_on_content() { suspicion.holds(&self.head(entry)) } else { suspicion.holds(&[]) }
        };
        entries.iter().filter(is_secret).map(|entry| &*entry.path).collect()
    }

    /// Returns the last two names of the directory, with a slash behind each: a copy of `~/.aws` has `credentials` at
    /// its root.
    fn last_names(&self) -> Vec<u8> {
        let names: Vec<_> = self.root().iter().skip(1).collect();
        let last = names.iter().skip(names.len().saturating_sub(2));
        last.flat_map(|name| [name.as_encoded_bytes(), b"/"].concat()).collect()
    }

    fn head(&self, entry: &Entry) -> Vec<u8> {
        let mut head = Vec::new();
        if let Ok(file) = self.open_file(entry) {
            // What was read before an error is looked at all the same.
            let _ = file.take(SECRET_HEAD_BYTES as u64).read_to_end(&mut head);
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n";
    const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn names_that_hold_secrets_and_names_that_only_look_alike() {
        let certain = "id_rsa a/.ssh/id_ed25519 .ssh/config .ssh/work-key id_ecdsa_sk .aws/credentials x/.aws/credentials \
            .aws/sso/cache/a.json .kube/config home/u/.kube/config kubeconfig prod.kubeconfig .docker/config.json \
            .config/containers/auth.json .netrc _netrc .git-credentials .pgpass .vault-token .cargo/credentials.toml \
            .config/gcloud/credentials.db application_default_credentials.json .azure/accessTokens.json .dockercfg \
            .config/gh/hosts.yml .gnupg/private-keys-v1.d/a.key .gnupg/secring.gpg store.p12 STORE.P12 a/b.pfx me.ppk \
            etc/ssh/ssh_host_rsa_key .env web/.env .env.local .env.production .env-prod .envrc .env.test";
        for path in certain.split_whitespace() {
            assert_eq!(suspicion(path.as_bytes()), Suspicion::Certain, "{path}");
        }
        let key = "server.key SERVER.KEY tls/tls.key a.pem Ca.Pem ca.pem .pem/x.pem key.p8 id_github credentials.json \
            my-service-account.json service_account_key.json";
        for path in key.split_whitespace() {
            assert_eq!(suspicion(path.as_bytes()), Suspicion::PrivateKey, "{path}");
        }
        for path in [".npmrc", "web/.npmrc", ".pypirc", ".yarnrc.yml", ".my.cnf"] {
            assert!(matches!(suspicion(path.as_bytes()), Suspicion::Setting(_)), "{path}");
        }
        let nothing = "id_rsa.pub .ssh/id_rsa.pub .ssh/WORK.PUB .ssh/known_hosts .ssh/known_hosts.old .ssh/authorized_keys x.ssh/config \
            .sshd/config aws/credentials .aws/config .aws/credentials/readme my.aws/credentials docker/config.json \
            config.json .kube/cache/x kube/config .env.example .env.sample .env.local.example .env.dist .env.TEMPLATE \
            .environment .envoy.yaml env prod.env netrc .netrc.md key pem .key .KEY monkey public.crt ca.crt identity \
            id_list.csv package.json .gitconfig ssh_host_rsa_key.pub";
        for path in nothing.split_whitespace() {
            assert_eq!(suspicion(path.as_bytes()), Suspicion::None, "{path}");
        }
        assert_eq!(suspicion(b"\xff/.aws/credentials"), Suspicion::Certain);
        assert_eq!(suspicion(b""), Suspicion::None);
        // The tables of paths are looked at only for paths with a hidden name.
        assert!(PATHS.iter().chain(DIRECTORIES).all(|path| path.starts_with('.')));
    }

    #[test]
    fn contents_that_are_keys_and_contents_that_are_not() {
        let chain = [CERTIFICATE, CERTIFICATE, b"-----BEGIN EC PRIVATE KEY-----\n"].concat();
        for (content, expected) in [
            (KEY, true),
            (b"-----BEGIN PRIVATE KEY-----", true),
            (b"-----BEGIN RSA PRIVATE KEY-----", true),
            (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", true),
            (b"-----BEGIN PGP PRIVATE KEY BLOCK-----", true),
            (br#"{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nMII"#, true),
            (&chain, true),
            // PKCS #8, PKCS #1, SEC 1, and a certificate.
            (&[0x30, 0x82, 4, 0xbd, 2, 1, 0, 0x30, 13], true),
            (&[0x30, 0x82, 4, 0xa4, 2, 1, 0, 2, 0x82], true),
            (&[0x30, 0x77, 2, 1, 1, 4, 0x20], true),
            (&[0x30, 0x82, 3, 0x21, 0x30, 0x82], false),
            (CERTIFICATE, false),
            (b"-----BEGIN PUBLIC KEY-----", false),
            (b"-----BEGIN PGP PUBLIC KEY BLOCK-----", false),
            (b"-----BEGIN ", false),
            (b"PRIVATE KEY", false),
            (b"", false),
        ] {
            assert_eq!(Suspicion::PrivateKey.holds(content), expected, "{}", String::from_utf8_lossy(content));
        }
    }

    #[test]
    fn settings_that_are_secrets_and_settings_that_are_not() {
        for (name, content, expected) in [
            (".npmrc", "registry=https://r.example/\n//r.example/:_authToken=abc\n", true),
            (".npmrc", "//r.example/:_authToken=${NPM_TOKEN}\n", false),
            (".npmrc", "_auth = \"dTpw\"", true),
            (".npmrc", "# _auth=abc\nregistry=https://r.example/\nalways-auth=true\n", false),
            (".npmrc", "_password=", false),
            (".pypirc", "[pypi]\nusername = __token__\npassword = pypi-AgEI\n", true),
            (".pypirc", "[distutils]\nindex-servers =\n  pypi\n", false),
            (".yarnrc.yml", "npmAuthToken: \"abc\"\n", true),
            (".yarnrc.yml", "npmAuthToken: \"${TOKEN:-}\"\nnodeLinker: node-modules\n", false),
            (".my.cnf", "[client]\npassword=abc\n", true),
        ] {
            assert_eq!(suspicion(name.as_bytes()).holds(content.as_bytes()), expected, "{name}: {content}");
        }
    }

    #[test]
    fn a_context_is_judged_with_the_directory_that_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        for (path, content) in [
            (".aws/credentials", b"x".as_slice()),
            ("tls/a.key", KEY),
            ("tls/b.key", CERTIFICATE),
            ("tls/.env", b""),
            ("plain", KEY),
        ] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, content).expect("written");
        }
        std::os::unix::fs::symlink("tls/a.key", directory.path().join("link.key")).expect("a link");
        std::fs::create_dir(directory.path().join(".netrc")).expect("made");
        let found = |path: &str| {
            let context = Context::open(&directory.path().join(path)).expect("a context");
            let rules = context.rules(None, &[]).expect("no rules");
            let entries = context.list(&rules, &[], &crate::progress::Interrupt::default()).expect("listed").entries;
            let paths = context.secrets(&entries).into_iter().map(|path| String::from_utf8_lossy(path).into_owned());
            paths.collect::<Vec<_>>()
        };
        assert_eq!(found(""), [".aws/credentials", "tls/.env", "tls/a.key"]);
        assert_eq!(found(".aws"), ["credentials"]);
        assert_eq!(found("tls"), [".env", "a.key"]);
    }
}
