//! Paths as Synapse makes them.

use super::*;

#[test]
fn an_upload_lies_in_two_levels_of_folders() {
    assert_eq!(MediaFile::local("a.test", "abcdEFGhij", false).path, "local_content/ab/cd/EFGhij");
    let thumbnail = local_thumbnail("a.test", "abcdEFG", false, "32-32-image-png-crop");
    assert_eq!(thumbnail.path, "local_thumbnails/ab/cd/EFG/32-32-image-png-crop");
}

#[test]
fn a_link_preview_lies_under_its_date() {
    let file = MediaFile::local("a.test", "2026-11-21_abcdef", true);
    assert_eq!(file.path, "url_cache/2026-11-21/abcdef");
    assert_eq!(MediaFile::local("a.test", "abcdefgh", true).path, "url_cache/ab/cd/efgh");
}

#[test]
fn remote_media_lies_under_its_filesystem_id() {
    let file = MediaFile::remote("other.test", "media", "wxyzFS");
    assert_eq!(file.path, "remote_content/other.test/wx/yz/FS");
    assert_eq!(file.mxc, "mxc://other.test/media");
}

#[test]
fn ids_that_lead_out_of_the_store_name_no_file_of_it() {
    for id in ["../../../../etc/passwd", "ab/../../..", "", "abcd", "ab..x", "abcdef\0"] {
        assert!(!MediaFile::local("example.org", id, false).is_inside(), "{id}");
    }
    assert!(!MediaFile::remote("..", "id", "abcdefgh").is_inside());
    assert!(MediaFile::local("example.org", "abcdefgh", false).is_inside());
    assert!(MediaFile::local("example.org", "ab..efgh", false).path.contains(".."));
}
