//! How far a bundle is trusted, and what a brain lets in.

use super::keys::{KeyError, Keyring, SYSTEM_KEYS};
use super::signature::Finding;
use super::{BundleError, Manifest, pins};
use serde::{Serialize, Serializer};
use std::path::Path;

/// Who vouches for a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It ships with this program: its manifest is compiled in, by digest.
    Pinned,
    /// Signed by a trusted key with this id.
    Signed(String),
    /// It says that it was signed by a key with this id, which is not trusted here.
    Foreign(String),
    /// Nobody.
    Unsigned,
}

impl Trust {
    pub(super) fn of(manifest_digest: &str, finding: Finding) -> Self {
        match finding {
            _ if pins::pinned(manifest_digest) => Self::Pinned,
            Finding::Good(key) => Self::Signed(key),
            Finding::Foreign(key) => Self::Foreign(key),
            Finding::Absent => Self::Unsigned,
        }
    }

    /// Whether somebody trusted vouches for it.
    pub fn is_given(&self) -> bool {
        matches!(self, Self::Pinned | Self::Signed(_))
    }

    /// In one word, for metrics and JSON.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Signed(_) => "signed",
            Self::Foreign(_) => "foreign",
            Self::Unsigned => "unsigned",
        }
    }

    /// Id of the key that is said to have signed it; pinned bundles need none.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Signed(key) | Self::Foreign(key) => Some(key),
            Self::Pinned | Self::Unsigned => None,
        }
    }
}

impl Serialize for Trust {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl std::fmt::Display for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pinned => f.write_str("pinned: ships with this program"),
            Self::Signed(key) => write!(f, "signed by {key}, a trusted key"),
            Self::Foreign(key) => write!(f, "FOREIGN: signed by {key}, which is no trusted key here"),
            Self::Unsigned => f.write_str("UNSIGNED: neither ships with this program nor is signed"),
        }
    }
}

/// Which bundles a brain lets in.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Keys whose signatures count.
    pub keys: Keyring,
    /// Lets bundles in that nobody vouches for.
    pub allow_unsigned: bool,
}

impl Admission {
    /// Trusts the keys in `folder`, or in the usual one.
    ///
    /// # Errors
    /// When a file there is no key, or others may change it.
    pub fn with_keys(folder: Option<&Path>, allow_unsigned: bool) -> Result<Self, KeyError> {
        let keys = Keyring::load(folder.unwrap_or(Path::new(SYSTEM_KEYS)))?;
        Ok(Self { keys, allow_unsigned })
    }

    /// Whether a bundle may score live flows.
    ///
    /// # Errors
    /// When nobody trusted vouches for it, and the settings do not waive that.
    pub fn admit(&self, manifest: &Manifest, trust: &Trust) -> Result<(), BundleError> {
        if trust.is_given() || self.allow_unsigned {
            return Ok(());
        }
        let why = match trust {
            Trust::Foreign(key) => format!("signed by {key}, which is no trusted key here"),
            _ => "unsigned, and it does not ship with this program".to_owned(),
        };
        Err(BundleError::Untrusted { id: manifest.id.clone(), why })
    }
}
