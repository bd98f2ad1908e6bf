//! What answers mean.

use super::*;

fn explained(status: u16, text: &str) -> StorageError {
    let answer = Answer { status, text: text.to_owned() };
    let error = object_store::Error::Generic {
        store: "S3",
        source: Box::new(HttpError::new(HttpErrorKind::Unknown, answer)),
    };
    explain(At::new("write", "a", "s3://b"), &error)
}

fn kind(error: &StorageError) -> &'static str {
    match error {
        StorageError::NotFound { .. } => "not found",
        StorageError::Denied { .. } => "denied",
        StorageError::Full { .. } => "full",
        StorageError::Unreachable { .. } => "unreachable",
        _ => "other",
    }
}

#[test]
fn answers_are_sorted_by_code_and_status() {
    for (status, code, expected) in [
        (500, "InternalError", "unreachable"),
        (503, "SlowDown", "unreachable"),
        (429, "", "unreachable"),
        (409, "OperationAborted", "unreachable"),
        (400, "RequestTimeout", "unreachable"),
        (400, "BadDigest", "unreachable"),
        (400, "ExpiredToken", "denied"),
        (403, "AccessDenied", "denied"),
        (401, "", "denied"),
        (404, "NoSuchBucket", "not found"),
        (404, "", "not found"),
        (403, "QuotaExceeded", "full"),
        (507, "", "full"),
        (400, "EntityTooLarge", "full"),
        (301, "PermanentRedirect", "other"),
        (501, "NotImplemented", "other"),
        (416, "InvalidRange", "other"),
    ] {
        let text = format!("<Error><Code>{code}</Code><Message>words</Message></Error>");
        assert_eq!(kind(&explained(status, &text)), expected, "{status} {code}");
    }
}

#[test]
fn a_cause_is_short_and_on_one_line() {
    let error = explained(500, &"many words\r\n\t".repeat(10_000));
    let cause = error.source().unwrap().to_string();
    assert!(cause.chars().count() < 400 && !cause.contains('\n'), "{cause}");
    assert!(cause.starts_with("the server answered 500: many words many words"), "{cause}");
}

#[test]
fn a_broken_connection_is_told_by_its_innermost_words() {
    let io = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
    let error = object_store::Error::Generic {
        store: "S3",
        source: Box::new(HttpError::new(HttpErrorKind::Interrupted, io)),
    };
    let error = explain(At::new("read", "a", "s3://b"), &error);
    assert!(error.is_transient());
    assert_eq!(error.source().unwrap().to_string(), "reset by peer");
}
