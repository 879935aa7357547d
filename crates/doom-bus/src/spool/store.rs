//! The records' file: SQLite with a write-ahead log, opened by one thread of one process.
//!
//! A transaction that holds records is synchronised with the disk before it counts as committed: it survives the process, the kernel and
//! the power. Erasures and the will are not synchronised: they survive the process, and where the machine dies with them they are
//! older than they could be, never torn.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_nats::Subject;
use doom_protocol::header;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    marks::Starts,
    record::{ASIDE, Record, headers_from_text, headers_to_text},
};

/// `DoAg`, as `file` and others show it.
const APPLICATION: i32 = 0x446f_4167;
const SCHEMA_VERSION: i32 = 1;
const SCHEMA: &str = "
    CREATE TABLE records (ord INTEGER PRIMARY KEY, grp TEXT NOT NULL, subject TEXT NOT NULL, headers TEXT NOT NULL, payload BLOB NOT NULL);
    CREATE INDEX records_by_group ON records (grp, ord);
    CREATE TABLE will (place INTEGER PRIMARY KEY, grp TEXT NOT NULL, subject TEXT NOT NULL, headers TEXT NOT NULL, payload BLOB NOT NULL);
    -- Orders are given once, even after everything was erased.
    CREATE TABLE last_order (ord INTEGER NOT NULL);
    INSERT INTO last_order VALUES (0);
";
/// Made in files of earlier releases too, which leave it alone.
const STARTS: &str = "CREATE TABLE IF NOT EXISTS starts (place INTEGER PRIMARY KEY, instance TEXT NOT NULL, ord INTEGER NOT NULL)";
/// Starts that are remembered.
const MOST_STARTS: i64 = 256;
/// The file grows to a GiB at most; beyond it, it is full.
const MOST_PAGES: u32 = 1 << 18;

/// What one transaction does.
#[derive(Debug, Default)]
pub(crate) struct Write {
    /// Records to keep, in order.
    pub(crate) records: Vec<Record>,
    /// What the next start shall keep as records, should this process not live to withdraw it; `None` leaves the last one.
    pub(crate) will: Option<Vec<Record>>,
    /// Groups, each with the order up to which it is stored elsewhere.
    pub(crate) erase: Vec<(Arc<str>, u64)>,
    /// Orders of records that were put aside and are among these under another.
    pub(crate) moved: Vec<u64>,
    /// The last order that was given, be it to a record that never came here.
    pub(crate) given: u64,
}

/// What was found at the opening.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Every order so far is smaller.
    pub(crate) next_order: u64,
    /// Groups with what they have left: the smallest order and how many.
    pub(crate) groups: Vec<(Arc<str>, u64, u64)>,
    /// Who has opened the file so far, the opener last.
    pub(crate) starts: Starts,
    /// How many records are the will of a process that did not live to withdraw it.
    pub(crate) willed: u64,
    /// A file that could not be used, under its new name, and why.
    pub(crate) moved: Option<(PathBuf, String)>,
}

/// Why something was not done.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub(crate) struct StoreError {
    pub(super) text: String,
    /// The file itself is broken: trying again is of no use.
    pub(crate) corrupt: bool,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let corrupt = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
        Self { text: error.to_string(), corrupt }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    instance: String,
    synchronised: bool,
}

impl Store {
    /// Opens the file or makes it, for the process `instance`; one that is not (or no longer) a store of ours is moved aside and a new one made.
    pub(crate) fn open(path: &Path, instance: &str) -> Result<(Self, Found), StoreError> {
        match Self::try_open(path, instance) {
            Err(error) if error.corrupt => {
                let aside = move_aside(path)?;
                let (store, found) = Self::try_open(path, instance)?;
                Ok((store, Found { moved: Some((aside, error.text)), ..found }))
            }
            other => other,
        }
    }

