//! Operations: one each, with plain values in and out. Operations do not know each other.

pub mod archive;
pub mod build;
pub mod cred_helpers;
pub mod doctor;
pub mod explain;
pub mod index;
pub mod inspect;
pub mod list;
pub mod login;
pub mod pull;
pub mod push;
pub mod remove;
pub mod tag;
pub mod trust;
