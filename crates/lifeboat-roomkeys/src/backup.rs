//! Room keys out of the backup in a package, with a recovery key: of the backup itself, or of the
//! account's secret storage, which holds the backup's.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::{hkdf, hmac};
use base64::Engine;
use lifeboat_components::synapse::archive::{KeptBackup, KeptRoomKey, KeptSetting};
use serde::Deserialize;
use serde_json::Value;
use vodozemac::pk_encryption::{Message, PkDecryption};
use vodozemac::{Curve25519PublicKey, Curve25519SecretKey};
use zeroize::Zeroizing;

use super::cipher::decrypt;
use super::session_file::BASE64;
use super::{RoomKeyError, RoomKeys, WrittenSession, base58};

const ALGORITHM: &str = "m.megolm_backup.v1.curve25519-aes-sha2";

/// The secret that opens the backup, in secret storage.
const SECRET: &str = "m.megolm_backup.v1";

const STORAGE_KEY: &str = "m.secret_storage.key.";

/// Versions of backups and secret storages of a package, by account.
#[derive(Default)]
pub struct Backups {
    versions: Vec<KeptBackup>,
    /// Account → type → content.
    storages: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Backups that a recovery key opens. No `Debug`: it holds keys.
pub struct OpenBackups {
    keys: BTreeMap<(String, i64), PkDecryption>,
    /// What they hold.
    pub room_keys: RoomKeys,
}

/// A secret, sealed with a key of secret storage.
#[derive(Deserialize)]
struct Sealed {
    iv: String,
    mac: String,
    #[serde(default)]
    ciphertext: String,
}

impl Backups {
    /// Takes a version of a backup in.
    pub fn add_version(&mut self, version: KeptBackup) {
        if version.algorithm == ALGORITHM {
            self.versions.push(version);
        }
    }

    /// Takes in what an account keeps, if it belongs to its secret storage.
    pub fn add_account_data(&mut self, kept: &KeptSetting) {
        let belongs = kept.kind == SECRET || kept.kind.starts_with(STORAGE_KEY);
        if let (true, Ok(content)) = (belongs, serde_json::from_str(&kept.content)) {
            let storage = self.storages.entry(kept.user_id.clone()).or_default();
            storage.insert(kept.kind.clone(), content);
        }
    }

    /// Opens the backups that a recovery key is for.
    ///
    /// # Errors
    /// [`RoomKeyError`] when it is no recovery key, or for none of them.
    pub fn open(&self, recovery: &str) -> Result<OpenBackups, RoomKeyError> {
        let given = base58::recovery_key(recovery).ok_or(RoomKeyError::Recovery)?;
        let mut keys = vec![given.clone()];
        for storage in self.storages.values() {
            keys.extend(stored_key(storage, &given));
        }
        let mut opened = BTreeMap::new();
        for version in &self.versions {
            let Some(public) = public_key(&version.auth_data) else { continue };
            for key in &keys {
                let secret = Curve25519SecretKey::from_slice(key);
                if Curve25519PublicKey::from(&secret) == public {
                    let place = (version.user_id.clone(), version.version);
                    opened.insert(place, PkDecryption::from_key(secret));
                }
            }
        }
        if opened.is_empty() {
            return Err(RoomKeyError::Nobody);
        }
        Ok(OpenBackups { keys: opened, room_keys: RoomKeys::default() })
    }
}

impl OpenBackups {
    /// Whose backups they are.
    pub fn owners(&self) -> BTreeSet<&str> {
        self.keys.keys().map(|(user, _)| user.as_str()).collect()
    }

    /// Takes a backed-up key in, if it is of an open backup and whole.
    pub fn add(&mut self, kept: &KeptRoomKey) {
        #[derive(Deserialize)]
        struct Written {
            ciphertext: String,
            mac: String,
            ephemeral: String,
        }
        let place = (kept.user_id.clone(), kept.version);
        let Some(key) = self.keys.get(&place) else { return };
        let Ok(sealed) = serde_json::from_str::<Written>(&kept.session_data) else { return };
        let message = Message::from_base64(&sealed.ciphertext, &sealed.mac, &sealed.ephemeral);
        let Some(json) = message.ok().and_then(|message| key.decrypt(&message).ok()) else {
            return;
        };
        let json = Zeroizing::new(json);
        if let Ok(session) = serde_json::from_slice::<WrittenSession>(&json) {
            self.room_keys.add(&kept.room_id, &session);
        }
    }
}

fn public_key(auth: &str) -> Option<Curve25519PublicKey> {
    let auth: Value = serde_json::from_str(auth).ok()?;
    Curve25519PublicKey::from_base64(auth.get("public_key")?.as_str()?).ok()
}

/// The backup's key out of a secret storage, if `given` opens that.
fn stored_key(storage: &BTreeMap<String, Value>, given: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let sealed = storage.get(SECRET)?.get("encrypted")?.as_object()?;
    sealed.iter().find_map(|(key_id, sealed)| {
        storage.get(&format!("{STORAGE_KEY}{key_id}"))?;
        let sealed: Sealed = serde_json::from_value(sealed.clone()).ok()?;
        let text = open_secret(given, SECRET, &sealed)?;
        let key = Zeroizing::new(BASE64.decode(text.as_slice()).ok()?);
        Some(Zeroizing::new(<[u8; 32]>::try_from(key.as_slice()).ok()?))
    })
}

/// `m.secret_storage.v1.aes-hmac-sha2`.
fn open_secret(given: &[u8; 32], name: &str, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
    let mut keys = Zeroizing::new([0; 64]);
    let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, &[0; 32]).extract(given);
    let purpose = [name.as_bytes()];
    pseudorandom.expand(&purpose, KeyBytes).ok()?.fill(keys.as_mut_slice()).ok()?;
    let (cipher_key, mac_key) = keys.split_at(32);
    let ciphertext = BASE64.decode(&sealed.ciphertext).ok()?;
    let mac = BASE64.decode(&sealed.mac).ok()?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, mac_key), &ciphertext, &mac).ok()?;
    decrypt(cipher_key, &BASE64.decode(&sealed.iv).ok()?, &ciphertext)
}

struct KeyBytes;

impl hkdf::KeyType for KeyBytes {
    fn len(&self) -> usize {
        64
    }
}
