//! The system's keyring: one item for each registry. Calls have a deadline, since the keyring may prompt the user.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::progress::Interrupt;
use crate::text::{self, without_numbers};
use crate::threads::spawn;

/// The name under which the keyring shows our items.
const SERVICE: &str = "idpbuilder";
/// The most bytes of a library's message that are examined.
const MAX_REASON: usize = 4096;
/// How often a wait polls the interrupt.
const TICK: Duration = Duration::from_millis(20);

/// The item of one registry.
pub type Item = Zeroizing<Vec<u8>>;

/// Why a call to the keyring failed. Holds no part of an item.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyringError {
    /// There is no session bus, or no keyring on it. Only in this case may a secret be written to a file instead.
    #[error("no keyring answers here ({0})")]
    Absent(String),
    /// The keyring was running, but the request or its answer was lost.
    #[error("the keyring failed ({0})")]
    Failed(String),
    /// The keyring is locked, or refuses the request.
    #[error("the keyring is locked or refuses ({0})")]
    Refused(String),
    /// The keyring did not answer in time; its prompt may still be open.
    #[error("the keyring did not answer within {}", text::duration(*.0))]
    Deadline(Duration),
    /// The wait was ended from here.
    #[error("the wait for the keyring was interrupted")]
    Interrupted,
}

/// A place that keeps items by name. Its calls may wait for a person.
pub trait Keyring: Send + Sync {
    /// Returns the item, or `None` where there is none. Some keyrings say so while they are locked.
    fn get(&self, name: &str) -> Result<Option<Item>, KeyringError>;

    /// Stores the item, replacing an existing one.
    fn put(&self, name: &str, item: &[u8]) -> Result<(), KeyringError>;

    /// Removes the item; a missing item is not an error.
    fn erase(&self, name: &str) -> Result<(), KeyringError>;
}

/// The keyring of the session: Secret Service, or what the system has in its place.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemKeyring;

impl SystemKeyring {
    fn entry(name: &str) -> Result<keyring::v1::Entry, KeyringError> {
        if let Err(error) = keyring::v1::Entry::store_status() {
            return Err(KeyringError::Absent(reason(error)));
        }
        keyring::v1::Entry::new(SERVICE, name).map_err(|error| translate(&error))
    }
}

impl Keyring for SystemKeyring {
    fn get(&self, name: &str) -> Result<Option<Item>, KeyringError> {
        match Self::entry(name)?.get_secret() {
            Ok(item) => Ok(Some(Zeroizing::new(item))),
            Err(keyring::v1::Error::NoEntry) => Ok(None),
            Err(error) => Err(translate(&error)),
        }
    }

    fn put(&self, name: &str, item: &[u8]) -> Result<(), KeyringError> {
        Self::entry(name)?.set_secret(item).map_err(|error| translate(&error))
    }

    fn erase(&self, name: &str) -> Result<(), KeyringError> {
        match Self::entry(name)?.delete_credential() {
            Ok(()) | Err(keyring::v1::Error::NoEntry) => Ok(()),
            Err(error) => Err(translate(&error)),
        }
    }
}

/// Returns the meaning of an error from a keyring that was running when it was asked. A dialog that went away with its
/// connection is a failure of the platform for the library; it is no reason to write the secret to a file.
fn translate(error: &keyring::v1::Error) -> KeyringError {
    use keyring::v1::Error;
    match error {
        Error::NoDefaultStore => KeyringError::Absent(reason(error)),
        Error::PlatformFailure(_) => KeyringError::Failed(reason(error)),
        _ => KeyringError::Refused(reason(error)),
    }
}

/// Returns the reason in words, without what some of the library's errors hold: the item itself.
fn reason(error: &keyring::v1::Error) -> String {
    use keyring::v1::Error;
    match error {
        Error::PlatformFailure(source) | Error::NoStorageAccess(source) => in_words(source.as_ref()).to_owned(),
        Error::Ambiguous(_) => "it has several items of that name".to_owned(),
        Error::NoDefaultStore => "not supported on this system".to_owned(),
        _ => "it cannot keep this".to_owned(),
    }
}

/// Returns what the session bus or the keyring behind it said, in words. The libraries have no types for it that reach
/// us, and their texts are for programmers; the names of the bus's own errors are part of its specification.
fn in_words(source: &(dyn std::error::Error + 'static)) -> &'static str {
    let mut text = String::new();
    let mut link = Some(source);
    while let Some(error) = link.filter(|_| text.len() < MAX_REASON) {
        text.push_str(&error.to_string().to_lowercase());
        text.push('\n');
        link = error.source();
    }
    let has = |names: &[&str]| names.iter().any(|name| text.contains(name));
    if has(&["serviceunknown", "namehasnoowner", "not provided by any .service", "spawn.servicenotfound"]) {
        "there is no keyring on the session bus"
    } else if has(&["locked", "prompt", "dismissed"]) {
        "it is locked, and the question was not answered"
    } else if has(&["accessdenied", "access denied", "permission denied", "notsupported"]) {
        "it denies access"
    } else if has(&["noreply", "timeout", "timed out"]) {
        "it did not answer"
    } else if has(&["disconnected", "broken pipe", "connection reset", "closed"]) {
        "its connection was closed"
    } else if has(&[
        "address",
        "no such file",
        "not found",
        "connection refused",
        "autolaunch",
        "i/o error",
        "inputoutput",
    ]) {
        "there is no session bus"
    } else {
        "it gives no reason"
    }
}

/// Calls the keyring on a separate thread and waits for at most `patience`. A blocked thread ends with the process.
pub(super) fn within<T: Send + 'static>(
    keyring: &Arc<dyn Keyring>,
    patience: Duration,
    interrupt: &Interrupt,
    ask: impl FnOnce(&dyn Keyring) -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let (sender, receiver) = mpsc::channel();
    let keyring = Arc::clone(keyring);
    spawn("keyring", move || {
        let _ = sender.send(ask(keyring.as_ref()));
    })
    .map_err(|error| KeyringError::Failed(without_numbers(&error.to_string()).into_owned()))?;
    let started = Instant::now();
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(answer) => return answer,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(KeyringError::Failed("its library failed".to_owned()));
            }
            Err(mpsc::RecvTimeoutError::Timeout) if interrupt.requested() => return Err(KeyringError::Interrupted),
            Err(mpsc::RecvTimeoutError::Timeout) if started.elapsed() < patience => {}
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(KeyringError::Deadline(patience)),
        }
    }
}

