//! Addresses and tokens, before anything is sent.

use zeroize::Zeroizing;

use super::{Admin, AdminError};

fn token(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

#[test]
fn address_that_is_none_or_holds_a_login_is_refused() {
    for address in ["ftp://a.test", "a.test", "http://", "http://user:word@a.test", "http://u@a"] {
        let refused = Admin::at(address, token("t")).err();
        assert!(matches!(refused, Some(AdminError::Address(_))), "{address}");
    }
    assert!(Admin::at("http://127.0.0.1:8008/", token("t")).is_ok());
}

#[tokio::test]
async fn token_that_no_header_can_hold_stops_everything_and_is_not_told() {
    let admin = Admin::at("http://127.0.0.1:9", token("se\ncret")).expect("an address");
    let refused = admin.deactivate("@a:b.test", true).await.expect_err("is no token");
    assert!(refused.is_about_all());
    assert_eq!(refused.to_string(), "the token cannot be sent");
    // Nobody listens at that port.
    let admin = Admin::at("http://127.0.0.1:9", token("secret")).expect("an address");
    let refused = admin.purge_room("!a:b.test").await.expect_err("nobody answers");
    assert!(refused.is_about_all());
    let told = format!("{refused:?}");
    assert!(!told.contains("secret") && !told.contains("!a"), "{told}");
}
