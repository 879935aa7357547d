//! Events into columns, straight from their bytes: no tree of values is built in between.

use doom_bus::consume::Delivered;
use doom_protocol::{Codec, EventKind, header};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::columns::{self, Cell, Fields, Place, Rows, Type};

/// A table that is being filled.
#[derive(Debug)]
pub(crate) struct Table {
    /// What is in it.
    pub(crate) rows: Rows,
    fields: Fields,
}

impl Table {
    /// For events of one kind.
    pub(crate) fn new(kind: EventKind) -> Self {
        let (rows, fields) = columns::table(kind);
        Self { rows, fields }
    }

    /// Columns that an earlier run found, in its order.
    pub(crate) fn know(&mut self, names: &[String]) {
        for name in names.get(self.rows.columns.len()..).unwrap_or_default() {
            know(&mut self.rows, &mut self.fields, name);
        }
    }

    /// Adds an event as a row.
    ///
    /// # Errors
    /// Where it is no event of this kind; the table is as before then.
    pub(crate) fn add(&mut self, delivered: &Delivered, sequence: u64) -> Result<(), String> {
        let added = self.try_add(delivered, sequence);
        match &added {
            Ok(()) => self.rows.end_row(),
            Err(_) => self.rows.undo_row(),
        }
        added
    }

    fn try_add(&mut self, delivered: &Delivered, sequence: u64) -> Result<(), String> {
        let rows = &mut self.rows;
        rows.put(columns::SEQUENCE, Cell::Integer(i64::try_from(sequence).unwrap_or(i64::MAX)))?;
        if let Some(seq) = delivered.header(header::SEQ).and_then(|seq| seq.parse().ok()) {
            rows.put(columns::SEQ, Cell::Integer(seq))?;
        }
        let envelope = Envelope { rows, fields: &mut self.fields };
        match delivered.codec() {
            Codec::Json => {
                let mut json = serde_json::Deserializer::from_slice(delivered.bytes());
                json.deserialize_map(envelope).and_then(|()| json.end()).map_err(|e| e.to_string())?;
            }
            Codec::Msgpack => {
                let mut msgpack = rmp_serde::Deserializer::from_read_ref(delivered.bytes());
                msgpack.set_max_depth(128);
                msgpack.deserialize_map(envelope).map_err(|e| e.to_string())?;
            }
        }
        for (column, name) in [(columns::INSTANCE, header::INSTANCE), (columns::BACKEND, header::BACKEND)] {
            let told = self.rows.columns.get(column).is_some_and(|column| column.present.len() > self.rows.rows);
            if let Some(value) = delivered.header(name).filter(|_| !told) {
                self.rows.put(column, Cell::Text(value))?;
            }
        }
        Ok(())
    }
}

/// Gives a column to the entry of the map whose prefix its name has.
fn know(rows: &mut Rows, fields: &mut Fields, name: &str) -> bool {
    fields.known.iter_mut().any(|(_, place)| match place {
        Place::Object(inner) => know(rows, inner, name),
        Place::Map(prefix, kind, entries) => name.strip_prefix(*prefix).is_some_and(|entry| {
            let column = rows.add(name.to_owned(), *kind);
            entries.known.push((entry.to_owned(), Place::Column(column)));
            true
        }),
        Place::Column(_) | Place::Flags(_) | Place::List(_) => false,
    })
}

struct Envelope<'t> {
    rows: &'t mut Rows,
    fields: &'t mut Fields,
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an envelope")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut payload = false;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match &*key.0 {
                "payload" => {
                    payload = true;
                    self.fields.next = 0;
                    map.next_value_seed(Object { rows: self.rows, fields: self.fields })?;
                }
                "type" => map.next_value_seed(Single { rows: self.rows, column: columns::TYPE })?,
                "trace_id" => map.next_value_seed(Single { rows: self.rows, column: columns::TRACE })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if payload { Ok(()) } else { Err(A::Error::missing_field("payload")) }
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

struct Object<'t> {
    rows: &'t mut Rows,
    fields: &'t mut Fields,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let Some((_, place)) = self.fields.find(&key.0).and_then(|index| self.fields.known.get_mut(index)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let rows = &mut *self.rows;
            match place {
                Place::Column(column) => map.next_value_seed(Single { rows, column: *column })?,
                Place::Flags(column) => map.next_value_seed(Flags { rows, column: *column })?,
                Place::List(column) => map.next_value_seed(List { rows, column: *column })?,
                Place::Object(fields) => {
                    fields.next = 0;
                    map.next_value_seed(Object { rows, fields })?;
                }
                Place::Map(prefix, kind, fields) => {
                    fields.next = 0;
                    map.next_value_seed(Entries { rows, fields, prefix, kind: *kind })?;
                }
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

struct Entries<'t> {
    rows: &'t mut Rows,
    fields: &'t mut Fields,
    prefix: &'static str,
    kind: Type,
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let index = match self.fields.find(&key.0) {
                Some(index) => index,
                None => {
                    let column = self.rows.add(format!("{}{}", self.prefix, key.0), self.kind);
                    self.fields.known.push((key.0.into_owned(), Place::Column(column)));
                    self.fields.next = self.fields.known.len();
                    self.fields.known.len() - 1
                }
            };
            if let Some((_, Place::Column(column))) = self.fields.known.get(index) {
                map.next_value_seed(Single { rows: self.rows, column: *column })?;
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

struct Single<'t> {
    rows: &'t mut Rows,
    column: usize,
}

impl<'de> DeserializeSeed<'de> for Single<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl Single<'_> {
    fn put<E: Error>(self, cell: Cell<'_>) -> Result<(), E> {
        self.rows.put(self.column, cell).map_err(E::custom)
    }
}

impl<'de> Visitor<'de> for Single<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("one value")
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<(), E> {
        self.put(Cell::Flag(v))
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<(), E> {
        self.put(Cell::Integer(v))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<(), E> {
        let v = i64::try_from(v).map_err(|_| E::custom(format_args!("{v} does not fit into a column of integers")))?;
        self.put(Cell::Integer(v))
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<(), E> {
        self.put(Cell::Float(v))
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<(), E> {
        self.put(Cell::Text(v))
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

struct Flags<'t> {
    rows: &'t mut Rows,
    column: usize,
}

impl<'de> DeserializeSeed<'de> for Flags<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Flags<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("flags")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut text = [b'0'; 64];
        let mut length = 0;
        while let Some(flag) = seq.next_element::<bool>()? {
            let place = text.get_mut(length).ok_or_else(|| A::Error::custom("more than 64 buttons"))?;
            *place = if flag { b'1' } else { b'0' };
            length += 1;
        }
        let text = text.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        self.rows.put(self.column, Cell::Text(text)).map_err(A::Error::custom)
    }
}

struct List<'t> {
    rows: &'t mut Rows,
    column: usize,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut text = String::new();
        while let Some(Key(one)) = seq.next_element::<Key<'de>>()? {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&one);
        }
        self.rows.put(self.column, Cell::Text(&text)).map_err(A::Error::custom)
    }
}
