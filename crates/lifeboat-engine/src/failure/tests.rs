//! Which exit code a refused key comes to.

use super::*;

#[test]
fn the_wrong_key_is_a_failure_and_a_damaged_one_is_not_valid() {
    let wrong = KeyringError::WrongOneIdentity { sealed_for: "1 recipient".to_owned() };
    assert_eq!(Failure::from(wrong).code, Code::Failed);
    assert_eq!(Failure::from(KeyringError::Damaged).code, Code::NotValid);
    assert_eq!(Failure::from(KeyringError::NoIdentity).code, Code::Usage);
}
