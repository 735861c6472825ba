//! Whom to trust: one policy a host, and where each trusted certificate came from.
