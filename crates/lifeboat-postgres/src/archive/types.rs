//! Which types keep their meaning in binary form when they are read by another database.

use std::collections::HashMap;

use tokio_postgres::Client;

use crate::PostgresError;

/// Object ids from here on are given out by each database for itself (PostgreSQL documentation,
/// system catalogues, "System Catalog Initial Data").
const FIRST_OWN_OID: u32 = 16384;
/// Types deeper in each other than this are taken as text.
const DEEPEST: u32 = 16;

/// Types whose values are object ids: `regproc`, `regprocedure`, `regoper`, `regoperator`,
/// `regclass`, `regtype`, `regrole`, `regnamespace`, `regconfig`, `regdictionary`, `regcollation`.
const NAMES_OF_OBJECTS: &[u32] = &[24, 2202, 2203, 2204, 2205, 2206, 4096, 4089, 3734, 3769, 4191];

/// `tsquery`: PostgreSQL sends an empty one and does not take it back.
const NOT_TAKEN_BACK: &[u32] = &[3615];

/// What must be known of a type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// `b`ase, `c`omposite, `d`omain, `e`num, `p`seudo, `r`ange, `m`ultirange.
    pub(super) kind: char,
    /// What a domain is made from, or 0.
    pub(super) under: u32,
    /// What an array holds, or 0.
    pub(super) element: u32,
    /// It can be sent and received in binary form.
    pub(super) has_binary: bool,
}

/// The types of a database.
pub(super) struct Types(pub(super) HashMap<u32, Known>);

impl Types {
    pub(super) async fn read(client: &Client) -> Result<Self, PostgresError> {
        let rows = client
            .query(
                "SELECT oid, typtype::text, typbasetype,
                        CASE WHEN typlen = -1 AND typcategory = 'A' THEN typelem ELSE 0 END,
                        typsend::oid <> 0 AND typreceive::oid <> 0
                 FROM pg_type",
                &[],
            )
            .await
            .map_err(|e| PostgresError::sorted("read the list of types", e))?;
        let known = |row: &tokio_postgres::Row| Known {
            kind: row.get::<_, &str>(1).chars().next().unwrap_or('?'),
            under: row.get(2),
            element: row.get::<_, u32>(3),
            has_binary: row.get(4),
        };
        Ok(Self(rows.iter().map(|row| (row.get(0), known(row))).collect()))
    }

    /// Whether the binary form of a value means the same in every database.
    pub(super) fn is_portable(&self, oid: u32) -> bool {
        self.is_portable_at(oid, 0)
    }

    fn is_portable_at(&self, oid: u32, depth: u32) -> bool {
        let Some(known) = self.0.get(&oid) else { return false };
        let means_more = NAMES_OF_OBJECTS.contains(&oid) || NOT_TAKEN_BACK.contains(&oid);
        if depth > DEEPEST || !known.has_binary || means_more {
            return false;
        }
        match known.kind {
            // An array names its element type by object id.
            'b' if known.element != 0 => {
                known.element < FIRST_OWN_OID && self.is_portable_at(known.element, depth + 1)
            }
            'b' | 'e' => true,
            'd' => self.is_portable_at(known.under, depth + 1),
            // A range of an own type may hold what is not portable.
            'r' | 'm' => oid < FIRST_OWN_OID,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
