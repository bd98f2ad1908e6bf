-- The rows of a media store. Standard input is the list of its files, one a line, tab-separated:
-- origin (empty for our own), media id, name of the file's folder, thumbnail's width, height and
-- method (\N for the file itself), length, SHA-256 in hexadecimal (\N for thumbnails).
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET synchronous_commit = off;
CREATE TEMP TABLE listed (origin text, media text, folder text, width int, height int, method text,
    length int, sha256 text);
\copy listed FROM pstdin

INSERT INTO local_media_repository (media_id, media_type, media_length, created_ts, upload_name,
    user_id, last_access_ts, authenticated, sha256)
SELECT media, 'image/jpeg', length, 1700000000000, 'picture.jpg',
       '@user' || 2 * (length % 500) || ':bench.test', 1700000000000, true, sha256
FROM listed WHERE origin = '' AND width IS NULL;
INSERT INTO local_media_repository_thumbnails (media_id, thumbnail_width, thumbnail_height,
    thumbnail_type, thumbnail_method, thumbnail_length)
SELECT media, width, height, 'image/jpeg', method, length
FROM listed WHERE origin = '' AND width IS NOT NULL;
INSERT INTO remote_media_cache (media_origin, media_id, media_type, created_ts, upload_name,
    media_length, filesystem_id, last_access_ts, authenticated, sha256)
SELECT origin, media, 'image/jpeg', 1700000000000, 'picture.jpg', length, folder, 1700000000000,
       true, sha256
FROM listed WHERE origin <> '' AND width IS NULL;
INSERT INTO remote_media_cache_thumbnails (media_origin, media_id, thumbnail_width,
    thumbnail_height, thumbnail_type, thumbnail_method, thumbnail_length, filesystem_id)
SELECT origin, media, width, height, 'image/jpeg', method, length, folder
FROM listed WHERE origin <> '' AND width IS NOT NULL;
VACUUM ANALYZE;