    fn try_open(path: &Path, instance: &str) -> Result<(Self, Found), StoreError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        // The state directory's lock has settled who may; an exclusive log also needs no shared memory, which not every file system has.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "max_page_count", MOST_PAGES)?;
        let health: String = connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
        if health != "ok" {
            return Err(StoreError { text: health, corrupt: true });
        }
        let found = {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            prepare(&transaction)?;
            let starts = note_start(&transaction, instance)?;
            let willed = execute_will(&transaction)?;
            take_back_aside(&transaction)?;
            let found = Found { starts, willed, ..look(&transaction)? };
            transaction.commit()?;
            found
        };
        Ok((Self { connection, instance: instance.to_owned(), synchronised: true }, found))
    }

    /// One transaction; nothing of it is done where it fails.
    pub(crate) fn write(&mut self, write: &Write) -> Result<(), StoreError> {
        self.synchronise(!write.records.is_empty())?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)")?;
            for r in &write.records {
                insert.execute(params![r.order, &*r.group, r.subject.as_str(), headers_to_text(&r.headers), &r.payload[..]])?;
            }
            let mut moved = transaction.prepare("DELETE FROM records WHERE ord = ?")?;
            for order in &write.moved {
                moved.execute([order])?;
            }
            let last = write.records.iter().map(|r| r.order).max().max(Some(write.given));
            transaction.prepare("UPDATE last_order SET ord = max(ord, ?)")?.execute([last])?;
            if let Some(will) = &write.will {
                transaction.prepare("DELETE FROM will")?.execute([])?;
                let mut insert = transaction.prepare("INSERT INTO will VALUES (NULL, ?, ?, ?, ?)")?;
                for r in will {
                    insert.execute(params![&*r.group, r.subject.as_str(), headers_to_text(&r.headers), &r.payload[..]])?;
                }
            }
            let mut erase = transaction.prepare("DELETE FROM records WHERE grp = ? AND ord <= ?")?;
            for (group, through) in &write.erase {
                erase.execute(params![&**group, through])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Records of a group from an order on: at most `most`, and about `most_bytes`; and whether there are more.
    pub(crate) fn read(&self, group: &Arc<str>, from: u64, most: usize, most_bytes: usize) -> Result<(Vec<Record>, bool), StoreError> {
        let mut select =
            self.connection.prepare("SELECT ord, subject, headers, payload FROM records WHERE grp = ? AND ord >= ? ORDER BY ord")?;
        let mut rows = select.query(params![&**group, from])?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            if records.len() == most || bytes >= most_bytes {
                return Ok((records, true));
            }
            let order: u64 = row.get(0)?;
            let broken = || StoreError { text: format!("the headers of record {order} cannot be read"), corrupt: true };
            let headers = headers_from_text(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?).ok_or_else(broken)?;
            let own = headers.get(header::INSTANCE).is_some_and(|v| v.as_str() == self.instance);
            let (subject, payload) = (Subject::from(row.get::<_, String>(1)?), row.get::<_, Vec<u8>>(3)?.into());
            let record = Record { order, group: Arc::clone(group), subject, headers, payload, own };
            bytes += record.size();
            records.push(record);
        }
        Ok((records, false))
    }

    /// `FULL` waits for the disk at each commit, `NORMAL` does not.
    fn synchronise(&mut self, wait: bool) -> Result<(), StoreError> {
        if self.synchronised != wait {
            self.connection.pragma_update(None, "synchronous", if wait { "FULL" } else { "NORMAL" })?;
            self.synchronised = wait;
        }
        Ok(())
    }
}

/// Makes the tables in a new file; refuses one of another program or a later version.
fn prepare(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let number = |name: &str| transaction.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i32>(0));
    let tables: i32 = transaction.query_row("SELECT count(*) FROM sqlite_master", [], |r| r.get(0))?;
    let (application, version) = (number("application_id")?, number("user_version")?);
    if tables == 0 && application == 0 && version == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    } else if application != APPLICATION || version != SCHEMA_VERSION {
        let text = format!("it is no store of this version (application {application:#x}, version {version})");
        return Err(StoreError { text, corrupt: true });
    }
    Ok(())
}

