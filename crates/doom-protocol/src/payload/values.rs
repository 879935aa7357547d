//! Named numbers: game variables, and the values of delta buttons.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, ser::SerializeMap};

/// A map from names to numbers, borrowed as two slices while encoding, owned after decoding.
#[derive(Debug, Clone)]
pub enum Values<'a> {
    /// `names[i]` has `values[i]`; the shorter of the two decides.
    Borrowed(&'a [&'a str], &'a [f64]),
    /// As decoded.
    Owned(BTreeMap<String, f64>),
}

impl Values<'_> {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        match self {
            Self::Borrowed(names, values) => names.iter().zip(*values).find(|(n, _)| **n == name).map(|(_, v)| *v),
            Self::Owned(map) => map.get(name).copied(),
        }
    }

    fn to_map(&self) -> BTreeMap<String, f64> {
        match self {
            Self::Borrowed(names, values) => names.iter().zip(*values).map(|(n, v)| ((*n).to_owned(), *v)).collect(),
            Self::Owned(map) => map.clone(),
        }
    }
}

impl PartialEq for Values<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.to_map() == other.to_map()
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Borrowed(names, values) => {
                let mut map = s.serialize_map(Some(names.len().min(values.len())))?;
                for (name, value) in names.iter().zip(*values) {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            Self::Owned(map) => map.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Values<'_> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(d).map(Self::Owned)
    }
}
