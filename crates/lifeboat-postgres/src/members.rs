//! The members of a record, unparsed: a view into its line.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Member names and their values, in order.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(&'a str, Member<'a>)>);

/// The value of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member<'a> {
    /// JSON text.
    Json(&'a str),
    /// A string, as it is.
    Text(&'a str),
}

impl<'a> Members<'a> {
    /// Reads one object.
    ///
    /// # Errors
    /// When the line is not a JSON object with plain member names.
    pub fn parse(line: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// The member `name`, which is most likely the one at `hint`.
    pub fn find(&self, hint: usize, name: &str) -> Option<Member<'a>> {
        let is_it = |(found, _): &&(&str, Member<'a>)| *found == name;
        let hinted = self.0.get(hint).filter(is_it);
        hinted.or_else(|| self.0.iter().find(is_it)).map(|(_, member)| *member)
    }

    /// Every member, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Member<'a>)> + '_ {
        self.0.iter().copied()
    }

    /// Adds a member.
    pub fn push(&mut self, name: &'a str, member: Member<'a>) {
        self.0.push((name, member));
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Object<'a> {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'a>, M::Error> {
                let mut members = Vec::with_capacity(24);
                while let Some((name, value)) = map.next_entry::<&'de str, &'de RawValue>()? {
                    members.push((name, Member::Json(value.get())));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object(std::marker::PhantomData))
    }
}
