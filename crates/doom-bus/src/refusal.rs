//! Why a server that answers does not take us, in words for the person who must act, made of what the server and the TLS library say.

use std::fmt;

/// A reason. Its text names no secret, no file, and nothing that the server has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The server does not know us so.
    Login,
    /// The time of our credentials is over.
    Expired,
    /// The time of the account that they belong to is over.
    AccountExpired,
    /// The credentials were taken back.
    Revoked,
    /// A file with secrets or certificates cannot be read any more.
    Files,
    /// The server takes no more connections.
    Full,
    /// Nobody whom we trust has signed the server's certificate.
    UnknownAuthority,
    /// The server's certificate is that of another host.
    OtherHost,
    /// The server's certificate is too old or too new.
    CertificateTime,
    /// The server wants a certificate of ours and there is none.
    CertificateWanted,
    /// The server does not take our certificate.
    CertificateRefused,
    /// TLS was asked for and the server speaks none.
    NoTls,
    /// Any other trouble with TLS.
    Tls,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "the NATS server refuses the login; check user, password, token, nkey or credentials",
            Self::Expired => "the NATS server refuses the login: the credentials have expired; put new ones into the file",
            Self::AccountExpired => "the NATS server refuses the login: the account has expired; its operator must renew it",
            Self::Revoked => "the NATS server refuses the login: the credentials were revoked; put new ones into the file",
            Self::Files => "a file for the NATS login cannot be used any more; see the detail",
            Self::Full => "the NATS server takes no more connections; raise its limit or end other clients",
            Self::UnknownAuthority => "the NATS server's certificate is signed by nobody who is trusted here; check the CA file",
            Self::OtherHost => "the NATS server's certificate is for another host; connect by a name that stands in it",
            Self::CertificateTime => "the NATS server's certificate has expired or is not valid yet; renew it, or check the clocks",
            Self::CertificateWanted => "the NATS server wants a client certificate; give one with its key",
            Self::CertificateRefused => "the NATS server refuses our client certificate; check that its CA is the server's, and its time",
            Self::NoTls => "the NATS server does not speak TLS; connect by nats://, or check the port",
            Self::Tls => "TLS with the NATS server fails; see the detail",
        })
    }
}

/// Parts of what is said (in small letters), the more special first.
const SIGNS: [(&str, Refusal); 28] = [
    ("user authentication expired", Refusal::Expired),
    ("account authentication expired", Refusal::AccountExpired),
    ("authentication revoked", Refusal::Revoked),
    ("credentials revoked", Refusal::Revoked),
    ("authorization violation", Refusal::Login),
    ("failed signing nonce", Refusal::Files),
    ("maximum connections exceeded", Refusal::Full),
    ("maximum account active connections exceeded", Refusal::Full),
    ("unknownissuer", Refusal::UnknownAuthority),
    ("unknown issuer", Refusal::UnknownAuthority),
    ("causedasendentity", Refusal::UnknownAuthority),
    ("badsignature", Refusal::UnknownAuthority),
    ("invalidsignature", Refusal::UnknownAuthority),
    ("notvalidforname", Refusal::OtherHost),
    ("not valid for name", Refusal::OtherHost),
    ("certificate expired", Refusal::CertificateTime),
    ("certificate not valid yet", Refusal::CertificateTime),
    ("alert: certificaterequired", Refusal::CertificateWanted),
    ("alert: handshakefailure", Refusal::CertificateWanted),
    ("alert: badcertificate", Refusal::CertificateRefused),
    ("alert: unknownca", Refusal::CertificateRefused),
    ("alert: certificate", Refusal::CertificateRefused),
    ("invalidcontenttype", Refusal::NoTls),
    ("could not load", Refusal::Files),
    ("could not add certificate", Refusal::Files),
    ("invalid peer certificate", Refusal::Tls),
    ("received fatal alert", Refusal::Tls),
    ("tls error", Refusal::Tls),
];

/// The reason, where what was said is one.
pub(crate) fn classify(said: &str) -> Option<Refusal> {
    let said = said.to_ascii_lowercase();
    // What the server refuses about one subject is no refusal of the whole connection.
    if said.contains("permissions violation") {
        return None;
    }
    SIGNS.iter().find(|(sign, _)| said.contains(sign)).map(|(_, refusal)| *refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_has_a_reason_and_absence_has_none() {
        for (said, refusal) in [
            ("nats: User Authentication Expired", Some(Refusal::Expired)),
            ("authorization violation: nats: authorization violation", Some(Refusal::Login)),
            ("IO error: invalid peer certificate: UnknownIssuer", Some(Refusal::UnknownAuthority)),
            ("IO error: received fatal alert: CertificateRequired", Some(Refusal::CertificateWanted)),
            ("IO error: Connection refused (os error 111)", None),
            ("timed out", None),
            ("nats: Permissions Violation for Publish to \"a\"", None),
        ] {
            assert_eq!(classify(said), refusal, "{said}");
        }
    }
}
