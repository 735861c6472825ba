use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::keyring::tests::{Fake, Mood};
use super::*;

struct Place {
    home: tempfile::TempDir,
    keyring: Arc<Fake>,
}

impl Place {
    fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a directory"), keyring: Arc::default() }
    }

    fn entries(&self, kind: StoreKind) -> CredentialStore {
        let keyring: Arc<dyn Keyring> = self.keyring.clone();
        CredentialStore::open(kind, &self.home.path().join("home"), keyring).with_patience(Duration::from_millis(50))
    }

    /// Every byte that is on disk.
    fn written(&self) -> String {
        let folder = self.home.path().join("home");
        let Ok(files) = std::fs::read_dir(&folder) else { return String::new() };
        files.map(|file| std::fs::read_to_string(file.expect("an entry").path()).expect("text")).collect()
    }
}

fn key(text: &str) -> HostKey {
    text.parse().expect("an address")
}

fn basic(username: &str, secret: &str) -> Credential {
    Credential::Basic { username: username.into(), secret: Secret::new(secret.into()) }
}

/// The credential in words.
fn told(credential: Option<Credential>) -> String {
    match credential {
        None => "nothing".into(),
        Some(Credential::Basic { username, secret }) => format!("basic {username} {}", secret.expose()),
        Some(other @ Credential::TokenOrPassword { .. }) => panic!("{other:?} is a cluster's"),
        Some(Credential::IdentityToken { username, token }) => format!("identity {username} {}", token.expose()),
        Some(Credential::RegistryToken(token)) => format!("registry {}", token.expose()),
    }
}

#[test]
fn a_keyring_keeps_the_secret_and_the_file_only_the_name() {
    let place = Place::new();
    let entries = place.entries(StoreKind::Auto);
    let kept = entries.put(&key("r.example:8443"), "https://R.example:8443", &basic("giteaAdmin", "hunter2"));
    assert!(matches!(kept, Ok(Kept::Keyring)), "{kept:?}");
    let written = place.written();
    assert!(written.contains("giteaAdmin") && !written.contains("hunter2"), "{written}");
    assert_eq!(told(entries.get(&key("R.example:8443/v2/")).expect("read")), "basic giteaAdmin hunter2");
    assert_eq!(told(entries.get(&key("r.example")).expect("read")), "nothing", "another port");
    let expected = OwnEntry {
        key: key("r.example:8443"),
        server: "https://R.example:8443".into(),
        username: "giteaAdmin".into(),
        in_keyring: true,
    };
    assert_eq!(entries.list().expect("read"), [expected]);
    assert!(entries.erase(&key("r.example:8443")).expect("erased"));
    assert!(!entries.erase(&key("r.example:8443")).expect("nothing to do"));
    assert!(place.keyring.items.lock().expect("unpoisoned").is_empty());
    assert_eq!(entries.list().expect("read"), []);
}

#[test]
fn only_where_no_keyring_is_there_a_private_file_keeps_it() {
    let place = Place::new();
    let put = |kind| place.entries(kind).put(&key("r.example"), "r.example", &basic("u", "hunter2"));
    place.keyring.is(Mood::Absent);
    let kept = put(StoreKind::Auto).expect("kept");
    let Kept::File { path, instead: Some(_) } = kept else { panic!("{kept:?}") };
    let entries = place.entries(StoreKind::Auto);
    assert_eq!(path, entries.path());
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(told(entries.get(&key("r.example")).expect("read")), "basic u hunter2");
    assert!(!entries.list().expect("read")[0].in_keyring);
    assert!(entries.erase(&key("r.example")).expect("erased"));
    assert!(!place.written().contains("hunter2"));
    // Each of these is a no, and what is kept by then stays what it was.
    place.keyring.is(Mood::Open);
    entries.put(&key("s.example"), "s.example", &basic("u", "earlier")).expect("kept");
    for (kind, mood) in [
        (StoreKind::Auto, Mood::Locked),
        (StoreKind::Auto, Mood::Asking),
        (StoreKind::Auto, Mood::Broken),
        (StoreKind::Keyring, Mood::Absent),
        (StoreKind::Keyring, Mood::Locked),
    ] {
        place.keyring.is(mood);
        let refused = put(kind);
        assert!(matches!(refused, Err(EntriesError::Keyring(_))), "{refused:?}");
        assert!(!place.written().contains("hunter2"), "nothing is written to a file");
        assert_eq!(entries.list().expect("read").len(), 1);
    }
    // The file can be chosen.
    assert!(matches!(put(StoreKind::File), Ok(Kept::File { instead: None, .. })));
}

