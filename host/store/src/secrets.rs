//! Seals values of secret options with a key that stays in a file beside the store.
//!
//! Must never log a value or the key, never write either in clear, and never read a key file
//! that others may read. Every value is sealed on its own, bound to its connector and option,
//! so that a sealed value copied elsewhere in the store does not open.

use crate::StoreError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Name of the key file in the store's directory.
pub(crate) const KEY_FILE: &str = "secret.key";

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// First byte of every sealed value; another cipher would take another number.
const SEAL_VERSION: u8 = 1;
/// What the key check seals. Its value does not matter, only that it opens.
const CHECK: &str = "rocketmq-connect store";

/// The key of one store.
pub(crate) struct SecretKey {
    // Wipes its key when dropped.
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        XChaCha20Poly1305::new_from_slice(bytes)
            .ok()
            .map(|cipher| Self { cipher })
    }

    /// Reads the key file; `None` when there is none.
    fn load(path: &Path) -> Result<Option<Self>, StoreError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("cannot open", path)(error)),
        };
        let mode = file
            .metadata()
            .map_err(StoreError::io("cannot inspect", path))?
            .permissions()
            .mode()
            & 0o7777;
        if mode & !0o600 != 0 {
            return Err(StoreError::KeyPermissions {
                path: path.to_owned(),
                mode,
            });
        }
        let malformed = |reason| StoreError::KeyMalformed {
            path: path.to_owned(),
            reason,
        };
        // One byte more than a key's text may have, so that a longer file is noticed.
        let mut text = Zeroizing::new(Vec::with_capacity(128));
        file.take(128)
            .read_to_end(&mut text)
            .map_err(StoreError::io("cannot read", path))?;
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES + 3]);
        let length = BASE64
            .decode_slice(text.trim_ascii(), bytes.as_mut_slice())
            .map_err(|_| malformed("expected one line of base64"))?;
        bytes
            .get(..length)
            .and_then(Self::from_bytes)
            .map(Some)
            .ok_or_else(|| malformed("expected 32 bytes in base64"))
    }

    /// Makes a new key and its file, which no crash leaves half written.
    fn create(path: &Path) -> Result<Self, StoreError> {
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        random(bytes.as_mut_slice(), path)?;
        let mut text = Zeroizing::new(BASE64.encode(bytes.as_slice()));
        text.push('\n');
        let draft = path.with_extension("key.new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("cannot remove", &draft)(error));
            }
            _ => {}
        }
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&draft)?;
            // Independent of the umask.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, path)?;
            crate::format::sync_parent(path)
        };
        write().map_err(StoreError::io("cannot create", path))?;
        Self::load(path)?.ok_or_else(|| StoreError::KeyMissing {
            path: path.to_owned(),
        })
    }

    fn seal(&self, aad: &[u8], value: &str, path: &Path) -> Result<String, StoreError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        random(&mut nonce, path)?;
        let sealed = self
            .cipher
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: value.as_bytes(),
                    aad,
                },
            )
            // The cipher only refuses lengths beyond 256 GiB.
            .map_err(|_| {
                StoreError::io("cannot seal with", path)(io::ErrorKind::InvalidInput.into())
            })?;
        let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        bytes.push(SEAL_VERSION);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(BASE64.encode(bytes))
    }

    /// `None` when the text was not sealed with this key for this place.
    fn open(&self, aad: &[u8], sealed: &str) -> Option<Zeroizing<String>> {
        let bytes = BASE64.decode(sealed).ok()?;
        let (version, rest) = bytes.split_first()?;
        if *version != SEAL_VERSION {
            return None;
        }
        let (nonce, message) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let value = self
            .cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: message, aad })
            .ok()?;
        // On failure the bytes come back inside the error, hence wiped here.
        String::from_utf8(value)
            .map_err(|error| drop(Zeroizing::new(error.into_bytes())))
            .ok()
            .map(Zeroizing::new)
    }
}

fn random(bytes: &mut [u8], path: &Path) -> Result<(), StoreError> {
    getrandom::fill(bytes)
        .map_err(|error| StoreError::io("no random bytes for", path)(io::Error::other(error)))
}

/// What a sealed value is bound to. Lengths keep ("ab", "c") and ("a", "bc") apart.
fn place(connector: &str, key: &str) -> Vec<u8> {
    let mut aad = Vec::with_capacity(9 + connector.len() + key.len());
    aad.push(SEAL_VERSION);
    aad.extend_from_slice(&(connector.len() as u64).to_le_bytes());
    aad.extend_from_slice(connector.as_bytes());
    aad.extend_from_slice(key.as_bytes());
    aad
}

/// The place of the key check: no connector's, for it lacks the lengths.
const CHECK_PLACE: &[u8] = b"\0check";

/// The key of a store, read when it is first needed.
#[derive(Debug)]
pub(crate) struct Secrets {
    path: PathBuf,
    key: Mutex<Option<Arc<SecretKey>>>,
}

