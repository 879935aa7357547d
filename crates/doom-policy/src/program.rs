//! A checked policy that is not yet bound to a game.

use doom_game::{Needs, Schema};
use sha2::{Digest, Sha256};

use crate::{Policy, PolicyError, PolicySpec, cycle::CycleProgram, random::Random};

/// Name, hash and needs of a policy, and the way to bind it.
#[derive(Debug, Clone)]
pub struct PolicyProgram {
    name: String,
    sha256: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Random,
    Cycle(CycleProgram),
}

impl PolicyProgram {
    pub(crate) fn load(spec: &PolicySpec, parameters: &[(String, f64)]) -> Result<Self, PolicyError> {
        let name = spec.to_string();
        if let Some((parameter, _)) = parameters.first() {
            return Err(PolicyError::Parameter { policy: name, name: parameter.clone(), valid: "it has none".to_owned() });
        }
        let kind = match spec {
            PolicySpec::Random => Kind::Random,
            PolicySpec::Cycle(steps) => Kind::Cycle(CycleProgram::parse(steps)?),
            PolicySpec::Rules(file) => {
                return Err(PolicyError::File { path: file.clone(), source: std::io::Error::from(std::io::ErrorKind::Unsupported) });
            }
        };
        let sha256 = Sha256::digest(name.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self { name, sha256, kind })
    }

    /// The wire's `policy`, such as `random` or `cycle:ATTACK,NOOP`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// 64 hex digits over the policy's text and parameters.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What it looks at.
    #[must_use]
    pub fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Binds it to a game.
    ///
    /// # Errors
    /// [`PolicyError::Button`] for a button that the scenario does not have.
    pub fn bind(&self, schema: &Schema) -> Result<Box<dyn Policy>, PolicyError> {
        Ok(match &self.kind {
            Kind::Random => Box::new(Random::new(schema)),
            Kind::Cycle(program) => Box::new(program.bind(schema)?),
        })
    }
}
