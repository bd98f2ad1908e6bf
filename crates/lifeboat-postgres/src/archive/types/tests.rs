//! Which types may travel in binary form.

use super::{Known, Types};

const INT4: u32 = 23;
const INT4_ARRAY: u32 = 1007;
const REGCLASS: u32 = 2205;
const REGCLASS_ARRAY: u32 = 2210;
const TSQUERY: u32 = 3615;
const ACLITEM: u32 = 1033;
const INT4_RANGE: u32 = 3904;
const COLOUR: u32 = 20_000;
const COLOUR_ARRAY: u32 = 20_001;
const POINT_OF_OURS: u32 = 20_002;
const DOMAIN_OF_INT: u32 = 20_003;
const DOMAIN_OF_ARRAY: u32 = 20_004;
const RANGE_OF_OURS: u32 = 20_005;
const ENDLESS: u32 = 20_006;
const UNKNOWN: u32 = 99_999;

fn types() -> Types {
    let known = |kind, under, element, has_binary| Known { kind, under, element, has_binary };
    Types(
        [
            (INT4, known('b', 0, 0, true)),
            (INT4_ARRAY, known('b', 0, INT4, true)),
            (REGCLASS, known('b', 0, 0, true)),
            (REGCLASS_ARRAY, known('b', 0, REGCLASS, true)),
            (TSQUERY, known('b', 0, 0, true)),
            (ACLITEM, known('b', 0, 0, false)),
            (INT4_RANGE, known('r', 0, 0, true)),
            (COLOUR, known('e', 0, 0, true)),
            (COLOUR_ARRAY, known('b', 0, COLOUR, true)),
            (POINT_OF_OURS, known('c', 0, 0, true)),
            (DOMAIN_OF_INT, known('d', INT4, 0, true)),
            (DOMAIN_OF_ARRAY, known('d', COLOUR_ARRAY, 0, true)),
            (RANGE_OF_OURS, known('r', 0, 0, true)),
            (ENDLESS, known('d', ENDLESS, 0, true)),
        ]
        .into(),
    )
}

#[test]
fn values_that_hold_object_ids_of_their_database_travel_as_text() {
    let types = types();
    for oid in [INT4, INT4_ARRAY, INT4_RANGE, COLOUR, DOMAIN_OF_INT] {
        assert!(types.is_portable(oid), "{oid}");
    }
    for oid in [REGCLASS, REGCLASS_ARRAY, ACLITEM, COLOUR_ARRAY, POINT_OF_OURS] {
        assert!(!types.is_portable(oid), "{oid}");
    }
    for oid in [TSQUERY, DOMAIN_OF_ARRAY, RANGE_OF_OURS, ENDLESS, UNKNOWN] {
        assert!(!types.is_portable(oid), "{oid}");
    }
}
