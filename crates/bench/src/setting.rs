//! What is played, and by whom.

use anyhow::{Result, bail};
use serde::Serialize;

/// A game; the same for every contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    /// One of ViZDoom's own scenarios.
    pub(crate) scenario: &'static str,
    /// As ViZDoom writes it, without `RES_`.
    pub(crate) resolution: &'static str,
    pub(crate) format: &'static str,
    pub(crate) skip: u32,
}

impl Setting {
    pub(crate) const fn new(scenario: &'static str, resolution: &'static str, format: &'static str, skip: u32) -> Self {
        Self { scenario, resolution, format, skip }
    }

    /// Such as `basic-160x120-skip4`.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}-skip{}", self.scenario, self.resolution.to_ascii_lowercase(), self.skip)
    }
}

/// The most usual one: small, and four tics a step.
pub(crate) const USUAL: Setting = Setting::new("basic", "160X120", "GRAY8", 4);

const ALL: [Setting; 6] = [
    USUAL,
    Setting::new("basic", "160X120", "GRAY8", 1),
    Setting::new("basic", "320X240", "RGB24", 4),
    Setting::new("basic", "320X240", "RGB24", 1),
    Setting::new("deadly_corridor", "160X120", "GRAY8", 4),
    Setting::new("deathmatch", "160X120", "GRAY8", 4),
];

/// Those whose name contains `text`; of these the first, where it must be quick.
pub(crate) fn chosen(quick: bool, text: Option<&str>) -> Result<Vec<Setting>> {
    let mut settings: Vec<Setting> = ALL.into_iter().filter(|setting| text.is_none_or(|text| setting.name().contains(text))).collect();
    if settings.is_empty() {
        bail!("no setting is called so; they are {}", ALL.map(|setting| setting.name()).join(", "));
    }
    if quick {
        settings.truncate(1);
    }
    Ok(settings)
}

/// Who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    /// The stock package in a loop of its user, who publishes nothing.
    Python,
    /// The same, with its engine on one CPU.
    PythonOneCpu,
    /// The same as people run it, and both events of a step published with nats-py.
    PythonNats,
    /// The bare loop over our own binding, with its engine on one CPU.
    Bare,
    /// `doom-agent --pace max`, which publishes everything.
    Agent,
    /// The same, placed by the scheduler.
    AgentCpuOff,
    /// The agent that was named to compare with.
    Against,
}

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "python, bare",
            Self::PythonOneCpu => "python, bare, one CPU",
            Self::PythonNats => "python, nats-py",
            Self::Bare => "our bare loop, one CPU",
            Self::Agent => "doom-agent",
            Self::AgentCpuOff => "doom-agent --cpu off",
            Self::Against => "the other doom-agent",
        }
    }

    pub(crate) fn is_agent(self) -> bool {
        matches!(self, Self::Agent | Self::AgentCpuOff | Self::Against)
    }

    /// Plays with a server beside it.
    pub(crate) fn needs_server(self) -> bool {
        self.is_agent() || self == Self::PythonNats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_chosen_by_a_part_of_their_name() {
        assert_eq!(chosen(true, None).unwrap(), [USUAL]);
        assert_eq!(chosen(false, None).unwrap(), ALL);
        assert_eq!(chosen(false, Some("320x240")).unwrap().len(), 2);
        assert!(chosen(false, Some("nowhere")).unwrap_err().to_string().contains("basic-160x120-skip4"));
    }
}
