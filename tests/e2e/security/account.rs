//! What nsc would make, made for a test: an operator, an account, users, each a JWT signed by the one above.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use nats_server_process::NatsServer;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{WITHIN, runtime};

/// A server that trusts an operator, and the keys of both accounts.
pub(super) struct Operator {
    pub(super) server: NatsServer,
    operator: KeyPair,
    account: KeyPair,
    /// Signs users of one role.
    scoped: KeyPair,
    system: KeyPair,
    revoked: Value,
    _dir: TempDir,
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sign(issuer: &KeyPair, subject: &str, name: &str, expires: Option<u64>, nats: Value) -> String {
    let mut claims = json!({ "jti": name, "iat": now(), "iss": issuer.public_key(), "name": name, "sub": subject, "nats": nats });
    if let Some(expires) = expires {
        claims["exp"] = expires.into();
    }
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let text = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(claims));
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

impl Operator {
    pub(super) fn new() -> Self {
        let (operator, account, system) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
        let scoped = KeyPair::new_account();
        let dir = TempDir::new().unwrap();
        let own = sign(&operator, &operator.public_key(), "O", None, json!({ "type": "operator", "version": 2 }));
        let claims = |key: &KeyPair| account_jwt(&operator, key, &scoped, None, &json!({}));
        let config = format!(
            "operator: {own}\nsystem_account: {sys}\nresolver: {{ type: full, dir: {dir:?} }}\n\
             resolver_preload: {{ {sys}: {sys_jwt}, {acc}: {acc_jwt} }}\n",
            sys = system.public_key(),
            sys_jwt = claims(&system),
            acc = account.public_key(),
            acc_jwt = claims(&account),
            dir = dir.path().join("accounts"),
        );
        let server = NatsServer::builder().config_text(config).start().unwrap();
        Self { server, operator, account, scoped, system, revoked: json!({}), _dir: dir }
    }

    /// A user's credentials file, and the user's public key.
    pub(super) fn credentials(&self, expires: Option<u64>) -> (String, String) {
        user(&self.account, expires)
    }

    /// Credentials of an agent of this name in the role of `configs/nats/agent-scope.json`.
    pub(super) fn agent(&self, name: &str) -> String {
        let key = KeyPair::new_user();
        // Everything else is the role's.
        let nats = json!({ "type": "user", "version": 2, "issuer_account": self.account.public_key() });
        file(&sign(&self.scoped, &key.public_key(), name, None, nats), &key)
    }

    /// Takes back what was issued to this user so far.
    pub(super) fn revoke(&mut self, user: &str) {
        self.revoked[user] = (now() + 1).into();
        let jwt = account_jwt(&self.operator, &self.account, &self.scoped, None, &self.revoked);
        self.push(&jwt);
    }

    /// Gives the account until then.
    pub(super) fn expire_account(&self, expires: Option<u64>) {
        self.push(&account_jwt(&self.operator, &self.account, &self.scoped, expires, &self.revoked));
    }

    /// As `nsc push` does.
    fn push(&self, jwt: &str) {
        let (file, _) = user(&self.system, None);
        runtime().block_on(async {
            let options = async_nats::ConnectOptions::with_credentials(&file).unwrap();
            let client = options.connect(self.server.url()).await.unwrap();
            let answer = client.request("$SYS.REQ.CLAIMS.UPDATE", jwt.to_owned().into());
            let answer = tokio::time::timeout(WITHIN, answer).await.unwrap().unwrap();
            let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
            assert_eq!(answer["data"]["code"], 200, "{answer}");
        });
    }
}

fn account_jwt(operator: &KeyPair, key: &KeyPair, scoped: &KeyPair, expires: Option<u64>, revoked: &Value) -> String {
    let names = ["subs", "data", "payload", "imports", "exports", "conn", "leaf"];
    let mut limits: Value = names.iter().map(|name| ((*name).to_owned(), json!(-1))).collect::<serde_json::Map<_, _>>().into();
    limits["wildcards"] = true.into();
    let mut nats = json!({ "type": "account", "version": 2, "limits": limits, "default_permissions": { "pub": {}, "sub": {} } });
    let role: Value = serde_json::from_str(include_str!("../../../configs/nats/agent-scope.json")).unwrap();
    nats["signing_keys"] = json!([{ "kind": "user_scope", "key": scoped.public_key(), "role": "agent", "template": role }]);
    if revoked.as_object().is_some_and(|r| !r.is_empty()) {
        nats["revocations"] = revoked.clone();
    }
    sign(operator, &key.public_key(), "account", expires, nats)
}

fn user(account: &KeyPair, expires: Option<u64>) -> (String, String) {
    let key = KeyPair::new_user();
    let nats = json!({ "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1 });
    let jwt = sign(account, &key.public_key(), "user", expires, nats);
    (file(&jwt, &key), key.public_key())
}

/// As nsc writes it.
fn file(jwt: &str, key: &KeyPair) -> String {
    let seed = key.seed().unwrap();
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}
