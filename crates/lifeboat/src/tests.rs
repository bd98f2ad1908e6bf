//! What the program takes from where it runs.

use super::*;

#[test]
fn a_program_without_a_home_in_its_environment_has_that_of_its_user() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let user = || Some(PathBuf::from("/root"));
    let bare = vec![pair("PATH", "/usr/bin")];
    assert_eq!(at_home(bare.clone(), user()), [bare[0].clone(), pair("HOME", "/root")]);
    let told = vec![pair("HOME", "/srv/home")];
    assert_eq!(at_home(told.clone(), user()), told, "what is said counts");
    assert_eq!(at_home(bare.clone(), None), bare);
}
