//! Real keys, real age files, and Debian's `age` on the other side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::*;

const SSH_ED25519: &str = include_str!("fixtures/ed25519");
const SSH_ED25519_PUBLIC: &str = include_str!("fixtures/ed25519.pub");
const SSH_RSA: &str = include_str!("fixtures/rsa");
const SSH_RSA_PUBLIC: &str = include_str!("fixtures/rsa.pub");
const SSH_ECDSA: &str = include_str!("fixtures/ecdsa");
const SSH_ECDSA_PUBLIC: &str = include_str!("fixtures/ecdsa.pub");
const SSH_PROTECTED: &str = include_str!("fixtures/ed25519-protected");

fn package() -> PackageId {
    PackageId::from_bytes([7; 16])
}

fn package_key() -> PackageKey {
    PackageKey::from_bytes([0xa5; 32])
}

fn parse(list: &[&str]) -> Result<Recipients, KeyringError> {
    let list: Vec<String> = list.iter().map(|text| (*text).to_owned()).collect();
    Recipients::parse(&list)
}

fn sealed_for(list: &[&str]) -> Vec<u8> {
    wrap(&parse(list).unwrap(), &package_key(), &package()).unwrap()
}

fn words(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

/// Opens and compares by the key check, which is all that a key shows.
fn opens(identity: &str, key_age: &[u8]) -> bool {
    let identities = Identities::from_file(identity.as_bytes()).unwrap();
    unwrap(&identities, key_age, &package())
        .is_ok_and(|key| key.key_check(&package()) == package_key().key_check(&package()))
}

fn refusal(result: Result<impl Sized, KeyringError>) -> String {
    result.err().expect("is refused").to_string()
}

#[test]
fn each_kind_of_recipient_opens_with_its_identity() {
    let (identity, recipient) = generate();
    assert!(opens(&identity, &sealed_for(&[&recipient])));
    assert!(opens(SSH_ED25519, &sealed_for(&[SSH_ED25519_PUBLIC])));
    assert!(opens(SSH_RSA, &sealed_for(&[SSH_RSA_PUBLIC])));
}

#[test]
fn any_of_several_recipients_opens() {
    let (identity, recipient) = generate();
    let key_age = sealed_for(&[SSH_RSA_PUBLIC, &recipient, SSH_ED25519_PUBLIC]);
    for one in [identity.as_str(), SSH_ED25519, SSH_RSA] {
        assert!(opens(one, &key_age));
    }
}

#[test]
fn the_passphrase_opens_and_another_does_not() {
    let recipients = Recipients::from_passphrase(&words("correct horse")).unwrap();
    let key_age = wrap(&recipients, &package_key(), &package()).unwrap();
    let right = Identities::from_passphrase(&words("correct horse")).unwrap();
    assert!(unwrap(&right, &key_age, &package()).is_ok());
    let wrong = Identities::from_passphrase(&words("battery staple")).unwrap();
    assert_eq!(
        refusal(unwrap(&wrong, &key_age, &package())),
        "the passphrase does not open this package"
    );
    let (identity, _) = generate();
    let keys = Identities::from_file(identity.as_bytes()).unwrap();
    assert_eq!(
        refusal(unwrap(&keys, &key_age, &package())),
        "this package was sealed with a passphrase, and none is given"
    );
}

#[test]
fn a_wrong_identity_is_told_in_one_line() {
    let (_, recipient) = generate();
    let (other, _) = generate();
    let one = Identities::from_file(other.as_bytes()).unwrap();
    assert_eq!(
        refusal(unwrap(&one, &sealed_for(&[&recipient]), &package())),
        "the identity does not open this package; it was sealed for 1 recipient of type X25519"
    );
    let two = Identities::from_file(format!("{}{}", *other, *generate().0).as_bytes()).unwrap();
    assert_eq!(
        refusal(unwrap(&two, &sealed_for(&[&recipient]), &package())),
        "none of the 2 identities opens this package; it was sealed for 1 recipient of type X25519"
    );
    let key_age = sealed_for(&[&recipient, SSH_RSA_PUBLIC, &generate().1]);
    let error = unwrap(&two, &key_age, &package()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "none of the 2 identities opens this package; \
         it was sealed for 3 recipients (2 X25519, 1 ssh-rsa)"
    );
    assert_eq!(
        (error.is_damage(), error.remedy()),
        (false, "name with -i FILE an identity that it was sealed for")
    );
    let passphrase = Identities::from_passphrase(&words("correct horse")).unwrap();
    assert!(
        refusal(unwrap(&passphrase, &key_age, &package())).starts_with("a passphrase does not")
    );
}

#[test]
fn passphrase_and_recipients_are_not_mixed() {
    let (_, recipient) = generate();
    let mixed = Recipients::choose(&[recipient], Some(&words("correct horse")));
    assert_eq!(
        refusal(mixed),
        "a package is sealed either with one passphrase or for recipients, not both"
    );
    assert!(matches!(Recipients::choose(&[], None), Err(KeyringError::NoRecipient)));
    assert!(matches!(
        Recipients::choose(&[], Some(&words(""))),
        Err(KeyringError::EmptyPassphrase)
    ));
}

#[test]
fn identities_and_a_passphrase_are_tried_together() {
    let folder = tempfile::tempdir().unwrap();
    let (identity, recipient) = generate();
    let file = folder.path().join("identity");
    fs::write(&file, identity.as_bytes()).unwrap();
    let both = Identities::read(&[file], Some(&words("correct horse"))).unwrap();
    assert_eq!(both.count(), 2);
    assert!(unwrap(&both, &sealed_for(&[&recipient]), &package()).is_ok());
    assert!(matches!(Identities::read(&[], None), Err(KeyringError::NoIdentity)));
}

#[test]
fn recipients_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("team");
    let (identity, recipient) = generate();
    fs::write(&file, format!("# the team\n\n{recipient}\n{SSH_ED25519_PUBLIC}")).unwrap();
    let path = file.to_str().unwrap();
    for spelling in [path.to_owned(), format!("@{path}")] {
        let recipients = parse(&[&spelling, &recipient]).unwrap();
        assert_eq!(recipients.names().len(), 2, "one that is named twice counts once");
        let key_age = wrap(&recipients, &package_key(), &package()).unwrap();
        assert!(opens(&identity, &key_age) && opens(SSH_ED25519, &key_age));
    }
}

