//! What a robust push client does: a test for each thing, named after it.

mod access;
mod commits;
mod journal;
mod limits;
mod mounts;
mod order;
mod referrers;
mod restarts;
mod resume;
mod retries;
mod sizes;
mod storage;
mod tags;
mod tls;
mod told;
