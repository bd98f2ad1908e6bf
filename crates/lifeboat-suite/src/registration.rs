//! Registrations of application services: the same two tokens on both sides.

/// What the secret is called in [`crate::SecretFile`].
pub const NAME: &str = "registration";
