//! Just enough of WAD files to know which maps are inside. Source: the format's header (magic, count, offset) and its directory of
//! 16-byte entries (offset, size, name of 8 bytes); a map is a marker that is followed by `THINGS` or `TEXTMAP`.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A WAD, with the names of its maps in upper case.
    Wad(Vec<String>),
    /// An archive (`.pk3`), whose maps only the engine knows.
    Archive,
    /// Something else.
    Other,
}

/// No real WAD has a million lumps; a broken one may say so.
const MOST_LUMPS: u32 = 1 << 20;

pub(crate) fn read(path: &Path) -> io::Result<Kind> {
    let mut file = File::open(path)?;
    let mut header = [0; 12];
    if file.read_exact(&mut header).is_err() {
        return Ok(Kind::Other);
    }
    match &header[..4] {
        b"IWAD" | b"PWAD" => {}
        b"PK\x03\x04" => return Ok(Kind::Archive),
        _ => return Ok(Kind::Other),
    }
    let [_, _, _, _, c0, c1, c2, c3, o0, o1, o2, o3] = header;
    let lumps = u32::from_le_bytes([c0, c1, c2, c3]);
    if lumps > MOST_LUMPS {
        return Ok(Kind::Other);
    }
    file.seek(SeekFrom::Start(u32::from_le_bytes([o0, o1, o2, o3]).into()))?;
    let mut directory = Vec::new();
    file.take(u64::from(lumps) * 16).read_to_end(&mut directory)?;
    if directory.len() as u64 != u64::from(lumps) * 16 {
        return Ok(Kind::Other);
    }
    let names: Vec<String> = directory.chunks_exact(16).map(|entry| name(&entry[8..])).collect();
    let maps = names.windows(2).filter(|pair| matches!(pair[1].as_str(), "THINGS" | "TEXTMAP")).map(|pair| pair[0].clone());
    Ok(Kind::Wad(maps.collect()))
}

fn name(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wad(lumps: &[&str]) -> Vec<u8> {
        let mut bytes = b"PWAD".to_vec();
        bytes.extend(u32::try_from(lumps.len()).unwrap().to_le_bytes());
        bytes.extend(12u32.to_le_bytes());
        for lump in lumps {
            bytes.extend([0; 8]);
            let mut name = lump.as_bytes().to_vec();
            name.resize(8, 0);
            bytes.extend(name);
        }
        bytes
    }

    fn kind(bytes: &[u8]) -> Kind {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path()).unwrap()
    }

    #[test]
    fn maps_of_both_formats_are_found() {
        let bytes = wad(&["DEMO1", "MAP01", "THINGS", "LINEDEFS", "e1m1", "TEXTMAP", "ENDMAP"]);
        assert_eq!(kind(&bytes), Kind::Wad(vec!["MAP01".into(), "E1M1".into()]));
    }

    #[test]
    fn what_is_not_a_wad_is_told_from_one() {
        assert_eq!(kind(b""), Kind::Other);
        assert_eq!(kind(b"IWAD"), Kind::Other);
        assert_eq!(kind(b"PK\x03\x04........"), Kind::Archive);
        assert_eq!(kind(&[0xff; 64]), Kind::Other);
        let cut = wad(&["MAP01", "THINGS"]);
        assert_eq!(kind(&cut[..cut.len() - 1]), Kind::Other);
    }
}
