//! A checked policy that is not yet bound to a game.

use std::path::Path;

use doom_game::{Needs, Schema};
use sha2::{Digest, Sha256};

use crate::{
    Policy, PolicyError, PolicySpec,
    cycle::CycleProgram,
    random::Random,
    rules::{self, RulesProgram},
};

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
    Rules(RulesProgram),
}

impl PolicyProgram {
    pub(crate) fn load(spec: &PolicySpec, parameters: &[(String, f64)]) -> Result<Self, PolicyError> {
        let name = match spec {
            PolicySpec::Rules(file) => rules::name(file),
            PolicySpec::Random | PolicySpec::Cycle(_) => spec.to_string(),
        };
        let kind = match spec {
            PolicySpec::Rules(file) => Kind::Rules(RulesProgram::load(file, parameters)?),
            PolicySpec::Random => Kind::Random,
            PolicySpec::Cycle(steps) => Kind::Cycle(CycleProgram::parse(steps)?),
        };
        if let (Kind::Random | Kind::Cycle(_), Some((parameter, _))) = (&kind, parameters.first()) {
            return Err(PolicyError::Parameter { policy: name, name: parameter.clone(), valid: "it has none".to_owned() });
        }
        let sha256 = match &kind {
            Kind::Rules(program) => program.sha256().to_owned(),
            Kind::Random | Kind::Cycle(_) => Sha256::digest(name.as_bytes()).iter().map(|b| format!("{b:02x}")).collect(),
        };
        Ok(Self { name, sha256, kind })
    }

    /// A rules policy from what its file holds; `file` is its name.
    ///
    /// # Errors
    /// [`PolicyError`], with the place.
    pub fn rules(file: &Path, text: Vec<u8>, parameters: &[(String, f64)]) -> Result<Self, PolicyError> {
        let program = RulesProgram::parse(file, text, parameters)?;
        Ok(Self { name: rules::name(file), sha256: program.sha256().to_owned(), kind: Kind::Rules(program) })
    }

    /// The wire's `policy`, such as `random`, `cycle:ATTACK,NOOP` or `rules:basic.toml`; it names no directory.
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
        match &self.kind {
            Kind::Random | Kind::Cycle(_) => Needs::default(),
            Kind::Rules(program) => program.needs(),
        }
    }

    /// Binds it to a game.
    ///
    /// # Errors
    /// [`PolicyError::Button`] for a button that the scenario does not have; [`PolicyError::Variable`] where `schema` is of a game
    /// that was started without [`PolicyProgram::needs`].
    pub fn bind(&self, schema: &Schema) -> Result<Box<dyn Policy>, PolicyError> {
        Ok(match &self.kind {
            Kind::Random => Box::new(Random::new(schema)),
            Kind::Cycle(program) => Box::new(program.bind(schema)?),
            Kind::Rules(program) => Box::new(program.bind(schema)?),
        })
    }
}
