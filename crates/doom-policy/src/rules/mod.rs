//! `rules:FILE`: ordered rules over variables and visible labels, from a TOML file (`docs/POLICIES.md` has its format).
//!
//! `source` and `table` know where in the file things are; `token` and `parse` read conditions, calculations and presses into
//! `code`; `sight` turns labels into numbers; `document` is the checked file; `play` decides. The file is not trusted: its size,
//! its nesting and the number of everything in it are bounded, and nothing in it can make a decision allocate, fail or take long.

mod code;
mod document;
mod parse;
mod play;
mod sight;
mod source;
mod table;
mod token;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use doom_game::{Needs, Schema, Variable, nearest};
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use self::{
    document::{Document, Parameter},
    play::Rules,
    source::{Fault, Source},
    table::shown,
};
use crate::PolicyError;

/// The longest file, in bytes.
const LONGEST: u64 = 64 * 1024;

/// A checked rules file with the values of its parameters.
#[derive(Debug, Clone)]
pub(crate) struct RulesProgram {
    file: Arc<str>,
    text: Arc<str>,
    document: Arc<Document>,
    sha256: String,
}

impl RulesProgram {
    /// Reads a file and sets parameters; of one that is given twice the last value counts.
    pub(crate) fn load(path: &Path, given: &[(String, f64)]) -> Result<Self, PolicyError> {
        let text = read(path).map_err(|source| PolicyError::File { path: path.into(), source })?;
        Self::parse(path, text, given)
    }

    /// As [`RulesProgram::load`], of what the file holds.
    pub(crate) fn parse(path: &Path, text: Vec<u8>, given: &[(String, f64)]) -> Result<Self, PolicyError> {
        let file = path.display().to_string();
        let text = String::from_utf8(text).map_err(|e| {
            let valid = String::from_utf8_lossy(&e.as_bytes()[..e.utf8_error().valid_up_to()]).into_owned();
            Source { file: file.clone(), text: &valid }.error(Fault::new(valid.len(), "this is not UTF-8 text"))
        })?;
        let source = Source { file, text: &text };
        let root = DeTable::parse(&text).map_err(|e| {
            let at = e.span().map_or(text.len(), |span| span.start);
            source.error(Fault::new(at, e.message().lines().collect::<Vec<_>>().join(", ")))
        })?;
        let root = root.get_ref();
        let mut parameters = document::parameters(root).map_err(|fault| source.error(fault))?;
        set(&name(path), &mut parameters, given)?;
        let document = document::document(&source, root, parameters).map_err(|fault| source.error(fault))?;
        let sha256 = sha256(&text, &document.parameters);
        Ok(Self { file: source.file.into(), text: text.as_str().into(), document: Arc::new(document), sha256 })
    }

    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(crate) fn needs(&self) -> Needs {
        let reads = &self.document.reads;
        let mut variables = reads.variables.clone();
        if reads.place {
            variables.extend([Variable::POSITION_X, Variable::POSITION_Y].iter().filter(|v| !reads.variables.contains(v)));
        }
        Needs { variables, labels: !reads.groups.is_empty(), ..Needs::default() }
    }

    pub(crate) fn bind(&self, schema: &Schema) -> Result<Rules, PolicyError> {
        let source = Source { file: self.file.to_string(), text: &self.text };
        Rules::bind(&self.document, schema, |at| source.place(at))
    }
}

/// The wire's name of a rules policy: without the directories, which are the machine's own.
pub(crate) fn name(path: &Path) -> String {
    format!("rules:{}", path.file_name().unwrap_or(path.as_os_str()).display())
}

/// At most [`LONGEST`] bytes of a regular file; of anything else, such as a pipe, the end may never come.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is larger than {LONGEST} bytes")));
    }
    Ok(bytes)
}

fn set(policy: &str, parameters: &mut [Parameter], given: &[(String, f64)]) -> Result<(), PolicyError> {
    for (name, value) in given {
        let Some(i) = parameters.iter().position(|p| p.name == *name) else {
            let near = nearest(name, parameters.iter().map(|p| p.name.as_str()));
            let all = parameters.iter().map(Parameter::described).collect::<Vec<_>>().join(", ");
            let valid = match near {
                _ if parameters.is_empty() => "it has none".to_owned(),
                Some(near) => format!("did you mean {near}? It has {all}"),
                None => format!("it has {all}"),
            };
            return Err(PolicyError::Parameter { policy: policy.to_owned(), name: shown(name), valid });
        };
        let parameter = &mut parameters[i];
        if !parameter.admits(*value) {
            let (policy, name, range) = (policy.to_owned(), name.clone(), parameter.range());
            return Err(PolicyError::Range { policy, name, value: *value, range });
        }
        parameter.value = *value;
    }
    Ok(())
}

/// Over the file's text and, for each parameter in the file's order, a newline and `name=value` with the value that is played.
fn sha256(text: &str, parameters: &[Parameter]) -> String {
    let mut hash = Sha256::new_with_prefix(text);
    for parameter in parameters {
        hash.update(format!("\n{}={}", parameter.name, parameter.value));
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
