//! The design: a file that says what is varied, over what, how often, and in which order.

use std::{collections::BTreeMap, path::Path};

use cli_common::exit::{self, Failure};
use doom_protocol::{Id, payload::EvaluationRequest};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::factorial::{Fraction, Generator};
use crate::work::{policy_text, seeds};

/// More runs than anybody waits for are a slip.
const MOST_RUNS: u64 = 100_000;

/// As written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    experiment: Id,
    generation: Option<Id>,
    scenario: Option<String>,
    #[serde(default)]
    set: Map<String, Value>,
    policy: Option<String>,
    #[serde(default)]
    policy_params: Map<String, Value>,
    frame_skip: Option<Value>,
    #[serde(default = "one")]
    episodes: u64,
    seed: Option<Value>,
    seed_step: Option<Value>,
    seeds: Option<Value>,
    #[serde(default = "one")]
    replicates: u64,
    #[serde(default)]
    order_seed: u64,
    #[serde(default)]
    fraction: Vec<String>,
    #[serde(default = "responses")]
    response: Vec<String>,
    #[serde(default = "ninety_five")]
    confidence: f64,
    factor: Vec<WrittenFactor>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFactor {
    name: String,
    sets: Option<String>,
    levels: Vec<Value>,
}

fn one() -> u64 {
    1
}

fn responses() -> Vec<String> {
    ["total_reward", "kills", "survival_seconds"].map(str::to_owned).to_vec()
}

fn ninety_five() -> f64 {
    0.95
}

/// What is varied.
#[derive(Debug, Clone)]
pub(crate) struct Factor {
    pub(crate) name: String,
    /// `scenario`, `policy`, `frame_skip`, `set.KEY` or `policy_params.NAME`.
    pub(crate) sets: String,
    pub(crate) levels: Vec<Value>,
}

/// A checked design.
#[derive(Debug)]
pub(crate) struct Design {
    pub(crate) experiment: Id,
    pub(crate) generation: Id,
    pub(crate) sha256: String,
    pub(crate) factors: Vec<Factor>,
    /// Which combinations of levels are run: one level's index for each factor, in standard order.
    pub(crate) conditions: Vec<Vec<usize>>,
    pub(crate) fraction: Option<Fraction>,
    pub(crate) replicates: u64,
    pub(crate) episodes: u64,
    /// Of replicate r those from `r·episodes` on; the same for every condition.
    pub(crate) seeds: Vec<u32>,
    pub(crate) order_seed: u64,
    pub(crate) responses: Vec<String>,
    pub(crate) confidence: f64,
    base: Map<String, Value>,
    /// Rules by the name that stands in the design.
    rules: BTreeMap<String, (String, Option<String>)>,
}

