//! The program as a person or a script meets it: what it prints, and how it exits.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod checked;
mod conversation;
mod installation;
mod keygen;
mod manual;
mod passphrase;
mod put_back;
mod signals;
mod small;
mod usage;
mod vaulted;
