//! A real Secret Service: gnome-keyring in a session bus of its own.

use crate::sandbox::{SECRETS, Sandbox, executable};

/// Runs a script for bash with a session bus, and with a keyring that is unlocked or not.
fn session(sandbox: &Sandbox, unlocked: bool, script: &str) -> (Option<i32>, String, String) {
    let helper = sandbox.work().join("docker-credential-idpbuilder");
    if !helper.exists() {
        std::os::unix::fs::symlink(executable(), &helper).expect("a link");
    }
    let unlock = "printf 'login' | gnome-keyring-daemon --unlock --components=secrets >keyring.log 2>&1";
    let start = "gnome-keyring-daemon --start --components=secrets >keyring.log 2>&1";
    let script = format!("{}\n{script}", if unlocked { unlock } else { start });
    sandbox.file("script", script);
    let run = "export PATH=$PWD:$PATH; exec timeout 60 dbus-run-session -- bash -eu script";
    let output = sandbox.shell(run).output().expect("it runs");
    let text = |bytes: &[u8]| sandbox.neutral(bytes);
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const STORE: &str = r#"printf '{"ServerURL":"https://r.example/","Username":"giteaAdmin","Secret":"%s"}' "$PROOF" |
    docker-credential-idpbuilder store"#;

#[test]
#[ignore = "needs gnome-keyring and dbus"]
fn a_keyring_keeps_gives_lists_and_forgets() {
    let mut sandbox = Sandbox::new();
    sandbox.set("PROOF", SECRETS[0]);
    let script = format!(
        "{STORE}
        cat $HOME/.idpbuilder/credentials.json; echo
        echo R.example:443 | docker-credential-idpbuilder get
        docker-credential-idpbuilder list
        echo r.example | docker-credential-idpbuilder erase
        docker-credential-idpbuilder list
        echo r.example | docker-credential-idpbuilder get || echo exit $?
        {STORE}
        printf '{{\"ServerURL\":\"r.example\",\"Username\":\"other\",\"Secret\":\"changed\"}}' | docker-credential-idpbuilder store
        echo r.example | docker-credential-idpbuilder get"
    );
    let (code, stdout, stderr) = session(&sandbox, true, &script);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
    let (file, answers) = stdout.split_once("\n\n").expect("an empty line");
    assert!(file.contains("giteaAdmin") && !file.contains(SECRETS[0]), "the file has no secret: {file}");
    let expected = format!(
        "{{\"ServerURL\":\"R.example:443\",\"Username\":\"giteaAdmin\",\"Secret\":\"{}\"}}\n\
         {{\"https://r.example/\":\"giteaAdmin\"}}\n{{}}\ncredentials not found in native keychain\nexit 1\n\
         {{\"ServerURL\":\"r.example\",\"Username\":\"other\",\"Secret\":\"changed\"}}\n",
        SECRETS[0]
    );
    assert_eq!(answers, expected);
    for entry in std::fs::read_dir(sandbox.home().join(".idpbuilder")).expect("there") {
        let content = std::fs::read(entry.expect("an entry").path()).expect("a file");
        assert!(!String::from_utf8_lossy(&content).contains(SECRETS[0]));
    }
}

#[test]
#[ignore = "needs gnome-keyring and dbus"]
fn a_keyring_that_is_locked_is_not_waited_for_and_loses_nothing() {
    let mut sandbox = Sandbox::new();
    sandbox.set("PROOF", SECRETS[0]);
    let (code, stdout, stderr) = session(&sandbox, true, STORE);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    // The next session has the keyring's file, and nobody to unlock it.
    let (code, stdout, stderr) =
        session(&sandbox, false, "echo r.example | docker-credential-idpbuilder get || echo exit $?");
    assert_eq!((code, stdout.as_str()), (Some(0), "credentials not found in native keychain\nexit 1\n"), "{stderr}");
    assert!(stderr.contains("keyring") && stderr.contains("hint: unlock the keyring"), "{stderr}");
    // Neither is anything kept elsewhere, nor forgotten.
    let kept = || std::fs::read_to_string(sandbox.home().join(".idpbuilder/credentials.json")).expect("there");
    let before = kept();
    let (code, stdout, stderr) = session(&sandbox, false, &format!("{STORE} || echo exit $?"));
    assert!(code == Some(0) && stdout.contains("keyring") && stdout.ends_with("exit 1\n"), "{stdout}{stderr}");
    assert!(stderr.contains("credential_store = \"file\""), "{stderr}");
    let logout = "bash -c 'exec -a idpbuilder-logout docker-credential-idpbuilder r.example' || echo exit $?";
    let (code, stdout, stderr) = session(&sandbox, false, logout);
    assert_eq!((code, stdout.as_str()), (Some(0), "exit 1\n"), "{stderr}");
    assert!(stderr.contains("the login is kept"), "{stderr}");
    assert_eq!(kept(), before);
    let (code, stdout, stderr) = session(&sandbox, true, "echo r.example | docker-credential-idpbuilder get");
    assert!(code == Some(0) && stdout.contains(SECRETS[0]), "{stderr}");
    let (code, stdout, stderr) = session(&sandbox, true, logout);
    assert!(code == Some(0) && stdout.contains("Logged out of r.example"), "{stdout}{stderr}");
}
