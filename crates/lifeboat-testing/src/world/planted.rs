//! Traces of other homeservers and of link previews.
//!
//! A homeserver that talks to no other gets none by itself, yet every real one has them: cached
//! media with thumbnails, another server's signing key, devices of its users, a destination that
//! was sent to. They are put into the stopped server as it would have stored them.
//! `facts/server.py` reads the media as a client.

use std::fs;
use std::path::Path;

use crate::{Cluster, WorldError};

/// Where in the media store, and what. `lost` has a row only: its file went long ago.
const FILES: [(&str, &[u8]); 4] = [
    ("remote_content/far.test/re/mo/tepicture", b"a picture from far away"),
    ("remote_thumbnail/far.test/re/mo/tepicture/32-32-image-png-crop", b"a small picture"),
    ("url_cache/2026-08-01/previewpicture", b"the picture of a page"),
    ("url_cache_thumbnails/2026-08-01/previewpicture/32-32-image-png-crop", b"a small page"),
];

const ROWS: &str = r#"
INSERT INTO remote_media_cache (media_origin, media_id, media_type, created_ts, upload_name,
    media_length, filesystem_id, last_access_ts, authenticated, sha256)
VALUES ('far.test', 'kept', 'image/png', 1780000000000, 'far.png', 23, 'remotepicture',
        1780000000000, true, encode(sha256('a picture from far away'), 'hex')),
       ('far.test', 'lost', 'image/png', 1780000000000, 'lost.png', 4, 'remotelostfile',
        1780000000000, true, NULL);
INSERT INTO remote_media_cache_thumbnails (media_origin, media_id, thumbnail_width,
    thumbnail_height, thumbnail_method, thumbnail_type, thumbnail_length, filesystem_id)
VALUES ('far.test', 'kept', 32, 32, 'crop', 'image/png', 15, 'remotepicture');
INSERT INTO local_media_repository (media_id, media_type, media_length, created_ts, user_id,
    url_cache, sha256)
VALUES ('2026-08-01_previewpicture', 'image/png', 21, 1780000000000, '@alice:lifeboat.test',
        'https://page.test/a.png', encode(sha256('the picture of a page'), 'hex'));
INSERT INTO local_media_repository_thumbnails (media_id, thumbnail_width, thumbnail_height,
    thumbnail_type, thumbnail_method, thumbnail_length)
VALUES ('2026-08-01_previewpicture', 32, 32, 'image/png', 'crop', 12);
INSERT INTO local_media_repository_url_cache (url, response_code, etag, expires_ts, og, media_id,
    download_ts)
VALUES ('https://page.test/', 200, '"e"', 1780003600000, '{"og:title":"A page"}',
        '2026-08-01_previewpicture', 1780000000000);
INSERT INTO server_keys_json (server_name, key_id, from_server, ts_added_ms, ts_valid_until_ms,
    key_json)
VALUES ('far.test', 'ed25519:a', 'far.test', 1780000000000, 1790000000000, '{"\\000":1}');
INSERT INTO server_signature_keys (server_name, key_id, from_server, ts_added_ms, verify_key,
    ts_valid_until_ms)
VALUES ('far.test', 'ed25519:a', 'far.test', 1780000000000, decode(repeat('00ff', 16), 'hex'),
        1790000000000);
INSERT INTO destinations (destination, retry_last_ts, retry_interval, failure_ts)
VALUES ('far.test', 1780000000000, 600000, 1780000000000), ('near.test', 0, 0, NULL);
INSERT INTO device_lists_remote_cache (user_id, device_id, content)
VALUES ('@zoe:far.test', 'FAR', '{"device_id":"FAR","user_id":"@zoe:far.test"}');
INSERT INTO device_lists_remote_extremeties (user_id, stream_id) VALUES ('@zoe:far.test', '7');
INSERT INTO user_threepid_id_server (user_id, medium, address, id_server)
VALUES ('@bob:lifeboat.test', 'email', 'bob@mail.test', 'identity.test');
INSERT INTO user_daily_visits (user_id, device_id, timestamp)
VALUES ('@alice:lifeboat.test', NULL, 1780000000000);
"#;

/// Writes rows and files into a stopped homeserver.
pub(super) fn plant(cluster: &Cluster, media_store: &Path) -> Result<(), WorldError> {
    cluster.psql(super::DATABASE, ROWS)?;
    for (place, bytes) in FILES {
        let path = media_store.join(place);
        let folder = path.parent().unwrap_or(media_store);
        fs::create_dir_all(folder).map_err(WorldError::io(format!("make {}", folder.display())))?;
        fs::write(&path, bytes).map_err(WorldError::io(format!("write {}", path.display())))?;
    }
    Ok(())
}