#[test]
fn a_logout_removes_what_the_keyring_kept_before_as_well() {
    let place = Place::new();
    let (auto, file) = (place.entries(StoreKind::Auto), place.entries(StoreKind::File));
    auto.put(&key("r.example"), "r.example", &basic("u", "first")).expect("kept");
    // Another session has no keyring, or it is locked.
    for (mood, entries) in [(Mood::Absent, &auto), (Mood::Locked, &file)] {
        place.keyring.is(mood);
        entries.put(&key("r.example"), "r.example", &basic("u", "second")).expect("kept");
        assert_eq!(told(entries.get(&key("r.example")).expect("read")), "basic u second");
        assert!(matches!(auto.erase(&key("r.example")), Err(EntriesError::Keyring(_))));
        assert_eq!(told(auto.get(&key("r.example")).expect("read")), "basic u second", "still logged in");
    }
    place.keyring.is(Mood::Open);
    assert!(auto.erase(&key("r.example")).expect("erased"));
    assert!(place.keyring.items.lock().expect("unpoisoned").is_empty() && !place.written().contains("second"));
    assert_eq!(auto.list().expect("read"), []);
}

#[test]
fn the_file_alone_asks_no_keyring() {
    let place = Place::new();
    place.keyring.is(Mood::Asking);
    let entries = place.entries(StoreKind::File).with_patience(Duration::from_mins(10));
    let kept = entries.put(&key("r.example"), "r.example", &basic("u", "hunter2")).expect("kept");
    assert!(matches!(kept, Kept::File { instead: None, .. }), "{kept:?}");
    assert_eq!(told(entries.get(&key("r.example")).expect("read")), "basic u hunter2");
    assert!(entries.erase(&key("r.example")).expect("erased"));
}

#[test]
fn a_registry_has_one_entry_wherever_it_was_kept_before() {
    let place = Place::new();
    let (auto, file) = (place.entries(StoreKind::Auto), place.entries(StoreKind::File));
    auto.put(&key("r.example"), "r.example", &basic("u", "first")).expect("kept");
    file.put(&key("r.example"), "r.example", &basic("u", "second")).expect("kept");
    assert!(place.keyring.items.lock().expect("unpoisoned").is_empty(), "what is out of date is gone");
    assert_eq!(told(auto.get(&key("r.example")).expect("read")), "basic u second");
    auto.put(&key("r.example"), "r.example", &basic("u", "third")).expect("kept");
    assert!(!place.written().contains("second"));
    assert_eq!(told(file.get(&key("r.example")).expect("read")), "basic u third");
}

#[test]
fn what_the_keyring_does_not_give_or_remove_is_an_error_and_stays() {
    let place = Place::new();
    let entries = place.entries(StoreKind::Auto);
    entries.put(&key("r.example"), "r.example", &basic("u", "hunter2")).expect("kept");
    for (mood, expected) in [
        (Mood::Locked, "the keyring does not give the entry for r.example; it may be locked"),
        (Mood::Absent, "no keyring answers here (no bus)"),
        (Mood::Asking, "the keyring did not answer within 50 ms"),
    ] {
        place.keyring.is(mood);
        assert_eq!(entries.get(&key("r.example")).expect_err("an error").to_string(), expected);
        assert_eq!(told(entries.get(&key("other.example")).expect("not asked")), "nothing");
    }
    for mood in [Mood::Locked, Mood::Absent, Mood::Asking, Mood::Broken] {
        place.keyring.is(mood);
        let failed = entries.erase(&key("r.example"));
        assert!(matches!(failed, Err(EntriesError::Keyring(_))), "{failed:?}");
        assert_eq!(entries.list().expect("read").len(), 1, "the entry stays as long as the secret does");
    }
    place.keyring.is(Mood::Open);
    assert_eq!(told(entries.get(&key("r.example")).expect("read")), "basic u hunter2");
    assert!(entries.erase(&key("r.example")).expect("erased"));
    assert!(place.keyring.items.lock().expect("unpoisoned").is_empty());
    // A keyring that was switched off in the settings keeps no login.
    entries.put(&key("r.example"), "r.example", &basic("u", "hunter2")).expect("kept");
    place.keyring.is(Mood::Absent);
    assert!(place.entries(StoreKind::File).erase(&key("r.example")).expect("erased"));
    assert_eq!(entries.list().expect("read"), []);
}