impl Design {
    /// Reads and checks a design, with the rules that it names.
    ///
    /// # Errors
    /// Exit code 65, with the file and what is wrong in it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let fail = |what: String| Failure::new(exit::DATA, format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| fail(format!("the design cannot be read: {e}")))?;
        Self::of_text(&text, path).map_err(fail)
    }

    fn of_text(text: &str, path: &Path) -> Result<Self, String> {
        let written: Written = toml::from_str(text).map_err(|e| format!("not a design: {}", e.to_string().trim()))?;
        if written.factor.is_empty() {
            return Err("there is no [[factor]]; a design varies at least one".to_owned());
        }
        if written.confidence <= 0.0 || written.confidence >= 1.0 {
            return Err(format!("confidence is {}; it lies between 0 and 1, such as 0.95", written.confidence));
        }
        if written.episodes == 0 || written.replicates == 0 {
            return Err("episodes and replicates are at least 1".to_owned());
        }
        let factors = written.factor.into_iter().map(factor).collect::<Result<Vec<_>, _>>()?;
        for (i, factor) in factors.iter().enumerate() {
            let rival = |f: &&Factor| f.name == factor.name || f.sets == factor.sets;
            if let Some(other) = factors[..i].iter().find(rival) {
                return Err(format!("factors {} and {} are the same, or set the same", other.name, factor.name));
            }
        }
        let generators = written.fraction.iter().map(|g| Generator::parse(g, &factors)).collect::<Result<Vec<_>, _>>()?;
        let fraction = Fraction::of(&factors, generators)?;
        let conditions = super::factorial::conditions(&factors, fraction.as_ref(), MOST_RUNS)?;
        if (conditions.len() as u64).saturating_mul(written.replicates) > MOST_RUNS {
            return Err(format!("the design has more than {MOST_RUNS} runs"));
        }
        let mut seeding = Map::new();
        let keys = [("seed", written.seed), ("seed_step", written.seed_step), ("seeds", written.seeds)];
        seeding.extend(keys.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))));
        seeding.insert("episodes".to_owned(), written.episodes.into());
        let seeds = seeds(&mut seeding, written.replicates)?;
        let wanted = written.episodes.saturating_mul(written.replicates);
        if seeds.len() as u64 != wanted {
            return Err(format!("{} seeds for {wanted} episodes of a condition (episodes × replicates)", seeds.len()));
        }
        let mut base = Map::new();
        let keys = [
            ("scenario", written.scenario.map(Value::from)),
            ("policy", written.policy.map(Value::from)),
            ("frame_skip", written.frame_skip),
        ];
        base.extend(keys.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))));
        base.insert("set".to_owned(), written.set.into());
        base.insert("policy_params".to_owned(), written.policy_params.into());
        let varied = factors.iter().filter(|f| f.sets == "policy").flat_map(|f| f.levels.iter());
        let named: Vec<&str> = base.get("policy").into_iter().chain(varied).filter_map(Value::as_str).collect();
        let rules =
            named.iter().map(|name| Ok(((*name).to_owned(), policy_text(name, path)?))).collect::<Result<BTreeMap<_, _>, String>>()?;
        let mut hash = Sha256::new();
        hash.update(text.as_bytes());
        rules.values().for_each(|(_, text)| hash.update(text.as_deref().unwrap_or_default().as_bytes()));
        let design = Self {
            generation: written.generation.unwrap_or_else(|| written.experiment.clone()),
            experiment: written.experiment,
            sha256: hash.finalize().iter().map(|b| format!("{b:02x}")).collect(),
            factors,
            conditions,
            fraction,
            replicates: written.replicates,
            episodes: written.episodes,
            seeds,
            order_seed: written.order_seed,
            responses: written.response,
            confidence: written.confidence,
            base,
            rules,
        };
        // Every condition is looked at before anything is sent.
        for run in design.plan() {
            design.request(&run)?;
        }
        Ok(design)
    }

    /// The level of each factor in a condition.
    pub(crate) fn levels(&self, condition: usize) -> BTreeMap<String, Value> {
        let chosen = self.factors.iter().zip(&self.conditions[condition]);
        chosen.map(|(factor, level)| (factor.name.clone(), factor.levels[*level].clone())).collect()
    }

    /// The evaluation of a run.
    pub(crate) fn request(&self, run: &super::plan::Run) -> Result<EvaluationRequest, String> {
        let mut all = self.base.clone();
        for (factor, level) in self.factors.iter().zip(&self.conditions[run.condition]) {
            let value = factor.levels[*level].clone();
            match factor.sets.split_once('.') {
                Some((table, key)) => match all.get_mut(table) {
                    Some(Value::Object(map)) => drop(map.insert(key.to_owned(), value)),
                    _ => return Err(format!("factor {} sets {}, which there is not", factor.name, factor.sets)),
                },
                None => drop(all.insert(factor.sets.clone(), value)),
            }
        }
        if let Some((name, text)) = all.get("policy").and_then(Value::as_str).and_then(|p| self.rules.get(p)).cloned() {
            all.insert("policy".to_owned(), name.into());
            all.extend(text.map(|text| ("policy_text".to_owned(), text.into())));
        }
        if !all.contains_key("scenario") {
            return Err("there is no scenario, neither at the top nor as a factor".to_owned());
        }
        let from = usize::try_from(run.replicate * self.episodes).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(self.episodes).unwrap_or(usize::MAX));
        let seeds = self.seeds.get(from..to).unwrap_or_default();
        all.insert("seeds".to_owned(), seeds.into());
        all.insert("evaluation_id".to_owned(), format!("run-{}", run.number).into());
        all.insert("generation_id".to_owned(), self.generation.as_str().into());
        all.insert("experiment_id".to_owned(), self.experiment.as_str().into());
        all.insert("run_id".to_owned(), run.number.into());
        all.insert("factors".to_owned(), serde_json::json!(self.levels(run.condition)));
        let request: EvaluationRequest =
            serde_json::from_value(Value::Object(all)).map_err(|e| format!("condition {}: {e}", run.condition + 1))?;
        request.check().map_err(|e| format!("condition {}: {e}", run.condition + 1))?;
        Ok(request)
    }
}

