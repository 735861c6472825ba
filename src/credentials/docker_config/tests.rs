use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;

use serde_json::json;

use super::*;
use crate::credentials::helper::tests::{helpers as found_in, script};

fn basic(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

fn variable(content: &str) -> DockerConfig {
    DockerConfig::variable("DOCKER_AUTH_CONFIG", Secret::new(content.to_owned()), Helpers::default())
}

/// The answer in words.
fn told(answer: Answer) -> String {
    match answer {
        Answer::NotFound => "nothing".into(),
        Answer::Own(otherwise) => format!("ours, else {}", told(otherwise.map_or(Answer::NotFound, Answer::Found))),
        Answer::Doubtful(error, otherwise) => {
            format!("{error}, else {}", told(otherwise.map_or(Answer::NotFound, Answer::Found)))
        }
        Answer::Failed(error) => error.to_string(),
        Answer::Found(Credential::Basic { username, secret }) => format!("basic {username} {}", secret.expose()),
        Answer::Found(other @ Credential::TokenOrPassword { .. }) => panic!("{other:?} is a cluster's"),
        Answer::Found(Credential::IdentityToken { username, token }) => {
            format!("identity {username} {}", token.expose())
        }
        Answer::Found(Credential::RegistryToken(token)) => format!("registry {}", token.expose()),
    }
}

fn find(content: &str, registry: &str) -> String {
    told(variable(content).find(registry, ""))
}

#[test]
fn keys_are_found_however_they_are_written() {
    let config = |key: &str| format!(r#"{{"auths":{{"{key}":{{"auth":"{}"}}}}}}"#, basic("u:p:q"));
    for key in [
        "r.example:5000",
        "R.Example:5000",
        "https://r.example:5000",
        "http://r.example:5000/",
        "https://r.example:5000/v2/",
        "r.example:5000/v1/",
    ] {
        assert_eq!(find(&config(key), "r.example:5000"), "basic u p:q", "{key}");
    }
    let same =
        ["r.example", "r.example:443", "https://r.example", "https://R.example:443/v2/", "HTTPS://r.example/v1/"];
    for key in same {
        for registry in ["r.example", "r.example:443", "R.example:443", "https://r.example/"] {
            assert_eq!(find(&config(key), registry), "basic u p:q", "{key} {registry}");
        }
        assert_eq!(find(&config(key), "r.example:80"), "nothing", "{key}");
    }
    // Docker keeps no scheme, so a key with http:// and no port is for either port.
    for (key, registries) in [
        ("http://r.example", &["r.example", "r.example:80", "http://r.example:80"][..]),
        ("http://r.example:80", &["r.example:80", "r.example"]),
        ("r.example:80", &["r.example:80"]),
        ("[::1]:443", &["[::1]", "[0:0::1]", "[::1]:443"]),
        ("[2001:DB8::1]:5000", &["[2001:db8:0::1]:5000"]),
        ("docker.io:443", &["docker.io", "index.docker.io:443"]),
    ] {
        for registry in registries {
            assert_eq!(find(&config(key), registry), "basic u p:q", "{key} {registry}");
        }
    }
    for key in ["r.example", "r.example:5001", "xr.example:5000", "r.example:5000/other"] {
        assert_eq!(find(&config(key), "r.example:5000"), "nothing", "{key}");
    }
    for key in [HUB_KEY, "docker.io", "https://registry-1.docker.io/v2/", "index.docker.io"] {
        for registry in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            assert_eq!(find(&config(key), registry), "basic u p:q", "{key} {registry}");
        }
    }
}

#[test]
fn the_most_specific_key_wins() {
    let entry = |user: &str| format!(r#"{{"auth":"{}"}}"#, basic(&format!("{user}:p")));
    let config = format!(
        r#"{{"auths":{{"r.example":{},"r.example/team":{},"r.example/team/app":{}}}}}"#,
        entry("all"),
        entry("team"),
        entry("app")
    );
    let find = |repository| told(variable(&config).find("r.example", repository));
    assert_eq!(find("team/app"), "basic app p");
    assert_eq!(find("team/other/deep"), "basic team p");
    assert_eq!(find("elsewhere"), "basic all p");
    assert_eq!(find(""), "basic all p");
}

#[test]
fn a_key_as_it_is_compared_goes_before_other_ways_to_write_it() {
    let entry = |user: &str| format!(r#"{{"auth":"{}"}}"#, basic(&format!("{user}:p")));
    let config = |keys: &[&str]| {
        let entries: Vec<_> = keys.iter().map(|key| format!(r#""{key}":{}"#, entry(key))).collect();
        format!(r#"{{"auths":{{{}}}}}"#, entries.join(","))
    };
    assert_eq!(find(&config(&["R.example", "https", "r.example"]), "r.example"), "basic r.example p");
    assert_eq!(find(&config(&["r.example", "r.example:443"]), "r.example:443"), "basic r.example 443:p");
    assert_eq!(find(&config(&["r.example", "r.example:443"]), "r.example"), "basic r.example p");
    // Among other ways to write it, the first in the order of bytes.
    assert_eq!(find(&config(&["r.example/", "R.example/", "R.Example"]), "r.example"), "basic R.Example p");
}

#[test]
fn twice_the_entries_are_twice_the_work_however_many_names_a_repository_has() {
    let repository = "a/".repeat(127);
    for list in ["auths", "credHelpers"] {
        let steps = |entries: usize| {
            let entries: Vec<_> = (0..entries).map(|number| format!(r#""r{number:05}":{{}}"#)).collect();
            let content = format!(r#"{{"{list}":{{{}}}}}"#, entries.join(","));
            let content = if list == "auths" { content } else { content.replace("{}", r#""""#) };
            let (steps, answer) = crate::work::of(|| variable(&content).find("r.example", &repository));
            assert!(matches!(answer, Answer::NotFound));
            steps
        };
        assert!(steps(1000) < 1000 * 30, "{}", steps(1000));
        crate::work::grows_with_size(1000, |entries| crate::work::of(|| steps(entries)));
    }
}

#[test]
fn entries_have_several_forms() {
    let auth = basic("u:p");
    let padded = basic("u:p\0\0");
    for (entry, expected) in [
        (format!(r#"{{"auth":"{auth}"}}"#), "basic u p"),
        (format!(r#"{{"auth":"{padded}"}}"#), "basic u p"),
        (r#"{"username":"u","password":"p"}"#.into(), "basic u p"),
        (format!(r#"{{"auth":"{auth}","username":"u","password":"p"}}"#), "basic u p"),
        (format!(r#"{{"auth":"{}","identitytoken":"t"}}"#, basic("u:")), "identity u t"),
        (r#"{"identitytoken":"t"}"#.into(), "identity  t"),
        (r#"{"registrytoken":"t"}"#.into(), "registry t"),
        ("{}".into(), "nothing"),
        (r#"{"auth":"","email":"x@example"}"#.into(), "nothing"),
        (format!(r#"{{"auth":"{}"}}"#, basic(":")), "nothing"),
        ("null".into(), "nothing"),
        (r#"{"auth":null,"identitytoken":null}"#.into(), "nothing"),
        (format!(r#"{{"auth":"{}\n{}\r\n"}}"#, &auth[..3], &auth[3..]), "basic u p"),
        (format!(r#"{{"auth":"{}"}}"#, auth.trim_end_matches('=')), "basic u p"),
    ] {
        assert_eq!(find(&format!(r#"{{"auths":{{"r.example":{entry}}}}}"#), "r.example"), expected, "{entry}");
    }
}

#[test]
fn what_makes_no_sense_is_a_failure_that_quotes_nothing() {
    for entry in [r#"{"auth":"hunter2"}"#, r#"{"auth":["hunter2"]}"#, r#""hunter2""#, r#"{"registrytoken":22222}"#] {
        let config = variable(&format!(r#"{{"auths":{{"r.example":{entry}}}}}"#));
        let Answer::Doubtful(error, None) = config.find("r.example", "") else { panic!("passed over: {entry}") };
        assert_eq!(error.to_string(), "the entry for r.example in `DOCKER_AUTH_CONFIG` is not a credential");
        assert!(!format!("{error:?} {config:?}").contains("hunter2"), "{error:?}");
        assert!(matches!(config.find("other.example", ""), Answer::NotFound), "others are not affected");
    }
    for config in [r#"{"auths":"hunter2"}"#, "hunter2", "[5]", "{", r#"{"credHelpers":{"hunter2":5}}"#] {
        let answer = variable(config).find("r.example", "");
        let Answer::Doubtful(error, None) = answer else { panic!("passed over: {config}") };
        assert!(matches!(error, CredentialError::Syntax { line: 0 | 1, .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    for nothing in [
        "",
        "\n",
        " \t\r\n",
        "null",
        "null\n",
        "{}",
        r#"{"auths":{}}"#,
        r#"{"auths":null,"credHelpers":null,"credsStore":null,"x":1}"#,
        r#"{"auths":{"r.example":null},"credHelpers":{"r.example":null}}"#,
    ] {
        assert_eq!(find(nothing, "r.example"), "nothing", "{nothing:?}");
    }
}

#[test]
fn files_are_read_when_asked_and_errors_name_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config.json");
    let config = DockerConfig::file(path.clone(), Helpers::default());
    assert!(matches!(config.find("r.example", ""), Answer::NotFound));
    std::fs::write(&path, r#"{"auths":{"r.example":{"username":"u","password":"p"}}}"#).expect("written");
    assert_eq!(told(config.find("r.example", "")), "basic u p");
    std::fs::write(&path, "{").expect("written");
    let name = format!("`{}`", path.display());
    assert_eq!(config.name(), name);
    let error = told(config.find("r.example", ""));
    assert_eq!(error, format!("{name} is not a Docker config file (line 1, column 1), else nothing"));
    for nothing in ["", "\n", "null"] {
        std::fs::write(&path, nothing).expect("written");
        let named = DockerConfig::named_file(path.clone(), Helpers::default());
        assert_eq!((told(config.find("r", "")), told(named.find("r", ""))), ("nothing".into(), "nothing".into()));
    }
    let none = DockerConfig::named_file("/dev/null".into(), Helpers::default());
    assert!(matches!(none.find("r", ""), Answer::NotFound));
    let long = vec![b' '; usize::try_from(MAX_CONFIG_BYTES).expect("fits") + 1];
    std::fs::write(&path, long).expect("written");
    let answer = config.find("r", "");
    assert!(matches!(answer, Answer::Doubtful(CredentialError::TooLarge { origin }, None) if origin == name));
    std::fs::remove_file(&path).expect("removed");
    let named = DockerConfig::named_file(path, Helpers::default());
    assert!(matches!(named.find("r", ""), Answer::Failed(CredentialError::Read { .. })));
    let directory = DockerConfig::file(dir.path().to_owned(), Helpers::default());
    assert!(matches!(directory.find("r", ""), Answer::Doubtful(CredentialError::Read { .. }, None)));
}

#[test]
fn helpers_are_asked_before_entries() {
    let dir = tempfile::tempdir().expect("a directory");
    script(dir.path(), "here", r#"printf '{"Username":"here","Secret":"%s"}' "$(cat)""#);
    script(dir.path(), "store", r#"printf '{"Username":"store","Secret":"%s"}' "$(cat)""#);
    script(dir.path(), "none", "echo credentials not found in native keychain; exit 1");
    script(dir.path(), "broken", "exit 1");
    script(
        dir.path(),
        "bare",
        r#"read -r it; [ "$it" = p.example ] || { echo credentials not found in native keychain; exit 1; }
        printf '{"Username":"bare","Secret":"%s"}' "$it""#,
    );
    script(
        dir.path(),
        "full",
        r#"read -r it; [ "$it" = p.example:443 ] || { echo credentials not found in native keychain; exit 1; }
        printf '{"Username":"full","Secret":"%s"}' "$it""#,
    );
    script(dir.path(), "idpbuilder", "echo '{\"Username\":\"ourselves\",\"Secret\":\"x\"}'");
    let auths: Vec<_> = ["here", "own", "off", "none", "docker.io", "x"]
        .map(|host| format!(r#""{host}.example":{{"username":"file","password":"p"}}"#))
        .into();
    let helpers = r#"{"https://here.example/v2/":"here","own.example":"idpbuilder","off.example":"",
        "none.example":"none","bad.example":"../here","broken.example":"broken","index.docker.io":"here"}"#;
    let find = |store: &str, registry: &str| {
        let text = format!(r#"{{"auths":{{{}}},"credHelpers":{helpers},"credsStore":"{store}"}}"#, auths.join(","));
        let config = DockerConfig::variable("V", Secret::new(text), found_in(dir.path()));
        told(config.find(registry, "team/app"))
    };
    assert_eq!(find("store", "here.example"), "basic here here.example");
    assert_eq!(find("store", "x.example"), "basic store x.example");
    assert_eq!(find("store", "y.example"), "basic store y.example");
    for typed in ["p.example", "p.example:443"] {
        assert_eq!(find("bare", typed), "basic bare p.example", "a helper is asked for both forms");
        assert_eq!(find("full", typed), "basic full p.example:443");
    }
    assert_eq!(find("bare", "p.example:8443"), "nothing");
    assert_eq!(find("store", "docker.io"), "basic here https://index.docker.io/v1/");
    assert_eq!(find("store", "own.example"), "ours, else basic file p", "our own helper is not started");
    assert_eq!(find("idpbuilder", "x.example"), "ours, else basic file p", "nor as the one for all");
    assert_eq!(find("store", "off.example"), "basic file p", "an empty name means no helper");
    assert_eq!(find("store", "none.example"), "basic file p", "the file may know what the helper does not");
    assert_eq!(find("store", "broken.example"), "the credential helper `docker-credential-broken` failed (exit 1)");
    assert_eq!(find("", "x.example"), "basic file p");
    let refused = find("store", "bad.example");
    assert_eq!(refused, r#"`V` names "../here" as credential helper, which is not a name"#);
    assert_eq!(find("idpbuilder", "y.example"), "ours, else nothing");
    let absent = "cannot start the credential helper `docker-credential-absent`";
    assert_eq!(
        find("absent", "x.example"),
        format!("{absent}, else basic file p"),
        "it is not for this registry alone"
    );
    assert_eq!(find("absent", "y.example"), format!("{absent}, else nothing"));
    assert_eq!(find("absent", "here.example"), "basic here here.example", "nor asked where another is named");
}

proptest! {
    #[test]
    fn any_content_is_answered(bytes: Vec<u8>, registry in ".{0,40}", repository in ".{0,40}") {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.json");
        std::fs::write(&path, bytes).expect("written");
        let _ = DockerConfig::file(path, Helpers::default()).find(&registry, &repository);
    }

    /// Valid JSON of about the right form reaches the code behind the parser.
    #[test]
    fn any_entry_is_answered(key in ".{0,20}", name in "auth|username|password|identitytoken|registrytoken", value in ".{0,20}") {
        let hosts = json!({ &key: { &name: &value, "auth": &value }, "r.example": { &name: &value } });
        let config = variable(&json!({ "auths": hosts }).to_string());
        let _ = config.find("r.example", "");
        let _ = config.find(&key, &value);
    }
}