#[test]
fn every_kind_survives() {
    let place = Place::new();
    let entries = place.entries(StoreKind::File);
    let token = || Secret::new("t\"\\\u{1}".into());
    for (credential, expected) in [
        (basic("", ""), "basic  "),
        (Credential::IdentityToken { username: "u".into(), token: token() }, "identity u t\"\\\u{1}"),
        (Credential::RegistryToken(token()), "registry t\"\\\u{1}"),
    ] {
        entries.put(&key("r.example"), "r.example", &credential).expect("kept");
        assert_eq!(told(entries.get(&key("r.example")).expect("read")), expected);
    }
    let long = basic("u", &"x".repeat(2 * MAX_FIELD_BYTES));
    assert!(matches!(entries.put(&key("r.example"), "r", &long), Err(EntriesError::TooLong)));
}

#[test]
fn what_others_did_to_the_file_is_told_without_quoting_it() {
    let place = Place::new();
    let entries = place.entries(StoreKind::File);
    entries.put(&key("r.example"), "r.example", &basic("u", "hunter2")).expect("kept");
    let path = entries.path().to_owned();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("mode");
    entries.put(&key("s.example"), "s.example", &basic("u", "hunter2")).expect("kept");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600, "private again");
    assert_eq!(entries.list().expect("read").len(), 2);
    for content in [
        "hunter2",
        "{\"version\":1,\"entries\":\"hunter2\"}",
        "{\"version\":1,\"entries\":{\"r\":{\"item\":\"hunter2\"}}}",
    ] {
        std::fs::write(&path, content).expect("written");
        let error = entries.get(&key("r.example")).expect_err("damaged");
        assert!(matches!(error, EntriesError::Syntax { .. }), "{error:?}");
        assert!(!format!("{error} {error:?} {entries:?}").contains("hunter2"));
        let kept = entries.put(&key("r.example"), "r", &basic("u", "p"));
        assert!(matches!(kept, Err(EntriesError::Syntax { .. })), "nothing is overwritten: {kept:?}");
    }
    std::fs::write(&path, "{\"version\":2,\"entries\":{}}").expect("written");
    assert!(matches!(entries.list(), Err(EntriesError::Version { version: 2, .. })));
    std::fs::write(&path, r#"{"version":1,"entries":{"r.example":{"server":"r","username":"u","item":"{}"}}}"#)
        .expect("written");
    assert!(matches!(entries.get(&key("r.example")), Err(EntriesError::Damaged { .. })));
    let size = 1 + (1 << 20);
    std::fs::write(&path, vec![b' '; size]).expect("written");
    assert!(matches!(entries.list(), Err(EntriesError::TooLarge { .. })));
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir(&path).expect("made");
    assert!(matches!(entries.list(), Err(EntriesError::Read { .. })));
}

#[test]
fn what_a_killed_run_left_is_removed_and_a_link_stays() {
    let place = Place::new();
    let entries = place.entries(StoreKind::File);
    entries.put(&key("r.example"), "r.example", &basic("u", "first")).expect("kept");
    let home = place.home.path().join("home");
    std::fs::write(home.join(".idpbuilder-tmp-abc"), "hunter2").expect("written");
    entries.put(&key("r.example"), "r.example", &basic("u", "second")).expect("kept");
    assert!(!place.written().contains("hunter2"));
    // Dotfile managers make it a link, which may lead to nothing yet.
    let elsewhere = place.home.path().join("elsewhere.json");
    std::fs::remove_file(entries.path()).expect("removed");
    std::os::unix::fs::symlink(&elsewhere, entries.path()).expect("linked");
    for secret in ["third", "fourth"] {
        entries.put(&key("r.example"), "r.example", &basic("u", secret)).expect("kept");
        assert!(entries.path().is_symlink() && elsewhere.is_file());
        assert_eq!(elsewhere.metadata().expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(told(entries.get(&key("r.example")).expect("read")), format!("basic u {secret}"));
    }
}

#[test]
fn many_at_once_lose_nothing() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let entries = place.entries(StoreKind::File);
            scope.spawn(move || {
                let name = format!("r{number}.example");
                entries.put(&key(&name), &name, &basic("u", "p")).expect("kept");
            });
        }
    });
    assert_eq!(place.entries(StoreKind::File).list().expect("read").len(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_kept_is_given_back(username in "\\PC{0,40}", secret in "\\PC{0,40}") {
        let expected = told(Some(basic(&username, &secret)));
        prop_assert_eq!(told(read(write(&basic(&username, &secret)).as_bytes())), expected);
    }

    #[test]
    fn any_item_is_read(item: Vec<u8>) {
        let _ = read(&item);
    }
}