fn last_order(transaction: &Transaction<'_>) -> Result<u64, StoreError> {
    let select = "SELECT max(ord, ifnull((SELECT max(ord) FROM records), 0)) FROM last_order";
    Ok(transaction.query_row(select, [], |r| r.get(0))?)
}

/// Notes who opens it now, and from which order on it is his; this is on disk before he sends anything.
fn note_start(transaction: &Transaction<'_>, instance: &str) -> Result<Starts, StoreError> {
    let first = last_order(transaction)? + 1;
    transaction.execute(STARTS, [])?;
    transaction.execute("INSERT INTO starts VALUES (NULL, ?, ?)", params![instance, first])?;
    transaction.execute("DELETE FROM starts WHERE place <= (SELECT max(place) FROM starts) - ?", [MOST_STARTS])?;
    let mut select = transaction.prepare("SELECT instance, ord FROM starts ORDER BY place")?;
    let starts = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(Starts(starts.collect::<Result<_, _>>()?))
}

/// What an earlier process has put aside waits again, behind all other records: those that were behind it may be stored. Also behind the will, which
/// is judged by what that process has stored last.
fn take_back_aside(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let (last, all) = (last_order(transaction)?, format!("{ASIDE}*"));
    let moved = transaction.execute(
        "INSERT INTO records SELECT ? + row_number() OVER (ORDER BY ord), substr(grp, ?), subject, headers, payload FROM records WHERE grp GLOB ?",
        params![last, ASIDE.len() + 1, all],
    )? as u64;
    transaction.execute("DELETE FROM records WHERE grp GLOB ?", [all])?;
    transaction.execute("UPDATE last_order SET ord = ?", [last + moved])?;
    Ok(())
}

/// The will of a process that is gone becomes records, behind all others that are not put aside.
fn execute_will(transaction: &Transaction<'_>) -> Result<u64, StoreError> {
    let last = last_order(transaction)?;
    let moved = transaction.execute(
        "INSERT INTO records SELECT ? + row_number() OVER (ORDER BY place), grp, subject, headers, payload FROM will ORDER BY place",
        [last],
    )? as u64;
    transaction.execute("DELETE FROM will", [])?;
    transaction.execute("UPDATE last_order SET ord = ?", [last + moved])?;
    Ok(moved)
}

fn look(transaction: &Transaction<'_>) -> Result<Found, StoreError> {
    let last: Option<u64> = transaction.query_row("SELECT ord FROM last_order", [], |r| r.get(0)).optional()?;
    let mut select = transaction.prepare("SELECT grp, min(ord), count(*) FROM records GROUP BY grp")?;
    let groups = select.query_map([], |r| Ok((r.get::<_, String>(0)?.into(), r.get(1)?, r.get(2)?)))?;
    Ok(Found { next_order: last.unwrap_or(0) + 1, groups: groups.collect::<Result<_, _>>()?, ..Found::default() })
}