fn factor(written: WrittenFactor) -> Result<Factor, String> {
    let WrittenFactor { name, sets, levels } = written;
    let sets = sets.unwrap_or_else(|| name.clone());
    let plain = ["scenario", "policy", "frame_skip"].contains(&sets.as_str());
    let keyed = sets.strip_prefix("set.").or_else(|| sets.strip_prefix("policy_params.")).is_some_and(|key| !key.is_empty());
    if !plain && !keyed {
        return Err(format!("factor {name} sets {sets:?}; valid are scenario, policy, frame_skip, set.KEY and policy_params.NAME"));
    }
    if name.is_empty() || name.contains(['=', '*', ' ', ',']) {
        return Err(format!("factor {name:?}: a name has no space, =, * or comma"));
    }
    if levels.len() < 2 {
        return Err(format!("factor {name} has {} levels; it needs two at least", levels.len()));
    }
    if let Some(twice) = levels.iter().enumerate().find(|(i, l)| levels[..*i].contains(l)) {
        return Err(format!("factor {name} has the level {} twice", twice.1));
    }
    Ok(Factor { name, sets, levels })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn design(text: &str) -> Result<Design, String> {
        Design::of_text(text, Path::new("design.toml"))
    }

    const TWO: &str = r#"
experiment = "x"
scenario = "basic"
episodes = 3
replicates = 2
seed = 100
order_seed = 4
[[factor]]
name = "skip"
sets = "frame_skip"
levels = [1, 4]
[[factor]]
name = "set.episode_timeout"
levels = [100, 200, 300]
"#;

    #[test]
    fn every_condition_has_the_same_seeds_and_each_replicate_its_own() {
        let design = design(TWO).unwrap();
        assert_eq!(design.conditions.len(), 6);
        let plan = design.plan();
        assert_eq!(plan.len(), 12);
        for run in &plan {
            let request = design.request(run).unwrap();
            let first = 100 + u32::try_from(run.replicate).unwrap() * 3;
            assert_eq!(request.seeds, [first, first + 1, first + 2]);
            assert_eq!(request.factors["skip"], request.frame_skip);
            assert_eq!(request.factors["set.episode_timeout"], request.set["episode_timeout"]);
        }
    }

    #[test]
    fn the_order_is_random_and_the_same_for_the_same_seed() {
        let order = |seed: u64| {
            let design = design(&TWO.replace("order_seed = 4", &format!("order_seed = {seed}"))).unwrap();
            design.plan().iter().map(|r| (r.condition, r.replicate)).collect::<Vec<_>>()
        };
        assert_eq!(order(4), order(4));
        assert_ne!(order(4), order(5));
        let mut sorted = order(4);
        sorted.sort_unstable();
        assert_ne!(sorted, order(4));
        sorted.dedup();
        assert_eq!(sorted.len(), 12);
    }

    #[test]
    fn the_shipped_designs_are_what_their_comments_say() {
        let shipped = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/experiments").join(name);
            Design::read(&path).unwrap_or_else(|failure| panic!("{failure}"))
        };
        let full = shipped("frame_skip.toml");
        assert_eq!((full.conditions.len(), full.plan().len()), (4, 8));
        let half = shipped("difficulty.toml");
        assert_eq!((half.conditions.len(), half.fraction.map(|f| f.resolution())), (8, Some(4)));
    }

    #[test]
    fn mistakes_are_told_before_anything_is_sent() {
        for (from, to, reason) in [
            ("levels = [1, 4]", "levels = [1]", "two at least"),
            ("levels = [1, 4]", "levels = [1, 1]", "twice"),
            ("levels = [1, 4]", "levels = [1, 0]", "frame_skip is 0"),
            ("levels = [1, 4]", "levels = [1, \"fast\"]", "condition 2"),
            ("sets = \"frame_skip\"", "sets = \"speed\"", "valid are"),
            ("scenario = \"basic\"", "", "no scenario"),
            ("scenario = \"basic\"", "scenario = \"a/b\"", "no path"),
            ("seed = 100", "seeds = [1, 2]", "2 seeds for 6"),
            ("episodes = 3", "episodes = 0", "at least 1"),
            ("order_seed = 4", "order_sed = 4", "order_sed"),
            ("order_seed = 4", "policy = \"rules:none.toml\"", "none.toml"),
            ("order_seed = 4", "confidence = 1.0", "between 0 and 1"),
            ("order_seed = 4", "fraction = [\"a = b\"]", "no factor"),
        ] {
            let error = design(&TWO.replace(from, to)).unwrap_err();
            assert!(error.contains(reason), "{to}: {error}");
        }
    }
}
