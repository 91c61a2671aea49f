//! The owners and policies of buckets, and the locks that admit one writer to an object at a time.

use std::collections::HashMap;
use std::sync::Mutex;

/// The owners and policies of buckets, and the locks that admit one writer to an object at a time.
pub(crate) struct Buckets {
    pub(crate) owners: Mutex<HashMap<String, String>>,
    pub(crate) policies: Mutex<HashMap<String, String>>,
    pub(crate) writers: Vec<tokio::sync::Mutex<()>>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            owners: Mutex::default(),
            policies: Mutex::default(),
            writers: (0..64).map(|_| tokio::sync::Mutex::default()).collect(),
        }
    }
}
