//! Listings of unfinished uploads.

use super::*;

#[test]
fn uploads_are_read_from_a_listing() {
    let listing = "<?xml version=\"1.0\"?><ListMultipartUploadsResult><Bucket>b</Bucket>\
        <IsTruncated>false</IsTruncated>\
        <Upload><Key>p/a.vol</Key><UploadId>id-1</UploadId><Initiated>2026</Initiated></Upload>\
        <Upload><UploadId>id-2</UploadId><Key>p/b.vol</Key></Upload>\
        </ListMultipartUploadsResult>";
    let leftover = |key: &str, id: &str| Leftover { key: key.into(), id: id.into() };
    assert_eq!(parse(listing), [leftover("p/a.vol", "id-1"), leftover("p/b.vol", "id-2")]);
}

#[test]
fn a_listing_that_is_cut_or_something_else_gives_only_whole_uploads() {
    for listing in ["", "<Upload>", "<Upload><Key>a</Key><UploadId>x", "<html>no</html>"] {
        assert_eq!(parse(listing), []);
    }
}
