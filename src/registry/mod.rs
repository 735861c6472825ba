//! The distribution-spec client. Knows nothing of the store.