impl Secrets {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(KEY_FILE),
            key: Mutex::new(None),
        }
    }

    /// The key file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn key(&self, create: bool) -> Result<Arc<SecretKey>, StoreError> {
        let mut slot = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = slot.as_ref() {
            return Ok(Arc::clone(key));
        }
        let key = match SecretKey::load(&self.path)? {
            Some(key) => key,
            None if create => SecretKey::create(&self.path)?,
            None => {
                return Err(StoreError::KeyMissing {
                    path: self.path.clone(),
                });
            }
        };
        let key = Arc::new(key);
        *slot = Some(Arc::clone(&key));
        Ok(key)
    }

    /// Seals one value, making the key first where there is none yet.
    ///
    /// # Errors
    /// The key file cannot be read, created or trusted, or there is no randomness.
    pub(crate) fn seal(
        &self,
        connector: &str,
        key: &str,
        value: &str,
    ) -> Result<String, StoreError> {
        self.key(true)?
            .seal(&place(connector, key), value, &self.path)
    }

    /// A token by which [`Secrets::check`] recognises the key later.
    ///
    /// # Errors
    /// As [`Secrets::seal`].
    pub(crate) fn check_token(&self) -> Result<String, StoreError> {
        self.key(true)?.seal(CHECK_PLACE, CHECK, &self.path)
    }

    /// Makes sure that the key file is the one the store's values were sealed with.
    ///
    /// # Errors
    /// The key is missing, unreadable, open to others or another one.
    pub(crate) fn check(&self, token: &str) -> Result<(), StoreError> {
        match self.key(false)?.open(CHECK_PLACE, token) {
            Some(_) => Ok(()),
            None => Err(StoreError::KeyWrong {
                path: self.path.clone(),
            }),
        }
    }

    /// Opens one sealed value.
    ///
    /// # Errors
    /// The key is missing or unreadable, or the value was sealed elsewhere.
    pub(crate) fn open(
        &self,
        connector: &str,
        key: &str,
        sealed: &str,
    ) -> Result<Zeroizing<String>, StoreError> {
        self.key(false)?
            .open(&place(connector, key), sealed)
            .ok_or_else(|| StoreError::SealBroken {
                connector: connector.to_owned(),
                key: key.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{KEY_FILE, Secrets};
    use crate::StoreError;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(directory.path());
        let sealed = secrets.seal("ab", "c", "hunter2").unwrap();
        assert_eq!(
            secrets.open("ab", "c", &sealed).unwrap().as_str(),
            "hunter2"
        );
        for (connector, key) in [("a", "bc"), ("abc", ""), ("ab", "d"), ("x", "c")] {
            assert!(matches!(
                secrets.open(connector, key, &sealed),
                Err(StoreError::SealBroken { .. })
            ));
        }
        let again = secrets.seal("ab", "c", "hunter2").unwrap();
        assert_ne!(sealed, again, "the same value must not look the same twice");
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(directory.path());
        let sealed = secrets.seal("c", "k", "value").unwrap();
        for index in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(secrets.open("c", "k", &changed).is_err(), "at {index}");
        }
        assert!(secrets.open("c", "k", "").is_err());
    }

    #[test]
    fn the_key_file_is_private_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(KEY_FILE);
        let secrets = Secrets::new(directory.path());
        let sealed = secrets.seal("c", "k", "value").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);

        let reread = Secrets::new(directory.path());
        assert_eq!(reread.open("c", "k", &sealed).unwrap().as_str(), "value");
        for open in [0o640, 0o604, 0o660, 0o700] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(open)).unwrap();
            let error = Secrets::new(directory.path())
                .open("c", "k", &sealed)
                .unwrap_err();
            assert!(
                matches!(error, StoreError::KeyPermissions { .. }),
                "{error}"
            );
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_key_file_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(KEY_FILE);
        for text in [
            "",
            "\n",
            "AAAA",
            "not base64!",
            &"A".repeat(44),
            &"A".repeat(4096),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let error = Secrets::new(directory.path()).check("").unwrap_err();
            assert!(
                matches!(error, StoreError::KeyMalformed { .. }),
                "{text:?}: {error}"
            );
        }
    }

    #[test]
    fn another_key_is_recognised() {
        let one = tempfile::tempdir().unwrap();
        let two = tempfile::tempdir().unwrap();
        let token = Secrets::new(one.path()).check_token().unwrap();
        assert!(Secrets::new(one.path()).check(&token).is_ok());
        assert!(matches!(
            Secrets::new(two.path()).check(&token),
            Err(StoreError::KeyMissing { .. })
        ));
        Secrets::new(two.path()).check_token().unwrap();
        assert!(matches!(
            Secrets::new(two.path()).check(&token),
            Err(StoreError::KeyWrong { .. })
        ));
    }
}
