//! What is a location, and what is shown of it.

use super::*;

#[test]
fn locations_are_parsed_and_shown_as_written() {
    for (text, shown) in [
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("gs://my.bucket-1/x", "gs://my.bucket-1/x"),
        ("az://container/x y", "az://container/x y"),
        ("/var/backups", "/var/backups"),
        ("server.lifeboat", "server.lifeboat"),
        ("C:/odd", "C:/odd"),
    ] {
        assert_eq!(Location::parse(text).unwrap().to_string(), shown);
    }
    assert_eq!(
        Location::parse("s3://bucket/a/b").unwrap(),
        Location::Bucket { cloud: Cloud::S3, bucket: "bucket".into(), prefix: "a/b".into() }
    );
    assert_eq!(Location::parse("/x").unwrap().as_directory(), Some(Path::new("/x")));
}

#[test]
fn texts_that_are_no_location_are_refused() {
    for (text, error) in [
        ("", LocationError::Empty),
        ("http://host/x", LocationError::Scheme("http".into())),
        ("s3://", LocationError::Bucket),
        ("s3:///x", LocationError::Bucket),
        ("s3://bu cket/x", LocationError::Bucket),
        ("s3://key:secret@bucket/x", LocationError::Secrets),
        ("s3://host:9000/x", LocationError::Secrets),
        ("s3://bucket/x?token=secret", LocationError::Secrets),
        ("s3://bucket//x", LocationError::Prefix),
        ("s3://bucket/a//b", LocationError::Prefix),
        ("s3://bucket/a/../b", LocationError::Prefix),
        ("s3://bucket/a\u{7}b", LocationError::Prefix),
    ] {
        assert_eq!(Location::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn a_secret_in_a_refused_text_is_not_repeated() {
    for text in ["s3://key:hunter2@bucket/x", "s3://bucket/x?token=hunter2", "s3://hunter2!/x"] {
        let error = Location::parse(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
