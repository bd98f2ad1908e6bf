"""What clients can see of a homeserver, as a flat list of facts that can be compared."""