#[test]
fn what_is_no_recipient_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("team");
    fs::write(&file, "# nobody\nage1wrong\n").unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(
        refusal(parse(&[path])),
        format!("line 2 of {path} is neither a recipient nor a file of recipients")
    );
    fs::write(&file, "# nobody\n").unwrap();
    assert!(matches!(parse(&[path]), Err(KeyringError::Recipient { .. })));
    assert_eq!(refusal(parse(&["@/nowhere"])), "cannot read /nowhere");
    assert!(refusal(parse(&["alice"])).starts_with("alice is neither"));
    assert!(matches!(parse(&["ssh-ed25519 AAAA"]), Err(KeyringError::Recipient { .. })));
    assert!(refusal(parse(&[SSH_ECDSA_PUBLIC])).contains("of type ecdsa-sha2-nistp256"));
    let plugin = "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t";
    assert!(refusal(parse(&[plugin])).contains("of type yubikey"));
}

#[test]
fn a_secret_key_is_refused_as_recipient_and_not_repeated() {
    let (identity, _) = generate();
    let secret = identity.lines().last().unwrap();
    let refused = refusal(parse(&[secret]));
    assert!(refused.contains("is a secret key") && !refused.contains(&secret[16..24]), "{refused}");
    assert!(matches!(parse(&[SSH_ED25519]), Err(KeyringError::SecretAsRecipient { .. })));
}

#[test]
fn identities_that_cannot_be_used_say_why() {
    let protected = Identities::from_file(SSH_PROTECTED.as_bytes());
    assert_eq!(
        refusal(protected),
        "the identity in the identity file is itself protected with a passphrase"
    );
    assert!(matches!(
        Identities::from_file(SSH_ECDSA.as_bytes()),
        Err(KeyringError::IdentityKind { .. })
    ));
    let (_, recipient) = generate();
    for protected in [sealed_for(&[&recipient]), b"-----BEGIN AGE ENCRYPTED FILE-----\n".to_vec()] {
        assert!(matches!(
            Identities::from_file(&protected),
            Err(KeyringError::ProtectedIdentity { .. })
        ));
    }
    assert!(refusal(Identities::from_file(b"# none\n")).ends_with("holds no identity"));
    assert!(refusal(Identities::from_file(b"\n# x\nhello\n")).ends_with("no identity on line 3"));
    assert!(refusal(Identities::from_file(&[0xff, 0])).ends_with("holds no identity"));
    let cut = &SSH_RSA.as_bytes()[..400];
    assert!(matches!(Identities::from_file(cut), Err(KeyringError::Identity { .. })));
}

#[test]
fn sizes_are_checked_first() {
    let large = vec![b'#'; KEY_FILE_BYTES + 1];
    assert!(matches!(Identities::from_file(&large), Err(KeyringError::TooLarge { .. })));
    let (identity, _) = generate();
    let identities = Identities::from_file(identity.as_bytes()).unwrap();
    assert!(matches!(unwrap(&identities, &large, &package()), Err(KeyringError::TooLarge { .. })));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    fs::write(&file, &large).unwrap();
    assert!(matches!(Identities::read(&[file], None), Err(KeyringError::TooLarge { .. })));
    // Claims to be empty and never ends.
    let endless = [PathBuf::from("/dev/zero")];
    assert!(matches!(Identities::read(&endless, None), Err(KeyringError::TooLarge { .. })));
    assert!(matches!(parse(&["@/dev/zero"]), Err(KeyringError::TooLarge { .. })));
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let (identity, recipient) = generate();
    let identities = Identities::from_file(identity.as_bytes()).unwrap();
    let key_age = sealed_for(&[&recipient]);
    for position in 0..key_age.len() {
        let mut changed = key_age.clone();
        changed[position] ^= 1 << (position % 8);
        assert!(unwrap(&identities, &changed, &package()).is_err(), "flipped at {position}");
        assert!(unwrap(&identities, &key_age[..position], &package()).is_err(), "cut {position}");
    }
    let mut longer = key_age;
    longer.push(b'\n');
    assert!(unwrap(&identities, &longer, &package()).is_err());
}

