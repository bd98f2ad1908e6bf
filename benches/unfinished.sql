SELECT count(*) FROM background_updates
