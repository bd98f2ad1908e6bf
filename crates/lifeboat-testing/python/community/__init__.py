"""A small, varied community for a real homeserver, made through its client API."""