#[cfg(test)]
pub(in crate::credentials) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;

    /// A keyring in memory that can be told to misbehave.
    #[derive(Default)]
    pub(in crate::credentials) struct Fake {
        pub(in crate::credentials) items: Mutex<BTreeMap<String, Vec<u8>>>,
        pub(in crate::credentials) mood: Mutex<Mood>,
    }

    #[derive(Default, Clone, Copy, PartialEq, Eq)]
    pub(in crate::credentials) enum Mood {
        #[default]
        Open,
        Absent,
        /// Says that there is nothing, and takes nothing.
        Locked,
        /// Loses what it is asked.
        Broken,
        /// Waits for a person who is not there.
        Asking,
    }

    impl Fake {
        pub(in crate::credentials) fn is(&self, mood: Mood) {
            *self.mood.lock().expect("unpoisoned") = mood;
        }

        fn enter(&self) -> Result<bool, KeyringError> {
            let mood = *self.mood.lock().expect("unpoisoned");
            match mood {
                Mood::Open => Ok(true),
                Mood::Locked => Ok(false),
                Mood::Absent => Err(KeyringError::Absent("no bus".into())),
                Mood::Broken => Err(KeyringError::Failed("dialog closed".into())),
                Mood::Asking => loop {
                    std::thread::park();
                },
            }
        }
    }

    impl Keyring for Fake {
        fn get(&self, name: &str) -> Result<Option<Item>, KeyringError> {
            let open = self.enter()?;
            let item = self.items.lock().expect("unpoisoned").get(name).cloned();
            Ok(item.filter(|_| open).map(Zeroizing::new))
        }

        fn put(&self, name: &str, item: &[u8]) -> Result<(), KeyringError> {
            if !self.enter()? {
                return Err(KeyringError::Refused("locked".into()));
            }
            self.items.lock().expect("unpoisoned").insert(name.to_owned(), item.to_vec());
            Ok(())
        }

        fn erase(&self, name: &str) -> Result<(), KeyringError> {
            if !self.enter()? {
                return Err(KeyringError::Refused("locked".into()));
            }
            self.items.lock().expect("unpoisoned").remove(name);
            Ok(())
        }
    }

    #[test]
    fn a_keyring_that_asks_a_person_does_not_hold_us_up() {
        let fake = Arc::new(Fake::default());
        fake.is(Mood::Asking);
        let keyring: Arc<dyn Keyring> = fake;
        let moment = Duration::from_millis(40);
        let waited = within(&keyring, moment, &Interrupt::default(), |keyring| keyring.get("r"));
        assert!(matches!(waited, Err(KeyringError::Deadline(limit)) if limit == moment), "{waited:?}");
        let interrupt = Interrupt::default();
        interrupt.request();
        let stopped = within(&keyring, Duration::from_mins(10), &interrupt, |keyring| keyring.get("r"));
        assert!(matches!(stopped, Err(KeyringError::Interrupted)), "{stopped:?}");
    }

    #[test]
    fn reasons_hold_nothing_of_an_item() {
        use keyring::v1::Error;
        let secret = b"hunter2".to_vec();
        for error in [Error::BadEncoding(secret.clone()), Error::BadDataFormat(secret, "x".into())] {
            let told = translate(&error);
            assert!(!format!("{told} {told:?}").contains("hunter2"), "{told:?}");
        }
        for (text, expected) in [
            ("zbus error: I/O error: No such file or directory (os error 2)", "there is no session bus"),
            ("Zbus error: I/O error: Connection refused (os error 111)", "there is no session bus"),
            ("zbus error: Address error: unsupported transport", "there is no session bus"),
            (
                "zbus error: org.freedesktop.DBus.Error.ServiceUnknown: The name is unknown",
                "there is no keyring on the session bus",
            ),
            ("org.freedesktop.DBus.Error.NoReply: x", "it did not answer"),
            ("org.freedesktop.Secret.Error.IsLocked", "it is locked, and the question was not answered"),
            ("SS error: prompt dismissed", "it is locked, and the question was not answered"),
            ("org.freedesktop.DBus.Error.AccessDenied", "it denies access"),
            ("Other(Whatever)\u{7}", "it gives no reason"),
        ] {
            let told = translate(&Error::PlatformFailure(text.into()));
            assert_eq!(told.to_string(), format!("the keyring failed ({expected})"), "{text}");
        }
        assert!(matches!(translate(&Error::NoStorageAccess("x".into())), KeyringError::Refused(_)));
        assert!(matches!(translate(&Error::NoDefaultStore), KeyringError::Absent(_)));
    }
}
