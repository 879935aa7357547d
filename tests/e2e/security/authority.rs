//! Certificates and who signs them, made for a test.

use std::{fs, path::Path};

use data_encoding::BASE64;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// A folder with certificates and keys, each `NAME.pem` and `NAME.key`.
pub(super) struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Its own certificate is `ca`.
    pub(super) fn new() -> Self {
        let (dir, key) = (TempDir::new().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("authority of {}", dir.path().display()));
        write(dir.path(), "ca", params.self_signed(&key).unwrap().der(), &key);
        Self { issuer: Issuer::new(params, key), dir }
    }

    /// One for these hosts (names or addresses).
    pub(super) fn sign(&self, name: &str, hosts: &[&str]) {
        self.sign_until(name, hosts, 4096);
    }

    /// One that holds until this year begins.
    pub(super) fn sign_until(&self, name: &str, hosts: &[&str], year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(year, 1, 1));
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        write(self.dir.path(), name, certificate.der(), &key);
    }

    /// A file's path.
    pub(super) fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// A key's inmost line, which nobody may see.
    pub(super) fn secret(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap().lines().nth(1).unwrap().to_owned()
    }
}

fn write(dir: &Path, name: &str, certificate: &[u8], key: &KeyPair) {
    fs::write(dir.join(format!("{name}.pem")), pem("CERTIFICATE", certificate)).unwrap();
    fs::write(dir.join(format!("{name}.key")), pem("PRIVATE KEY", &key.serialize_der())).unwrap();
}

fn pem(what: &str, bytes: &[u8]) -> String {
    let text = BASE64.encode(bytes);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}