#[test]
fn the_key_of_another_package_is_refused() {
    let (identity, recipient) = generate();
    let identities = Identities::from_file(identity.as_bytes()).unwrap();
    let other = PackageId::from_bytes([8; 16]);
    let error = unwrap(&identities, &sealed_for(&[&recipient]), &other).err().unwrap();
    assert!(matches!(
        error,
        KeyringError::Content(KeyTextError::OtherPackage { expected, found })
            if expected == other && found == package()
    ));
    assert!(error.is_damage());
}

#[test]
fn a_passphrase_that_asks_for_too_much_work_is_refused() {
    let mut recipient = age::scrypt::Recipient::new(SecretWords::from("correct horse"));
    recipient.set_work_factor(1);
    let mut age_file = Vec::new();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).unwrap();
    let mut output = encryptor.wrap_output(&mut age_file).unwrap();
    output.write_all(b"x").unwrap();
    output.finish().unwrap();
    let (stanza_end, _) =
        age_file.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap();
    assert_eq!(age_file[stanza_end - 1], b'1');
    age_file.splice(stanza_end - 1..stanza_end, *b"30");
    let identities = Identities::from_passphrase(&words("correct horse")).unwrap();
    assert!(matches!(
        unwrap(&identities, &age_file, &package()),
        Err(KeyringError::TooMuchWork { required: 30 })
    ));
}

type SecretWords = age::secrecy::SecretString;

/// Debian's `age`, or any other that follows the specification.
fn age(folder: &Path, words: &[&str]) -> Vec<u8> {
    let output = Command::new("age").args(words).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn what_we_seal_opens_with_the_age_tool() {
    let folder = tempfile::tempdir().unwrap();
    let (identity, recipient) = generate();
    fs::write(folder.path().join("x25519"), identity.as_bytes()).unwrap();
    fs::write(folder.path().join("ed25519"), SSH_ED25519).unwrap();
    fs::write(folder.path().join("rsa"), SSH_RSA).unwrap();
    let key_age = sealed_for(&[&recipient, SSH_ED25519_PUBLIC, SSH_RSA_PUBLIC]);
    fs::write(folder.path().join("key.age"), key_age).unwrap();
    let text = package_key().to_key_text(&package());
    for file in ["x25519", "ed25519", "rsa"] {
        assert_eq!(age(folder.path(), &["-d", "-i", file, "key.age"]), text.as_bytes(), "{file}");
    }
}

#[test]
fn what_the_age_tool_seals_opens_with_ours() {
    let folder = tempfile::tempdir().unwrap();
    let (identity, recipient) = generate();
    let text = package_key().to_key_text(&package());
    fs::write(folder.path().join("key.txt"), text.as_bytes()).unwrap();
    let (ed25519, rsa) = (SSH_ED25519_PUBLIC.trim(), SSH_RSA_PUBLIC.trim());
    let key_age = age(folder.path(), &["-r", &recipient, "-r", ed25519, "-r", rsa, "key.txt"]);
    for one in [identity.as_str(), SSH_ED25519, SSH_RSA] {
        assert!(opens(one, &key_age));
    }
}

#[test]
fn passphrases_open_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let recipients = Recipients::from_passphrase(&words("correct horse")).unwrap();
    let key_age = wrap(&recipients, &package_key(), &package()).unwrap();
    fs::write(folder.path().join("key.age"), key_age).unwrap();
    type_into_age(folder.path(), "age -d -o key.txt key.age", "correct horse\n");
    let text = fs::read_to_string(folder.path().join("key.txt")).unwrap();
    assert_eq!(text, *package_key().to_key_text(&package()));
    let twice = "correct horse\ncorrect horse\n";
    type_into_age(folder.path(), "age -p -o theirs.age key.txt", twice);
    let theirs = fs::read(folder.path().join("theirs.age")).unwrap();
    let identities = Identities::from_passphrase(&words("correct horse")).unwrap();
    assert!(unwrap(&identities, &theirs, &package()).is_ok());
}

/// The tool takes a passphrase from a terminal only; `script` gives it one.
fn type_into_age(folder: &Path, command: &str, typed: &str) {
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", command, "/dev/null"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    assert!(script.wait().unwrap().success());
}