/// Gives the file and its log another name.
fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let seconds = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let free = (0..100).map(|n| format!(".unusable-{seconds}-{n}")).find(|s| !with(s).exists());
    let suffix = free.ok_or_else(|| StoreError { text: "too many unusable files beside it".to_owned(), corrupt: false })?;
    let failed = |e: std::io::Error| StoreError { text: format!("it is broken and cannot be moved aside: {e}"), corrupt: false };
    std::fs::rename(path, with(&suffix)).map_err(failed)?;
    for log in ["-wal", "-shm", "-journal"] {
        // Most are not there.
        let _ = std::fs::rename(with(log), with(&format!("{suffix}{log}")));
    }
    Ok(with(&suffix))
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use tempfile::TempDir;

    use super::*;

    fn record(order: u64, group: &str) -> Record {
        let mut headers = HeaderMap::new();
        headers.insert(header::MSG_ID, format!("id-{order}"));
        headers.insert("reason", "a \"quoted\" text, and \u{fc}");
        let payload = vec![u8::try_from(order % 256).unwrap(), 0, 255].into();
        Record { order, group: group.into(), subject: Subject::from(format!("s.{group}")), headers, payload, own: true }
    }

    fn put(store: &mut Store, orders: impl IntoIterator<Item = u64>, group: &str) {
        let records = orders.into_iter().map(|o| record(o, group)).collect();
        store.write(&Write { records, ..Write::default() }).unwrap();
    }

    fn orders(store: &Store, group: &str) -> Vec<u64> {
        store.read(&group.into(), 0, 1_000, 1 << 20).unwrap().0.into_iter().map(|r| r.order).collect()
    }

    #[test]
    fn what_was_written_is_read_again_whole_by_the_next_process() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("records");
        let (mut store, found) = Store::open(&file, "i").unwrap();
        assert_eq!((found.next_order, found.groups.len()), (1, 0));
        put(&mut store, 1..=5, "");
        put(&mut store, 6..=7, "errors");
        store.write(&Write { erase: vec![("".into(), 2)], ..Write::default() }).unwrap();
        drop(store);
        let (store, found) = Store::open(&file, "i").unwrap();
        assert_eq!(found.groups, [("".into(), 3, 3), ("errors".into(), 6, 2)]);
        assert_eq!((found.next_order, found.willed), (8, 0));
        let (read, more) = store.read(&"".into(), 4, 1, 1 << 20).unwrap();
        let expected = Record { own: false, ..record(4, "") };
        assert_eq!((read, more), (vec![expected], true));
        assert_eq!(orders(&store, ""), [3, 4, 5]);
    }

    #[test]
    fn orders_are_given_once_even_where_everything_was_erased() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("records");
        let (mut store, _) = Store::open(&file, "i").unwrap();
        put(&mut store, 1..=3, "");
        store.write(&Write { erase: vec![("".into(), 3)], ..Write::default() }).unwrap();
        drop(store);
        let (mut store, found) = Store::open(&file, "i").unwrap();
        assert_eq!(found.next_order, 4);
        store.write(&Write { given: 9, ..Write::default() }).unwrap();
        drop(store);
        assert_eq!(Store::open(&file, "i").unwrap().1.next_order, 10, "also where they were stored from memory");
    }

    #[test]
    fn a_will_becomes_records_behind_all_others_once_and_only_if_it_was_not_withdrawn() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("records");
        let (mut store, _) = Store::open(&file, "i").unwrap();
        let will = |n: u64| Some(vec![record(n, ""), record(n + 1, "run")]);
        store.write(&Write { will: will(100), ..Write::default() }).unwrap();
        store.write(&Write { will: will(200), ..Write::default() }).unwrap();
        put(&mut store, 1..=3, "");
        drop(store);
        let (mut store, found) = Store::open(&file, "i").unwrap();
        assert_eq!((found.willed, found.next_order), (2, 6));
        assert_eq!((orders(&store, ""), orders(&store, "run")), (vec![1, 2, 3, 4], vec![5]));
        assert_eq!(store.read(&"".into(), 4, 1, 1).unwrap().0[0].message_id(), "id-200", "the last one");
        store.write(&Write { will: will(300), ..Write::default() }).unwrap();
        store.write(&Write { records: vec![record(6, "")], will: Some(Vec::new()), ..Write::default() }).unwrap();
        drop(store);
        let (store, found) = Store::open(&file, "i").unwrap();
        assert_eq!(found.willed, 0);
        assert_eq!(orders(&store, ""), [1, 2, 3, 4, 6]);
    }

    #[test]
    fn what_was_put_aside_waits_behind_all_others_at_the_next_start() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("records");
        let (mut store, _) = Store::open(&file, "i").unwrap();
        put(&mut store, 1..=3, "");
        put(&mut store, 4..=4, "run");
        // The first two, and everything else is stored and erased.
        let aside = |order, group: &str| Record { group: format!("{ASIDE}{group}").into(), ..record(order, group) };
        store.write(&Write { records: vec![aside(2, ""), aside(4, "run")], erase: vec![("".into(), 3)], ..Write::default() }).unwrap();
        assert_eq!((orders(&store, ""), orders(&store, "run")), (vec![], vec![]));
        store.write(&Write { will: Some(vec![record(9, "")]), ..Write::default() }).unwrap();
        drop(store);
        let (store, found) = Store::open(&file, "j").unwrap();
        assert_eq!((found.next_order, found.willed), (8, 1));
        assert_eq!((orders(&store, ""), orders(&store, "run")), (vec![5, 6], vec![7]));
        let ids = store.read(&"".into(), 0, 9, 1 << 20).unwrap().0.iter().map(|r| r.message_id().to_owned()).collect::<Vec<_>>();
        assert_eq!(ids, ["id-9", "id-2"]);
        assert_eq!(found.starts, Starts(vec![("i".to_owned(), 1), ("j".to_owned(), 5)]));
    }

    #[test]
    fn what_is_tried_again_is_in_one_place_at_a_time() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("records");
        let (mut store, _) = Store::open(&file, "i").unwrap();
        let aside = |order| Record { group: format!("{ASIDE}run").into(), ..record(order, "run") };
        store.write(&Write { records: vec![aside(2), aside(3)], ..Write::default() }).unwrap();
        put(&mut store, 4..=6, "run");
        assert_eq!(orders(&store, &format!("{ASIDE}run")), [2, 3]);
        store.write(&Write { records: vec![record(7, "run")], moved: vec![2], ..Write::default() }).unwrap();
        assert_eq!((orders(&store, &format!("{ASIDE}run")), orders(&store, "run")), (vec![3], vec![4, 5, 6, 7]));
    }

    #[test]
    fn a_record_is_known_as_ones_own_by_its_instance_whenever_it_was_given_its_order() {
        let dir = TempDir::new().unwrap();
        let (mut store, _) = Store::open(&dir.path().join("records"), "i").unwrap();
        let of = |order, instance| {
            let mut record = record(order, "");
            record.headers.insert(header::INSTANCE, instance);
            record
        };
        store.write(&Write { records: vec![of(1, "i"), of(2, "h"), record(3, "")], ..Write::default() }).unwrap();
        let own: Vec<bool> = store.read(&"".into(), 0, 9, 1 << 20).unwrap().0.into_iter().map(|r| r.own).collect();
        assert_eq!(own, [true, false, false]);
    }

    #[test]
    fn who_has_opened_it_is_remembered_within_a_bound_also_in_a_file_of_an_earlier_release() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("records");
        let (mut store, _) = Store::open(&file, "0").unwrap();
        put(&mut store, 1..=3, "");
        store.connection.execute("DROP TABLE starts", []).unwrap();
        drop(store);
        let (store, found) = Store::open(&file, "1").unwrap();
        assert_eq!(found.starts, Starts(vec![("1".to_owned(), 4)]));
        drop(store);
        let mut starts = Starts::default();
        for n in 2..300 {
            starts = Store::open(&file, &n.to_string()).unwrap().1.starts;
        }
        assert_eq!((starts.0.len(), &*starts.0[0].0, &*starts.0[255].0), (256, "44", "299"));
    }

    #[test]
    fn a_broken_file_and_one_of_another_program_are_moved_aside() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("records");
        let (mut store, _) = Store::open(&file, "i").unwrap();
        put(&mut store, 1..=500, "");
        drop(store);
        // A page in the midst of it.
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 4096].fill(0xa5);
        std::fs::write(&file, &bytes).unwrap();
        let (store, found) = Store::open(&file, "i").unwrap();
        let (aside, _) = found.moved.unwrap();
        assert_eq!(std::fs::read(&aside).unwrap(), bytes);
        assert_eq!(orders(&store, ""), [0; 0]);
        drop(store);
        Connection::open(&file).unwrap().pragma_update(None, "user_version", 2).unwrap();
        let (_, why) = Store::open(&file, "i").unwrap().1.moved.unwrap();
        assert!(why.contains("version 2"), "{why}");
    }
}
