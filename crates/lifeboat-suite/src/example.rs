//! Files to begin with. A test reads each of them as `lifeboat` would.

/// Names of the examples, the first one the default.
pub const EXAMPLES: [&str; 2] = ["standalone", "small"];

const STANDALONE: &str = include_str!("example/standalone.yaml");
const SMALL: &str = include_str!("example/small.yaml");

/// The example of this name.
pub fn example(name: &str) -> Option<&'static str> {
    match name {
        "standalone" => Some(STANDALONE),
        "small" => Some(SMALL),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
